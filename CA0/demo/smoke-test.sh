#!/usr/bin/env bash
# Does the pipeline work, from a producer to a cost in MongoDB? Publishes records of a GPU and a host
# that nobody else has, waits for exactly the documents that they must become, compares their costs
# with what the cost model says, to the nano-dollar, and takes all of it away again: no other document
# is touched. Exit status 0: all is well. Everything else says what is wrong and where to look.
#
#   CA0/demo/smoke-test.sh [--keep] [--seconds N]
#
# --keep leaves the documents where they are. --seconds: how long to wait for them (120).
#
# How to reach the parts, each a command line; by default those of deploy/compose on this machine
# (CA0/Makefile has those of the four machines):
#   SMOKE_PUBLISH   sends records of JSON, one a line on its stdin, to Kafka
#   SMOKE_MONGO     runs JavaScript from its stdin as the user gtap in the database (mongosh)
#   SMOKE_HEALTH    prints what the processor's /health answers
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
compose="docker compose -f $here/../../deploy/compose/compose.yaml"
publish=${SMOKE_PUBLISH:-$compose exec -T producers gtap agent --in file:- --spool= --listen 127.0.0.1:0}
mongo=${SMOKE_MONGO:-$compose exec -T mongodb bash /gtap/mongodb/eval.sh}
health=${SMOKE_HEALTH:-curl --silent --show-error --fail --max-time 5 http://127.0.0.1:8080/health}
seconds=120
keep=false

fail()
{
    echo "FAILED: $1" >&2
    shift
    printf '  look at: %s\n' "$@" >&2
    exit 1
}

while (($# > 0)); do
    case $1 in
        --keep) keep=true ;;
        --seconds)
            [[ ${2:-} =~ ^[1-9][0-9]{0,4}$ ]] || fail "--seconds needs a number" "$0, its first lines"
            seconds=$2
            shift
            ;;
        *) fail "unknown option $1" "$0, its first lines" ;;
    esac
    shift
done

work=$(mktemp -d)
id=smoke-$(date -u +%Y%m%d%H%M%S)-$(head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \n')
published=false

# What the command says on stdout; what it says on stderr comes after it only where it fails.
run()
{
    local what=$1 said
    if ! said=$(bash -c "$2" 2>"$work/stderr"); then
        echo "$what failed:" >&2
        cat "$work/stderr" >&2
        return 1
    fi
    printf '%s\n' "$said"
}

ask_mongo()
{
    run "MongoDB" "$mongo" <<<"$1"
}

# Times: a minute, whole, long enough ago for its window to be final at once. On a GPU of 3.60 USD an
# hour a millisecond costs 1,000 nano-dollars, whatever the floors of the cost model are.
now=$(date +%s)
((minute = (now - 1800) / 60 * 60))

sample()
{
    printf '{"ts":%d,"host":"%s","gpu_index":0,"name":"smoke test","power_w":100,"price_per_hour_usd":3.6,"event_id":"%s-%s"}\n' \
        "$1" "$id" "$id" "$2"
}

# usage NAME END_S LATENCY_MS PROMPT COMPLETION
usage()
{
    printf '{"ts":%d,"model":"smoke-test","tenant":"smoke-test","host":"%s","gpu_index":0,"prompt_tokens":%d,"completion_tokens":%d,"latency_ms":%d,"event_id":"%s-%s"}\n' \
        "$2" "$id" "$4" "$5" "$3" "$id" "$1"
}

# A GPU seen from second 0 to 40: A runs alone from 5 to 15; B and C, alike, share 20 to 30. And a
# sample of now: time has gone on, also where nobody else sends.
records()
{
    local second
    for ((second = 0; second <= 40; second += 10)); do
        sample "$((minute + second))" "gpu$second"
    done
    usage a "$((minute + 15))" 10000 900 100
    usage b "$((minute + 30))" 10000 300 50
    usage c "$((minute + 30))" 10000 300 50
    sample "$now" now
}

# 10 s at 1,000 nano-dollars a millisecond; half of it each for two that share.
expected='{
  "ID-a": {nusd: 10000000, perToken: 10000000 / 1000 / 1e9},
  "ID-b": {nusd: 5000000, perToken: 5000000 / 350 / 1e9},
  "ID-c": {nusd: 5000000, perToken: 5000000 / 350 / 1e9},
}'
samples=6

