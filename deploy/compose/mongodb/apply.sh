#!/usr/bin/env bash
# Makes the user gtap and the indexes again, in the container, whenever it is called:
#   docker compose exec -T mongodb bash /gtap/mongodb/apply.sh
set -euo pipefail

exec mongosh --quiet --norc --host 127.0.0.1 --port 27017 --file /gtap/mongodb/apply.js
