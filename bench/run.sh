#!/bin/bash
# Builds and runs the benchmarks: `make bench`, or run.sh --quick to see that they run at all.
# Takes the options of run.py.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install-deps.sh build bench
make --no-print-directory all
ninja -C build --quiet bench-programs
exec python3 bench/run.py "$@"
