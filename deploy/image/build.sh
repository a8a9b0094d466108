#!/bin/bash
# build.sh: the image gtap:VERSION, by docker, podman or buildah, whichever is there. The last line of output is
# its name.
#
#   IMAGE=NAME           instead of gtap:VERSION
#   ARCHIVE=FILE         and save it there, for `docker load`
#   BINARY=PATH          put this gtap in, compiled on a Debian 12, instead of compiling one
#   BUILD_BASE=IMAGE     the Debian 12 that it is built on, in place of debian:12-slim
#   RUNTIME_BASE=IMAGE   what it is put on, in place of nothing
#   ENGINE=NAME          docker, podman or buildah
#   ENGINE_ARGS=...      further options of its build command
set -euo pipefail
archive=${ARCHIVE:+$(realpath -m "$ARCHIVE")}
binary=${BINARY:+$(realpath "$BINARY")}
cd "$(dirname "$0")/../.."

version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)
image=${IMAGE:-gtap:$version}

engine=${ENGINE:-}
for candidate in docker podman buildah; do
    if [[ -z $engine ]] && command -v "$candidate" >/dev/null; then
        engine=$candidate
    fi
done
if [[ -z $engine ]]; then
    echo "$0: there is no docker, podman or buildah; on Debian 12: tools/install-deps.sh deploy" >&2
    exit 3
fi

rm -rf build-image
trap 'rm -rf build-image' EXIT
if [[ -n $binary ]]; then
    install -D "$binary" build-image/gtap
fi

seconds=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
args=(
    --file deploy/image/Containerfile --tag "$image"
    --build-arg "VERSION=$version"
    --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    --build-arg "CREATED=$(date -u -d "@$seconds" +%Y-%m-%dT%H:%M:%SZ)"
)
for base in BUILD_BASE RUNTIME_BASE; do
    if [[ -n ${!base:-} ]]; then
        args+=(--build-arg "$base=${!base}")
    fi
done
if [[ $engine != docker ]]; then
    args+=(--format docker --ignorefile .containerignore) # an OCI image has no health check
fi
read -r -a more <<<"${ENGINE_ARGS:-}"
"$engine" build "${args[@]}" "${more[@]}" .

if [[ -n $archive ]]; then
    mkdir -p "$(dirname "$archive")"
    rm -f "$archive"
    if [[ $engine == buildah ]]; then
        buildah push "$image" "docker-archive:$archive:$image"
    else
        "$engine" save --output "$archive" "$image"
    fi
fi
echo "$image"
