"""gtap processor with passwords and certificates: SASL/SCRAM over TLS to Kafka, SCRAM over TLS to
the database, secrets from files, and none of them anywhere else.

    test_processor_security.py --gtap BUILD/gtap
"""

import os
import subprocess

import gtap as support
import stack
import watched


class Secured(watched.Real):
    kafka_options = {"sasl": True, "tls": True}
    mongo_options = {"auth": True, "tls": True}

    @classmethod
    def database_server(cls, folder):
        if os.environ.get(stack.mongo.ELSEWHERE):
            raise support.unittest.SkipTest("needs a database with a user and TLS of its own")
        return super().database_server(folder)

    def secret(self, name, text):
        path = self.gtap.file(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="ascii") as f:
            f.write(text + "\n")
        return path

    def secrets(self, password=stack.kafka.PASSWORD, mechanism="SCRAM-SHA-512"):
        """The environment of a processor that reads what is secret from files."""
        return {"KAFKA_PROPERTY_SECURITY_PROTOCOL": "SASL_SSL",
                "KAFKA_PROPERTY_SASL_MECHANISM": mechanism,
                "KAFKA_PROPERTY_SASL_USERNAME": stack.kafka.USER,
                "KAFKA_PROPERTY_SASL_PASSWORD_FILE": self.secret("kafka-password", password),
                "KAFKA_PROPERTY_SSL_CA_LOCATION": self.kafka.ca_file,
                "MONGODB_URI_FILE": self.secret("mongodb-uri", self.store_uri)}

    def processor_args(self, *more):
        args = super().processor_args(*more)
        return [self.kafka.addresses("sasl_tls") if arg == self.kafka.bootstrap else arg
                for arg in args]

    def start(self, *more, **kwargs):
        return watched.Watched(self, *self.processor_args(*watched.PROPERTIES, *more),
                               env=self.secrets(**kwargs))

    def test_secrets_from_files(self):
        lines = support.records(10, seed=20, gpus=2)
        one = self.start()
        one.wait_ready()
        self.produce(lines)
        self.wait_stored(lines)
        with open(f"/proc/{one.child.pid}/cmdline", encoding="utf-8") as f:
            shown = {"argv": f.read()}
        shown |= {path: one.get(path)[1] for path in ("/metrics", "/ready", "/health")}
        one.stop()
        self.start("--until-end").wait()
        self.assert_as_one_machine(lines)
        done = subprocess.run([self.gtap.path, "config", "processor"], cwd=self.gtap.folder,
                              env={**os.environ, **self.secrets()}, capture_output=True, text=True,
                              check=True)
        shown |= {"gtap config": done.stdout + done.stderr, "stderr": "".join(one.said)}
        self.assertIn("MONGODB_URI_FILE", shown["gtap config"])
        for where, text in shown.items():
            for secret in (stack.kafka.PASSWORD, stack.mongo.PASSWORD):
                self.assertNotIn(secret, text, where)

    def test_wrong_password(self):
        one = self.start(password="guessed-wrong")
        one.wait(expect=3)
        said = "".join(one.said)
        self.assertIn("Authentication failed", said)
        self.assertNotIn("guessed-wrong", said)

    def test_a_secret_on_the_command_line_is_refused(self):
        done = self.gtap.run(*self.processor_args("--kafka-property", "sasl.password=on-the-line"),
                             expect=None)
        self.assertIn(done.returncode, (2, 3))
        self.assertIn("KAFKA_PROPERTY_SASL_PASSWORD", done.stderr)
        self.assertNotIn("on-the-line", done.stderr)


if __name__ == "__main__":
    support.main(__name__)
