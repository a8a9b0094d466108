#!/usr/bin/env bash
# Makes the secrets of the compose projects, as files that containers read: secrets.sh DIR
#
#   kafka_processor_password, kafka_producers_password    Kafka's users
#   mongodb_root_password, mongodb_gtap_password          MongoDB's users
#   mongodb_uri                                           where processors write, with its password
#
# What is there already is kept, so it may be repeated; nothing is ever printed. To change a password,
# remove its file (of mongodb_gtap_password: mongodb_uri, too), run this again and restart what reads
# it; docs of CA0 say how for each.
#
# Run by root, DIR belongs to root and the group 10001, which the containers have: files 0440, DIR
# 0750. Run by somebody else, who cannot give files away, the files are 0444 in a DIR that only that
# user enters (0700): containers get the files, not the folder.
#
# Environment: MONGODB_HOST (mongodb), DB_NAME (ca0): of mongodb_uri.
set -euo pipefail

readers=10001

fail()
{
    echo "secrets.sh: $*" >&2
    exit 1
}

# 32 letters and digits (190 bits): nothing that a URI, a shell or a properties file reads otherwise.
random()
{
    local text
    text=$(head -c 512 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9')
    ((${#text} >= 32)) || fail "/dev/urandom gave too little"
    printf '%s' "${text:0:32}"
}

# Whole or not at all, and readable only when it is whole.
put()
{
    local file=$dir/$1 part
    part=$(mktemp "$dir/.part.XXXXXX")
    printf '%s\n' "$2" >"$part"
    share "$part"
    mv -n "$part" "$file"
    rm -f "$part"
}

share()
{
    if ((EUID == 0)); then
        chown "root:$readers" "$1"
        chmod 0440 "$1"
    else
        chmod 0444 "$1"
    fi
}

uri()
{
    local db=${DB_NAME:-ca0}
    printf 'mongodb://gtap:%s@%s:27017/%s?authSource=%s' \
        "$(<"$dir/mongodb_gtap_password")" "${MONGODB_HOST:-mongodb}" "$db" "$db"
}

[[ $# -eq 1 && ${1:0:1} != - ]] || fail "usage: secrets.sh DIR"
dir=$1
umask 077
mkdir -p "$dir"
if ((EUID == 0)); then
    chown "root:$readers" "$dir"
    chmod 0750 "$dir"
else
    chmod 0700 "$dir"
fi
for name in kafka_processor_password kafka_producers_password mongodb_root_password mongodb_gtap_password; do
    if [[ ! -e $dir/$name ]]; then
        put "$name" "$(random)"
    elif [[ ! -s $dir/$name ]]; then
        fail "$dir/$name is empty: remove it, and run this again"
    fi
done
if [[ ! -e $dir/mongodb_uri ]]; then
    put mongodb_uri "$(uri)"
elif [[ $(<"$dir/mongodb_uri") != *":$(<"$dir/mongodb_gtap_password")@"* ]]; then
    fail "$dir/mongodb_uri has another password than mongodb_gtap_password: remove mongodb_uri, and run this again"
fi
