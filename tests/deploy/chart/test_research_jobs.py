"""`sapphire run NOTEBOOK --on cluster`: the Job that is made of what the chart renders."""

import json
import stat
import sys
import textwrap

import kubernetes_validate
import pytest
from rendered import of_kind, rendered
from typer.testing import CliRunner

from sapphire.cli import app
from sapphire.domain.errors import ConfigError, Refused, UnknownFile

NOTEBOOK = {
    "cells": [{"cell_type": "code", "id": "a", "metadata": {}, "source": "1 + 1", "execution_count": 3,
               "outputs": [{"output_type": "stream", "name": "stdout", "text": "a secret table"}]}],
    "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster's answers to kubectl: it has the chart's ConfigMap, and keeps what is created."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    (config,) = [each for each in of_kind(rendered("prod"), "ConfigMap") if each["metadata"]["name"] == "research-jobs"]
    (folder / "research-jobs.json").write_text(json.dumps(config))
    kubectl = tmp_path / "bin/kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(
        textwrap.dedent(f"""\
        #!{sys.executable}
        import json, pathlib, sys
        folder, words = pathlib.Path({str(folder)!r}), sys.argv[1:]
        if words[2:4] == ["get", "configmap"]:
            print((folder / (words[4] + ".json")).read_text())
        elif words[2] == "create":
            made = json.load(sys.stdin)
            if (folder / "refuses").exists() and made["kind"] == "ConfigMap":
                sys.exit("Error from server (Forbidden): configmaps is forbidden")
            made["metadata"]["uid"] = "8a6e"
            (folder / ("made-" + made["kind"] + ".json")).write_text(json.dumps(made))
            print(json.dumps(made))
        elif words[2] == "delete":
            (folder / "deleted").write_text(" ".join(words[3:]))
        """)
    )
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(kubectl.parent))
    return folder


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "Idea 7.ipynb"
    path.write_text(json.dumps(NOTEBOOK))
    return path


def start(*words):
    done = CliRunner().invoke(app, ["run", *map(str, words), "--on", "cluster", "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def made(cluster, kind):
    return json.loads((cluster / f"made-{kind}.json").read_text())


def test_a_notebook_becomes_a_valid_job_of_research_with_a_share_of_the_gpu(cluster, notebook):
    started = start(notebook, "--gpu", "--set", 'symbols=["BTC/USDT"]')
    job = made(cluster, "Job")
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
    pod = made(cluster, "Job")["spec"]["template"]["spec"]
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]
    assert "nodeSelector" not in pod


def test_the_notebook_goes_with_it_without_its_outputs_and_ends_with_it(cluster, notebook):
    started = start(notebook)
    config = made(cluster, "ConfigMap")
    assert config["metadata"]["name"] == started["job"]
    (owner,) = config["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", started["job"], "8a6e")
    sent = json.loads(config["data"]["notebook.ipynb"])
    assert sent["cells"][0]["outputs"] == []
    assert sent["cells"][0]["source"] == "1 + 1"
    assert json.loads(notebook.read_text()) == NOTEBOOK
    (volume,) = [
        each for each in made(cluster, "Job")["spec"]["template"]["spec"]["volumes"] if each["name"] == "notebook"
    ]
    assert volume["configMap"]["name"] == started["job"]


def test_two_runs_of_one_notebook_are_two_jobs(cluster, notebook):
    assert start(notebook)["job"] != start(notebook)["job"]


def test_a_job_whose_notebook_is_refused_is_taken_back(cluster, notebook):
    (cluster / "refuses").touch()
    with pytest.raises(Refused, match="configmaps is forbidden"):
        start(notebook)
    assert (cluster / "deleted").read_text() == f"job {made(cluster, 'Job')['metadata']['name']}"


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
    assert list(cluster.glob("made-*")) == []


def test_without_kubectl_it_says_so(notebook, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no kubectl"):
        start(notebook)


def test_a_gpu_is_the_clusters(notebook):
    with pytest.raises(ConfigError, match="--on cluster --gpu"):
        CliRunner().invoke(app, ["run", str(notebook), "--gpu"], catch_exceptions=False)
