"""From a rendered workload to what podman and a kubelet are told of its pod.

Every field that is read here is honoured: by a word for podman, or by the kubelet of these tests, which makes volumes,
runs init containers, asks probes, restarts what ended and stops in order. Every other one stands in `left_out`, or
fails the translation.
"""

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from left_out import FIELDS, OBJECTS, WORKLOADS
from manifests import Fields

PULL = {"Always": "always", "IfNotPresent": "missing", "Never": "never"}
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "": 1}


@dataclass(frozen=True)
class Probe:
    """A question to a container: a command in it, or a path on a port of it."""

    command: tuple[str, ...] = ()
    path: str = ""
    port: int = 0
    every_s: float = 10.0
    within_s: float = 1.0
    failures: int = 3


@dataclass(frozen=True)
class Volume:
    """What containers of a pod share.

    Parameters
    ----------
    kind : scratch, memory, claim, secret or config.
    source : name of the Secret or ConfigMap.
    size : bytes that it may hold; 0 is no bound.
    items : files of it by their key in the source; empty takes all.
    mode : of its files.
    """

    name: str
    kind: str
    source: str = ""
    size: int = 0
    items: tuple[tuple[str, str], ...] = ()
    mode: int = 0o644


@dataclass(frozen=True)
class Mount:
    volume: str
    path: str
    read_only: bool


@dataclass(frozen=True)
class Container:
    """A container of a pod.

    Parameters
    ----------
    options : words for `podman create`, without its pod and its mounts.
    words : what stands behind the image.
    restarts : whether it is started again when it ends well.
    pre_stop : a Probe's command, or seconds, before SIGTERM.
    """

    name: str
    image: str
    options: tuple[str, ...]
    words: tuple[str, ...]
    mounts: tuple[Mount, ...]
    ports: dict[str, int]
    restarts: bool
    startup: Probe | None = None
    liveness: Probe | None = None
    readiness: Probe | None = None
    stop_command: tuple[str, ...] = ()
    stop_sleep_s: float = 0.0


@dataclass(frozen=True)
class Pod:
    """A pod of a workload; `first` are its init containers and sidecars in their order."""

    name: str
    hosts: tuple[str, ...]
    group: int
    grace_s: float
    first: tuple[Container, ...]
    containers: tuple[Container, ...]
    volumes: dict[str, Volume] = field(hash=False)


def key(resource):
    return f"{resource['kind']}/{resource['metadata']['name']}"


def listed(path, table):
    """The rows of a table that name a path."""
    return [pattern for pattern in table if fnmatchcase(path, pattern)]


def translate(objects):
    """The pods that are played, by workload.

    Parameters
    ----------
    objects : everything that Helm rendered.

    Raises
    ------
    AssertionError : a field that is neither honoured nor listed, or a row of a list that names nothing.
    """
    played, used = [], set()
    for each in objects:
        rows = listed(key(each), OBJECTS)
        used.update(rows)
        if not rows:
            played.append(Fields(_as_workload(each), key(each)))
    services = [each for each in played if each.value["kind"] == "Service"]
    configs = {each.value["metadata"]["name"]: each for each in played if each.value["kind"] == "ConfigMap"}
    pods = [
        _pod(each, services, configs) for each in played if each.value["kind"] in ("StatefulSet", "Deployment", "Pod")
    ]
    unread = {path for each in played for path in each.unread}
    for path in sorted(unread):
        rows = listed(path, FIELDS)
        assert rows, (
            f"{path} is not honoured, and stands in no list of what is left out (tests/deploy/pods/left_out.py)"
        )
        used.update(rows)
    idle = sorted((FIELDS.keys() | OBJECTS.keys() | WORKLOADS.keys()) - used)
    assert not idle, f"rows of left_out.py that leave nothing out: {idle}"
    return {pod.name: pod for pod in pods}


def _as_workload(document):
    """A pod without a controller, as `helm test` makes one, with its fields where a workload has them."""
    if document["kind"] != "Pod":
        return document
    metadata = document["metadata"]
    template = {"metadata": {"labels": metadata["labels"]}, "spec": document["spec"]}
    rest = {name: value for name, value in metadata.items() if name != "labels"}
    return document | {"metadata": rest, "spec": {"replicas": 1, "template": template}}


def _pod(workload, services, configs):
    once = workload.only("kind", "StatefulSet", "Deployment", "Pod") == "Pod"
    name = workload["metadata"]["name"]
    spec = workload["spec"]
    spec.only("replicas", 1)
    template = spec["template"]
    labels = template["metadata"]["labels"].plain()
    pod = template["spec"]
    pod.only("automountServiceAccountToken", False)
    pod.only("enableServiceLinks", False)
    pod.only("restartPolicy", *(("Never",) if once else (None, "Always")))
    group, user_words = _user(pod["securityContext"])
    volumes = {each.name: each for each in (_volume(part) for part in pod["volumes"])}
    for claim in spec.get("volumeClaimTemplates", ()):
        claimed = claim["metadata"]["name"]
        volumes[claimed] = Volume(claimed, "claim")
    made = [_container(each, configs, user_words, init=True) for each in pod.get("initContainers", ())]
    main = tuple(_container(each, configs, user_words, once=once) for each in pod["containers"])
    hosts = _hosts(services, labels, main)
    volumes = {kept: _checked(each, configs) for kept, each in volumes.items()}
    return Pod(name, hosts, group, float(pod["terminationGracePeriodSeconds"]), tuple(made), main, volumes)


