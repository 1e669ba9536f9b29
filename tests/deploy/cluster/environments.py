"""Each environment, installed unchanged by Helm, changed, taken back and removed; `make test-cluster` runs it.

No kubelet is here: a pod that is Running was admitted and given a node, and its disks are bound; no container runs.
"""

import json
from collections import Counter

import pytest
import yaml
from cluster.arrows import open_ports
from cluster.release import CHART, ENVIRONMENTS, differences, images_of, installed

NEW_DIGEST = "sha256:" + "5" * 64


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def release(request, cluster):
    with installed(cluster, request.param) as release:
        yield release


def changed(release, rendered):
    """Where live objects are not as rendered."""
    found = {}
    for document in rendered:
        at = f"{document['kind']}/{document['metadata']['name']}"
        found[at] = list(differences(document, release.cluster.live(document)))
    return {at: each for at, each in found.items() if each}


def kept_pods(before, after):
    """Names of pods that are the same pods still."""
    return {
        name
        for name, pod in before.items()
        if after.get(name, {}).get("metadata", {}).get("uid") == pod["metadata"]["uid"]
    }


def test_it_is_installed_unchanged(release):
    for who, each in (("an administrator's", release.foundation), ("a deployer's", release)):
        rendered = each.rendered()
        kinds = Counter(document["kind"] for document in rendered)
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        print(f"\n{release.environment}: {len(rendered)} objects of {who} chart, {listed}")
        assert changed(release, rendered) == {}


def test_the_server_has_no_warning_for_it(release):
    objects = [*release.foundation.rendered(), *release.rendered()]
    rendered = "\n---\n".join(yaml.safe_dump(each) for each in objects)
    answer = release.cluster.kubectl(
        *(
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "--warnings-as-errors",
        ),
        *("--field-manager=test", "-f", "-"),
        stdin=rendered,
    )
    assert "Warning" not in answer


def test_every_pod_runs_and_every_disk_is_bound(release):
    pods = release.pods()
    release.settled()
    claims = release.cluster.get(release.path("persistentvolumeclaims"))["items"]
    print(f"\n{release.environment}: {len(pods)} pods, {len(claims)} disks")
    assert {each["status"]["phase"] for each in claims} == {"Bound"}


def test_replicas_are_spread_over_zones(release):
    zone_of = zones(release)
    for name, pods in replicas(release).items():
        if len(pods) > 1 and "cloud.google.com/gke-accelerator" not in pods[0]["spec"].get("nodeSelector", {}):
            counts = Counter(zone_of[each["spec"]["nodeName"]] for each in pods)
            counts = [counts[zone] for zone in set(zone_of.values())]
            assert max(counts) - min(counts) <= 1, f"{name} is in zones {counts}"


def zones(release):
    """The zone of each node."""
    nodes = release.cluster.get("/api/v1/nodes")["items"]
    return {each["metadata"]["name"]: each["metadata"]["labels"]["topology.kubernetes.io/zone"] for each in nodes}


def replicas(release):
    """The live pods of each workload."""
    found = {}
    for pod in release.pods().values():
        found.setdefault(pod["metadata"]["labels"]["app.kubernetes.io/name"], []).append(pod)
    return found


def test_an_account_is_decided_and_traded_on_one_node(release):
    pods = release.pods()
    for name, pod in pods.items():
        if name.startswith("coordinator-"):
            engine = pods[name.replace("coordinator-", "engine-")]
            assert pod["spec"]["nodeName"] == engine["spec"]["nodeName"]


def test_connections_are_those_of_the_table_and_no_others(release):
    """As the policies say it: no network is here that would enforce them."""
    wanted = {}
    for arrow in yaml.safe_load((CHART / "files" / "arrows.yaml").read_text())["arrows"]:
        wanted.setdefault((arrow["from"], arrow["to"]), set()).update(arrow["ports"])
    policies = release.cluster.get(release.path("networkpolicies", "networking.k8s.io/v1"))["items"]
    pods = {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in release.pods().values()}
    found = {(source, target): open_ports(policies, pods[source], pods[target]) for source in pods for target in pods}
    found = {pair: ports for pair, ports in found.items() if ports}
    print(f"\n{release.environment}: {len(policies)} policies, {len(found)} pairs of parts may connect")
    assert found == {pair: ports for pair, ports in wanted.items() if set(pair) <= set(pods)}


def test_an_agent_more_is_an_entry_more_and_goes_again(release):
    before, rendered = release.pods(), release.rendered()
    words = ("--set-json", f"agents.another={json.dumps(agent_of(release))}")
    release.upgrade(*words)
    release.settled()
    with_it = release.rendered(*words)
    assert changed(release, with_it) == {}
    new = {(each["kind"], each["metadata"]["name"]) for each in with_it} - {
        (each["kind"], each["metadata"]["name"]) for each in rendered
    }
    assert {name for _, name in new} >= {"agent-another"}
    assert all("another" in name for _, name in new)
    assert any(name.startswith("agent-another-") for name in release.pods())
    print(f"\n{release.environment}: an agent more is {len(new)} objects more")
    assert kept_pods(before, release.pods()) == set(before), "another agent restarts what runs"
    release.rollback(1)
    release.settled()
    assert changed(release, rendered) == {}
    for kind, name in new:
        (document,) = (each for each in with_it if (each["kind"], each["metadata"]["name"]) == (kind, name))
        assert name not in release.cluster.names(release.cluster.path_of(document))


def agent_of(release):
    """An entry like the one without torch, for which there is room: where there is none, research gives way."""
    return next(agent for agent in release.values()["agents"].values() if agent["runner"] == "cpu")


def test_policies_are_such_as_the_server_can_read(release):
    """It checks each expression against the types of what it is asked of, and says so in the policy's status."""
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    wanted = {
        each["metadata"]["name"]
        for each in release.foundation.rendered()
        if each["kind"] == "ValidatingAdmissionPolicy"
    }
    found = release.cluster.wait(
        policies,
        lambda found: all("typeChecking" in found[name].get("status", {}) for name in wanted),
        "policies are checked",
    )
    for name in wanted:
        assert found[name]["status"]["typeChecking"].get("expressionWarnings", []) == [], name


def test_a_new_image_replaces_its_own_pods_and_goes_back(release):
    before = release.pods()
    release.upgrade("--set", f"global.image.digests.engine={NEW_DIGEST}")
    release.settled()
    after = release.pods()
    of_engine = {name for name, pod in before.items() if any("/engine" in each for each in images_of(pod).values())}
    assert of_engine
    for name in of_engine:
        assert any(image.endswith(f"/engine@{NEW_DIGEST}") for image in images_of(after[name]).values())
    assert kept_pods(before, after) == set(before) - of_engine
    release.rollback(1)
    release.settled()
    assert {name: images_of(pod) for name, pod in release.pods().items()} == {
        name: images_of(pod) for name, pod in before.items()
    }


def test_what_is_removed_leaves_the_disks_alone(release):
    claims = set(release.cluster.names(release.path("persistentvolumeclaims")))
    rendered = release.rendered()
    release.uninstall()
    left = {
        (document["kind"], document["metadata"]["name"])
        for document in rendered
        if document["metadata"]["name"] in release.cluster.names(release.cluster.path_of(document))
    }
    kept = {(each["kind"], each["metadata"]["name"]) for each in rendered if is_kept(each)}
    assert left == kept
    assert release.cluster.names(release.path("persistentvolumeclaims")) == claims
    release.cluster.wait(release.path("pods"), lambda found: not found, "pods are gone")


def is_kept(document):
    return document["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