# "same" once all is as it must be; else what is not, a line each.
check=$(cat <<'JS'
const wrong = [];
const number = value => Number(value === undefined || value === null ? NaN : value.toString());
const usage = db.token_usage.find({_id: {$regex: '^ID-'}}).toArray();
const seen = db.gpu_metrics.countDocuments({_id: {$regex: '^ID-'}});
if (seen !== SAMPLES) wrong.push(`${seen} samples in gpu_metrics, not SAMPLES`);
for (const [id, want] of Object.entries(EXPECTED)) {
  const found = usage.filter(document => document._id === id);
  if (found.length !== 1) { wrong.push(`${found.length} documents ${id} in token_usage, not 1`); continue; }
  const [document] = found;
  if (document.final !== true) wrong.push(`${id}: its cost is not final yet`);
  if (number(document.cost_nusd) !== want.nusd) wrong.push(`${id}: cost_nusd is ${document.cost_nusd}, not ${want.nusd}`);
  if (!(Math.abs(number(document.cost_per_token) - want.perToken) < 1e-12)) wrong.push(`${id}: cost_per_token is ${document.cost_per_token}, not ${want.perToken}`);
}
const extra = usage.filter(document => !(document._id in EXPECTED));
for (const document of extra) wrong.push(`${document._id} in token_usage, which nobody sent`);
const rows = db.cost_windows.find({host: 'ID', kind: 'usage'}).toArray();
const sum = rows.reduce((all, row) => all + number(row.cost_nusd), 0);
if (sum !== 20000000) wrong.push(`cost_windows of the host add up to ${sum} nano-dollars, not 20000000`);
const letters = db.dead_letters.find({payload: {$regex: 'ID'}}).toArray();
for (const letter of letters) wrong.push(`dead letter: ${letter.reason}`);
print(wrong.length ? wrong.join('\n') : 'same');
JS
)

# All that is the test's own, and nothing else: its ids, and rows of its host.
clean=$(cat <<'JS'
let gone = 0;
for (const name of ['gpu_metrics', 'token_usage'])
  gone += db.getCollection(name).deleteMany({_id: {$regex: '^ID-'}}).deletedCount;
for (const name of ['cost_windows', 'cost_hours', 'cost_days', 'cost_corrections', 'gpus'])
  gone += db.getCollection(name).deleteMany({host: 'ID'}).deletedCount;
gone += db.dead_letters.deleteMany({payload: {$regex: 'ID'}}).deletedCount;
let left = 0;
for (const name of ['gpu_metrics', 'token_usage'])
  left += db.getCollection(name).countDocuments({_id: {$regex: '^ID-'}});
for (const name of ['cost_windows', 'cost_hours', 'cost_days', 'gpus'])
  left += db.getCollection(name).countDocuments({host: 'ID'});
print(left === 0 ? `removed ${gone}` : `left ${left}`);
JS
)

filled()
{
    local text=$1
    text=${text//EXPECTED/$expected}
    text=${text//SAMPLES/$samples}
    printf '%s' "${text//ID/$id}"
}

clean_up()
{
    local status=$? said
    trap - EXIT
    if $published && ! $keep; then
        if said=$(ask_mongo "$(filled "$clean")") && [[ $said == "removed "* ]]; then
            echo "cleaned up: $said documents of $id"
        else
            echo "FAILED: the documents of $id are not all removed: ${said:-MongoDB did not answer}" >&2
            echo "  look at: ids that begin with $id- in gpu_metrics and token_usage; host $id elsewhere" >&2
            status=1
        fi
    fi
    rm -rf "$work"
    ((status == 0)) && echo "PASSED: $id"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo ">> processor: health"
said=$(run "the processor's health" "$health") ||
    fail "the processor does not answer" "docker compose ps and logs of the processor" \
        "is its machine reachable from here: 8080 is open to my_ip_cidr only"
[[ $said == *'"status":"ok"'* ]] ||
    fail "the processor is not well: $said" "its log" "/ready, which says what it waits for"

echo ">> MongoDB: before"
said=$(ask_mongo "print('documents ' + db.token_usage.countDocuments({_id: {\$regex: '^$id'}}))") ||
    fail "MongoDB cannot be asked" "docker compose ps and logs of mongodb" \
        "the secret mongodb_gtap_password: deploy/compose/mongodb/apply.sh sets it anew"
[[ $said == "documents 0" ]] || fail "MongoDB answers '$said', not 'documents 0'" "what SMOKE_MONGO runs"

echo ">> Kafka: publish $id"
records >"$work/records"
published=true
run "publishing" "$publish" <"$work/records" >/dev/null ||
    fail "the records were not taken" "docker compose ps and logs of kafka" \
        "user producers and its secret kafka_producers_password" "topics: kafka-topics.sh --list"

echo ">> MongoDB: wait for the documents and their cost"
deadline=$((SECONDS + seconds))
until said=$(ask_mongo "$(filled "$check")") && [[ $said == same ]]; do
    if ((SECONDS >= deadline)); then
        printf '%s\n' "${said:-MongoDB did not answer}" >&2
        fail "not as it must be after $seconds s" \
            "the processor's log, and gtap_kafka_commit_age_seconds of its /metrics" \
            "dead letters: db.dead_letters.find().sort({at_ns: -1}).limit(5)" \
            "the processor's topics (KAFKA_TOPIC, TOPIC_METRIC, TOPIC_TOKEN) are those of the producers"
    fi
    sleep 1
done
echo "3 requests, $samples samples, costs exact to the nano-dollar"
