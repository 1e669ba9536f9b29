"""`sapphire run NOTEBOOK --on cluster`: the Job that is made of what the chart renders."""

import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import kubernetes_validate
import pytest
from rendered import of_kind, rendered
from typer.testing import CliRunner

from sapphire.cli import app
from sapphire.domain.errors import ConfigError, NotReady, Refused, StudyError, UnknownFile

NOTEBOOK = {
    "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "source": "1 + 1", "execution_count": 3,
               "outputs": [{"output_type": "stream", "name": "stdout", "text": "a secret table"}]}],
    "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip


class Cluster:
    """An API server's answers: it has the chart's ConfigMap, and keeps what is created.

    Parameters
    ----------
    templates : the ConfigMap `research-jobs`.
    """

    def __init__(self, templates):
        self.templates, self.made, self.deleted, self.asked = templates, {}, [], []
        self.refuses, self.phases, self.ends = "", ["Pending", "Pending", "Running"], "Complete"

    def answer(self, method, path, body):
        """Status and JSON, or text, of a request."""
        self.asked.append(f"{method} {path}")
        *_, kind, name = ["", *path.partition("?")[0].split("/")]
        if path.rstrip("/") == "/version":
            return 200, {"major": "1", "minor": "34", "gitVersion": "v1.34.2"}
        if method == "POST" and name == self.refuses:
            return 403, {"kind": "Status", "code": 403, "message": f"{name} is forbidden: no rights"}
        if method == "POST":
            self.made[body["kind"]] = body | {"metadata": body["metadata"] | {"uid": "8a6e"}}
            return 201, self.made[body["kind"]]
        if method == "DELETE":
            self.deleted.append(f"{kind}/{name}")
            return 200, {"kind": "Status", "status": "Success"}
        if name == "research-jobs":
            return 200, self.templates
        if kind == "jobs":
            over = [] if self.phases else [{"type": self.ends, "status": "True"}]
            return 200, {"status": {"conditions": over}}
        if name == "pods":
            phase = self.phases.pop(0)
            return 200, {"items": [{"metadata": {"name": "research-pod"}, "status": {"phase": phase}}]}
        if name == "log":
            return 200, "one line\nanother\n"
        return 404, {"kind": "Status", "code": 404, "message": f"{path} not found"}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster that a kubeconfig leads to."""
    (config,) = [each for each in of_kind(rendered("prod"), "ConfigMap") if each["metadata"]["name"] == "research-jobs"]
    known = Cluster(config)

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            assert self.headers["Authorization"] == "Bearer a-token"
            status, answer = known.answer(self.command, self.path, body)
            content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_one  # noqa: N815

        def log_message(self, *_):
            """Say nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig(tmp_path, monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield known
    server.shutdown()
    server.server_close()


def kubeconfig(folder, monkeypatch, address):
    text = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "quant"}}],
        "users": [{"name": "quant", "user": {"token": "a-token"}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(json.dumps(text))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "Idea 7.ipynb"
    path.write_text(json.dumps(NOTEBOOK))
    return path


def start(*words):
    done = CliRunner().invoke(app, ["run", *map(str, words), "--on", "cluster", "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def test_a_notebook_becomes_a_valid_job_of_research_with_a_share_of_the_gpu(cluster, notebook):
    started = start(notebook, "--gpu", "--set", 'symbols=["BTC/USDT"]')
    job = cluster.made["Job"]
    assert started["job"] == job["metadata"]["name"]
    assert started["job"].startswith("research-idea-7-")
    job["metadata"].pop("uid")
    kubernetes_validate.validate(job, "1.34", strict=True)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert container["command"] == [
        "sapphire",
        "run",
        "/work/notebook.ipynb",
        "--keep",
        "--set",
        'symbols=["BTC/USDT"]',
    ]
    assert pod["serviceAccountName"] == "research"
    assert pod["priorityClassName"] == "trading-system-research"
    assert pod["terminationGracePeriodSeconds"] <= 15
    assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == "research"


def test_without_a_gpu_it_asks_for_none(cluster, notebook):
    start(notebook)
    pod = cluster.made["Job"]["spec"]["template"]["spec"]
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]
    assert "nodeSelector" not in pod


def test_the_notebook_goes_with_it_without_its_outputs_and_ends_with_it(cluster, notebook):
    started = start(notebook)
    config = cluster.made["ConfigMap"]
    assert config["metadata"]["name"] == started["job"]
    (owner,) = config["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", started["job"], "8a6e")
    sent = json.loads(config["data"]["notebook.ipynb"])
    assert sent["cells"][0]["outputs"] == []
    assert sent["cells"][0]["source"] == "1 + 1"
    assert json.loads(notebook.read_text()) == NOTEBOOK
    (volume,) = [
        each for each in cluster.made["Job"]["spec"]["template"]["spec"]["volumes"] if each["name"] == "notebook"
    ]
    assert volume["configMap"]["name"] == started["job"]


def test_two_runs_of_one_notebook_are_two_jobs(cluster, notebook):
    assert start(notebook)["job"] != start(notebook)["job"]


def test_a_job_whose_notebook_is_refused_is_taken_back(cluster, notebook):
    cluster.refuses = "configmaps"
    with pytest.raises(Refused, match="configmaps is forbidden"):
        start(notebook)
    assert cluster.deleted == [f"jobs/{cluster.made['Job']['metadata']['name']}"]


def test_its_log_is_shown_until_it_is_over(cluster, notebook):
    done = CliRunner().invoke(app, ["run", str(notebook), "--on", "cluster", "--follow"], catch_exceptions=False)
    assert done.exit_code == 0
    shown = done.stderr.splitlines()
    assert [line.strip() for line in shown[1:]] == [
        "research-pod: Pending", "research-pod: Running", "one line", "another",
    ]  # fmt: skip
    cluster.phases, cluster.ends = ["Running"], "Failed"
    with pytest.raises(StudyError, match="failed; its log says why"):
        CliRunner().invoke(app, ["run", str(notebook), "--on", "cluster", "--follow"], catch_exceptions=False)


def test_what_cannot_be_a_research_job_is_refused_before_the_cluster_is_asked(cluster, notebook, tmp_path):
    with pytest.raises(UnknownFile, match="no notebook"):
        start(tmp_path / "none.ipynb")
    text = tmp_path / "text.ipynb"
    text.write_text("not JSON")
    with pytest.raises(ConfigError, match="is no notebook"):
        start(text)
    large = tmp_path / "large.ipynb"
    cell = NOTEBOOK["cells"][0] | {"source": "x" * 1_000_000}
    large.write_text(json.dumps(NOTEBOOK | {"cells": [cell]}))
    with pytest.raises(ConfigError, match="too large for a research job"):
        start(large)
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        start(notebook, "--set", "symbols")
    assert cluster.asked == []


def test_without_a_cluster_it_says_so(notebook, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no cluster is known here"):
        start(notebook)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        kubeconfig(tmp_path, monkeypatch, f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(NotReady, match="does not answer"):
            start(notebook)


def test_a_log_is_of_a_job_on_the_cluster(notebook):
    with pytest.raises(ConfigError, match="--on cluster --follow"):
        CliRunner().invoke(app, ["run", str(notebook), "--follow"], catch_exceptions=False)


def test_a_gpu_is_the_clusters(notebook):
    with pytest.raises(ConfigError, match="--on cluster --gpu"):
        CliRunner().invoke(app, ["run", str(notebook), "--gpu"], catch_exceptions=False)
