#!/bin/bash
# Installs the Debian packages that are missing: install-deps.sh [build] [test] [bench]
# Quick when nothing is. Uses sudo when not root; needs no terminal.
set -euo pipefail

build=(
    gcc g++ libc6-dev make meson ninja-build pkg-config
    libcurl4-openssl-dev libgnutls28-dev libmicrohttpd-dev libjansson-dev
    libsimdjson-dev libsqlite3-dev libzstd-dev zlib1g-dev libinih-dev libxxhash-dev
)
test=(
    clang clang-format clang-tidy libclang-rt-14-dev llvm
    libcmocka-dev python3 python3-jsonschema sqlite3 procps util-linux mount
    prometheus openssl iproute2 systemd
)
bench=(libjansson-dev python3 zstd)

wanted=()
for group in "${@:-build}"; do
    case $group in
        build) wanted+=("${build[@]}") ;;
        test) wanted+=("${test[@]}") ;;
        bench) wanted+=("${bench[@]}") ;;
        *)
            echo "usage: $0 [build] [test] [bench]" >&2
            exit 2
            ;;
    esac
done

is_installed()
{
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

missing=()
for package in "${wanted[@]}"; do
    if ! is_installed "$package"; then
        missing+=("$package")
    fi
done
if ((${#missing[@]} == 0)); then
    exit 0
fi

as_root=()
if ((EUID != 0)); then
    as_root=(sudo)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
echo "installing: ${missing[*]}"
"${apt[@]}" update
"${apt[@]}" install --yes --no-install-recommends "${missing[@]}" >/dev/null
