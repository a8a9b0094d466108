#!/usr/bin/env bash
# Healthy: it takes the user gtap at the address that processors use.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "${MONGOSH:-mongosh}" --quiet --norc --host "${MONGODB_HOST:-127.0.0.1}" \
    --port "${MONGODB_PORT:-27017}" --file "$here/health.js" >/dev/null
