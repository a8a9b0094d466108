#!/usr/bin/env bash
# Does the broker answer an ApiVersions request, and has start.sh made what it must have? Costs no
# Java. `health.sh broker` asks the first alone.
set -euo pipefail

state=${GTAP_KAFKA_STATE:-/tmp}
if [[ ${1:-} != broker && ! -e $state/gtap-kafka-ready ]]; then
    echo "topics, users and rights are not made yet: see the log" >&2
    exit 1
fi
exec 3<>/dev/tcp/127.0.0.1/9094
# Length 10; key 18, version 0, correlation 1, no client id.
printf '\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff' >&3
answer=$(timeout 5 head -c 8 <&3 | od -An -tx1 | tr -d ' \n')
if [[ ${answer:8} != 00000001 ]]; then
    echo "the broker does not answer on 127.0.0.1:9094" >&2
    exit 1
fi
