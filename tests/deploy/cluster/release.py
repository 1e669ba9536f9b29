"""The two charts of an environment: as they are rendered, installed, changed and removed by Helm."""

import hashlib
import json
import re
from contextlib import contextmanager
from pathlib import Path

import yaml
from cluster.nodes import disks, mounted_secrets

KUBERNETES = Path(__file__).parents[3] / "k8s"
CHART = KUBERNETES / "trading-system"
FOUNDATION = KUBERNETES / "foundation"
ENVIRONMENTS = ("dev", "staging", "prod")
HOOK = "helm.sh/hook"
RELEASE = "sapphire"
NAMESPACE = "trading-system"
"""Where an environment runs."""

CONTAINERS = ("initContainers", "containers")
IMAGES = (
    "engine",
    "platform",
    "lab",
    "mlflow",
    "valkey",
    "postgresql",
    "prometheus",
    "runner-cpu",
    "runner-cpu-torch",
    "runner-vllm",
)
DIGESTS = {name: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name in IMAGES}
"""What `make images` would say; no image is pulled here."""


def values_file(environment):
    """The file that both charts take."""
    return KUBERNETES / "environments" / f"{environment}.yaml"


def deployer(cluster, environment):
    """A client for somebody of the deployers' group; the administrator's where the environment has no groups."""
    groups = yaml.safe_load(values_file(environment).read_text()).get("roles", {}).get("deployer")
    return cluster.impersonate("ann@deployer", groups[0], "system:authenticated") if groups else cluster


class Release:
    """One environment's chart.

    Parameters
    ----------
    cluster : the administrator's client.
    environment : its values file's name.
    chart : the deployer's, or the administrator's.
    namespace : that the release lies in.
    """

    def __init__(self, cluster, environment, chart=CHART, namespace=NAMESPACE):
        self.cluster, self.environment, self.namespace = cluster, environment, namespace
        self.foundation = None if chart == FOUNDATION else Release(cluster, environment, FOUNDATION, "foundation")
        self.owner = cluster if chart == FOUNDATION else deployer(cluster, environment)
        self._where = ("--namespace", namespace)
        self._what = (str(chart), "--values", str(values_file(environment)))
        if environment != "dev":
            digests = cluster.kubeconfig.with_name("digests.yaml")
            digests.write_text(json.dumps({"global": {"image": {"digests": DIGESTS}}}))
            self._what += ("--values", str(digests))

    def rendered(self, *words):
        """The objects that Helm would make, without those of hooks; each says the namespace that it is in."""
        text = self.cluster.helm("template", RELEASE, *self._what, *self._where, *words)
        documents = [each for each in yaml.safe_load_all(text) if each]
        for each in documents:
            if self.cluster.is_namespaced(each):
                each["metadata"].setdefault("namespace", self.namespace)
        return [each for each in documents if HOOK not in each["metadata"].get("annotations", {})]

    def provide(self, rendered):
        """What a cloud has ready: disks for claims and the secrets that pods mount, where they are not there yet."""
        for document in (*disks(rendered), *mounted_secrets(rendered)):
            path = self.cluster.path_of(document)
            if document["metadata"]["name"] not in self.cluster.names(path):
                self.cluster.post(path, document)

    def install(self):
        """Install it as its environment says, and wait for all of it."""
        self.provide(self.rendered())
        self._helm("install", *self._what, *(("--create-namespace",) if self.foundation is None else ()))

    def upgrade(self, *words, by=None, is_waited=True):
        """Change it, and wait for all of it if it is waited for; `by` is who does, else whose chart it is."""
        self.provide(self.rendered(*words))
        self._helm("upgrade", *self._what, *words, by=by, is_waited=is_waited)

    def rollback(self, revision, by=None):
        """Go back to a revision, and wait for all of it."""
        self._helm("rollback", str(revision), by=by)

    def uninstall(self):
        """Remove what is there of it, and wait until it is gone."""
        self._helm("uninstall", "--ignore-not-found")

    def values(self):
        """The values that it has now, defaults among them."""
        return yaml.safe_load(self.cluster.helm("get", "values", RELEASE, "--all", *self._where, "--output", "yaml"))

    def _helm(self, verb, *words, by=None, is_waited=True):
        waiting = ("--wait", "--timeout", "120s") if is_waited else ()
        (by or self.owner).helm(verb, RELEASE, *words, *self._where, *waiting)

    def path(self, kind, group="v1"):
        """Path of a list in its namespace."""
        return f"/{'apis' if '/' in group else 'api'}/{group}/namespaces/{self.namespace}/{kind}"

    def pods(self):
        """Its live pods by name, as soon as all that are not over run and are ready."""
        return self.cluster.wait(
            self.path("pods"), lambda found: found and all(map(_is_up, found.values())), "pods run"
        )

    def settled(self):
        """Wait until each controller has all the pods it wants, of its newest template, and autoscalers their least."""
        scalers = self.cluster.get(self.path("horizontalpodautoscalers", "autoscaling/v2"))["items"]
        least = {each["spec"]["scaleTargetRef"]["name"]: each["spec"]["minReplicas"] for each in scalers}
        for kind in ("deployments", "statefulsets"):

            def are_settled(found):
                return all(_is_settled(each, least.get(name, 0)) for name, each in found.items())

            self.cluster.wait(self.path(kind, "apps/v1"), are_settled, f"{kind} have their pods")


