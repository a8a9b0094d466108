#!/usr/bin/env bash
# What a shell needs to talk about this stack: `eval "$(make -s env)"`. Passwords are not in it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/verify/stack.sh
source "$here/stack.sh"

load_outputs
echo "export KAFKA_BOOTSTRAP=$(private vm1_kafka):9092"
echo "export MONGO_URL=mongodb://$(private vm2_mongo):27017/$(db_name)"
echo "export PROCESSOR_HEALTH=http://$(private vm3_processor):8080/health"
