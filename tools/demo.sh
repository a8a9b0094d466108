#!/bin/bash
# A quarter hour of a made-up but realistic load on eight GPUs, metered, reported and audited.
#
#   demo.sh PATH_TO_GTAP
set -euo pipefail

gtap=${1:?usage: demo.sh PATH_TO_GTAP}
folder=$(dirname "$gtap")/demo
store=sqlite:$folder/demo.db
load='synthetic:?duration=15m&rate=3&gpus=8&price=2.5&seed=7'

say() { printf '\n$ %s\n' "$*"; }

mkdir -p "$folder"
rm -f "$folder"/demo.db*

say "gtap run --in '$load' --out $store"
"$gtap" run --in "$load" --out "$store"

say "gtap report --store $store --by model,tenant"
"$gtap" report --store "$store" --by model,tenant

say "gtap verify --store $store"
"$gtap" verify --store "$store"

cat <<END

That was made-up data. With your own, one JSON object a line, GPU samples and requests mixed:

    $gtap run --in file:day.ndjson.zst --price 2.95 --out sqlite:gtap.db
    $gtap report --by model,tenant
    $gtap verify

schemas/ says what a record looks like, README.md the rest.
END
