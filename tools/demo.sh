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

# Where there is an NVIDIA GPU, what it does right now. A driver that does not answer must not hold
# the demo up, so the reading is cut off after a few seconds; gtap ends in order then.
show_gpus()
{
    local readings
    if [[ ! -e /dev/nvidiactl && -z ${GTAP_NVML_LIBRARY:-} ]]; then
        return
    fi
    if ! readings=$(timeout --preserve-status --kill-after=5 4 \
        "$gtap" run --in nvml: --out stdout: 2>"$folder/nvml.log") || [[ -z $readings ]]; then
        printf '\nThis machine seems to have an NVIDIA GPU, but NVML shows none: see %s\n' \
            "$folder/nvml.log"
        return
    fi
    printf '\nThis machine has an NVIDIA GPU. What NVML says of it now, the last of 4 seconds:\n'
    say "gtap run --in nvml: --out stdout:"
    tail -n 8 <<<"$readings"
}

mkdir -p "$folder"
rm -f "$folder"/demo.db*

say "gtap run --in '$load' --out $store"
"$gtap" run --in "$load" --out "$store"

say "gtap report --store $store --by model,tenant"
"$gtap" report --store "$store" --by model,tenant

say "gtap verify --store $store"
"$gtap" verify --store "$store"

cat <<END

That was made-up data. Yours is one JSON object a line, GPU samples and requests mixed, in a file such
as day.ndjson (or .gz, or .zst):

    {"ts":"2025-11-23T14:00:00Z","host":"gpu-01","gpu_index":0,"name":"NVIDIA H100 80GB HBM3","utilization":0.83,"power_w":612}
    {"ts":"2025-11-23T14:00:09.5Z","host":"gpu-01","gpu_index":0,"model":"llama-3-70b","tenant":"search","prompt_tokens":1840,"completion_tokens":212,"latency_ms":9120,"ttft_ms":340}
    {"ts":"2025-11-23T14:00:30Z","host":"gpu-01","gpu_index":0,"name":"NVIDIA H100 80GB HBM3","utilization":0.79,"power_w":598}

Run next, with what such a GPU costs you in USD per hour:

    $gtap run --in file:day.ndjson --price 2.95 --out sqlite:gtap.db
    $gtap report --by model,tenant
    $gtap verify

docs/commands.md has every command, docs/inputs/ every input, schemas/ every field of a record.
END

show_gpus
