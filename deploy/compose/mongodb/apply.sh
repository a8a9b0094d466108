#!/usr/bin/env bash
# Makes the user gtap and the indexes again, whenever it is called, with the passwords that the secrets
# have now:
#   docker compose exec -T mongodb bash /gtap/mongodb/apply.sh
# Environment, outside of the container: MONGOSH, MONGODB_PORT, GTAP_SECRETS_DIR.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "${MONGOSH:-mongosh}" --quiet --norc --host 127.0.0.1 --port "${MONGODB_PORT:-27017}" \
    --file "$here/apply.js"
