"""What the cluster refuses in an environment's namespace, whoever asks; `make test-cluster` runs it."""

import copy

import pytest
from cluster.client import RefusedError

ALLOWED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "probe-"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "probe",
                "image": "probe",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "10m", "memory": "16Mi"}},
            }
        ],
    },
}
BREACHES = {
    "root": ("securityContext", {"runAsNonRoot": False}),
    "no seccomp profile": ("securityContext", {"seccompProfile": {"type": "Unconfined"}}),
    "the node's network": ("", {"hostNetwork": True}),
    "the node's processes": ("", {"hostPID": True}),
    "the node's files": ("", {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
    "privileged": ("container", {"privileged": True, "allowPrivilegeEscalation": True}),
    "gaining privileges": ("container", {"allowPrivilegeEscalation": True}),
    "capabilities kept": ("container", {"capabilities": {}}),
    "a capability added": ("container", {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}),
}


@pytest.fixture
def release(prod):
    return prod


def ask(release, pod):
    """Ask for a pod without making it."""
    return release.cluster.post(release.path("pods"), pod, dryRun="All")


def test_a_pod_that_asks_for_nothing_special_is_allowed(release):
    assert ask(release, ALLOWED)["spec"]["containers"]


@pytest.mark.parametrize("breach", BREACHES)
def test_pods_are_refused_what_no_part_needs(release, breach):
    where, change = BREACHES[breach]
    pod = copy.deepcopy(ALLOWED)
    place = {"": pod["spec"], "container": pod["spec"]["containers"][0]["securityContext"]}.get(where) or pod["spec"][
        where
    ]
    place |= change
    with pytest.raises(RefusedError, match='violates PodSecurity "restricted') as refused:
        ask(release, pod)
    assert refused.value.status == 403


@pytest.mark.parametrize(("what", "much", "in_parts"), [("cpu", "500", "8"), ("memory", "4Ti", "30Gi")])
def test_more_than_a_container_or_the_quota_has_is_refused(release, what, much, in_parts):
    with pytest.raises(RefusedError, match=f"maximum {what} usage per Container is"):
        ask(release, greedy(what, much, containers=1))
    with pytest.raises(RefusedError, match=f"exceeded quota: .*requests.{what}") as refused:
        ask(release, greedy(what, in_parts, containers=9))
    assert refused.value.status == 403


def greedy(what, much, containers):
    """A pod whose containers ask for this much each."""
    pod = copy.deepcopy(ALLOWED)
    (probe,) = pod["spec"]["containers"]
    probe["resources"]["requests"][what] = probe["resources"]["limits"][what] = much
    pod["spec"]["containers"] = [probe | {"name": f"probe-{number}"} for number in range(containers)]
    return pod
