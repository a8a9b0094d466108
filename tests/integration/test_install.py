"""What is installed: the binary, a man page, completions that shells load; and generated documentation.

    test_install.py --gtap BUILD/gtap [--only TEXT]
"""

import os
import shutil
import stat
import subprocess
import unittest

import gtap as support

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = {
    "bin/gtap": 0o755,
    "lib/systemd/system/gtap.service": 0o644,
    "lib/systemd/system/gtap-agent.service": 0o644,
    "lib/systemd/system/gtap-gateway.service": 0o644,
    "lib/systemd/system/gtap-processor.service": 0o644,
    "share/doc/gtap/agent.conf": 0o644,
    "share/doc/gtap/gateway.conf": 0o644,
    "share/doc/gtap/processor.conf": 0o644,
    "share/doc/gtap/run.conf": 0o644,
    "share/gtap/prices/list-2026-11.csv": 0o644,
    "share/man/man1/gtap.1": 0o644,
    "share/bash-completion/completions/gtap": 0o644,
    "share/zsh/site-functions/_gtap": 0o644,
    "share/fish/vendor_completions.d/gtap.fish": 0o644,
}


def need(program):
    if shutil.which(program) is None:
        raise unittest.SkipTest(f"{program} is not installed")


class Install(support.Case):
    def setUp(self):
        super().setUp()
        self.prefix = self.gtap.file("root/usr")
        self.shell(os.path.join(ROOT, "tools", "install.sh"), self.gtap.path, self.prefix)

    def shell(self, *words, env=None):
        done = subprocess.run(words, cwd=self.gtap.folder, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=120, check=False,
                              env={**os.environ, **(env or {})})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def path(self, name):
        return os.path.join(self.prefix, name)

    def test_files(self):
        found = {}
        for folder, _, names in os.walk(self.gtap.file("root")):
            for name in names:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, self.prefix)] = stat.S_IMODE(os.stat(path).st_mode)
        self.assertEqual(found, FILES)
        for name in FILES:
            self.assertGreater(os.path.getsize(self.path(name)), 500)
        self.assertEqual(self.shell(self.path("bin/gtap"), "version"),
                         self.gtap.run("version").stdout)

    def test_make_install_heeds_destdir(self):
        need("make")
        text = self.shell("make", "-C", ROOT, "--dry-run", "install", "DESTDIR=/stage",
                          "PREFIX=/usr")
        self.assertRegex(text, r'tools/install\.sh build/gtap "/usr" "/stage"')

    def test_units_start_what_is_installed(self):
        stage = self.gtap.file("stage")
        self.shell(os.path.join(ROOT, "tools", "install.sh"), self.gtap.path, "/opt/gtap", stage)
        units = os.path.join(stage, "opt/gtap/lib/systemd/system")
        for name in os.listdir(units):
            with open(os.path.join(units, name), encoding="utf-8") as f:
                self.assertRegex(f.read(), r"(?m)^ExecStart=/opt/gtap/bin/gtap [a-z]+ --config ")

    def test_man_page_for_mandoc(self):
        need("mandoc")
        said = self.shell("mandoc", "-T", "lint", "-W", "warning",
                          self.path("share/man/man1/gtap.1"))
        self.assertEqual(said, "")

    def test_man_page_for_groff(self):
        need("groff")
        text = self.shell("groff", "-man", "-ww", "-T", "ascii", "-P", "-c", "-P", "-b", "-P", "-u",
                          self.path("share/man/man1/gtap.1"))
        self.assertNotIn("warning", text)
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "INPUTS", "CONFIGURATION",
                        "EXIT STATUS", "FILES"):
            self.assertIn(f"\n{section}\n", text)
        self.assertIn("gtap price add NAME USD_PER_HOUR [options]", text)

    def bash(self, *words):
        """What bash would offer for the last of these words."""
        need("bash")
        script = ('. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gtap; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        return set(self.shell("bash", "--norc", "-c", script,
                              self.path("share/bash-completion/completions/gtap"),
                              *words).split())

    def test_bash(self):
        need("bash")
        loaded = self.shell("bash", "--norc", "-c", '. "$0" && complete -p gtap',
                            self.path("share/bash-completion/completions/gtap"))
        self.assertEqual(loaded, "complete -F _gtap gtap\n")
        self.assertEqual(self.bash("gtap", "re"), {"report", "recompute"})
        self.assertEqual(self.bash("gtap", "price", ""), {"list", "add", "import"})
        self.assertEqual(self.bash("gtap", "price", "add", "--s"), {"--site", "--source", "--store"})
        self.assertEqual(self.bash("gtap", "report", "--basis", ""), {"busy", "loaded"})
        self.assertEqual(self.bash("gtap", "report", "-f", "c"), {"csv"})
        self.assertEqual(self.bash("gtap", "export", "g"), {"gpu_metrics", "gpus"})
        self.assertEqual(self.bash("gtap", "help", "ver"), {"verify", "version"})
        with open(self.gtap.file("some.conf"), "w", encoding="utf-8"):
            pass
        self.assertEqual(self.bash("gtap", "report", "--config", "some"), {"some.conf"})

    def test_zsh(self):
        need("zsh")
        folder = self.path("share/zsh/site-functions")
        self.shell("zsh", "-n", os.path.join(folder, "_gtap"))
        script = 'fpath=("$1" $fpath); autoload -Uz compinit; compinit -D -u; print $_comps[gtap]'
        self.assertEqual(self.shell("zsh", "-f", "-c", script, "zsh", folder), "_gtap\n")

    def fish(self, line):
        script = f'source {self.path("share/fish/vendor_completions.d/gtap.fish")}; complete -C "$argv"'
        said = self.shell("fish", "--no-config", "-c", script, line,
                          env={"HOME": self.gtap.folder})
        return {offer.split("\t")[0] for offer in said.splitlines()}

    def test_fish(self):
        need("fish")
        self.assertEqual(self.fish("gtap re"), {"report", "recompute"})
        self.assertEqual(self.fish("gtap price "), {"list", "add", "import"})
        self.assertEqual(self.fish("gtap report --basis "), {"busy", "loaded"})
        self.assertEqual(self.fish("gtap export g"), {"gpu_metrics", "gpus"})
        self.assertEqual(self.fish("gtap price add --so"), {"--source"})


