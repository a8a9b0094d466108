#!/bin/bash
# Everything that can be tested on one machine, in phases; goes on after a failure, so that one run
# shows them all. The last line is the count; exits 1 when anything failed.
#
#   run-tests.sh                 `make test`
#   run-tests.sh lint gcc tsan   only these; `deploy` (`make test-deploy`) is one of its own
set -uo pipefail
cd "$(dirname "$0")/.."

phases=(lint gcc clang asan tsan fuzz)
fuzz_seconds=${GTAP_FUZZ_SECONDS:-5} # a fuzzer's, beyond its corpus: a short look
cores=$(nproc)
passed=0 failed=0 skipped=0
failures=()

count()
{
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    if (($2 > 0)); then
        failures+=("$phase: $2 failed")
    fi
}

# One command that is one test.
step()
{
    local name=$1
    shift
    if "$@"; then
        count 1 0 0
        return 0
    fi
    echo "not ok - $phase: $name"
    count 0 1 0
    return 1
}

# Clang 14 and gcc 12 cannot place their shadow memory under the widest address randomisation of
# newer kernels; without it they can. Containers may forbid the switch.
fixed_addresses=()
if setarch -R true 2>/dev/null; then
    fixed_addresses=(setarch -R)
fi

configured()
{
    local dir=$1
    shift
    if [[ ! -f $dir/build.ninja ]]; then
        meson setup "$dir" -Dtests=enabled "$@" >"$dir.log" 2>&1 || {
            cat "$dir.log"
            return 1
        }
    fi
}

# built DIR [target...]
built()
{
    local dir=$1
    shift
    ninja -C "$dir" --quiet "$@"
}

# built_for DIR SUITE: only what the tests of a suite need
built_for()
{
    local targets
    built "$1" build.ninja && # regenerated where meson's files have changed
        targets=$(python3 tools/test-targets.py "$1" "$2") &&
        read -r -a targets <<<"$targets" && built "$1" "${targets[@]}"
}

# tested DIR [meson test options]: more at a time than there are cores, since most wait, for brokers
# and browsers to start and for what they kill to be missed: two thirds of their time.
tested()
{
    local dir=$1 log=$1/meson-logs/testlog.json counts
    shift
    rm -f "$log"
    "${fixed_addresses[@]}" meson test -C "$dir" --num-processes $((cores * 3)) --no-rebuild \
        --print-errorlogs "$@"
    local status=$?
    if [[ ! -s $log ]]; then
        step "tests ran" false
        return
    fi
    read -r -a counts < <(python3 tools/count-tests.py "$log")
    count "${counts[@]}"
    if ((status != 0 && counts[1] == 0)); then
        step "meson test" false
    fi
}

phase_lint()
{
    local line
    while read -r line; do
        printf '%s\n' "$line"
        case $line in
            "ok - lint"*) count 1 0 0 ;;
            "not ok - lint"*) count 0 1 0 ;;
        esac
    done < <(tools/lint.sh 2>&1)
}

phase_gcc()
{
    step "configure" make --no-print-directory build/.tests &&
        step "build with gcc -Werror" built build && tested build --no-suite deploy-long
}

# What is deployed, as far as it takes long: images, packages, Terraform, machines.
phase_deploy()
{
    step "configure" make --no-print-directory build/.tests &&
        step "build" built build &&
        tested build --suite deploy-long --num-processes $((cores + 1)) # each starts many servers
}

# Tests are compiled and run by clang in the next phase, with more to notice.
phase_clang()
{
    CC=clang CXX=clang++ step "configure" configured build-clang &&
        step "build with clang -Werror" built build-clang gtap &&
        step "what clang built runs" build-clang/gtap version
}

# Traces name file and line; more for a debugger would double what is compiled and linked.
lines_only=(-Ddebug=false -Dc_args=-g1 -Dcpp_args=-g1)

# For two phases: its libraries are watched for coverage too, so that fuzzers are linked from them.
configured_asan()
{
    CC=clang CXX=clang++ step "configure" configured build-asan -Doptimization=1 "${lines_only[@]}" \
        -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
}

phase_asan()
{
    configured_asan && step "build with ASan and UBSan" built build-asan &&
        tested build-asan -t 4 --no-suite property-full
}

phase_tsan()
{
    step "configure" configured build-tsan "${lines_only[@]}" -Db_sanitize=thread &&
        step "build with TSan" built_for build-tsan threads &&
        tested build-tsan -t 4 --suite threads
}

# Replays the corpus, then looks further. New inputs stay out of the tree.
fuzz_one()
{
    local program=$1 name corpus found log dict=()
    name=$(basename "$program")
    corpus=tests/fuzz/corpus/${name#fuzz_}
    found=build-asan/found/$name
    log=build-asan/$name.log
    if [[ -f tests/fuzz/dict/${name#fuzz_} ]]; then
        dict=("-dict=tests/fuzz/dict/${name#fuzz_}")
    fi
    mkdir -p "$found" "$corpus" build-asan/crashes
    if ! "${fixed_addresses[@]}" "$program" -runs=0 "$corpus" >"$log" 2>&1 ||
        ! "${fixed_addresses[@]}" "$program" -max_total_time="$fuzz_seconds" -timeout=10 \
            -rss_limit_mb=1024 -artifact_prefix="build-asan/crashes/$name-" \
            "${dict[@]}" "$found" "$corpus" >>"$log" 2>&1; then
        tail -n 60 "$log"
        return 1
    fi
    echo "$name: $(grep -o '^Done .*' "$log" | tail -n 1)"
}

# What came of a fuzzer that ran in the background.
fuzz_ended()
{
    cat "build-asan/$1.said"
    return "$(<"build-asan/$1.status")"
}

phase_fuzz()
{
    configured_asan && step "build with libFuzzer" built build-asan fuzzers || return
    local program name names=()
    for program in build-asan/tests/fuzz/fuzz_*; do
        if [[ -f $program && -x $program ]]; then
            name=$(basename "$program")
            names+=("$name")
            echo 1 >"build-asan/$name.status"
            while (($(jobs -rp | wc -l) >= cores)); do
                wait -n
            done
            { fuzz_one "$program" >"build-asan/$name.said" 2>&1 && echo 0 >"build-asan/$name.status"; } &
        fi
    done
    wait
    for name in "${names[@]}"; do
        step "$name" fuzz_ended "$name"
    done
}

if (($# > 0)); then
    phases=("$@")
fi
for phase in "${phases[@]}"; do
    printf '\n== %s\n' "$phase"
    "phase_$phase"
done

echo
if ((${#failures[@]} > 0)); then
    printf '%s\n' "${failures[@]}"
fi
summary="$passed passed, $failed failed"
if ((skipped > 0)); then
    summary+=", $skipped skipped"
fi
echo "$summary"
((failed == 0))
