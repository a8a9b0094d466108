# shellcheck shell=bash
# Sourced by the scripts beside it: the addresses of a stack, and its machines over SSH.
#
# Environment:
#   STACK         the stage's name in what is printed (CA1)
#   TERRAFORM     its folder, asked for outputs (terraform output -json)
#   OUTPUTS       a file with those outputs, in place of asking
#   SSH_KEY       the private key; without it SSH's own choice
#   SSH_USER      ubuntu
#   SSH_OPTIONS   more options of ssh, words
#   DB_NAME       the database where the outputs do not say it: ca0
#
# The first connection to a machine notes its host key beside the outputs; a later one refuses another
# (make forget-hosts, after machines were replaced).

STACK=${STACK:-CA1}
SSH_USER=${SSH_USER:-ubuntu}
SSH_TRIES=${SSH_TRIES:-3}

# fail MESSAGE [what to look at]...
fail()
{
    echo "FAILED: $1" >&2
    shift
    (($# == 0)) || printf '  look at: %s\n' "$@" >&2
    exit 1
}

heading()
{
    echo ">> $1 ..."
}

need()
{
    command -v "$1" >/dev/null || fail "$1 is not installed here" "the prerequisites in the stage's README"
}

outputs_json()
{
    if [[ -n ${OUTPUTS:-} ]]; then
        [[ -r $OUTPUTS ]] || fail "no file $OUTPUTS" "OUTPUTS names a file that 'terraform output -json' wrote"
        cat "$OUTPUTS"
    else
        need terraform
        terraform -chdir="${TERRAFORM:?the folder of the stage}" output -json ||
            fail "terraform has no outputs" "make deploy, in ${TERRAFORM}"
    fi
}

# Asked once a script.
load_outputs()
{
    need jq
    outputs=$(outputs_json) || exit 1
    jq -e '.instance_private_ips.value.vm1_kafka' >/dev/null 2>&1 <<<"$outputs" ||
        fail "the outputs name no machines" "make deploy first: ${TERRAFORM:-$OUTPUTS}"
}

# private MACHINE, public MACHINE: an address; public's is empty where it has none.
private()
{
    jq -er --arg m "$1" '.instance_private_ips.value[$m]' <<<"$outputs"
}

public()
{
    jq -r --arg m "$1" '.instance_public_ips.value[$m] // ""' <<<"$outputs"
}

db_name()
{
    jq -r --arg d "${DB_NAME:-ca0}" '.db_name.value // $d' <<<"$outputs"
}

# on MACHINE COMMAND...: runs it there, as root; its stdin is ours.
on()
{
    local machine=$1 address options
    shift
    address=$(public "$machine")
    address=${address:-$(private "$machine")}
    options=(-o BatchMode=yes -o ConnectTimeout=10 -o ConnectionAttempts="$SSH_TRIES"
        -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile="${KNOWN_HOSTS:?}" -o LogLevel=ERROR)
    [[ -z ${SSH_KEY:-} ]] || options+=(-i "$SSH_KEY" -o IdentitiesOnly=yes)
    # shellcheck disable=SC2206 # words
    [[ -z ${SSH_OPTIONS:-} ]] || options+=($SSH_OPTIONS)
    # shellcheck disable=SC2029 # quoted here, for the shell there
    ssh "${options[@]}" "$SSH_USER@$address" "sudo -n $(printf '%q ' "$@")"
}

# The words with which another program runs a command there.
on_words()
{
    printf '%q %q' "$(dirname "${BASH_SOURCE[0]}")/on.sh" "$1"
}
