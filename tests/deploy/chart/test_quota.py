"""What runs fits into what the namespace may ask for, autoscalers at their highest; research cannot take it all."""

import re

import pytest
from rendered import ENVIRONMENTS, of_kind, pods, rendered, serving

UNITS = {"": 1, "m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def number(quantity):
    """A quantity of Kubernetes as a number."""
    digits, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity)).groups()
    return float(digits) * UNITS[unit]


def asked(pod, what):
    """What a pod asks for: its containers and sidecars together, or its greatest init container."""
    run = [each for each in pod.containers if each in pod.spec["containers"] or each.get("restartPolicy") == "Always"]
    start = [each for each in pod.containers if each not in run]
    requests = [number(each["resources"]["requests"].get(what, 0)) for each in run]
    return max(sum(requests), *(number(each["resources"]["requests"].get(what, 0)) for each in start), 0)


def most(objects, pod):
    """How many of a pod there may be."""
    for each in of_kind(objects, "HorizontalPodAutoscaler"):
        if each["metadata"]["name"] == pod.owner["metadata"]["name"]:
            return each["spec"]["maxReplicas"] + 1
    return pod.owner["spec"]["replicas"]


@pytest.fixture(params=ENVIRONMENTS)
def bounded(request):
    objects = rendered(request.param)
    return objects, {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "ResourceQuota")}


def test_what_runs_always_fits_and_leaves_research_its_share(bounded):
    objects, quotas = bounded
    for what in ("cpu", "memory"):
        share = number(quotas["research"]["hard"][f"requests.{what}"])
        running = [pod for pod in serving(objects) if pod.component != "lab"]
        need = sum(asked(pod, what) * most(objects, pod) for pod in running)
        assert need + share <= number(quotas["all"]["hard"][f"requests.{what}"]), what
    assert sum(most(objects, pod) for pod in serving(objects)) < int(quotas["all"]["hard"]["pods"])


def test_labs_and_a_research_job_fit_into_researchs_share(bounded):
    objects, quotas = bounded
    for what in ("cpu", "memory"):
        labs = sum(asked(pod, what) for pod in serving(objects) if pod.component == "lab")
        job = max(asked(pod, what) for pod in pods(objects) if pod.component == "research")
        assert labs + job <= number(quotas["research"]["hard"][f"requests.{what}"]), what
    (scope,) = quotas["research"]["scopeSelector"]["matchExpressions"]
    assert scope["values"] == ["trading-system-research"]


def test_volumes_and_shares_of_the_gpu_fit(bounded):
    objects, quotas = bounded
    claims = [each for pod in serving(objects) for each in pod.owner["spec"].get("volumeClaimTemplates", ())]
    claims += of_kind(objects, "PersistentVolumeClaim")
    sizes = [number(each["spec"]["resources"]["requests"]["storage"]) for each in claims]
    assert sum(sizes) <= number(quotas["all"]["hard"]["requests.storage"])
    shares = sum("nvidia.com/gpu" in pod.main["resources"]["limits"] for pod in serving(objects))
    assert shares < int(quotas["all"]["hard"]["requests.nvidia.com/gpu"])


def test_no_container_asks_for_more_than_one_may(bounded):
    objects, _ = bounded
    (limits,) = of_kind(objects, "LimitRange")
    container, claim = limits["spec"]["limits"]
    for pod in pods(objects):
        for each in pod.containers:
            assert number(each["resources"]["limits"]["memory"]) <= number(container["max"]["memory"])
            assert number(each["resources"]["requests"]["cpu"]) <= number(container["max"]["cpu"])
        for each in pod.owner["spec"].get("volumeClaimTemplates", ()):
            assert number(each["spec"]["resources"]["requests"]["storage"]) <= number(claim["max"]["storage"])


def test_nothing_is_put_before_the_internet_by_a_service(bounded):
    objects, quotas = bounded
    assert quotas["all"]["hard"]["services.loadbalancers"] == quotas["all"]["hard"]["services.nodeports"] == "0"
    assert all(each["spec"].get("type", "ClusterIP") == "ClusterIP" for each in of_kind(objects, "Service"))


def test_two_language_models_and_the_jobs_that_pull_them_fit_on_one_node_of_the_l4():
    """Of a g2-standard-4: what Google leaves of 4 processors and 16 GiB."""
    objects = rendered("prod")
    there = [pod for pod in pods(objects) if "cloud.google.com/gke-accelerator" in pod.spec.get("nodeSelector", ())]
    there = [pod for pod in there if pod.component in ("agent", "weights")]
    assert sorted(pod.component for pod in there) == ["agent", "agent", "weights", "weights", "weights"]
    assert sum(asked(pod, "memory") for pod in there) <= number("12800Mi")
    assert sum(asked(pod, "cpu") for pod in there) <= number("3520m")
