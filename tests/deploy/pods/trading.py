"""A paper account in pods, as its operator and its exchange see it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from kubelet import Node
from rendered import merged, render, render_foundation, values_of
from translation import translate
from volumes import Volumes

from sapphire.domain.errors import SapphireError
from sapphire.execution.control import Control
from sapphire.execution.journal import journal_rows
from sapphire.execution.service import Service
from sapphire.registry import Deployment

SPEED = 150
"""Market seconds per second: a bar of 5 minutes every two seconds."""
TAG = os.environ.get("TAG") or "dev"
BUCKET_PORT = 8333
FIRST = ("postgresql",)
SAPPHIRE = (sys.executable, "-m", "sapphire.cli")
RECEIVER_PORT = 8000
NOTICES = {
    "settings": "[notify.json]\naddress_file = '/var/run/secrets/sapphire/json-address'\n",
    "secrets": ["json-address"],
}
RECEIVER = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        return

http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
"""Prints every notice that is posted to it, a line of JSON each."""


def rendered_for(digest):
    """The environment dev with a release that there is, and the images of this machine."""
    trusted = Deployment.read()
    changed = {
        "global": {"image": {"registry": "localhost", "tag": TAG}},
        "market": {"speed": SPEED},
        "agents": {"trend": {"release": digest}},
        "accounts": {"paper": {"notices": NOTICES}},
        "trust": {
            "key": trusted.key.read_text(),
            "authority": trusted.authority,
            "policies": {target: list(pinned) for target, pinned in trusted.policies.items()},
        },
    }
    values = merged(values_of("dev"), changed)
    return [*render_foundation(values), *render(values)]


class Trading:
    """Pods on a network of their own that trade a release for one account.

    Parameters
    ----------
    podman : its command line.
    folder : keeps volumes and secrets.
    home, digest : state folder that has the release, and the release.
    """

    def __init__(self, podman, folder, home, digest):
        self.podman, self.folder, self._home = podman, folder, home
        self.objects = rendered_for(digest)
        self.pods = translate(self.objects)
        self.check = self.pods.pop("round-trip")
        self.configs = {each["metadata"]["name"]: each["data"] for each in self.objects if each["kind"] == "ConfigMap"}
        self.secrets = folder / "secrets"
        self.plan = folder / "plan.json"
        self.plan.write_text(self.configs["plan"]["plan.json"])
        self._sapphire("secrets", "make", str(self.secrets), "--plan", str(self.plan), "--bucket")
        address = self.secrets / "notices-paper" / "json-address"
        address.write_text(f"http://receiver:{RECEIVER_PORT}/notices\n")
        self.node = Node(podman, Volumes(folder / "volumes", self.secrets, self.configs))

    def begin(self):
        """Start what keeps releases, put the release there, and start everything else at once."""
        image, options = f"localhost/sapphire/platform:{TAG}", ("--read-only", "--entrypoint", "python")
        self.node.server(image, "receiver", "-c", RECEIVER, options=options)
        bucket = self._bucket()
        database = self.node.play(self.pods["postgresql"])
        self.node.ready("postgresql")
        self._send(bucket, database.address)
        for name, pod in self.pods.items():
            if name not in FIRST:
                self.node.play(pod)
        self.node.ready(within_s=600.0)

    @property
    def service(self):
        """The engine's, as an operator sees it."""
        return Service(
            self._url("engine-paper", 8090), self._secret("engine-paper", "service-tokens.json")["service_token"]
        )

    @property
    def account(self):
        """The account as the exchange has it, with every order and fill."""
        return self.exchange(full=True)["accounts"][0]

    def exchange(self, *, full=False):
        """The exchange as its control plane shows it."""
        token = self._secret("exchange", "exchange-keys.json")["control_read_token"]
        return Control(self._url("exchange", 8081), token, timeout=10.0).state(full=full)

    def fills(self):
        """How often the exchange has filled the account's orders; None while it does not answer."""
        try:
            return self.exchange()["accounts"][0]["fills"]
        except SapphireError:
            return None

    def decided(self):
        """Closes that the coordinator has decided on, UTC ns, with nothing against it."""
        path = self.volume("coordinator-paper", "data") / "decisions.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        rows = [json.loads(line) for line in lines]
        return [int(row["bar_close_ns"]) for row in rows if row["reason"] is None]

    def journal(self):
        """The engine's journal, from its volume."""
        return list(journal_rows(self.volume("engine-paper", "data") / "account"))

    def notices(self):
        """What people were told of the account."""
        return [json.loads(line) for line in self.node.log("receiver").splitlines()]

    def volume(self, pod, name):
        return self.node.volumes.path(self.pods[pod], name)

    def _url(self, pod, port):
        return f"http://{self.node.pods[pod].address}:{port}"

    def _secret(self, workload, name):
        return json.loads((self.secrets / workload / name).read_text())

    def _bucket(self):
        """A bucket of the S3 API on the pods' network; its address."""
        keys = self._secret("bucket", "bucket-keys.json")
        credentials = [{"accessKey": keys["bucket_key"], "secretKey": keys["bucket_secret"]}]
        identities = self.folder / "identities.json"
        identities.write_text(
            json.dumps({"identities": [{"name": "places", "credentials": credentials, "actions": ["Admin"]}]})
        )
        weed = Path(sys.executable).parent / "weed"
        options = ["--read-only", "--tmpfs", "/data", "--tmpfs", "/tmp", "--user", "0:0", "--http-proxy=false"]
        options += ["--volume", f"{weed}:/usr/bin/weed:ro", "--volume", f"{identities}:/identities.json:ro"]
        settings = {
            **{"dir": "/data", "ip": "127.0.0.1", "ip.bind": "0.0.0.0", "volume.max": "50"},
            **{"master.volumeSizeLimitMB": "256", "master.telemetry": "false", "filer": "true", "s3": "true"},
            **{"s3.port": str(BUCKET_PORT), "s3.config": "/identities.json", "s3.iam": "false"},
            **{"s3.port.iceberg": "0", "s3.port.lance": "0"},
        }
        words = [
            "/usr/bin/weed",
            "-logtostderr=true",
            "server",
            *(f"-{key}={value}" for key, value in settings.items()),
        ]
        return self.node.server(f"localhost/sapphire/engine:{TAG}", "bucket", *words, options=options)

    def _send(self, bucket, database):
        """Put what the state folder has into the places."""
        environment = {
            "SAPPHIRE_HOME": str(self._home),
            "SAPPHIRE_PLACES_DATABASE": f"postgresql://sapphire@{database}:5432/sapphire",
            "SAPPHIRE_PLACES_BUCKET": self.configs["environment"]["SAPPHIRE_PLACES_BUCKET"],
            "SAPPHIRE_PLACES_BUCKET_URL": f"http://{bucket}:{BUCKET_PORT}",
            "SAPPHIRE_PLACES_CREDENTIALS": str(self.secrets / "jobs" / "places.json"),
        }
        messages = []

        def sent():
            done = self._run(("places", "send"), environment)
            messages.append(done.stderr)
            return done.returncode == 0

        self.node.until(sent, "answer of the places", within_s=120.0, every_s=1.0)

    def _sapphire(self, *words):
        done = self._run(words, {})
        assert done.returncode == 0, done.stderr

    def _run(self, words, environment):
        return subprocess.run(
            (*SAPPHIRE, *words), env=os.environ | environment, capture_output=True, text=True, check=False
        )
