#!/usr/bin/env bash
# Is the processor well, and does it read and store? With --all also what /ready says of each part.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/verify/stack.sh
source "$here/stack.sh"

ask()
{
    on vm3_processor curl --silent --show-error --max-time 10 "http://127.0.0.1:8080$1" </dev/null
}

load_outputs
heading "VM3/Processor: health check"
said=$(ask /health) ||
    fail "the processor does not answer" "make logs-vm3" "make ssh-vm3, then: sudo /opt/gtap/bin/gtap-status"
[[ $said == *'"status":"ok"'* ]] || fail "the processor is not well: $said" "make logs-vm3"
ready=$(ask /ready) || fail "the processor does not say whether it is ready" "make logs-vm3"
[[ $ready == *'"ready":true'* ]] ||
    fail "the processor is not ready: $ready" "make verify-kafka and make verify-mongo: it waits for both" \
        "make logs-vm3"
echo "$said"
if [[ ${1:-} == --all ]]; then
    echo "$ready"
fi
