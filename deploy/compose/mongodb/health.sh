#!/usr/bin/env bash
# Healthy: it takes the user gtap at the address that processors use.
set -euo pipefail

exec mongosh --quiet --norc --host "$MONGODB_HOST" --port 27017 --file /gtap/mongodb/health.js >/dev/null
