"""What docker-entrypoint.sh of the image mongo does, with SecantusDB in mongod's place: at the first
start a server of loopback alone and without authentication, in which the root user is made and the
files of /docker-entrypoint-initdb.d are run; then the server that was asked for."""

import os
import subprocess
import sys
import time

import pymongo

DATA, INITIAL = "/data/db", "/docker-entrypoint-initdb.d"


def server(*args):
    return [os.path.join(os.path.dirname(sys.executable), "secantusd-py"), "--storage-path",
            os.path.join(DATA, "data"), "--cache-size", "64M", "--log-level", "WARNING", *args]


def secret(name):
    with open(os.environ[f"{name}_FILE"], encoding="utf-8") as f:
        return f.read().rstrip("\n")


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def initialize(port):
    first = subprocess.Popen(server("--host", "127.0.0.1", "--port", port))
    client = pymongo.MongoClient("127.0.0.1", int(port))
    deadline = time.monotonic() + 60
    while True:
        try:
            client.admin.command("ping")
            break
        except pymongo.errors.PyMongoError:
            if first.poll() is not None or time.monotonic() > deadline:
                raise
    client.admin.command("createUser", os.environ["MONGO_INITDB_ROOT_USERNAME"],
                         pwd=secret("MONGO_INITDB_ROOT_PASSWORD"), roles=["root"])
    for name in sorted(os.listdir(INITIAL)):
        subprocess.run([os.environ["MONGOSH"], "--quiet", "--norc", "--host", "127.0.0.1", "--port",
                        port, os.environ["MONGO_INITDB_DATABASE"], os.path.join(INITIAL, name)],
                       check=True)
    client.close()
    first.terminate()
    first.wait()


def main():
    assert sys.argv[1] == "mongod" and "--auth" in sys.argv, sys.argv
    mark = os.path.join(DATA, "initialized")
    port = option("--port")
    if not os.path.exists(mark):
        initialize(port)
        with open(mark, "w", encoding="ascii"):
            pass
    # One address or all: of those that were asked for, the outer one includes loopback by name only.
    command = server("--auth", "--host", "0.0.0.0", "--port", port)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
