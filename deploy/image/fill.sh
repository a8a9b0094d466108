#!/bin/bash
# fill.sh SOURCE ROOT: what the image holds, into the folder ROOT. Runs in the build stage, a Debian 12, as root.
# Compiles SOURCE, unless there is a gtap in SOURCE/build-image already.
set -euo pipefail

source=$1 root=$2
uid=10001
# Loaded when they are needed, so that ldd does not see them: src/base/library.h.
loaded=(libcurl.so.4 libmongoc-1.0.so.0 libncursesw.so.6)
cd "$source"

if [[ -x build-image/gtap ]]; then
    tools/install-deps.sh runtime
    gtap=build-image/gtap
else
    tools/install-deps.sh build runtime
    meson setup /build -Dtests=disabled
    ninja -C /build gtap
    gtap=/build/gtap
fi

# libraries FILE...: those they need, and theirs.
libraries()
{
    ldd "$@" | awk '$2 == "=>" { print $3 } $1 ~ /^\// && !/:$/ { print $1 }' | sort -u
}

# Copies a file and what its links lead to, with every folder as it is: /lib is a link to /usr/lib.
put()
{
    local path=$1 real
    real=$(realpath "$path")
    install -D -m "$(stat -c %a "$real")" "$real" "$root$real"
    path=$(realpath "$(dirname "$path")")/$(basename "$path")
    if [[ $path != "$real" ]]; then
        mkdir -p "$(dirname "$root$path")"
        ln -sf "$real" "$root$path"
    fi
    files+=("$real")
}

files=()
mkdir -p "$root"
for link in lib lib64; do
    ln -s "usr/$link" "$root/$link"
    mkdir -p "$root/usr/$link"
done
install -D -m 755 "$gtap" "$root/usr/bin/gtap"
strip --strip-unneeded "$root/usr/bin/gtap" 2>/dev/null || echo "without binutils: the program keeps its symbols"
install -D -m 644 -t "$root/usr/share/gtap/prices" share/prices/*.csv
install -D -m 644 -t "$root/usr/share/doc/gtap" LICENSE web/licenses.txt

folder=$(dirname "$(libraries "$gtap" | grep '/libc\.so\.6$')")
mapfile -t paths < <(
    libraries "$gtap" "${loaded[@]/#/$folder/}"
    printf '%s\n' "${loaded[@]/#/$folder/}"
)
for path in "${paths[@]}"; do
    put "$path"
done
put /etc/ssl/certs/ca-certificates.crt
for terminal in linux vt100 xterm xterm-256color screen screen-256color tmux tmux-256color; do
    put "/lib/terminfo/${terminal:0:1}/$terminal"
done
cp -a --parents /usr/share/zoneinfo "$root"
files+=(/usr/share/zoneinfo/UTC)

# For those who ask which packages are in there, and under which licences.
for package in $(dpkg-query -S "${files[@]}" 2>/dev/null | sed 's/^\([^:,]*\)[:,].*/\1/' | sort -u); do
    mkdir -p "$root/var/lib/dpkg/status.d"
    dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
    install -D -m 644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
done

mkdir -p "$root/etc/gtap"
echo "gtap:x:$uid:$uid:gtap:/var/lib/gtap:/nonexistent" >"$root/etc/passwd"
echo "gtap:x:$uid:" >"$root/etc/group"
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
install -d -m 1777 "$root/tmp"
install -d -m 750 -o "$uid" -g "$uid" "$root/var/lib/gtap"
chroot "$root" /usr/bin/gtap version
