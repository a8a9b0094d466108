#!/usr/bin/env bash
# PID 1 of the container: Kafka as its image starts it, and beside it, once it answers, what it must
# have: topics, users and their rights. Every step may be repeated, and all are at every start, so a
# password that has changed holds after a restart. health.sh says "healthy" only once that is done.
#
# Environment: TOPICS, GROUP, KAFKA_NUM_PARTITIONS, BROKER_HEAP (see services/kafka.yaml). Where
# things are, for those who run it outside the image: GTAP_KAFKA_RUN, GTAP_KAFKA_BIN,
# GTAP_KAFKA_STATE, GTAP_SECRETS_DIR.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=${GTAP_KAFKA_RUN:-/etc/kafka/docker/run}
bin=${GTAP_KAFKA_BIN:-/opt/kafka/bin}
state=${GTAP_KAFKA_STATE:-/tmp}
secrets=${GTAP_SECRETS_DIR:-/run/secrets}
local_listener=127.0.0.1:9094
read -ra topics <<<"${TOPICS:?names of the topics to make}"

say()
{
    echo "gtap: $*"
}

# A tool of Kafka's, as a small and quick Java.
kafka()
{
    local tool=$1
    shift
    KAFKA_HEAP_OPTS="-Xmx128m" KAFKA_JVM_PERFORMANCE_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1" \
        "$bin/kafka-$tool.sh" --bootstrap-server "$local_listener" "$@"
}

make_topics()
{
    local there topic
    there=$(kafka topics --list)
    for topic in "${topics[@]}"; do
        if ! grep -qxF -- "$topic" <<<"$there"; then
            kafka topics --create --if-not-exists --topic "$topic" \
                --partitions "$KAFKA_NUM_PARTITIONS" --replication-factor 1
        fi
    done
}

# By a file: what is in argv or the environment, others see.
make_user()
{
    local user=$1 file
    file=$(umask 077 && mktemp "$state/user.XXXXXX")
    printf 'SCRAM-SHA-512=iterations=8192,password=%s\n' "$(<"$secrets/kafka_${user}_password")" >"$file"
    kafka configs --alter --entity-type users --entity-name "$user" --add-config-file "$file" ||
        { rm -f "$file"; return 1; }
    rm -f "$file"
}

# What `kafka-acls --list` says, a right a line: TOPIC tokens producers WRITE.
rights()
{
    kafka acls --list | sed -n \
        -e 's/.*resourceType=\([A-Z_]*\), name=\([^,]*\),.*/\1 \2/;t keep' \
        -e 's/.*principal=User:\([^,]*\), host=\*, operation=\([A-Z_]*\), permissionType=ALLOW.*/\1 \2/;t join' \
        -e 'd;:keep' -e 'h;d;:join' -e 'G;s/\(.*\)\n\(.*\)/\2 \1/p'
}

have_rights()
{
    local there topic
    there=$(rights)
    for topic in "${topics[@]}"; do
        grep -qxF "TOPIC $topic producers WRITE" <<<"$there" || return 1
        grep -qxF "TOPIC $topic processor READ" <<<"$there" || return 1
    done
    grep -qxF "GROUP $GROUP processor READ" <<<"$there"
}

# Producers write; processors read, send unkeyed records to their host's partition, and write dead
# letters. Nobody but LOCAL creates, alters or deletes.
make_rights()
{
    local on=() topic
    if have_rights; then
        return
    fi
    for topic in "${topics[@]}"; do
        on+=(--topic "$topic")
    done
    kafka acls --add --allow-principal User:producers --operation Write --operation Describe "${on[@]}"
    kafka acls --add --allow-principal User:processor --operation Read --operation Write \
        --operation Describe "${on[@]}"
    kafka acls --add --allow-principal User:processor --operation Read --group "$GROUP"
}

answers()
{
    bash "$here/health.sh" broker 2>/dev/null
}

# set -e does not hold inside a function that || or `if` asks; hence the &&.
prepare()
{
    make_topics && make_user processor && make_user producers && make_rights
}

prepare_until_done()
{
    until answers; do
        sleep 1
    done
    until prepare >"$state/prepare.log" 2>&1; do
        say "could not make topics, users or rights yet:"
        cat "$state/prepare.log"
        sleep 5
    done
    touch "$state/gtap-kafka-ready"
    say "ready: topics ${topics[*]}, users processor and producers"
}

rm -f "$state/gtap-kafka-ready"
prepare_until_done &
export KAFKA_HEAP_OPTS="-Xms256m -Xmx$BROKER_HEAP"
# To stdout alone, and no log of the garbage collection: files in a container without a disk of its own
# would fill its memory.
export EXTRA_ARGS="-name kafkaServer"
export KAFKA_LOG4J_OPTS="-Dlog4j.configuration=file:$here/log4j.properties"
exec "$run"
