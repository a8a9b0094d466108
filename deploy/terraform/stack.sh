#!/bin/bash
# What `make` in a stage's terraform folder runs: stack.sh plan | deploy | down, in that folder.
#
# Environment, each goes before terraform.tfvars:
#   MY_IP_CIDR                  where you come from; found out where neither this nor terraform.tfvars says
#   AWS_PROFILE, AWS_REGION     of AWS's configuration
#   SSH_KEY_NAME                the key pair that may log in
#   GTAP_IMAGE_ARCHIVE          gtap's image (docker save); build/gtap-image.tar where it is there
#   YES=1                       down does not ask
#
# The plan that Terraform applies holds every value in clear, so it is gone when this ends. What stays
# is plan.redacted.txt: the same as text, without addresses of people, accounts and user data.
set -euo pipefail

fail()
{
    echo "stack.sh: $*" >&2
    exit 1
}

# Whether a variable is given already: in a file that Terraform reads, or in its environment.
given()
{
    local name=$1 file variable=TF_VAR_$1
    [[ -z ${!variable:-} ]] || return 0
    for file in terraform.tfvars ./*.auto.tfvars; do
        if [[ -e $file ]] && grep -Eq "^[[:space:]]*${name}[[:space:]]*=" "$file"; then
            return 0
        fi
    done
    return 1
}

my_address()
{
    local address
    address=$(curl --fail --silent --show-error --max-time 10 https://checkip.amazonaws.com) ||
        fail "your address could not be found out: give MY_IP_CIDR=ADDRESS/32, or my_ip_cidr in terraform.tfvars"
    [[ $address =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}$ ]] ||
        fail "AWS sees you at \"$address\", which is no IPv4 address: give MY_IP_CIDR=ADDRESS/32"
    echo "$address"
}

variables=()

add()
{
    variables+=(-var "$1=$2")
}

gather_variables()
{
    local archive address
    if [[ -n ${MY_IP_CIDR:-} ]]; then
        add my_ip_cidr "$MY_IP_CIDR"
    elif ! given my_ip_cidr; then
        address=$(my_address)
        add my_ip_cidr "$address/32"
    fi
    [[ -z ${AWS_PROFILE:-} ]] || add aws_profile "$AWS_PROFILE"
    [[ -z ${AWS_REGION:-} ]] || add aws_region "$AWS_REGION"
    [[ -z ${SSH_KEY_NAME:-} ]] || add ssh_key_name "$SSH_KEY_NAME"
    archive=$(dirname "${BASH_SOURCE[0]}")/../../build/gtap-image.tar
    if [[ -n ${GTAP_IMAGE_ARCHIVE:-} ]]; then
        add gtap_image_archive "$GTAP_IMAGE_ARCHIVE"
    elif [[ -e $archive ]] && ! given gtap_image_archive && ! given gtap_image; then
        add gtap_image_archive "$(realpath "$archive")"
    fi
}

# User data, account numbers, and addresses of people: networks of /24 and narrower that are not private.
redact()
{
    perl -pe '
        s{^(\W*user_data(?:_base64)?\s+[=:]\s).*}{$1(redacted)};
        s{\b\d{12}\b}{(account)}g;
        s{\b(?!10\.|127\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)(?:\d{1,3}\.){3}\d{1,3}/(?:2[4-9]|3[0-2])\b}{(network)}g'
}

plan()
{
    terraform plan -input=false -out="$planned" "${variables[@]}"
    terraform show -no-color "$planned" | redact >plan.redacted.txt
    echo "The plan, without addresses, accounts and user data: plan.redacted.txt"
}

planned=$(mktemp "${TMPDIR:-/tmp}/gtap-plan.XXXXXX")
trap 'rm -f "$planned"' EXIT
command -v terraform >/dev/null || fail "there is no terraform: install 1.11 or newer"
gather_variables
case ${1:-} in
    plan) plan ;;
    deploy)
        plan
        terraform apply -input=false "$planned"
        ;;
    down)
        if [[ ${YES:-} == 1 ]]; then
            variables+=(-auto-approve)
        fi
        terraform destroy "${variables[@]}"
        ;;
    *) fail "usage: stack.sh plan | deploy | down" ;;
esac