def _user(context):
    """The group of its volumes, and the words that say who it is."""
    user, group = context["runAsUser"], context["runAsGroup"]
    assert context.only("runAsNonRoot", True)
    assert user != 0
    context["seccompProfile"].only("type", "RuntimeDefault")  # podman's own, unless it is told another
    shared = context["fsGroup"]
    return shared, ("--user", f"{user}:{group}", "--group-add", str(shared))


def _hosts(services, labels, containers):
    """The names of the Services that lead to it. A Service's port must be the container's: podman forwards none."""
    ports = {name: port for container in containers for name, port in container.ports.items()}
    found = []
    for service in services:
        spec = service["spec"]
        if not spec["selector"].value.items() <= labels.items():
            continue
        service.only("kind", "Service")
        spec["selector"].plain()
        spec.only("clusterIP", None, "None")
        spec.only("publishNotReadyAddresses", None, True, False)
        for port in spec["ports"]:
            name = port["name"]
            target = port["targetPort"]
            assert ports.get(target, target) == port["port"], f"{port.path}: podman cannot lead {name} to {target}"
        found.append(service["metadata"]["name"])
    return tuple(found)


def _volume(volume):
    name = volume["name"]
    if "emptyDir" in volume.value:
        empty = volume["emptyDir"]
        kind = {None: "scratch", "Memory": "memory"}[empty.get("medium")]
        return Volume(name, kind, size=bytes_of(empty["sizeLimit"]))
    if "secret" in volume.value:
        secret = volume["secret"]
        items = tuple((item["key"], item["path"]) for item in secret["items"])
        return Volume(name, "secret", secret["secretName"], items=items, mode=secret["defaultMode"])
    assert "configMap" in volume.value, f"{volume.path}: no such volume is made for podman"
    return Volume(name, "config", volume["configMap"]["name"])


def _checked(volume, configs):
    if volume.kind == "config":
        assert volume.source in configs, f"no ConfigMap {volume.source}"
        _data(configs[volume.source])
    return volume


def _data(config):
    config.only("kind", "ConfigMap")
    config["metadata"]["name"]
    return config["data"].plain()


def _container(container, configs, user_words, *, init=False, once=False):
    always = init and container.only("restartPolicy", None, "Always") == "Always"
    options = [*user_words, *_unprivileged(container["securityContext"]), *_limits(container["resources"])]
    options += ["--pull", PULL[container["imagePullPolicy"]], "--http-proxy=false"]
    for name, value in _environment(container, configs).items():
        options += ["--env", f"{name}={value}"]
    if "workingDir" in container.value:
        options += ["--workdir", container["workingDir"]]
    words = list(container["args"].plain()) if "args" in container.value else []
    if "command" in container.value:
        first, *rest = container["command"].plain()
        options += ["--entrypoint", first]
        words = [*rest, *words]
    mounts = tuple(
        Mount(each["name"], each["mountPath"], each.get("readOnly", default=False))
        for each in container["volumeMounts"]
    )
    ports = {each["name"]: each["containerPort"] for each in container.get("ports", ())}
    probes = {
        name: _probe(container.get(f"{name}Probe"), ports, container.path)
        for name in ("startup", "liveness", "readiness")
    }
    stop = _pre_stop(container.get("lifecycle"))
    return Container(
        container["name"], container["image"], tuple(options), tuple(map(str, words)), mounts, ports,
        restarts=always or not (init or once), **probes, **stop,
    )  # fmt: skip


def _unprivileged(context):
    context.only("allowPrivilegeEscalation", False)
    context.only("readOnlyRootFilesystem", True)
    context["capabilities"].only("drop", ["ALL"])
    return ("--security-opt", "no-new-privileges", "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all")


def _limits(resources):
    memory = bytes_of(resources["limits"]["memory"])
    shares = max(2, milli_of(resources["requests"]["cpu"]) * 1024 // 1000)  # as a kubelet tells the kernel
    words = ["--memory", str(memory), "--memory-swap", str(memory), "--cpu-shares", str(shares)]
    cpu = resources["limits"].get("cpu")
    return [*words, *(["--cpus", str(milli_of(cpu) / 1000)] if cpu is not None else [])]


def _environment(container, configs):
    variables = {}
    for source in container.get("envFrom", ()):
        variables |= _data(configs[source["configMapRef"]["name"]])
    for each in container.get("env", ()):
        value = each["value"]
        assert "$(" not in value, f"{each.path}: podman expands no variables"
        variables[each["name"]] = value
    return variables


def _probe(probe, ports, path):
    if probe is None:
        return None
    numbers = {
        "every_s": float(probe.get("periodSeconds", 10)),
        "within_s": float(probe.get("timeoutSeconds", 1)),
        "failures": probe.get("failureThreshold", 3),
    }
    if "exec" in probe.value:
        return Probe(command=tuple(probe["exec"]["command"].plain()), **numbers)
    port = probe["httpGet"]["port"]
    assert port in ports, f"{path}: no port {port}"
    return Probe(path=probe["httpGet"]["path"], port=ports[port], **numbers)


def _pre_stop(lifecycle):
    if lifecycle is None:
        return {}
    hook = lifecycle["preStop"]
    if "sleep" in hook.value:
        return {"stop_sleep_s": float(hook["sleep"]["seconds"])}
    return {"stop_command": tuple(hook["exec"]["command"].plain())}


def bytes_of(text):
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi|)", str(text)).groups()
    return int(number) * UNITS[unit]


def milli_of(text):
    text = str(text)
    return int(text[:-1]) if text.endswith("m") else round(float(text) * 1000)
