#!/bin/bash
# install.sh GTAP PREFIX [DESTDIR]: the binary, the man page and completions that it prints itself, the
# units for systemd, and examples of their configuration.
set -euo pipefail

gtap=$1 prefix=$2 to=${3:-}$2
deploy=$(dirname "$0")/../deploy
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

place()
{
    local what=$1 at=$2
    "$gtap" docs "$what" >"$made/$what"
    install -D -m 644 "$made/$what" "$to/share/$at"
}

install -D -m 755 "$gtap" "$to/bin/gtap"
install -D -m 644 -t "$to/share/gtap/prices" "$(dirname "$0")"/../share/prices/*.csv
place man man/man1/gtap.1
place bash bash-completion/completions/gtap
place zsh zsh/site-functions/_gtap
place fish fish/vendor_completions.d/gtap.fish
for unit in "$deploy"/systemd/*.service; do
    sed "s#/usr/local/bin/#$prefix/bin/#" "$unit" >"$made/unit"
    install -D -m 644 "$made/unit" "$to/lib/systemd/system/$(basename "$unit")"
done
install -D -m 644 -t "$to/share/doc/gtap" "$deploy"/conf/*.conf