class Demo(support.Case):
    """tools/demo.sh, and what it says to run next, run."""

    def demo(self):
        os.mkdir(self.gtap.file("build"))
        os.symlink(self.gtap.path, self.gtap.file("build/gtap"))
        done = subprocess.run([os.path.join(ROOT, "tools", "demo.sh"), "build/gtap"],
                              cwd=self.gtap.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_from_first_to_next(self):
        text = self.demo()
        self.assertRegex(text, r"(?m)^bill +\d+\.\d\d +\S+  loaded$")
        self.assertRegex(text, r"(?m)^[\d,]+ stored rows are equal, 0 differ\.$")
        advice = text.partition("That was made-up data.")[2]
        lines = [line.strip() for line in advice.splitlines() if line.startswith("    ")]
        self.write("day.ndjson", [line for line in lines if line.startswith("{")])
        commands = [line for line in lines if line.startswith("build/gtap ")]
        self.assertEqual([command.split()[1] for command in commands], ["run", "report", "verify"])
        for command in commands:
            done = subprocess.run(["bash", "-c", command], cwd=self.gtap.folder,
                                  capture_output=True, text=True, timeout=300, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("dead letters\n", done.stderr.replace(" 0 dead letters\n", ""))
            if " report " in command:
                self.assertRegex(done.stdout, r"(?m)^llama-3-70b +search +1 ")
        for path in ("docs/commands.md", "docs/inputs", "schemas"):
            self.assertIn(path, advice)
            self.assertTrue(os.path.exists(os.path.join(ROOT, path)))


class Libraries(support.Case):
    """What few commands use is loaded by these (src/base/library.h)."""

    LAZY = {  # and Debian's package that has it, and a command that needs it
        "libcurl.so.4": ("libcurl4", ("run", "--in", "vllm+http://127.0.0.1:9", "--out", "null:")),
        "libmongoc-1.0.so.0": ("libmongoc-1.0-0",
                               ("export", "gpus", "--store", "mongodb://127.0.0.1:9/x")),
    }

    def test_not_linked(self):
        need("ldd")
        linked = subprocess.run(["ldd", self.gtap.path], capture_output=True, text=True,
                                check=True).stdout
        self.assertIn("libsqlite3.so.0", linked)
        for library in self.LAZY:
            self.assertNotIn(library, linked)

    def test_missing(self):
        """One that cannot be loaded, which is found first: the rest of gtap does without."""
        folder = self.gtap.file("broken")
        os.mkdir(folder)
        for library in self.LAZY:
            with open(os.path.join(folder, library), "wb"):
                pass
        for library, (package, words) in self.LAZY.items():
            done = subprocess.run([self.gtap.path, *words], cwd=self.gtap.folder, text=True,
                                  capture_output=True, check=False, timeout=60,
                                  env={**os.environ, "LD_LIBRARY_PATH": folder})
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(f"{library} cannot be loaded: install the package {package} (",
                          done.stderr)
            version = subprocess.run([self.gtap.path, "version"], capture_output=True, text=True,
                                     check=True, env={**os.environ, "LD_LIBRARY_PATH": folder})
            self.assertEqual(version.stdout, self.gtap.run("version").stdout)


class Documentation(support.Case):
    def test_commands_page_is_current(self):
        with open(os.path.join(ROOT, "docs", "commands.md"), encoding="utf-8") as f:
            page = f.read()
        self.assertTrue(page == self.gtap.run("docs", "markdown").stdout,
                        "make it anew: build/gtap docs markdown > docs/commands.md")


if __name__ == "__main__":
    support.main(__name__)
