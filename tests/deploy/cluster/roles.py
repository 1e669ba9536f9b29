"""Who may do what in an environment, asked of the API server; `make test-cluster` runs it."""

import copy
import json
import os
import subprocess
import sys
import time

import pytest
import yaml
from cluster.client import RefusedError
from cluster.release import CHART, FOUNDATION, RELEASE

TABLE = yaml.safe_load((FOUNDATION / "files" / "roles.yaml").read_text())["roles"]
NOBODYS = {
    "pods/exec": ("create", "get"),
    "pods/attach": ("create", "get"),
    "pods/ephemeralcontainers": ("update", "patch"),
    "secrets": ("get", "list", "watch", "create", "update", "patch", "delete"),
    "serviceaccounts/token": ("create",),
    "roles": ("create", "update", "patch", "delete", "bind", "escalate"),
    "rolebindings": ("create", "update", "patch", "delete"),
    "resourcequotas": ("create", "update", "patch", "delete"),
    "limitranges": ("create", "update", "patch", "delete"),
}
GROUPS = {"roles": "rbac.authorization.k8s.io", "rolebindings": "rbac.authorization.k8s.io"}
OUTSIDE = {
    "nodes": ("", ("get", "list", "patch", "delete")),
    "namespaces": ("", ("create", "patch", "delete")),
    "persistentvolumes": ("", ("get", "delete")),
    "priorityclasses": ("scheduling.k8s.io", ("create", "patch", "delete")),
    "clusterroles": ("rbac.authorization.k8s.io", ("create", "patch", "bind", "escalate")),
    "validatingadmissionpolicies": ("admissionregistration.k8s.io", ("create", "patch", "delete")),
    "users": ("", ("impersonate",)),
}


@pytest.fixture
def release(prod):
    return prod


@pytest.fixture
def people(release):
    """A client for somebody of each role's group, and of nobody's."""
    groups = {role: names[0] for role, names in release.foundation.values()["roles"].items()}
    found = {
        role: release.cluster.impersonate(f"ann@{role}", group, "system:authenticated")
        for role, group in groups.items()
    }
    return found | {"nobody": release.cluster.impersonate("ann@nobody", "system:authenticated")}


def allowed(client, namespace):
    """What somebody may do with which resources of the namespace, by name where it is by name."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    status = client.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]
    assert not status["incomplete"]
    return spread(status["resourceRules"])


def spread(rules):
    return {
        (group, resource, verb, name)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or ("",)
    }


@pytest.mark.parametrize("role", TABLE)
def test_a_role_may_do_what_its_row_says_and_nothing_else(release, people, role):
    of_all = allowed(people["nobody"], release.namespace)
    assert allowed(people[role], release.namespace) - of_all == spread(TABLE[role]["rules"])


@pytest.mark.parametrize("role", [*TABLE, "nobody"])
def test_nobody_execs_reads_secrets_or_changes_the_rules(release, people, role):
    granted = [
        f"{verb} {what}"
        for what, verbs in NOBODYS.items()
        for verb in verbs
        if may(people[role], verb, what, release.namespace)
    ]
    granted += [
        f"{verb} {what}"
        for what, (group, verbs) in OUTSIDE.items()
        for verb in verbs
        if people[role].may(verb, what, group=group)
    ]
    assert granted == []


def may(client, verb, what, namespace):
    resource, _, subresource = what.partition("/")
    return client.may(verb, resource, namespace, group=GROUPS.get(what, ""), subresource=subresource)


@pytest.mark.parametrize("role", TABLE)
def test_the_server_refuses_a_shell_in_the_engine(release, people, role):
    with pytest.raises(RuntimeError, match=r'cannot (create|get) resource "pods/exec"'):
        people[role].kubectl("exec", "--namespace", release.namespace, "engine-paper-0", "--", "true")


def test_workloads_may_ask_the_cluster_for_nothing_but_what_their_arrows_say(release):
    namespace = release.namespace
    granted = {}
    for name in release.cluster.names(release.path("serviceaccounts")):
        account = f"system:serviceaccount:{namespace}:{name}"
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        client = release.cluster.impersonate(account, *groups)
        nobody = release.cluster.impersonate(account + "x", *groups)
        granted[name] = allowed(client, namespace) - allowed(nobody, namespace)
    arrows = yaml.safe_load((CHART / "files" / "arrows.yaml").read_text())["arrows"]
    ask = {each["from"] for each in arrows if each["to"] == "api-server"}
    assert {name.split("-")[0] for name, rules in granted.items() if rules} == ask
    assert not {rule for rules in granted.values() for rule in rules if rule[1].partition("/")[0] == "secrets"}


def research_job(release, kind="cpu"):
    """The Job that `sapphire run NOTEBOOK --on cluster` makes, as the environment has it for people."""
    job = yaml.safe_load(release.cluster.get(release.path("configmaps/research-jobs"))["data"][f"{kind}.json"])
    job["metadata"] |= {"name": "research-of-a-test", "namespace": release.namespace}
    return job


def change(path, value):
    """What sets a field of a Job's pod."""

    def make(job):
        *way, last = path
        at = job["spec"]["template"]
        for each in way:
            at = at[each]
        at[last] = value

    return make


