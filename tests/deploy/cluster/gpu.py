"""One L4 for two language models, and who gives way on it; `make test-cluster` runs it."""

import json

import pytest
import yaml
from cluster.nodes import SHARES

GPU = "nvidia.com/gpu"


@pytest.fixture
def release(prod):
    return prod


@pytest.fixture(autouse=True)
def as_installed(release):
    """Afterwards it is again as it was installed."""
    yield
    release.rollback(1)
    release.settled()


def asks(pod):
    """Shares of a GPU that a pod asks for."""
    return sum(int(each["resources"].get("limits", {}).get(GPU, 0)) for each in pod["spec"]["containers"])


def more(release, count):
    """Values with language models more than the GPU has shares for."""
    agents = release.values()["agents"]
    model = next(agent for agent in agents.values() if agent["runner"] == "vllm")
    return ("--set-json", json.dumps({"agents": {f"more-{number}": model for number in range(count)}}))


def test_two_language_models_share_the_one_gpu(release):
    on = {name: pod["spec"]["nodeName"] for name, pod in release.pods().items() if asks(pod)}
    assert len(on) == SHARES
    assert set(on.values()) == {"gpu-a"}
    assert all(pod["spec"]["nodeName"] != "gpu-a" for pod in release.pods().values() if is_general(pod))


def is_general(pod):
    return not asks(pod) and pod["metadata"]["labels"]["app.kubernetes.io/component"] != "weights"


def test_a_third_waits_for_a_share(release):
    release.upgrade(*more(release, 1), is_waited=False)
    release.cluster.wait(
        release.path("pods"),
        lambda found: any(waits(each) for name, each in found.items() if name.startswith("agent-more-0-")),
        "a third language model waits for a GPU",
    )


def waits(pod):
    conditions = [each for each in pod["status"].get("conditions", ()) if each["type"] == "PodScheduled"]
    return any(each["status"] == "False" and f"Insufficient {GPU}" in each.get("message", "") for each in conditions)


def test_more_shares_than_the_quota_has_are_refused(release):
    quota = release.foundation.values()["quota"]["gpuShares"]
    release.upgrade(*more(release, quota - SHARES + 1), is_waited=False)
    release.cluster.wait(
        release.path("replicasets", "apps/v1"),
        lambda found: any(is_refused(name, each) for name, each in found.items()),
        "one language model too many is refused by the quota",
    )


def is_refused(name, replica_set):
    conditions = replica_set["status"].get("conditions", ())
    reasons = [each["message"] for each in conditions if each["type"] == "ReplicaFailure"]
    return name.startswith("agent-more-") and any("exceeded quota" in each and GPU in each for each in reasons)


def test_research_gives_its_share_to_a_language_model(release):
    """The pod of a research job, without the Job: here one that runs to its end would be over at once."""
    (*_, second) = sorted(name for name, agent in release.values()["agents"].items() if agent["runner"] == "vllm")
    scale(release, second, 0)
    job = yaml.safe_load(release.cluster.get(release.path("configmaps/research-jobs"))["data"]["gpu.json"])
    pod = {"apiVersion": "v1", "kind": "Pod", **job["spec"]["template"]}
    pod["metadata"] |= {"namespace": release.namespace, "name": "research-of-a-test"}
    release.cluster.create(pod)
    pods = release.path("pods")
    release.cluster.wait(pods, lambda found: has_node(found["research-of-a-test"]), "research has its share")
    scale(release, second, 1)
    release.cluster.wait(
        pods,
        lambda found: (
            "research-of-a-test" not in found
            and any(has_node(each) for name, each in found.items() if name.startswith(f"agent-{second}-"))
        ),
        "the language model has the share, and research has gone",
    )


def scale(release, agent, replicas):
    deployment = f"deployment/agent-{agent}"
    release.cluster.kubectl("scale", "--namespace", release.namespace, deployment, f"--replicas={replicas}")
    if not replicas:
        pods = release.path("pods")
        gone = f"agent-{agent}-"
        release.cluster.wait(
            pods, lambda found: not any(each.startswith(gone) for each in found), f"no {gone} is there"
        )


def has_node(pod):
    return "nodeName" in pod["spec"]
