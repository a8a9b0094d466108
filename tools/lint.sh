#!/bin/bash
# What needs no compiler: layers, house rules, formatting. Shows every failure; exits 1 on any.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0

check()
{
    local name=$1
    shift
    if "$@"; then
        echo "ok - lint: $name"
    else
        echo "not ok - lint: $name"
        failed=1
    fi
}

mapfile -t files < <(find src tests bench -name '*.c' -o -name '*.h' -o -name '*.cpp' | LC_ALL=C sort)
mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep '^src/')

check "layers (tools/layers.txt)" awk -f tools/check-layers.awk tools/layers.txt "${sources[@]}"
check "house style" tools/check-style.sh
check "format (make fmt)" clang-format --dry-run -Werror "${files[@]}"
exit "$failed"
