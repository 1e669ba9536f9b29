"""A Kubernetes control plane on this machine: its real servers, and nodes that only say they run what they are given.

etcd, API server, controller-manager and scheduler are the programs that a cluster has; kwok answers for the nodes. All
of it listens on loopback, at ports that are free, and ends with the context. No container runs here, no network policy
is enforced, no metric of a pod is known and no volume is made: see `nodes.py` for what stands in.
"""

import json
import secrets
import subprocess
import time
from pathlib import Path

import httpx
import yaml
from cluster.client import Client, trusting
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from place_servers import free_ports

from sapphire.telemetry.launching import launch

START_S, END_S = 60.0, 15.0
SERVICES = "10.96.0.0/16"


class ControlPlane:
    """The servers, each with a log in the folder.

    Parameters
    ----------
    built : the programs and the definitions of custom resources.
    folder : for the servers' data and logs, and `kubeconfig`.
    """

    def __init__(self, built, folder):
        self.built, self.folder = built, Path(folder)
        self.processes = {}
        self.seconds = 0.0

    def __enter__(self):
        began = time.monotonic()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        self.seconds = time.monotonic() - began
        return self

    def __exit__(self, *_):
        """Ends them by their process ids, the last that was started first: without etcd the API server lingers."""
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(END_S)

    @property
    def kubeconfig(self):
        """Path of the administrator's configuration."""
        return self.folder / "kubeconfig"

    def client(self):
        """The administrator's client."""
        return Client(self.built, self.kubeconfig)

    def logs(self):
        """The end of each server's log."""
        found = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {path}\n{_tail(path)}" for path in found)

    def _start(self):
        port, etcd, peers = free_ports(3)
        self._etcd(f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{peers}")
        token = secrets.token_hex(16)
        self._api_server(port, f"http://127.0.0.1:{etcd}", token)
        self._write_kubeconfig(port, token)
        self._controllers()
        client = self.client()
        client.create_definitions(self.built.definitions)
        client.wait(
            "/api/v1/namespaces/default/serviceaccounts",
            lambda found: "default" in found,
            "the controllers' first account",
        )

    def _etcd(self, clients, peers):
        words = (
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
        )
        self._launch("etcd", *words)
        with httpx.Client(base_url=clients, trust_env=False) as http:
            self._until("etcd", lambda: http.get("/health").json()["health"] == "true")

    def _api_server(self, port, etcd, token):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private, public = self.folder / "accounts.key", self.folder / "accounts.pub"
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private.touch(0o600)
        private.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
        public.write_bytes(key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo))
        tokens = self.folder / "tokens.csv"
        tokens.touch(0o600)
        tokens.write_text(f'{token},administrator,1,"system:masters"\n')
        self._launch(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'certificates'}",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={private}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=RBAC",
            "--enable-admission-plugins=PodSecurity,ResourceQuota,LimitRanger,Priority,NodeRestriction",
            f"--token-auth-file={tokens}",
            "--anonymous-auth=false",
            "--allow-privileged",
            "--endpoint-reconciler-type=none",
            "--profiling=false",
        )
        certificate = self.folder / "certificates" / "apiserver.crt"
        self._until("kube-apiserver", lambda: certificate.exists() and _is_ready(port, token, certificate))

    def _write_kubeconfig(self, port, token):
        certificate = str(self.folder / "certificates" / "apiserver.crt")
        cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": certificate}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "administrator", "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "administrator"}}],
            "current-context": "here",
        }
        self.kubeconfig.touch(0o600)
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def _controllers(self):
        common = (f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--secure-port=0")
        quick = ("--kube-api-qps=200", "--kube-api-burst=400")
        private, certificate = self.folder / "accounts.key", self.folder / "certificates" / "apiserver.crt"
        self._launch(
            "kube-controller-manager",
            *common,
            *quick,
            f"--service-account-private-key-file={private}",
            f"--root-ca-file={certificate}",
            "--use-service-account-credentials",
            "--controllers=*,-persistentvolume-attach-detach-controller",
            "--pvclaimbinder-sync-period=1s",
            "--horizontal-pod-autoscaler-sync-period=1s",
        )
        self._launch("kube-scheduler", *common, *quick)
        self._launch(
            "kwok", f"--kubeconfig={self.kubeconfig}", "--manage-all-nodes=true", "--node-lease-duration-seconds=40"
        )

    def _launch(self, name, *words):
        log = self.folder / f"{name}.log"
        self.processes[name] = launch((self.built.program(name), *words), log=log, environment={})

    def _until(self, name, is_ready):
        """Until a server that was started answers; fails at once where it has ended."""
        process, deadline = self.processes[name], time.monotonic() + START_S
        while True:
            try:
                if is_ready():
                    return
            except (httpx.TransportError, json.JSONDecodeError):
                pass
            ended = process.poll()
            if ended is not None or time.monotonic() > deadline:
                what = f"ended with {ended}" if ended is not None else f"does not answer within {START_S:.0f} s"
                raise RuntimeError(f"{name} {what}\n{_tail(self.folder / f'{name}.log')}")
            time.sleep(0.05)


def _is_ready(port, token, certificate):
    with httpx.Client(verify=trusting(certificate), trust_env=False) as http:
        return http.get(f"https://127.0.0.1:{port}/readyz", headers={"Authorization": f"Bearer {token}"}).is_success


def _tail(path):
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])
