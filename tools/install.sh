#!/bin/bash
# install.sh GTAP PREFIX: the binary, the man page and completions that it prints itself, the unit for
# systemd and an example of its configuration.
set -euo pipefail

gtap=$1 prefix=$2
deploy=$(dirname "$0")/../deploy
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

place()
{
    local what=$1 to=$2
    "$gtap" docs "$what" >"$made/$what"
    install -D -m 644 "$made/$what" "$prefix/share/$to"
}

install -D -m 755 "$gtap" "$prefix/bin/gtap"
install -D -m 644 -t "$prefix/share/gtap/prices" "$(dirname "$0")"/../share/prices/*.csv
place man man/man1/gtap.1
place bash bash-completion/completions/gtap
place zsh zsh/site-functions/_gtap
place fish fish/vendor_completions.d/gtap.fish
install -D -m 644 "$deploy/systemd/gtap.service" "$prefix/lib/systemd/system/gtap.service"
install -D -m 644 "$deploy/gtap.conf" "$prefix/share/doc/gtap/gtap.conf"
