#!/usr/bin/env bash
# The machines' addresses.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/verify/stack.sh
source "$here/stack.sh"

rows()
{
    local machine name address
    for machine in vm1_kafka vm2_mongo vm3_processor vm4_producers; do
        name=${machine#*_}
        address=$("$1" "$machine")
        printf '  VM%s %-10s: %s\n' "${machine:2:1}" "$name" "${address:-(none: a private subnet)}"
    done
}

load_outputs
echo "Private IPs:"
rows private
echo "Public IPs (for SSH hop):"
rows public
