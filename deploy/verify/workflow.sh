#!/usr/bin/env bash
# Does a record that a producer sends become a cost in MongoDB? Counts what is there, publishes records
# of its own from the producers' machine, waits until exactly those are stored with their exact costs
# and removes them again (CA0/demo/smoke-test.sh), looks at the newest MAX_DOCS requests, and waits
# until the producers' own records have made the counts grow. Nothing of others is changed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/verify/stack.sh
source "$here/stack.sh"
MAX_DOCS=${MAX_DOCS:-100} WAIT_SEC=${WAIT_SEC:-180}
[[ $MAX_DOCS =~ ^[1-9][0-9]{0,5}$ ]] || fail "MAX_DOCS is '$MAX_DOCS', not a number from 1 to 999999" "make verify-workflow MAX_DOCS=100"
[[ $WAIT_SEC =~ ^[1-9][0-9]{0,4}$ ]] || fail "WAIT_SEC is '$WAIT_SEC', not a number of seconds" "make verify-workflow WAIT_SEC=180"

ask()
{
    on vm2_mongo /opt/gtap/bin/gtap-mongo <<<"$1" ||
        fail "MongoDB cannot be asked" "make verify-mongo" "make logs-vm2"
}

counts()
{
    ask 'print(db.gpu_metrics.countDocuments({}) + " " + db.token_usage.countDocuments({}))'
}

show()
{
    printf '%-9s gpu_metrics %s, token_usage %s\n' "$1" "$2" "$3"
}

# Every one of the newest requests has a cost, or is one whose window is open or that nothing prices;
# and no two of them are one.
newest=$(cat <<'JS'
const documents = db.token_usage.find().sort({seq: -1}).limit(LIMIT).toArray();
const wrong = [];
for (const d of documents)
  if (d.final === true && d.priced !== false && d.cost_per_token === undefined && d.prompt_tokens + d.completion_tokens > 0)
    wrong.push(`${d._id}: final, and without cost_per_token`);
print(wrong.length ? wrong.join('\n') : `${documents.length} newest requests looked at: each final one has its cost`);
JS
)

load_outputs
heading "baseline"
read -r metrics usage <<<"$(counts)"
show "before:" "$metrics" "$usage"

heading "nudge"
SMOKE_PUBLISH="$(on_words vm4_producers) /opt/gtap/bin/gtap-publish" \
    SMOKE_MONGO="$(on_words vm2_mongo) /opt/gtap/bin/gtap-mongo" \
    SMOKE_HEALTH="$(on_words vm3_processor) curl --silent --show-error --fail --max-time 10 http://127.0.0.1:8080/health" \
    "$here/../../CA0/demo/smoke-test.sh" --seconds "$WAIT_SEC"

heading "documents"
said=$(ask "${newest/LIMIT/$MAX_DOCS}")
[[ $said == *"newest requests looked at"* ]] ||
    fail "requests without their cost:" "$said" "make logs-vm3"
echo "$said"

heading "delta"
deadline=$((SECONDS + WAIT_SEC))
while read -r more_metrics more_usage <<<"$(counts)" &&
    ((more_metrics <= metrics || more_usage <= usage)); do
    ((SECONDS < deadline)) ||
        fail "the producers' own records do not come: $more_metrics and $more_usage after $WAIT_SEC s" \
            "make verify-producers" "make verify-processor" "make logs-vm3"
    sleep 1
done
show "after:" "$more_metrics" "$more_usage"
echo "=== $STACK: Workflow verified end-to-end ==="
