"""Research jobs: a notebook as a Job of the cluster, from the template that the deployed chart holds.

The chart knows images, identity, priority and secrets (ConfigMap `research-jobs`); here come name, notebook and
parameters. The cluster is asked as kubectl would: by the kubeconfig, or by the account of the pod that this runs in.
What may be started is bounded on the cluster.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import ConfigError, NotReady, Refused, StudyError, UnknownFile

if TYPE_CHECKING:
    from kr8s.asyncio import Api

__all__ = ["ResearchJob", "follow", "read_notebook", "research_job", "start"]

TEMPLATES = "research-jobs"
"""The ConfigMap with `cpu.json` and `gpu.json`."""
_LARGEST = 900_000
"""Bytes of a notebook: a ConfigMap holds a mebibyte."""
_WITHIN_S = 60
_LOOKS_S = 1.0
_ENDS = {"Complete": True, "Failed": False}
"""Conditions of a Job that is over, and whether its notebook ran to the end."""


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
        look = f"kubectl --namespace {self.namespace} logs --follow job/{self.name}"
        return {"job": self.name, "namespace": self.namespace, "gpu": self.gpu, "next": f"started: {look}"}


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
    ConfigError : no cluster is known here.
    NotReady : it does not answer.
    Refused : it does not take the job, or has no research jobs.
    """
    with _refusals():
        return asyncio.run(_start(notebook, parameters, gpu=gpu, namespace=namespace))


def follow(job: ResearchJob) -> None:
    """Show the log of a research job on stderr until it is over.

    Raises
    ------
    NotReady : the cluster does not answer.
    Refused : it shows no log.
    StudyError : the notebook failed.
    """
    with _refusals():
        asyncio.run(_follow(job))


async def _start(notebook: tuple[str, str], parameters: Mapping[str, Any], *, gpu: bool, namespace: str) -> ResearchJob:
    api = await _cluster(namespace)
    name, text = notebook
    templates = (await _call(api, "GET", "v1", namespace, f"configmaps/{TEMPLATES}"))["data"]
    job = research_job(json.loads(templates["gpu.json" if gpu else "cpu.json"]), name, parameters, namespace=namespace)
    metadata = (await _call(api, "POST", "batch/v1", namespace, "jobs", job))["metadata"]
    holder = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": metadata["name"], "namespace": namespace, "ownerReferences": [holder]},
        "data": {"notebook.ipynb": text},
    }
    try:
        await _call(api, "POST", "v1", namespace, "configmaps", config)
    except BaseException:
        how = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        await _call(api, "DELETE", "batch/v1", namespace, f"jobs/{metadata['name']}", how)
        raise
    return ResearchJob(metadata["name"], namespace, gpu)


async def _follow(job: ResearchJob) -> None:
    api = await _cluster(job.namespace)
    shown: set[tuple[str, str]] = set()
    logged: set[str] = set()
    while True:
        status = (await _call(api, "GET", "batch/v1", job.namespace, f"jobs/{job.name}"))["status"]
        ends = [_ENDS[each["type"]] for each in status.get("conditions", ()) if each["type"] in _ENDS]
        if ends and not ends[0]:
            raise StudyError(f"research job {job.name} failed; its log says why")
        if ends:
            return
        for pod in (await _call(api, "GET", "v1", job.namespace, f"pods?labelSelector=job-name={job.name}"))["items"]:
            name, phase = pod["metadata"]["name"], pod["status"].get("phase", "Pending")
            if (name, phase) in shown:
                continue
            shown.add((name, phase))
            sys.stderr.write(f"  {name}: {phase}\n")
            if phase != "Pending" and name not in logged:
                logged.add(name)
                await _show_log(api, job.namespace, name)
        await asyncio.sleep(_LOOKS_S)


async def _show_log(api: Api, namespace: str, pod: str) -> None:
    path, params = f"pods/{pod}/log", {"follow": "true"}
    async with api.call_api(
        "GET", version="v1", namespace=namespace, url=path, params=params, stream=True, timeout=None
    ) as log:
        async for line in log.aiter_lines():
            sys.stderr.write(f"{line}\n")


async def _cluster(namespace: str) -> Api:
    import kr8s.asyncio

    try:
        api = await kr8s.asyncio.api(namespace=namespace)
    except ValueError:
        raise ConfigError(
            "no cluster is known here",
            expected="a kubeconfig (KUBECONFIG, or ~/.kube/config), or a pod with an account of the cluster",
            got="neither",
        ) from None
    api.timeout = _WITHIN_S
    return api


async def _call(
    api: Api, method: str, version: str, namespace: str, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    async with api.call_api(method, version=version, namespace=namespace, url=path, json=body) as answer:
        facts: dict[str, Any] = answer.json()
    return facts


@contextmanager
def _refusals() -> Iterator[None]:
    """A cluster's refusals and its silence as this product's errors."""
    import httpx
    import kr8s

    try:
        yield
    except kr8s.ServerError as refused:
        raise Refused(
            "the cluster refused",
            expected="the rights of a quant, and the chart of the trading system in this namespace",
            got=str(refused),
        ) from None
    except (kr8s.APITimeoutError, httpx.TransportError) as error:
        raise NotReady(
            "the cluster does not answer", expected=f"an answer within {_WITHIN_S} s", got=str(error) or "none"
        ) from None
