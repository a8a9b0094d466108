#!/usr/bin/env python3
"""SecantusDB, a server that keeps its data and speaks MongoDB's wire protocol, on loopback: for
tests and for trying things by hand.

    mongo.py start DIR [--port 27017] [--sync-on-commit] [--auth] [--tls] [--standalone]
    mongo.py stop DIR            and restart, kill (-9), status
    mongo.py eval DIR 'db.cost_windows.count_documents({})'   Python, over pymongo
    mongo.py fetch               the packages alone, into build-python/mongo

DIR keeps everything: settings (server.json), data, log, pid; what was stopped or killed is started
again with its data. --sync-on-commit: what was acknowledged survives a power failure, at a few
hundred writes/s. With --auth user gtap, password gtap-secret, by SCRAM-SHA-256. Fail points
(configureFailPoint) are on.

In a test:

    server = mongo.for_test(self, folder, sync_on_commit=True)   # SkipTest where it cannot be had
    server.start()
    ... server.uri ... server.database["gpus"].find_one() ... server.kill() ... server.start() ...

With GTAP_TEST_MONGODB_URI in the environment that is the mongod named there instead, with a
database of the test's own that is dropped at its end; a test that needs what another's server does
not let it have (kill, auth, tls, fail points) is skipped.
"""

import argparse
import json
import os
import sys
import unittest
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
for _folder in (HERE, os.path.join(ROOT, "tests", "integration")):
    if _folder not in sys.path:
        sys.path.append(_folder)

from daemon import DEADLINE, HOST, Daemon, free_ports, make_certificates, wait_for  # noqa: E402
from python_venv import import_from, python_with  # noqa: E402

PACKAGES = ["secantusdb==0.7.0b3", "pymongo==4.20.1"]
USER, PASSWORD = "gtap", "gtap-secret"
ELSEWHERE = "GTAP_TEST_MONGODB_URI"


def pymongo():
    return import_from("mongo", PACKAGES, "pymongo")


def for_test(case, folder, needs=(), **options):
    """A server for a test case, not started yet, ended or cleaned up with the case. `needs`: kill,
    fail_point; options are those of Server."""
    uri = os.environ.get(ELSEWHERE)
    if not uri:
        server = Server(folder, **options)
        case.addCleanup(server.kill)
        return server
    wanted = [*needs, *(name for name in ("auth", "tls") if options.get(name))]
    if wanted:
        raise unittest.SkipTest(f"needs a server of its own ({', '.join(wanted)}); "
                                f"{ELSEWHERE} names another's")
    server = Elsewhere(uri)
    case.addCleanup(server.drop)
    return server


class _Reachable:
    """What both kinds have in common: an address and a database of one's own."""

    uri = ""  # with the database in it
    name = ""  # of the database
    _client = None

    def client(self, **options):
        """A new MongoClient; the caller closes it."""
        options.setdefault("serverSelectionTimeoutMS", 10_000)
        return pymongo().MongoClient(self.uri, **options)

    @property
    def database(self):
        """The test's database, over a client that stays open."""
        if self._client is None:
            self._client = self.client()
        return self._client[self.name]

    def disconnect(self):
        if self._client is not None:
            self._client.close()
            self._client = None


class Elsewhere(_Reachable):
    """Somebody's mongod, in which a test has a database."""

    def __init__(self, uri):
        self.name = f"gtap_test_{uuid.uuid4().hex[:12]}"
        scheme, _, rest = uri.partition("://")
        before, _, query = rest.partition("?")
        hosts, _, named = before.partition("/")
        if "@" in hosts and "authSource=" not in query:
            query += f"{'&' if query else ''}authSource={named or 'admin'}"
        self.uri = f"{scheme}://{hosts}/{self.name}{'?' if query else ''}{query}"

    def start(self):
        self.database.command("ping")

    def drop(self):
        self.database.client.drop_database(self.name)
        self.disconnect()


