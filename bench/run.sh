#!/bin/bash
# Builds and runs the benchmarks: `make bench`, or run.sh --quick to see that they run at all.
# Takes the options of run.py.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install-deps.sh build test bench
make --no-print-directory all build/.tests
ninja -C build --quiet gtap bench-programs tests/support/fake_mongod \
    tests/support/libfake_nvml_new.so
exec python3 bench/run.py "$@"
