#!/bin/bash
# clean-root.sh [demo] [test]: `make demo` and `make test` (or one of them) in a fresh, minimal
# Debian 12. Proves that tools/install-deps.sh names everything needed. By hand or where CI opts in;
# needs root and debootstrap. Takes the files of the working tree that git knows or would add, and,
# read-only, ../shared where there is one. GTAP_FUZZ_SECONDS holds inside too.
set -euo pipefail
cd "$(dirname "$0")/../.."

targets=("$@")
if (($# == 0)); then
    targets=(demo test)
fi
for target in "${targets[@]}"; do
    if [[ $target != demo && $target != test ]]; then
        echo "usage: $0 [demo] [test]" >&2
        exit 2
    fi
done
if ((EUID != 0)); then
    echo "$0: needs root, to chroot" >&2
    exit 2
fi

root=$(mktemp -d /var/tmp/gtap-clean.XXXXXX)
chmod 755 "$root" # apt reads as another user
mounted=()

clean_up()
{
    local i
    for ((i = ${#mounted[@]} - 1; i >= 0; i--)); do
        umount "${mounted[i]}"
    done
    if findmnt --noheadings --list --output TARGET | grep -q "^$root"; then
        echo "something is still mounted: $root is left in place" >&2
        return 1
    fi
    rm -rf --one-file-system "$root"
}
trap clean_up EXIT

# mounted_at PATH [mount options]: PATH is below the root.
mounted_at()
{
    local at=$root$1
    shift
    mkdir -p "$at"
    mount "$@" "$at"
    mounted+=("$at")
}

# The archive this machine itself installs from.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' \
    'Codename: bookworm' 'Component: main' |
    sort -u | head -n 1)
echo "debootstrap bookworm into $root"
debootstrap --variant=minbase --include=make,ca-certificates bookworm "$root" "$mirror" \
    >"$root.log" 2>&1 || {
    tail -n 20 "$root.log"
    exit 1
}
rm -f "$root.log"

# A mount of its own, so that it can be the root of a mount namespace; see in_root.
mount --bind "$root" "$root"
mounted+=("$root")
mounted_at /proc -t proc proc
mounted_at /dev/pts -t devpts -o newinstance,ptmxmode=0666 devpts
mounted_at /dev/shm -t tmpfs tmpfs
if [[ -f /etc/resolv.conf ]]; then
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
fi
# How this machine reaches its archive, and how far it trusts the dates in it, holds for the fresh
# one too: a proxy, a mirror's credentials, certificates of its own, a clock that is off.
apt-config dump | sed -n '/^Acquire::\(https\?::\|Check-\|Retries\|ForceIPv\)/p' \
    >"$root/etc/apt/apt.conf.d/90reach"
for own in /etc/apt/auth.conf /etc/apt/auth.conf.d /usr/local/share/ca-certificates; do
    if [[ -e $own ]]; then
        cp -RT "$own" "$root$own"
    fi
done
chroot "$root" update-ca-certificates >/dev/null 2>&1

mkdir -p "$root/src/gtap"
git ls-files -z --cached --others --exclude-standard --deduplicate |
    while IFS= read -r -d '' file; do
        if [[ -e $file ]]; then
            printf '%s\0' "$file"
        fi
    done |
    tar --create --null --files-from=- | tar --extract -C "$root/src/gtap"
if [[ -d ../shared ]]; then
    mounted_at /src/shared --bind -o ro "$(realpath ../shared)"
fi

# Runs a command there. A chroot would do for most, but the tests of full disks make mount namespaces
# and enter them, and that leads to the namespace's root, wherever the process was.
in_root()
{
    unshare --mount --propagation private sh -c \
        'cd "$0" && pivot_root . mnt && cd / && umount --lazy /mnt && exec "$@"' "$root" "$@"
}

environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8)
for name in GTAP_FUZZ_SECONDS http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    if [[ -n ${!name:-} ]]; then
        environment+=("$name=${!name}")
    fi
done

for target in "${targets[@]}"; do
    echo "make $target in the clean root"
    if ! in_root env -i "${environment[@]}" make -C /src/gtap "$target" </dev/null; then
        echo "clean root: make $target FAILED"
        exit 1
    fi
    echo "clean root: make $target passed"
done
