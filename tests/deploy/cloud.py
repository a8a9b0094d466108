"""What machines ask of the cloud, for those that a test made: the metadata service, Secrets Manager and
S3's GetObject, on one address. Who asks is known by the address; what a machine's own policy does not
name is refused, and written down.

    python3 cloud.py CONFIG        listens where CONFIG says, until it is ended

CONFIG is JSON: {"metadata": ["169.254.169.254", 80], "api": ["10.0.0.2", 443], "log": FILE,
"machines": {address: {"role": name, "secrets": [arn], "objects": ["bucket/key"]}},
"objects": {"bucket/key": file}, "changing": FILE}; that file is read at each request:
{"tags": {address: {tag: value}}, "secrets": {arn: value}}
"""

import http.server
import json
import sys
import threading
import urllib.parse

TAGS = "/latest/meta-data/tags/instance/"
TOKEN = "session-token-of-the-metadata-service"
KEYS = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIATEST", "SecretAccessKey": "test",
        "Token": "test", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    config, log_lock = {}, threading.Lock()

    @property
    def machine(self):
        return self.config["machines"].get(self.client_address[0], {})

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        with self.log_lock, open(self.config["log"], "a", encoding="utf-8") as log:
            log.write(f"{self.client_address[0]} {self.command} {self.path} {status}\n")

    def log_message(self, *_):  # stderr stays clean
        pass


    def now(self, key):
        """What the file "changing" says at this moment."""
        with open(self.config["changing"], encoding="utf-8") as file:
            return json.load(file)[key]


class Metadata(Handler):
    """Version 2 alone: nothing without a token."""

    def do_PUT(self):
        if self.path != "/latest/api/token":
            return self.answer(404)
        return self.answer(200, TOKEN.encode(), X_Aws_Ec2_Metadata_Token_Ttl_Seconds="21600")

    def do_GET(self):
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            return self.answer(401)
        place = "/latest/meta-data/iam/security-credentials/"
        role = self.machine.get("role", "")
        if self.path == place:
            return self.answer(200, role.encode())
        if role and self.path == place + role:
            return self.answer(200, json.dumps(KEYS).encode())
        if self.path.startswith(TAGS):
            tags = self.now("tags").get(self.client_address[0], {})
            if self.path.removeprefix(TAGS) in tags:
                return self.answer(200, tags[self.path.removeprefix(TAGS)].encode())
        return self.answer(404)


class Api(Handler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        target = self.headers.get("X-Amz-Target", "")
        arn = asked.get("SecretId", "")
        self.path = f"{target} {arn}"  # for the log
        if target != "secretsmanager.GetSecretValue" or arn not in self.machine.get("secrets", []):
            text = json.dumps({"__type": "AccessDeniedException", "Message": f"not authorized: {arn}"})
            return self.answer(400, text.encode(), Content_Type="application/x-amz-json-1.1")
        text = json.dumps({"ARN": arn, "Name": arn, "SecretString": self.now("secrets")[arn]})
        return self.answer(200, text.encode(), Content_Type="application/x-amz-json-1.1")

    def do_GET(self):
        name = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        if name not in self.machine.get("objects", []):
            return self.answer(403)
        with open(self.config["objects"][name], "rb") as file:
            body = file.read()
        return self.answer(200, body, Content_Type="application/x-tar", ETag='"0"',
                           Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT", Accept_Ranges="none")

    do_HEAD = do_GET


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        Handler.config = json.load(file)
    servers = [http.server.ThreadingHTTPServer(tuple(Handler.config[key]), handler)
               for key, handler in (("metadata", Metadata), ("api", Api))]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
