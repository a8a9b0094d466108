#!/bin/bash
# build.sh FOLDER: the Debian package, into FOLDER, whose last line of output is its path. Builds in a copy of
# the tree, so that the root stays clean.
#
#   BINARY=PATH    pack this gtap instead of compiling one
#   SUFFIX=+N      goes behind the version, which is that of meson.build
set -euo pipefail

if (($# != 1)); then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
mkdir -p "$1"
to=$(realpath "$1")
binary=${BINARY:+$(realpath "$BINARY")}
cd "$(dirname "$0")/../.."

for tool in dh dpkg-buildpackage meson; do
    if ! command -v "$tool" >/dev/null; then
        echo "$0: there is no $tool: tools/install-deps.sh build deploy installs it" >&2
        exit 3
    fi
done

version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)${SUFFIX:-}
stage=$to/gtap-$version
rm -rf "$stage"
mkdir -p "$stage"
cp -a meson.build meson_options.txt LICENSE src web share schemas tools "$stage"
mkdir "$stage/deploy"
cp -a deploy/conf deploy/systemd "$stage/deploy"
cp -a deploy/deb/debian "$stage/debian"
cp CHANGELOG.md "$stage/debian/release-notes.md"

# The date of the last commit, for the same package from the same tree.
if [[ -z ${SOURCE_DATE_EPOCH:-} ]]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
fi
export SOURCE_DATE_EPOCH
cat >"$stage/debian/changelog" <<END
gtap ($version) stable; urgency=medium

  * What changed is in /usr/share/doc/gtap/release-notes.md.gz.

 -- $(sed -n 's/^Maintainer: //p' deploy/deb/debian/control)  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END

cd "$stage"
# build-essential is not asked for: tools/install-deps.sh names the compilers one by one.
if [[ -z $binary ]] && ! dpkg-checkbuilddeps -I debian/control; then
    echo "tools/install-deps.sh build deploy installs them" >&2
    exit 3
fi
BINARY=$binary dpkg-buildpackage --build=binary --no-sign --no-check-builddeps >"$to/build.log" 2>&1 || {
    tail -n 30 "$to/build.log" >&2
    exit 1
}
rm -rf "$stage"
realpath "$to/gtap_${version}_$(dpkg --print-architecture).deb"
