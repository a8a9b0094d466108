#!/usr/bin/env bash
# Do the producers run, and does what they send arrive in Kafka? Prints the end of their log.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/verify/stack.sh
source "$here/stack.sh"
LINES_OF_LOG=${LINES_OF_LOG:-10}

sent()
{
    on vm4_producers curl --silent --show-error --fail --max-time 10 http://127.0.0.1:9400/metrics </dev/null |
        awk '$1 ~ /^gtap_kafka_sent_total/ { n += $2 } END { printf "%d\n", n }'
}

load_outputs
heading "VM4/Producers: recent logs"
log=$(on vm4_producers /opt/gtap/bin/gtap-logs "$LINES_OF_LOG") ||
    fail "the producers' log cannot be read" "make ssh-vm4, then: sudo /opt/gtap/bin/gtap-status"
echo "$log"
before=$(sent) || fail "the producers do not run" "make logs-vm4" "make ssh-vm4, then: sudo /opt/gtap/bin/gtap-status"
deadline=$((SECONDS + ${WAIT_SEC:-30}))
while after=$(sent) && ((after <= before)); do
    ((SECONDS < deadline)) ||
        fail "no record of theirs was acknowledged in ${WAIT_SEC:-30} s ($after in all)" \
            "make verify-kafka" "make logs-vm4" "RATE in /opt/gtap/.env there"
    sleep 1
done
