#!/usr/bin/env python3
"""Packs files into a C source with the table of src/api/assets.h: embed.py OUTPUT [NAME=]FILE...

The same files make the same source: by name, without times, packed as gzip -9n packs.
"""

import gzip
import hashlib
import os
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
PER_LINE = 20


def named(argument):
    name, is_named, path = argument.partition("=")
    return (name, path) if is_named else (os.path.basename(argument), argument)


def array(number, packed):
    lines = [f"static const unsigned char packed_{number}[] = {{"]
    for i in range(0, len(packed), PER_LINE):
        lines.append("    " + "".join(f"{byte}," for byte in packed[i:i + PER_LINE]))
    return lines + ["};"]


def entry(number, name, plain):
    digest = hashlib.sha256(plain).hexdigest()[:32]
    kind = TYPES[os.path.splitext(name)[1]]
    return (f'    {{"{name}", "{kind}", "{digest}",\n'
            f"     packed_{number}, sizeof(packed_{number}), {len(plain)}}},")


def source(files):
    lines = ['// Made by tools/embed.py.', '#include "api/assets.h"', ""]
    table = []
    for number, (name, path) in enumerate(files):
        with open(path, "rb") as f:
            plain = f.read()
        lines += array(number, gzip.compress(plain, 9, mtime=0))
        table.append(entry(number, name, plain))
    lines += ["", "const struct asset assets[] = {", *table, "};"]
    lines += ["const size_t n_assets = sizeof(assets) / sizeof(assets[0]);", ""]
    return "\n".join(lines)


def main():
    output, *arguments = sys.argv[1:]
    files = sorted(named(argument) for argument in arguments)
    unknown = [name for name, _ in files if os.path.splitext(name)[1] not in TYPES]
    if unknown:
        sys.exit(f"embed.py: {', '.join(unknown)}: no content type is known; add it to TYPES")
    with open(output, "w", encoding="ascii") as f:
        f.write(source(files))


main()
