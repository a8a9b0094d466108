#!/usr/bin/env bash
# Java with Kafka's jars, by the variables that Kafka's own kafka-run-class.sh takes.
set -euo pipefail

read -ra heap <<<"${KAFKA_HEAP_OPTS:--Xmx256m}"
read -ra tuning <<<"${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1}"
exec java "${heap[@]}" "${tuning[@]}" -Xshare:auto -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -cp "${GTAP_KAFKA_LIBS:-/opt/kafka/libs}/*" "$@"
