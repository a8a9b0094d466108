"""The documentation is true: its examples are run, its links followed, its options looked up.

    test_docs.py --gtap BUILD/gtap [--only TEXT]

What it understands in a Markdown page, by the first words of a fenced block:

    ```json NAME        a file of that name; also ```csv NAME, ```ini NAME
    ```console          commands behind "$ ", run by bash in the section's folder; the lines under
                        one are its standard output, "..." any number of lines. It must succeed.
    ```sh               commands that are not run

A section is what stands under one heading; every section has a fresh folder. A table in a section
with a store, whose first column is a field of `gtap export` (see TABLES), must list that
collection's rows, all of them, with these values.
"""

import glob
import json
import os
import re
import shlex
import subprocess
import tempfile
import unittest

import gtap as support

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md"]
TABLES = {"request_id": "token_usage", "window_start": "cost_windows", "hour": "cost_windows"}
FILES = ("json", "csv", "ini")


def pages():
    found = []
    for pattern in PAGES:
        found += glob.glob(os.path.join(ROOT, pattern), recursive=True)
    return sorted(os.path.relpath(path, ROOT) for path in found)


def read(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as f:
        return f.read().split("\n")


class Block:
    """A fenced block: its info string's words, its lines, and where it begins."""

    def __init__(self, words, line):
        self.words, self.line, self.lines = words, line, []

    @property
    def kind(self):
        return self.words[0] if self.words else ""


class Section:
    def __init__(self, page, title, line):
        self.page, self.title, self.line, self.items = page, title, line, []

    @property
    def where(self):
        return f"{self.page}:{self.line} {self.title}"


def sections(page):
    """The page's headings, each with its blocks and tables (lists of rows) in order."""
    section, block, table = Section(page, "", 1), None, None
    found = [section]
    for number, line in enumerate(read(page), 1):
        if line.startswith("```"):
            if block is None:
                block = Block(line[3:].split(), number)
                section.items.append(block)
            else:
                block = None
        elif block is not None:
            block.lines.append(line)
        elif line.startswith("|"):
            if table is None:
                table = []
                section.items.append(table)
            table.append([cell.strip() for cell in line.strip().strip("|").split("|")])
            continue
        elif line.startswith("#"):
            section = Section(page, line.lstrip("# "), number)
            found.append(section)
        table = None
    return found


def runs(section):
    return any(isinstance(item, Block) and item.kind == "console" for item in section.items)


def commands(block):
    """(command, expected lines) of a console block."""
    found = []
    for line in block.lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> "):
            found[-1] = (found[-1][0] + "\n" + line[2:], [])
        else:
            found[-1][1].append(line)
    return [(command, expected_lines(lines)) for command, lines in found]


def expected_lines(lines):
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def same_output(expected, actual):
    """Line by line; "..." in what is expected stands for any lines."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(same_output(expected[1:], actual[i:]) for i in range(len(actual) + 1))
    return bool(actual) and expected[0] == actual[0] and same_output(expected[1:], actual[1:])


def cell_says(cell, value):
    """Whether a cell shows the value: thousands may be separated, times cut to HH:MM."""
    if cell in ("-", ""):
        return value is None
    if isinstance(value, bool):
        return cell == str(value).lower()
    if isinstance(value, (int, float)):
        text = cell.replace(",", "")
        return re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?", text) is not None and float(text) == value
    if isinstance(value, list):
        return cell == ", ".join(str(item) for item in value)
    if re.fullmatch(r"\d\d:\d\d", cell):
        return value is not None and value[11:19] == cell + ":00"
    return cell == value


class Case(support.Case):
    """A folder to work in, and an environment in which the binary is called gtap."""

    def setUp(self):
        super().setUp()
        tools = self.gtap.file(".bin")
        os.mkdir(tools)
        os.symlink(self.gtap.path, os.path.join(tools, "gtap"))
        self.env = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": self.gtap.folder,
                    "LC_ALL": "C.UTF-8", "TZ": "UTC"}


class Examples(Case):
    """Every section with a transcript; add_examples() makes the tests."""

    def setUp(self):
        super().setUp()
        self.store = None

    def check_section(self, section):
        for item in section.items:
            if isinstance(item, list):
                if self.store and item[0][0].strip("`") in TABLES:
                    self.check_table(section, item)
            elif item.kind in FILES and len(item.words) > 1:
                support.write_lines(self.gtap.file(item.words[1]), item.lines)
            elif item.kind == "console":
                for command, expected in commands(item):
                    self.check_command(f"{section.page}:{item.line}", command, expected)

    def check_command(self, where, command, expected):
        done = subprocess.run(["bash", "-c", command], cwd=self.gtap.folder, env=self.env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=300, check=False)
        shown = f"{where}: $ {command}\n{done.stdout}{done.stderr}"
        self.assertEqual(done.returncode, 0, shown)
        actual = [line.rstrip() for line in done.stdout.splitlines()]
        if expected or actual:
            self.assertTrue(same_output(expected, expected_lines(actual)), shown)
        for store in re.findall(r"sqlite:[^\s'\"|;&)]+", command):
            self.store = store

    def check_table(self, section, table):
        names = [name.strip("`") for name in table[0]]
        words = ["export", TABLES[names[0]], "--store", self.store]
        if names[0] == "hour":
            words += ["--level", "hour"]
            names[0] = "window_start"
        stored = [json.loads(line) for line in self.gtap.run(*words).stdout.splitlines()]
        left = list(stored)
        for cells in table[2:]:
            row = next((row for row in left if all(
                cell_says(cell, row.get(name)) for name, cell in zip(names, cells))), None)
            self.assertIsNotNone(row, f"{section.where}: no stored row says {cells}\n"
                                 + "\n".join(str({n: r.get(n) for n in names}) for r in left))
            left.remove(row)
        self.assertEqual(left, [], f"{section.where}: stored and not listed")


class Demo(Case):
    def test_output_of_make_demo(self):
        """README shows what tools/demo.sh prints."""
        block = next(item for section in sections("README.md") for item in section.items
                     if isinstance(item, Block) and item.words == ["text", "demo"])
        os.mkdir(self.gtap.file("build"))
        os.symlink(self.gtap.path, self.gtap.file("build/gtap"))
        done = subprocess.run(["bash", os.path.join(ROOT, "tools/demo.sh"), "build/gtap"],
                              cwd=self.gtap.folder, env=self.env, capture_output=True, text=True,
                              check=True)
        actual = done.stdout.splitlines()
        self.assertTrue(same_output(["..."] + block.lines + ["..."], actual), done.stdout)


class Links(unittest.TestCase):
    def anchors(self, page):
        titles = [line.lstrip("#").strip() for line in outside_blocks(read(page))
                  if line.startswith("#")]
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    def test_relative_links_lead_somewhere(self):
        n = 0
        for page in pages():
            for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(outside_blocks(read(page)))):
                if re.match(r"[a-z]+:", target):
                    continue
                n += 1
                path, _, anchor = target.partition("#")
                whole = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
                self.assertTrue(os.path.exists(os.path.join(ROOT, whole)), f"{page}: {target}")
                if anchor:
                    self.assertIn(anchor, self.anchors(whole), f"{page}: {target}")
        self.assertGreater(n, 10)

    def test_named_files_are_there(self):
        """Paths of the tree that stand in backquotes."""
        pattern = r"`((?:src|docs|tests|tools|bench|schemas)/[\w./-]+\.\w+)`"
        for page in pages():
            for path in re.findall(pattern, "\n".join(outside_blocks(read(page)))):
                if re.search("[A-Z]{4}", path) or path == "docs/commands.md":  # a pattern; generated
                    continue
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), f"{page}: {path}")


def outside_blocks(lines):
    inside, found = False, []
    for line in lines:
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            found.append(line)
    return found


class Options(unittest.TestCase):
    """Command lines use options that exist."""

    def setUp(self):
        self.gtap = support.Gtap(support.ARGS.gtap, tempfile.gettempdir())
        self.help, self.uris = {}, {}

    def lines(self, page):
        """What looks like a command line of ours: in blocks, indented, and in backquotes."""
        text = "\n".join(read(page)).replace("\\\n", " ")
        for line in text.split("\n"):
            for piece in [line] + re.findall(r"`([^`]+)`", line):
                found = re.match(r"^(?:\s{4,}|)(?:\$ )?((?:[A-Z_]+=\S+ )*gtap .+)$", piece)
                if found and (piece != line or not re.match(r"gtap [a-z]+ [a-z]+ [a-z]+ ", line)):
                    yield found.group(1)
                for inner in re.findall(r"[|;&(] *(gtap [a-z].*)$", piece):
                    yield inner

    def known(self, words):
        """The options in the help of the command that these words begin with; None: no command."""
        if re.search(rf"^  {words[0]} [a-z]+ ", self.gtap.run("help").stdout, re.M) and \
                len(words) == 1:
            return set()  # a group, such as `gtap price`
        for n in (2, 1):
            name = " ".join(words[:n])
            if name not in self.help:
                done = self.gtap.run("help", *words[:n], expect=None)
                self.help[name] = set(re.findall(r"(?<=[ ,])(--?[a-z][a-z-]*)", done.stdout)) \
                    if done.returncode == 0 else None
            if self.help[name] is not None:
                return self.help[name]
        return None

    def known_of_input(self, scheme):
        if scheme not in self.uris:
            done = self.gtap.run("run", "--in", f"{scheme}:x?no-such-option=1", "--out", "null:",
                                 expect=2)
            self.uris[scheme] = re.search(r"known are: (.*)", done.stderr).group(1).split(", ")
        return self.uris[scheme]

    def check(self, page, line):
        try:
            words = shlex.split(re.split(r" [|;&>] ?| && ", line)[0], comments=True)
        except ValueError:
            self.fail(f"{page}: quotes of {line}")
        words = words[words.index("gtap") + 1:]
        if not words or not re.fullmatch(r"[a-z]+", words[0]):
            return 0
        known = self.known(words)
        self.assertIsNotNone(known, f"{page}: no such command: {line}")
        for word in words:
            option = re.match(r"--?[a-z][a-z-]*", word)
            if option:
                plain = re.sub(r"^--no-", "--", option.group())
                self.assertTrue({option.group(), plain} & known, f"{page}: {word} in: {line}")
            uri = re.match(r"([a-z-]+(?:\+https?)?):[^?]*\?(.*)", word)
            for pair in uri.group(2).split("&") if uri else ():
                self.assertIn(pair.split("=")[0], self.known_of_input(uri.group(1)),
                              f"{page}: {word}")
        return 1

    def test_options_exist(self):
        n = sum(self.check(page, line) for page in pages() for line in self.lines(page))
        self.assertGreater(n, 30)

    def test_option_tables_of_inputs_are_complete(self):
        for scheme in ("file", "trace", "synthetic", "seed"):
            text = "\n".join(read(f"docs/inputs/{scheme}.md"))
            for name in self.known_of_input(scheme):
                self.assertIn(f"`{name}=", text, f"docs/inputs/{scheme}.md")


class Messages(unittest.TestCase):
    """What the page on operations says about messages is what the program says."""

    def test_messages_are_in_the_sources(self):
        sources = ""
        for path in glob.glob(os.path.join(ROOT, "src/**/*.c"), recursive=True):
            with open(path, encoding="utf-8") as f:
                sources += re.sub(r'"\s*\n\s*"', "", f.read())
        section = next(s for s in sections("docs/operations.md") if s.title.startswith("Messages"))
        rows = section.items[-1][2:]
        self.assertGreater(len(rows), 10)
        for row in rows:
            for message in re.findall(r"`([^`]+)`", row[0]):
                for piece in re.split(r"\bN\b|\.\.\.|[:;,`]", message):
                    if len(piece.strip()) > 3 and piece.strip() != "Permission denied":
                        self.assertTrue(piece.strip() in sources, f"{message}: '{piece.strip()}'")


def add_examples():
    """One test a section that runs something."""
    for page in pages():
        for section in sections(page):
            if runs(section):
                name = re.sub(r"\W+", "_", f"test_{page}_{section.title}").lower()
                setattr(Examples, name, lambda self, s=section: self.check_section(s))


add_examples()

if __name__ == "__main__":
    support.main(__name__)
