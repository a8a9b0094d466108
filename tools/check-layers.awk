# Holds src/ to tools/layers.txt: a file includes only what its folder may, by full path.
# Usage: awk -f tools/check-layers.awk tools/layers.txt $(git ls-files src)
# Names file:line of every violation; exits 1 when there was one.

FNR == NR {
    sub(/#.*/, "")
    if (NF) {
        layer = $1
        sub(/:$/, "", layer)
        may[layer, layer] = 1
        for (i = 2; i <= NF; i++)
            may[layer, $i] = 1
        known[layer] = 1
    }
    next
}

FNR == 1 {
    split(FILENAME, part, "/")
    layer = part[2]
    if (!(layer in known))
        complain("folder " layer " is not in the table")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    path = $0
    sub(/^[^"]*"/, "", path)
    sub(/".*/, "", path)
    target = path
    if (!sub(/\/.*/, "", target))
        complain("include \"" path "\" without its folder")
    else if (!((layer, target) in may))
        complain(layer " may not include " target " (\"" path "\")")
}

function complain(what)
{
    print FILENAME ":" FNR ": " what
    bad = 1
}

END { exit bad }
