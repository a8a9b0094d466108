"""A clean Debian 12 for the tests of what is deployed: debootstrapped once, kept in a cache outside the
clone, lent out as a root that a test may do with as it likes. Needs root; skips, saying so, without."""

import contextlib
import os
import shutil
import subprocess
import sys
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", folder)
                for folder in ("support", "integration")]
from daemon import Lock  # noqa: E402

CACHE = os.environ.get("GTAP_TEST_CACHE") or os.path.expanduser("~/.cache/gtap-tests")
ARCHIVES = os.path.join(CACHE, "archives")  # packages that a root has installed
APT = ("apt-get", "install-deps.sh")
RELEASE = "bookworm"
# How this machine reaches its archive holds for the clean one, too: see tests/integration/clean-root.sh.
REACH = ("/etc/apt/auth.conf", "/etc/apt/auth.conf.d", "/usr/local/share/ca-certificates")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive",
               **{name: os.environ[name] for name in PROXIES if name in os.environ}}


def need(*programs):
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root")
    for program in programs:
        if shutil.which(program) is None:
            raise unittest.SkipTest(f"there is no {program}: tools/install-deps.sh deploy")


def done_by(*words, **kwargs):
    """Its standard output; an AssertionError that has all it said when it fails."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, **kwargs)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).splitlines()[-30:]
        raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n" + "\n".join(said))
    return done.stdout


def mirror():
    """The archive this machine itself installs from."""
    sites = done_by("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages",
                    "Origin: Debian", f"Codename: {RELEASE}", "Component: main").split()
    if not sites:
        raise unittest.SkipTest(f"this machine has no archive of Debian's {RELEASE}")
    return sorted(sites)[0]


def kept(name, make):
    """The folder CACHE/name, made whole by make(folder) if it is not there yet."""
    path = os.path.join(CACHE, name)
    with Lock(os.path.join(CACHE, f"{name}.lock")):
        if not os.path.isdir(path):
            part = path + ".part"
            shutil.rmtree(part, ignore_errors=True)
            make(part)
            os.rename(part, path)
    return path


def base():
    """Debian 12's minimum, with the archive's indexes."""
    need("debootstrap", "unshare")
    return kept(f"{RELEASE}-1", make_base)


def make_base(folder):
    done_by("debootstrap", "--variant=minbase", "--include=ca-certificates", RELEASE, folder, mirror())
    os.makedirs(ARCHIVES, exist_ok=True)
    reach = [line for line in done_by("apt-config", "dump").splitlines()
             if line.startswith(("Acquire::http::", "Acquire::https::", "Acquire::Check-",
                                 "Acquire::Retries", "Acquire::ForceIPv"))]
    with open(f"{folder}/etc/apt/apt.conf.d/90reach", "w", encoding="utf-8") as f:
        f.write("\n".join(reach) + '\nBinary::apt-get::APT::Keep-Downloaded-Packages "true";\n')
    for own in REACH:
        if os.path.isdir(own):
            shutil.copytree(own, folder + own, dirs_exist_ok=True)
        elif os.path.exists(own):
            shutil.copy(own, folder + own)
    shutil.copy("/etc/resolv.conf", f"{folder}/etc/resolv.conf")
    shutil.rmtree(f"{folder}/var/cache/apt/archives")
    os.makedirs(f"{folder}/var/cache/apt/archives/partial")
    root = Root(folder)
    root.run("update-ca-certificates")
    root.run("apt-get", "-qq", "update")


class Root:
    """A root, and commands in it, each in a mount namespace of its own: whatever is mounted for one
    goes with it."""

    SCRIPT = """
        set -e
        root=$1 lower=$2 upper=$3 archives=$4
        shift 4
        if [ -n "$lower" ]; then
            mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$upper.work" "$root"
        fi
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --bind "$archives" "$root/var/cache/apt/archives"
        exec chroot "$root" "$@"
    """

    def __init__(self, path, lower="", upper=""):
        self.path, self.lower, self.upper = path, lower, upper

    def command(self, *words, isolated=False):
        """The words as they run there; isolated: with a loopback of its own and no other network."""
        net = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        return [*(net if isolated else []), "unshare", "--mount", "--propagation", "private", "sh", "-c",
                self.SCRIPT, "sh", self.path, self.lower, self.upper, ARCHIVES, *words]

    def run(self, *words, isolated=False):
        command = self.command(*words, isolated=isolated)
        # The archives are one folder for all roots, and apt fails where another uses it.
        with Lock(f"{ARCHIVES}.lock") if os.path.basename(words[0]) in APT else contextlib.nullcontext():
            return done_by(*command, env=ENVIRONMENT)

    def written(self, path):
        """Where a file that was made or changed there is, from outside."""
        return (self.upper or self.path) + path


def lent(folder):
    """A Root over the base, whose changes are in the folder: an overlay, or a copy where this
    machine has no overlays of overlays."""
    lower = base()
    for name in ("root", "upper", "upper.work"):
        os.makedirs(os.path.join(folder, name))
    root = Root(os.path.join(folder, "root"), lower, os.path.join(folder, "upper"))
    if subprocess.run(root.command("true"), capture_output=True, check=False).returncode != 0:
        done_by("cp", "-a", "-T", lower, root.path)
        root.lower = root.upper = ""
    return root
