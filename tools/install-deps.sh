#!/bin/bash
# Installs the Debian packages that are missing: install-deps.sh [build] [test] [deploy] [bench] [runtime]
# Quick when nothing is. Uses sudo when not root; needs no terminal.
#
#   install-deps.sh unpack FOLDER PACKAGE...   lays out the files of packages in a folder; installs nothing
set -euo pipefail

build=(
    gcc g++ libc6-dev make meson ninja-build pkg-config
    libcurl4-openssl-dev libgnutls28-dev libmicrohttpd-dev libjansson-dev librdkafka-dev
    libsimdjson-dev libsqlite3-dev libzstd-dev zlib1g-dev libinih-dev libxxhash-dev
    libmongoc-dev libjs-chart.js libncurses-dev
)
test=(
    clang clang-format clang-tidy libclang-rt-14-dev llvm
    libcmocka-dev python3 python3-venv python3-jsonschema sqlite3 procps util-linux mount
    openssl iproute2 systemd
    maven default-jre-headless kcat nftables
    chromium chromium-driver
)
# Packages of tests that would start a service where they are installed: only their files are laid
# out, in .cache/debian.
unpacked_test=(prometheus)
# What only tests/deploy and those who build images and packages need.
deploy=(
    buildah podman runc netavark aardvark-dns debootstrap
    debhelper dpkg-dev fakeroot lintian
    libwrap0 shellcheck yamllint nftables systemd jq curl
    ufw openssh-client plantuml graphviz fonts-dejavu-core
    python3-configobj python3-jinja2 python3-jsonpatch python3-jsonschema python3-netifaces
    python3-oauthlib python3-requests python3-yaml
)
# Installed, these would run here, now or when the machine starts next.
unpacked_deploy=(openssh-server cloud-init)
bench=(python3 zstd)
# What the program alone needs, where it is compiled already: the image.
runtime=(
    libcurl4 libgnutls30 libinih1 libjansson4 libmicrohttpd12 libmongoc-1.0-0 libncursesw6
    librdkafka1 libsimdjson14 libsqlite3-0 libstdc++6 libzstd1 zlib1g
    binutils ca-certificates ncurses-base tzdata
)

wanted=() unpacked=()
wanted_groups()
{
    local group
    for group in "$@"; do
        case $group in
            build) wanted+=("${build[@]}") ;;
            test) wanted+=("${test[@]}") unpacked+=("${unpacked_test[@]}") ;;
            deploy) wanted+=("${deploy[@]}") unpacked+=("${unpacked_deploy[@]}") ;;
            runtime) wanted+=("${runtime[@]}") ;;
            bench) wanted+=("${bench[@]}") ;;
            *)
                echo "usage: $0 [build] [test] [deploy] [bench] [runtime]" >&2
                exit 2
                ;;
        esac
    done
}

is_installed()
{
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

as_root=()
if ((EUID != 0)); then
    as_root=(sudo)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)

install_missing()
{
    local missing=() package
    for package in "${wanted[@]}"; do
        if ! is_installed "$package"; then
            missing+=("$package")
        fi
    done
    if ((${#missing[@]} > 0)); then
        echo "installing: ${missing[*]}"
        "${apt[@]}" update
        "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" >/dev/null
    fi
}

# A package's files alone, in a folder.
unpack()
{
    local folder=$1 package=$2 part
    local fetch=(apt-get -qq -o "APT::Sandbox::User=$(id -un)" download "$package")
    part=$(mktemp -d)
    (cd "$part" && { "${fetch[@]}" || { "${apt[@]}" update && "${fetch[@]}"; }; })
    mkdir -p "$folder"
    dpkg-deb -x "$part"/*.deb "$folder"
    rm -rf "$part"
}

unpack_missing()
{
    local package cache=.cache/debian
    for package in "${unpacked[@]}"; do
        if ! is_installed "$package" && [[ ! -e $cache/.$package ]]; then
            echo "unpacking: $package"
            unpack "$cache" "$package"
            touch "$cache/.$package"
        fi
    done
}

if [[ ${1:-} == unpack ]]; then
    for package in "${@:3}"; do
        unpack "$2" "$package"
    done
    exit
fi
wanted_groups "${@:-build}"
cd "$(dirname "$0")/.."
install_missing
unpack_missing