def _is_up(pod):
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return False
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
    return status.get("phase") == "Succeeded" or (status.get("phase") == "Running" and ready)


def _is_settled(controller, least):
    wanted, status = max(least, controller["spec"]["replicas"]), controller.get("status", {})
    is_seen = status.get("observedGeneration") == controller["metadata"]["generation"]
    return is_seen and all(status.get(each, 0) == wanted for each in ("replicas", "updatedReplicas", "readyReplicas"))


@contextmanager
def installed(cluster, environment):
    """An environment that an administrator founded and a deployer installed; nothing is left of it afterwards."""
    release = Release(cluster, environment)
    try:
        release.foundation.install()
        release.install()
        release.settled()
        release.pods()
        yield release
    finally:
        for each in (release, release.foundation):
            each.uninstall()
            remove_namespace(cluster, each.namespace)


def remove_namespace(cluster, name):
    """Remove a namespace, and with it the disks that were its."""
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")
    cluster.wait("/api/v1/namespaces", lambda found: name not in found, f"namespace {name} is gone", within_s=120)
    volumes = "/api/v1/persistentvolumes"
    for each in cluster.get(volumes)["items"]:
        if each["spec"]["claimRef"]["namespace"] == name:
            cluster.delete(f"{volumes}/{each['metadata']['name']}")


def differences(rendered, live, at=""):
    """Where a live object lacks or changes what was rendered; what the cluster adds is its own."""
    if isinstance(rendered, dict) and isinstance(live, dict):
        for name, each in rendered.items():
            if name in live:
                yield from differences(each, live[name], f"{at}.{name}")
            elif each is not False and each not in (None, {}, [], ""):
                yield f"{at}.{name}: {each!r} is not there"
    elif isinstance(rendered, list) and isinstance(live, list) and len(rendered) == len(live):
        for number, (mine, theirs) in enumerate(zip(rendered, live, strict=True)):
            yield from differences(mine, theirs, f"{at}[{number}]")
    elif rendered != live and _amount(rendered) != _amount(live):
        yield f"{at}: {rendered!r} became {live!r}"


UNITS = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 1e3, "M": 1e6, "G": 1e9}


def _amount(value):
    """A quantity as a number, since the API server writes 0.5 as 500m; else the value."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", str(value))
    if found is None or found[2] not in ("", *UNITS):
        return value
    return float(found[1]) * UNITS.get(found[2], 1)


def images_of(pod):
    """Each container of a pod with its image."""
    return {each["name"]: each["image"] for kind in CONTAINERS for each in pod["spec"].get(kind, ())}