class Server(_Reachable):
    """One SecantusDB in a folder. What the folder was made with stays; arguments count when it
    is made."""

    name = "gtap"

    def __init__(self, folder, port=0, sync_on_commit=False, auth=False, tls=False,
                 standalone=False, alone=False):
        self.folder, self.alone = os.path.abspath(folder), alone
        self.daemon = Daemon(self.folder)
        self._file = os.path.join(self.folder, "server.json")
        if not os.path.exists(self._file):
            self._write({"port": port or free_ports(1)[0], "sync_on_commit": sync_on_commit,
                         "auth": auth, "tls": tls, "standalone": standalone, "users": False})
        with open(self._file, encoding="utf-8") as f:
            self.made = json.load(f)

    @property
    def port(self):
        return self.made["port"]

    @property
    def ca_file(self):
        return os.path.join(self.folder, "tls", "ca.pem")

    @property
    def uri(self):
        return self.uri_of(user=USER if self.made["auth"] else None)

    def uri_of(self, user=None, password=PASSWORD):
        options = []
        if user is not None:
            options += ["authSource=admin", "authMechanism=SCRAM-SHA-256"]
        if self.made["tls"]:
            options += ["tls=true", f"tlsCAFile={self.ca_file}"]
        login = "" if user is None else f"{user}:{password}@"
        query = "?" + "&".join(options) if options else ""
        return f"mongodb://{login}{HOST}:{self.port}/{self.name}{query}"

    def start(self, seconds=DEADLINE):
        """Starts it when it does not run, and waits until it answers."""
        if self.daemon.pid() is not None:
            return
        if self.made["tls"]:
            make_certificates(os.path.join(self.folder, "tls"))
        if self.made["auth"] and not self.made["users"]:
            self._make_user(seconds)
        self._run(self.made["auth"], seconds)

    def stop(self):
        self.disconnect()
        self.daemon.stop()

    def kill(self):
        """SIGKILL, and back when it is gone."""
        self.disconnect()
        self.daemon.kill()

    def restart(self):
        self.stop()
        self.start()

    def fail(self, commands, times=1, **data):
        """The next commands of these names fail (errorCode, errorLabels), are answered with a
        writeConcernError ({code, errmsg}: applied nevertheless), lose their connection
        (closeConnection=True: not applied) or wait (blockConnection=True, blockTimeMS)."""
        mode = "alwaysOn" if times is None else {"times": times}
        self.database.client.admin.command({"configureFailPoint": "failCommand", "mode": mode,
                                            "data": {"failCommands": list(commands), **data}})

    def fail_no_more(self):
        self.database.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})

    def _run(self, auth, seconds):
        made = self.made
        python = python_with("mongo", PACKAGES)
        command = [os.path.join(os.path.dirname(python), "secantusd-py"), "--host", HOST,
                   "--port", str(self.port), "--storage-path", os.path.join(self.folder, "data"),
                   "--cache-size", "256M", "--log-level", "WARNING", "--enable-test-commands"]
        command += ["--auth"] * auth + ["--sync-on-commit"] * made["sync_on_commit"]
        command += ["--standalone"] * made["standalone"]
        if made["tls"]:
            tls = os.path.join(self.folder, "tls")
            command += ["--tls-cert-file", os.path.join(tls, "server.pem"),
                        "--tls-key-file", os.path.join(tls, "server.key")]
        self.daemon.start(command, self.alone)
        wait_for(self._answers, seconds, f"{self.folder}: the server does not answer:\n"
                                         f"{self.daemon.tail()}")

    def _answers(self):
        if self.daemon.pid() is None:
            raise AssertionError(f"the server ended:\n{self.daemon.tail()}")
        module = pymongo()
        try:
            with module.MongoClient(self.uri_of(), serverSelectionTimeoutMS=200) as client:
                client.admin.command("hello")
        except module.errors.ConnectionFailure:
            return False
        return True

    def _make_user(self, seconds):
        """Users are made while nobody has to be one."""
        self._run(False, seconds)
        with pymongo().MongoClient(self.uri_of()) as client:
            client.admin.command("createUser", USER, pwd=PASSWORD,
                                 roles=[{"role": "readWriteAnyDatabase", "db": "admin"},
                                        {"role": "clusterAdmin", "db": "admin"}])
        self.daemon.stop()
        self.made["users"] = True
        self._write(self.made)

    def _write(self, made):
        os.makedirs(self.folder, exist_ok=True)
        with open(self._file + ".part", "w", encoding="utf-8") as f:
            json.dump(made, f, indent=1)
        os.rename(self._file + ".part", self._file)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("start", "stop", "restart", "kill", "status", "eval"):
        one = verbs.add_parser(verb)
        one.add_argument("dir")
        if verb == "start":
            one.add_argument("--port", type=int, default=0)
            for option in ("--sync-on-commit", "--auth", "--tls", "--standalone"):
                one.add_argument(option, action="store_true")
        elif verb == "eval":
            one.add_argument("expression")
    verbs.add_parser("fetch")
    args = parser.parse_args()
    if args.verb == "fetch":
        print(python_with("mongo", PACKAGES))
        return
    if args.verb == "start":
        server = Server(args.dir, args.port, args.sync_on_commit, args.auth, args.tls,
                        args.standalone, alone=True)
    elif os.path.exists(os.path.join(args.dir, "server.json")):
        server = Server(args.dir, alone=True)
    else:
        sys.exit(f"{args.dir}: no server there; make one with mongo.py start {args.dir}")
    if args.verb == "eval":
        answer = eval(args.expression, {"db": server.database})  # pylint: disable=eval-used
        for row in answer if isinstance(answer, pymongo().cursor.Cursor) else [answer]:
            print(row)
        return
    if args.verb != "status":
        getattr(server, args.verb)()
    pid = server.daemon.pid()
    print(f"{server.uri}\n{'down' if pid is None else f'pid {pid}'}, log {server.daemon.log}")


if __name__ == "__main__":
    try:
        main()
    except unittest.SkipTest as away:
        sys.exit(str(away))