def test_a_lab_starts_a_notebook_by_its_own_account(release, tmp_path):
    """`sapphire run NOTEBOOK --on cluster`, as in the pod of a lab: with the token of its ServiceAccount."""
    lab = sorted(name for name in release.cluster.names(release.path("serviceaccounts")) if name.startswith("lab-"))[0]
    where = ("--namespace", release.namespace)
    token = release.cluster.kubectl("create", "token", lab, *where).strip()
    config = yaml.safe_load(release.cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "idea.ipynb").write_text(json.dumps(notebook))
    words = [sys.executable, "-m", "sapphire.cli", "run", str(tmp_path / "idea.ipynb"), "--on", "cluster", "--json"]
    environment = os.environ | {"KUBECONFIG": str(tmp_path / "kubeconfig"), "SAPPHIRE_NAMESPACE": release.namespace}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    name = json.loads(done.stdout)["job"]
    job = release.cluster.get(f"{release.path('jobs', 'batch/v1')}/{name}")
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "research"
    sent = release.cluster.get(f"{release.path('configmaps')}/{name}")
    assert sent["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    assert json.loads(sent["data"]["notebook.ipynb"])["nbformat"] == 4
    release.cluster.kubectl("delete", "job", name, *where)


def test_a_deployer_runs_helm_test(release, people):
    """The pod is let in and has a node, where nobody runs it; `make test-pods` runs it."""
    with pytest.raises(RuntimeError, match=r"timed out|deadline"):
        people["deployer"].helm("test", RELEASE, "--namespace", release.namespace, "--timeout", "5s")
    path = f"{release.path('pods')}/round-trip"
    assert release.cluster.get(path)["spec"]["nodeName"]
    people["deployer"].delete(path)


BREACHES = {
    "as the ServiceAccount research": change(("spec", "serviceAccountName"), "engine-paper"),
    "has the label of research, by which": lambda job: job["metadata"].update(
        labels={"app.kubernetes.io/component": "engine"}
    ),
    "pod has the label of research": change(("metadata", "labels", "app.kubernetes.io/component"), "engine"),
    "has the priority of research": change(("spec", "priorityClassName"), "trading-system-execution"),
    "runs the images": change(("spec", "containers", 0, "image"), "somebody/elses:latest"),
    "nobody else's": lambda job: job["spec"]["template"]["spec"]["volumes"].append(
        {"name": "keys", "secret": {"secretName": "engine-paper"}}
    ),
    "no secret as environment": change(("spec", "containers", 0, "envFrom"), [{"secretRef": {"name": "engine-paper"}}]),
}


def test_a_quant_starts_a_research_job(release, people):
    made = people["quant"].post(release.path("jobs", "batch/v1"), research_job(release), dryRun="All")
    assert made["spec"]["template"]["spec"]["serviceAccountName"] == "research"


@pytest.mark.parametrize("sentence", BREACHES)
def test_a_quants_job_is_research_and_nothing_else(release, people, sentence):
    job = copy.deepcopy(research_job(release))
    BREACHES[sentence](job)
    with pytest.raises(RefusedError, match=sentence):
        people["quant"].post(release.path("jobs", "batch/v1"), job, dryRun="All")


def test_without_the_images_that_a_deployer_names_there_is_no_research_job(release, people):
    release.cluster.delete(f"{release.path('configmaps')}/images")
    try:
        with pytest.raises(RefusedError, match="no params found"):
            wait_until_refused(people["quant"], release)
    finally:
        release.upgrade()


def wait_until_refused(quant, release, within_s=10):
    """The server reads a policy's parameters from a cache that follows what is written."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        quant.post(release.path("jobs", "batch/v1"), research_job(release), dryRun="All")
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["images", "plan-b", "environment", "research-jobs"])
def test_a_quant_makes_no_configmap_but_a_notebooks(release, people, name):
    def config(name):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"notebook.ipynb": "{}"}}

    path = release.path("configmaps")
    assert people["quant"].post(path, config("research-idea-1"), dryRun="All")["data"]
    with pytest.raises(RefusedError, match="the ConfigMap of a notebook alone"):
        people["quant"].post(path, config(name), dryRun="All")


def scale(client, release, name, count):
    """As kubectl does it, without doing it."""
    words = ("scale", "--namespace", release.namespace, f"deployment/{name}", f"--replicas={count}")
    return client.kubectl(*words, "--dry-run=server")


@pytest.mark.parametrize("name", ["mlflow", "collector", "trimmer-paper"])
def test_an_operator_scales_agents_alone(release, people, name):
    assert "scaled" in scale(people["operator"], release, "agent-trend", 3)
    with pytest.raises(RuntimeError, match="an operator scales agents alone"):
        scale(people["operator"], release, name, 3)


def test_an_operator_does_not_make_an_agent_of_what_is_none(release, people):
    """By a scale that says of itself that it selects agents."""
    path = f"{release.path('deployments', 'apps/v1')}/mlflow/scale"
    forged = release.cluster.get(path)
    forged["spec"]["replicas"] = 0
    forged["status"]["selector"] = "app.kubernetes.io/component=agent"
    words = ("replace", "--raw", f"{path}?dryRun=All", "--filename", "-")
    with pytest.raises(RuntimeError, match="an operator scales agents alone"):
        people["operator"].kubectl(*words, stdin=json.dumps(forged))


@pytest.mark.parametrize("role", ["operator", "risk"])
def test_the_way_in_leads_to_engines_alone(release, people, role):
    """No kubelet is here that would open it, so a way that is allowed fails for another reason."""
    with pytest.raises(RuntimeError) as asked:
        way_into(people[role], release, "engine-paper-0")
    assert "the way in leads to" not in str(asked.value)
    assert "forbidden" not in str(asked.value).lower()
    for pod in ("exchange-0", "valkey-0", "postgresql-0", "lab-anna-0"):
        with pytest.raises(RuntimeError, match="the way in leads to an engine's control API alone"):
            way_into(people[role], release, pod)


def way_into(client, release, pod):
    client.kubectl(
        "create", "--raw", f"{release.path('pods')}/{pod}/portforward?ports=8090", "--filename", "-", stdin="{}"
    )


def test_a_deployer_adds_an_agent_changes_images_and_rolls_back_with_helm(release, people):
    """Without an administrator: what is his stays as it is."""
    digests = dict.fromkeys(("engine", "lab", "platform"), f"sha256:{6:064d}")
    agents = release.values()["agents"]
    words = (
        "--set-json",
        json.dumps({"global": {"image": {"digests": digests}}, "agents": {"fifth": agents["trend"]}}),
    )
    revision = len(release.cluster.helm("history", RELEASE, "--namespace", release.namespace).splitlines()) - 1
    release.upgrade(*words, by=people["deployer"])
    release.settled()
    pods = release.pods()
    assert digests["engine"] in str(pods["engine-paper-0"]["spec"]["containers"])
    assert any(name.startswith("agent-fifth-") for name in pods)
    assert digests["lab"] in str(research_job(release))
    assert people["quant"].post(release.path("jobs", "batch/v1"), research_job(release), dryRun="All")
    assert "scaled" in scale(people["operator"], release, "agent-fifth", 3)
    release.rollback(revision, by=people["deployer"])
    release.settled()
    assert digests["engine"] not in str(release.pods()["engine-paper-0"]["spec"]["containers"])


def test_a_deployer_does_not_touch_the_foundation(release, people):
    with pytest.raises(RuntimeError, match="forbidden"):
        release.foundation.upgrade("--set", "quota.pods=1000", by=people["deployer"])
    assert release.foundation.values()["quota"]["pods"] != 1000


def test_a_quant_does_not_deploy(release, people):
    with pytest.raises(RuntimeError, match="forbidden"):
        release.upgrade(by=people["quant"])
