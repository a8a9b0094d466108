#!/usr/bin/env bash
# JavaScript from stdin, run by mongosh as the user gtap in its database; exits non-zero where it throws.
#   docker compose exec -T mongodb bash /gtap/mongodb/eval.sh <<<'print(db.shards.countDocuments({}))'
# Environment, outside of the container: MONGOSH, MONGODB_PORT, GTAP_SECRETS_DIR.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$(cat "$here/login.js" -)
exec "${MONGOSH:-mongosh}" --quiet --norc --host "${MONGODB_HOST:-127.0.0.1}" \
    --port "${MONGODB_PORT:-27017}" --eval "$script"
