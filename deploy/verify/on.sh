#!/usr/bin/env bash
# on.sh MACHINE COMMAND...: runs a command on a machine of the stack, as root; on.sh MACHINE alone opens
# a shell there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/verify/stack.sh
source "$here/stack.sh"
machine=${1:?vm1_kafka, vm2_mongo, vm3_processor or vm4_producers}
shift
load_outputs
private "$machine" >/dev/null || fail "no machine $machine" "make addrs"
if (($# == 0)); then
    SSH_OPTIONS="-t ${SSH_OPTIONS:-}" on "$machine" -i
else
    on "$machine" "$@"
fi
