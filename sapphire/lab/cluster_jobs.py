"""Research jobs: a notebook as a Job of the cluster, from the template that the deployed chart holds.

The chart knows images, identity, priority and secrets (ConfigMap `research-jobs`); here come name, notebook and
parameters. kubectl is the client, with whoever is signed in: what may be started is bounded on the cluster.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapphire.domain.errors import ConfigError, Refused, UnknownFile

__all__ = ["ResearchJob", "read_notebook", "research_job", "start"]

TEMPLATES = "research-jobs"
"""The ConfigMap with `cpu.json` and `gpu.json`."""
_LARGEST = 900_000
"""Bytes of a notebook: a ConfigMap holds a mebibyte."""
_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class ResearchJob:
    """What was started.

    Parameters
    ----------
    name : of the Job, and of the ConfigMap with its notebook.
    namespace : where.
    gpu : whether it has a share of a GPU.
    """

    name: str
    namespace: str
    gpu: bool

    def as_dict(self) -> dict[str, Any]:
        """Stable keys."""
        follow = f"kubectl --namespace {self.namespace} logs --follow job/{self.name}"
        return {"job": self.name, "namespace": self.namespace, "gpu": self.gpu, "next": f"started: {follow}"}


def read_notebook(path: Path) -> tuple[str, str]:
    """A notebook's name and its text without outputs, which the job makes anew.

    Raises
    ------
    UnknownFile : no such notebook.
    ConfigError : no notebook, or one that is too large.
    """
    if not path.is_file():
        raise UnknownFile(f"no notebook {path}", expected="a file .ipynb", got="none")
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is no notebook", expected="JSON as Jupyter writes it", got=type(error).__name__
        ) from None
    for cell in code:
        cell |= {"outputs": [], "execution_count": None}
    text = json.dumps(notebook, ensure_ascii=False)
    if len(text.encode()) > _LARGEST:
        raise ConfigError(
            f"{path} is too large for a research job",
            expected=f"at most {_LARGEST} bytes without outputs",
            got=str(len(text.encode())),
            next="keep pictures and data beside it, in the place",
        )
    return path.stem, text


def research_job(
    template: Mapping[str, Any], notebook: str, parameters: Mapping[str, Any], *, namespace: str
) -> dict[str, Any]:
    """The Job of a template, for a notebook and its parameters.

    Parameters
    ----------
    template : a Job with a volume `notebook`, as the chart renders it.
    notebook : what it is called; part of the Job's name.
    parameters : of the notebook; plain values.
    """
    job: dict[str, Any] = json.loads(json.dumps(template))
    slug = re.sub(r"[^a-z0-9]+", "-", notebook.lower()).strip("-")[:30] or "notebook"
    name = f"research-{slug}-{secrets.token_hex(3)}"
    job["metadata"] |= {"name": name, "namespace": namespace}
    pod = job["spec"]["template"]["spec"]
    for volume in pod["volumes"]:
        if volume["name"] == "notebook":
            volume["configMap"]["name"] = name
    words = [f"{key}={json.dumps(value)}" for key, value in parameters.items()]
    pod["containers"][0]["command"] += [word for each in words for word in ("--set", each)]
    return job


def start(notebook: tuple[str, str], parameters: Mapping[str, Any], *, gpu: bool, namespace: str) -> ResearchJob:
    """Start a research job; its notebook goes with it when it is deleted.

    Parameters
    ----------
    notebook : name and text, as `read_notebook` gives them.

    Raises
    ------
    ConfigError : no kubectl, or a cluster without research jobs.
    Refused : the cluster does not take it.
    """
    name, text = notebook
    templates = json.loads(_kubectl(namespace, "get", "configmap", TEMPLATES, "--output", "json"))["data"]
    job = research_job(json.loads(templates["gpu.json" if gpu else "cpu.json"]), name, parameters, namespace=namespace)
    made = json.loads(_kubectl(namespace, "create", "--filename", "-", "--output", "json", given=json.dumps(job)))
    metadata = made["metadata"]
    holder = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": metadata["name"], "namespace": namespace, "ownerReferences": [holder]},
        "data": {"notebook.ipynb": text},
    }
    try:
        _kubectl(namespace, "create", "--filename", "-", given=json.dumps(config))
    except Refused:
        _kubectl(namespace, "delete", "job", metadata["name"])
        raise
    return ResearchJob(metadata["name"], namespace, gpu)


def _kubectl(namespace: str, *words: str, given: str | None = None) -> str:
    """What kubectl answers."""
    try:
        done = subprocess.run(
            ("kubectl", "--namespace", namespace, *words),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=_WITHIN_S,
        )
    except FileNotFoundError:
        raise ConfigError(
            "no kubectl", expected="kubectl on the PATH, signed in to the cluster", got="none", next="install it"
        ) from None
    except subprocess.TimeoutExpired:
        raise Refused("the cluster does not answer", expected=f"an answer within {_WITHIN_S} s", got="none") from None
    if done.returncode != 0:
        raise Refused(
            f"the cluster refused kubectl {' '.join(words[:3])}",
            expected="the rights of a quant, and the chart of the trading system in this namespace",
            got=done.stderr.strip(),
        )
    return done.stdout
