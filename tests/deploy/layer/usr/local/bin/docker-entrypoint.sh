#!/usr/bin/python3
"""What MongoDB's image runs: a new database gets its first user and the scripts of
/docker-entrypoint-initdb.d; then the server takes this process's place. The server is one that speaks
MongoDB's wire protocol (MONGO_SERVER names it); its shell is MongoDB's own."""

import glob
import os
import subprocess
import sys
import time

DATA = "/data/db"
SERVER = ["secantusd", "--storage-path", DATA, "--cache-size", "128M", "--log-level", "WARNING",
          "--standalone", "--sync-on-commit"]
SCRIPTS = "/docker-entrypoint-initdb.d/*.js"
CREATE = """
db.getSiblingDB("admin").createUser({user: process.env.MONGO_INITDB_ROOT_USERNAME,
  pwd: require("fs").readFileSync(process.env.MONGO_INITDB_ROOT_PASSWORD_FILE, "utf8").trimEnd(),
  roles: ["root"]})
"""


def mongosh(*words):
    return subprocess.run(["mongosh", "--quiet", "--norc", "--host", "127.0.0.1", "--port", "27017",
                           *words], check=False)


def prepare():
    server = subprocess.Popen([*SERVER, "--host", "127.0.0.1", "--port", "27017"])
    try:
        for _ in range(600):
            if mongosh("--eval", "db.runCommand({ping: 1}).ok").returncode == 0:
                break
            time.sleep(0.2)
        database = os.environ.get("MONGO_INITDB_DATABASE", "test")
        for words in (["--eval", CREATE], *([database, name] for name in sorted(glob.glob(SCRIPTS)))):
            if mongosh(*words).returncode != 0:
                sys.exit(f"docker-entrypoint.sh: {words} failed")
    finally:
        server.terminate()
        server.wait()
    with open(os.path.join(DATA, ".prepared"), "w", encoding="ascii"):
        pass


def options(words):
    """mongod's, as those of the server: every address where mongod is told several."""
    found = {"--auth": False}
    words = iter(words)
    for word in words:
        if word in ("--bind_ip", "--port", "--wiredTigerCacheSizeGB"):
            found[word] = next(words)
        elif word == "--auth":
            found[word] = True
        else:
            sys.exit(f"docker-entrypoint.sh: mongod's {word} is not known here")
    several = "," in found.get("--bind_ip", "")
    host = "0.0.0.0" if several else found.get("--bind_ip", "0.0.0.0")
    return ["--host", host, "--port", found.get("--port", "27017"), *["--auth"] * found["--auth"]]


def main():
    if sys.argv[1] != "mongod":
        os.execvp(sys.argv[1], sys.argv[1:])
    if not os.path.exists(os.path.join(DATA, ".prepared")):
        prepare()
    os.execvp(SERVER[0], [*SERVER, *options(sys.argv[2:])])


main()
