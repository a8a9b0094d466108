#!/usr/bin/env python3
"""Packs files into a C source with the tables of src/api/assets.h: embed.py OUTPUT [NAME=]FILE...

index.html is the page. What it needs before it can be drawn, its style sheet and its plain scripts, is
put into it, so that the first answer is enough for the first paint; the policy allows just these, by
their hashes. What else it names is at assets/VERSION/NAME, where VERSION is of all that is there, so
that a browser may keep it for ever.

The same files make the same source: by name, without times, packed as gzip -9n packs.
"""

import base64
import gzip
import hashlib
import os
import re
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
PAGE = "index.html"
TAKEN_IN = re.compile(r'<link rel="stylesheet" href="assets/(?P<style>[^"]+)">|'
                      r'<script src="assets/(?P<script>[^"]+)"></script>')
NAMED = re.compile(r'\b((?:href|src)="assets/)(?=[^"]+")')
POLICY = ("default-src 'none'; script-src 'self' {script}; style-src {style}; connect-src 'self'; "
          "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
PER_LINE = 20
VERSION_CHARS = 16


class Assets:
    """What is served: `files`, bytes by name, the page among them; its `policy`; the `version`."""

    def __init__(self, sources):
        self.files = dict(sources)
        self.version = self._version()
        allowed = {"script": [], "style": []}
        page = TAKEN_IN.sub(lambda found: self._take_in(found, allowed), self.files[PAGE].decode())
        self.files[PAGE] = NAMED.sub(rf"\g<1>{self.version}/", page).encode()
        self.policy = POLICY.format(**{kind: " ".join(hashes) for kind, hashes in allowed.items()})

    def _version(self):
        state = hashlib.sha256()
        for name, plain in sorted(self.files.items()):
            state.update(f"{name} {len(plain)}\n".encode() + plain)
        return state.hexdigest()[:VERSION_CHARS]

    def _take_in(self, found, allowed):
        kind = found.lastgroup
        plain = self.files.pop(found[kind])
        if f"</{kind}".encode() in plain.lower():
            raise ValueError(f"{found[kind]}: </{kind} would end it within the page")
        digest = base64.b64encode(hashlib.sha256(plain).digest()).decode()
        allowed[kind].append(f"'sha256-{digest}'")
        return f"<{kind}>{plain.decode()}</{kind}>"


def named(argument):
    name, is_named, path = argument.partition("=")
    return (name, path) if is_named else (os.path.basename(argument), argument)


def read(arguments):
    sources = {}
    for name, path in map(named, arguments):
        with open(path, "rb") as f:
            sources[name] = f.read()
    return sources


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


def source(assets):
    lines = ['// Made by tools/embed.py.', '#include "api/assets.h"', ""]
    table = []
    for number, (name, plain) in enumerate(sorted(assets.files.items())):
        lines += array(number, gzip.compress(plain, 9, mtime=0))
        table.append(entry(number, name, plain))
    lines += ["", "const struct asset assets[] = {", *table, "};"]
    lines += ["const size_t n_assets = sizeof(assets) / sizeof(assets[0]);"]
    lines += [f'const char assets_version[] = "{assets.version}";']
    lines += [f'const char assets_policy[] = "{assets.policy}";', ""]
    return "\n".join(lines)


def main():
    output, *arguments = sys.argv[1:]
    sources = read(arguments)
    unknown = [name for name in sources if os.path.splitext(name)[1] not in TYPES]
    if unknown:
        sys.exit(f"embed.py: {', '.join(unknown)}: no content type is known; add it to TYPES")
    with open(output, "w", encoding="ascii") as f:
        f.write(source(Assets(sources)))


if __name__ == "__main__":
    main()
