#!/usr/bin/env bash
# Healthy: it takes the user gtap at the address that processors use. Where it does not, user and indexes
# are made again by root, with the password that the secret has now: a changed one holds after a restart.
# That address is also one that the image's first, preparing server does not have.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
shell()
{
    "${MONGOSH:-mongosh}" --quiet --norc --host "${MONGODB_HOST:-127.0.0.1}" \
        --port "${MONGODB_PORT:-27017}" --file "$here/$1" >/dev/null
}

shell health.js 2>/dev/null || { shell apply.js && shell health.js; }
