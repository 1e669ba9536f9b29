"""The two charts as Helm renders them for an environment: the administrator's and the deployer's."""

import functools
import hashlib
from pathlib import Path
from types import SimpleNamespace

import helm_python
import yaml

REPOSITORY = Path(__file__).parents[3]
CHART = REPOSITORY / "k8s/trading-system"
FOUNDATION = REPOSITORY / "k8s/foundation"
ENVIRONMENTS = ("dev", "staging", "prod")
NAMESPACE = "trading-system"
IMAGES = (
    "engine", "platform", "lab", "mlflow", "valkey", "postgresql", "prometheus",
    "runner-cpu", "runner-cpu-torch", "runner-vllm",
)  # fmt: skip
CONTROLLERS = ("Deployment", "StatefulSet", "CronJob", "Job", "Pod")


def merged(below, above):
    """Values over values, as Helm lays one file over another."""
    return below | {
        key: merged(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }


def digests():
    """What stands for the digests of the images, which are known when they are pushed."""
    return {name: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name in IMAGES}


def values_of(environment, **more):
    values = yaml.safe_load((REPOSITORY / f"k8s/environments/{environment}.yaml").read_text())
    if environment != "dev":
        values = merged(values, {"global": {"image": {"digests": digests()}}})
    return merged(values, more)


def render(values, chart=CHART, namespace=NAMESPACE):
    """Every object of a chart, in the order of the files; what is wrong with the values is raised as Helm says it."""
    with helm_python.Chart.load(chart) as loaded:
        files = loaded.render(values, name="sapphire", namespace=namespace)
    return [
        each for name, text in sorted(files.items()) if not name.endswith((".tpl", ".txt"))
        for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each
    ]  # fmt: skip


def render_foundation(values):
    """What the administrator makes, from a release that lies in another namespace."""
    return render(values, FOUNDATION, "foundation")


@functools.cache
def founded(environment):
    """What is an administrator's."""
    return render_foundation(values_of(environment))


@functools.cache
def deployed(environment):
    """What is a deployer's."""
    return render(values_of(environment))


def rendered(environment):
    """All of an environment."""
    return [*founded(environment), *deployed(environment)]


def key(resource):
    """A resource's place in the cluster."""
    return f"{resource['kind']}/{resource['metadata']['name']}"


def of_kind(objects, *kinds):
    return [each for each in objects if each["kind"] in kinds]


def pods(objects):
    """The pod of each workload and job, those of the research jobs' templates among them."""
    templates = [
        yaml.safe_load(text) | {"file": name}
        for each in of_kind(objects, "ConfigMap") if each["metadata"]["name"] == "research-jobs"
        for name, text in each["data"].items()
    ]  # fmt: skip
    found = []
    for each in [*of_kind(objects, *CONTROLLERS), *templates]:
        spec = each["spec"]
        if each["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        pod = each if each["kind"] == "Pod" else spec["template"]
        found.append(
            SimpleNamespace(
                name=f"{key(each)}{'/' + each['file'] if 'file' in each else ''}",
                owner=each,
                metadata=pod["metadata"],
                labels=pod["metadata"]["labels"],
                spec=pod["spec"],
                component=pod["metadata"]["labels"]["app.kubernetes.io/component"],
                containers=[*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]],
                main=pod["spec"]["containers"][0],
            )
        )
    return found


def serving(objects):
    """The pods that run until they are told to end."""
    return [pod for pod in pods(objects) if pod.owner["kind"] in ("Deployment", "StatefulSet")]
