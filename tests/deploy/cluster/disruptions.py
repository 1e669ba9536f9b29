"""Machines that are drained or have no room, and who gives way; `make test-cluster` runs it."""

import pytest
from cluster.client import RefusedError


@pytest.fixture
def release(prod):
    return prod


@pytest.fixture
def closed(cluster):
    """No node takes another pod."""
    nodes = cluster.names("/api/v1/nodes")
    cluster.kubectl("cordon", *nodes)
    yield
    cluster.kubectl("uncordon", *nodes)


def evict(release, name):
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": release.namespace},
    }
    release.cluster.post(f"{release.path('pods')}/{name}/eviction", eviction)


def budgets(release):
    return release.cluster.get(release.path("poddisruptionbudgets", "policy/v1"))["items"]


def of(release, labels):
    """Names of the live pods that have these labels."""
    return [name for name, pod in release.pods().items() if labels.items() <= pod["metadata"]["labels"].items()]


def test_what_has_replicas_has_a_budget_and_single_writers_have_none(release):
    by_workload = {}
    for pod in release.pods().values():
        if pod["status"]["phase"] == "Running":
            by_workload.setdefault(pod["metadata"]["labels"]["app.kubernetes.io/name"], []).append(pod)
    several = {name for name, pods in by_workload.items() if len(pods) > 1}
    assert several
    assert {each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] for each in budgets(release)} == several


def test_a_budget_holds_the_second_eviction_until_the_first_is_made_good(release, closed):
    budget = budgets(release)[0]
    first, second, *_ = of(release, budget["spec"]["selector"]["matchLabels"])
    evict(release, first)
    with pytest.raises(RefusedError, match="disruption budget") as refused:
        evict(release, second)
    assert refused.value.status == 429


def test_the_evicted_replica_comes_back_and_then_the_second_may_go(release):
    release.settled()
    budget = budgets(release)[0]
    path = release.path("poddisruptionbudgets", "policy/v1")
    name = budget["metadata"]["name"]
    release.cluster.wait(path, lambda found: found[name]["status"]["disruptionsAllowed"] == 1, "the budget is whole")
    evict(release, of(release, budget["spec"]["selector"]["matchLabels"])[0])
    release.settled()
