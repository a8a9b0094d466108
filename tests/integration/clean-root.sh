#!/bin/bash
# clean-root.sh [demo | full]: `make demo` (`make test`) in a fresh, minimal Debian 12. Proves that
# tools/install-deps.sh names everything needed. By hand or where CI opts in; needs root and
# debootstrap. Takes the files of the working tree that git knows or would add.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=demo
if [[ ${1:-} == full ]]; then
    target=test
fi
if ((EUID != 0)); then
    echo "$0: needs root, to chroot" >&2
    exit 2
fi

root=$(mktemp -d /var/tmp/gtap-clean.XXXXXX)
mounted=()

clean_up()
{
    local at
    for at in "${mounted[@]}"; do
        umount "$at"
    done
    if mountpoint -q "$root/proc"; then
        echo "$root/proc is still mounted: $root is left in place" >&2
        return 1
    fi
    rm -rf --one-file-system "$root"
}
trap clean_up EXIT

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

mount -t proc proc "$root/proc"
mounted+=("$root/proc")
if [[ -f /etc/resolv.conf ]]; then
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
fi
# How this machine reaches its archive (a proxy, say) holds for the fresh one too.
apt-config dump | sed -n '/^Acquire::https\?::/p' >"$root/etc/apt/apt.conf.d/90reach"

mkdir -p "$root/src/gtap"
git ls-files -z --cached --others --exclude-standard --deduplicate |
    while IFS= read -r -d '' file; do
        if [[ -e $file ]]; then
            printf '%s\0' "$file"
        fi
    done |
    tar --create --null --files-from=- | tar --extract -C "$root/src/gtap"

echo "make $target in the clean root"
if env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    chroot "$root" make -C /src/gtap "$target" </dev/null; then
    echo "clean root: make $target passed"
else
    echo "clean root: make $target FAILED"
    exit 1
fi
