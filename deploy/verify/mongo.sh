#!/usr/bin/env bash
# Does MongoDB answer, to the user that processors are, in their database? With --all also what it holds.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/verify/stack.sh
source "$here/stack.sh"

load_outputs
echo ">> VM2/Mongo: ping mongod" # the mission's, without dots
said=$(on vm2_mongo /opt/gtap/bin/gtap-mongo --ping) ||
    fail "mongod does not answer" "make logs-vm2" "make ssh-vm2, then: sudo /opt/gtap/bin/gtap-status" \
        "the user gtap: sudo docker compose --project-directory /opt/gtap exec -T mongodb bash /gtap/mongodb/apply.sh makes it again"
[[ $said == *"ok: 1"* ]] || fail "mongod answers $said" "make logs-vm2"
echo "$said"
if [[ ${1:-} == --all ]]; then
    on vm2_mongo /opt/gtap/bin/gtap-mongo <<'JS'
for (const name of db.getCollectionNames().sort())
  print(`${name}: ${db.getCollection(name).estimatedDocumentCount()} documents`);
JS
fi
