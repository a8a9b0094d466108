#!/bin/bash
# House rules a compiler does not know: sizes, banned calls, headers that explain themselves.
# Prints file:line of every violation; exits 1 when there was one.
set -euo pipefail
cd "$(dirname "$0")/.."

calls='strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|strtol|gmtime|localtime|ctime'
calls="$calls|mktemp|tmpnam|rand|sleep|usleep|gets"

# shellcheck disable=SC2016 # the dollars are awk's
program='
function complain(line, what)
{
    print file ":" line ": " what
    bad = 1
}

function finish_file()
{
    if (lines > limit)
        complain(lines, "the file is longer than " limit " lines")
}

FNR == 1 {
    finish_file()
    file = FILENAME
    in_src = file ~ /^src\//
    limit = !in_src ? 1000000 : file ~ /\.h$/ ? 150 : 600
    body = 0
    if (in_src && file ~ /\.h$/ && $0 !~ /^\/\//)
        complain(1, "a header begins with a comment that says what it is for")
}

{ lines = FNR }

# A function body stands between braces in the first column.
/^\{/ { body = FNR }
/^\}/ && body {
    if (in_src && FNR - body - 1 > 60)
        complain(body, "a function of " (FNR - body - 1) " lines, at most 60")
    body = 0
}

{
    code = $0
    gsub(/"([^"\\]|\\.)*"/, "\"\"", code)
    sub(/\/\/.*/, "", code)
    if (in_src && file !~ /\.h$/ && code ~ /^ +((if|for|while) \(.*\)|else)$/)
        complain(FNR, "a body without braces")
    if (match(code, "(^|[^A-Za-z0-9_])(" calls ")[ ]*[(]"))
        complain(FNR, "banned call: " substr(code, RSTART, RLENGTH) ")")
}

END {
    finish_file()
    exit bad
}'

find src tests bench -type f \( -name '*.c' -o -name '*.cpp' -o -name '*.h' \) | LC_ALL=C sort |
    xargs awk -v calls="$calls" "$program"
