"""One L4 for two language models, and who gives way on it; `make test-cluster` runs it."""

import json

import pytest
import yaml
from cluster.nodes import SHARES
from cluster.release import installed

GPU = "nvidia.com/gpu"


@pytest.fixture(scope="module")
def release(cluster):
    with installed(cluster, "prod") as release:
        yield release


@pytest.fixture(autouse=True)
def as_installed(release):
    """Afterwards it is again as it was installed."""
    yield
    release.rollback(1)
    release.settled()


def asks(pod):
    """Shares of a GPU that a pod asks for."""
    return sum(int(each["resources"].get("limits", {}).get(GPU, 0)) for each in pod["spec"]["containers"])


def third(release):
    """Values with one language model more than the GPU has room for."""
    agents = release.values()["agents"]
    model = next(agent for agent in agents.values() if agent["runner"] == "vllm")
    return ("--set-json", f"agents.third={json.dumps(model)}")


def test_two_language_models_share_the_one_gpu(release):
    on = {name: pod["spec"]["nodeName"] for name, pod in release.pods().items() if asks(pod)}
    assert len(on) == SHARES
    assert set(on.values()) == {"gpu-a"}
    assert all(pod["spec"]["nodeName"] != "gpu-a" for pod in release.pods().values() if is_general(pod))


def is_general(pod):
    return not asks(pod) and pod["metadata"]["labels"]["app.kubernetes.io/component"] != "weights"


def test_the_quota_refuses_a_third(release):
    release.upgrade(*third(release), is_waited=False)
    found = release.cluster.wait(
        release.path("replicasets", "apps/v1"),
        lambda found: any(is_refused(name, each) for name, each in found.items()),
        "the third is refused by the quota",
    )
    assert [name for name, each in found.items() if is_refused(name, each)]
    release.cluster.get(release.path("deployments/agent-third", "apps/v1"))


def is_refused(name, replica_set):
    told = [each["message"] for each in replica_set["status"].get("conditions", ()) if each["type"] == "ReplicaFailure"]
    return name.startswith("agent-third-") and any("exceeded quota" in each and GPU in each for each in told)


def test_with_a_larger_quota_a_third_waits_for_a_share(release):
    release.upgrade(*third(release), "--set", f"quota.gpuShares={SHARES + 1}", is_waited=False)
    release.cluster.wait(
        release.path("pods"),
        lambda found: any(waits(each) for name, each in found.items() if name.startswith("agent-third-")),
        "the third waits for a GPU",
    )


def waits(pod):
    told = [each for each in pod["status"].get("conditions", ()) if each["type"] == "PodScheduled"]
    return any(each["status"] == "False" and f"Insufficient {GPU}" in each.get("message", "") for each in told)


def test_research_gives_its_share_to_a_language_model(release):
    """The pod of a research job, without the Job: here one that runs to its end would be over at once."""
    quota = ("--set", f"quota.gpuShares={SHARES + 1}")
    (*_, second) = sorted(name for name, agent in release.values()["agents"].items() if agent["runner"] == "vllm")
    release.upgrade(*quota, "--set-json", f"agents.{second}=null")
    job = yaml.safe_load(release.cluster.get(release.path("configmaps/research-jobs"))["data"]["gpu.yaml"])
    pod = {"apiVersion": "v1", "kind": "Pod", **job["spec"]["template"]}
    pod["metadata"] |= {"namespace": release.namespace, "name": "research-of-a-test"}
    release.cluster.create(pod)
    pods = release.path("pods")
    release.cluster.wait(pods, lambda found: has_node(found["research-of-a-test"]), "research has its share")
    release.upgrade(*quota, is_waited=False)
    release.cluster.wait(
        pods,
        lambda found: (
            "research-of-a-test" not in found
            and any(has_node(each) for name, each in found.items() if name.startswith(f"agent-{second}-"))
        ),
        "the language model has the share, and research has gone",
    )


def has_node(pod):
    return "nodeName" in pod["spec"]
