#!/usr/bin/env bash
# Is Kafka there, with every topic whole? Prints the topics of the pipeline; --all also what they hold
# of partitions.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/verify/stack.sh
source "$here/stack.sh"
PARTITIONS=${PARTITIONS:-12}
wanted=(gpu.metrics.v1 token.usage.v1 tokens gtap.dlq.v1)

load_outputs
heading "VM1/Kafka: listing topics"
described=$(on vm1_kafka /opt/gtap/bin/gtap-topics --describe) ||
    fail "Kafka does not say what topics it has" "make logs-vm1" "make ssh-vm1, then: sudo /opt/gtap/bin/gtap-status" \
        "systemctl status gtap-stack there: its service starts at boot"
for topic in "${wanted[@]}"; do
    line=$(grep -F -- "$topic " <<<"$described" | grep "^$topic ") ||
        fail "topic $topic is missing" "make logs-vm1: topics are made when Kafka starts" \
            "sudo docker compose --project-directory /opt/gtap restart kafka, there, makes them again"
    [[ $line == "$topic $PARTITIONS partitions, $PARTITIONS with a leader" ]] ||
        fail "$line, not $PARTITIONS with a leader each" "make logs-vm1" "the disk of VM1: df -h /var/lib/docker"
done
if [[ ${1:-} == --all ]]; then
    echo "$described"
else
    # What the others are for: tokens (both kinds in one topic), gtap.dlq.v1 (dead letters).
    grep -oE '^(__consumer_offsets|gpu\.metrics\.v1|token\.usage\.v1) ' <<<"$described" | tr -d ' '
fi
