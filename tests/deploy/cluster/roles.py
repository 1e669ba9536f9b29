"""Who may do what in an environment, asked of the API server; `make test-cluster` runs it."""

import copy

import pytest
import yaml
from cluster.client import RefusedError
from cluster.release import CHART, RELEASE

TABLE = yaml.safe_load((CHART / "files" / "roles.yaml").read_text())["roles"]
OF = {"engine": "engine-{}-0", "agent": "agent-{}"}
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
    groups = {role: names[0] for role, names in release.values()["roles"].items()}
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


def of_table(release, role):
    """The same from the table, with the names of this environment's engines and agents."""
    values = release.values()
    names = {"engine": values["accounts"], "agent": values["agents"]}
    rules = [dict(each) for each in (*TABLE[role]["rules"], *TABLE[role].get("cluster", ()))]
    for rule in rules:
        if kind := rule.pop("of", None):
            rule["resourceNames"] = [OF[kind].format(name) for name in names[kind]]
    return spread(rules)


@pytest.mark.parametrize("role", TABLE)
def test_a_role_may_do_what_its_row_says_and_nothing_else(release, people, role):
    of_all = allowed(people["nobody"], release.namespace)
    assert allowed(people[role], release.namespace) - of_all == of_table(release, role)


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
    return job | {"metadata": {"name": "of-a-test", "namespace": release.namespace}}


def change(path, value):
    """What sets a field of a Job's pod."""

    def make(job):
        *way, last = path
        at = job["spec"]["template"]
        for each in way:
            at = at[each]
        at[last] = value

    return make


BREACHES = {
    "as the ServiceAccount research": change(("spec", "serviceAccountName"), "engine-paper"),
    "has the label of research": change(("metadata", "labels", "app.kubernetes.io/component"), "engine"),
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


def test_a_deployer_upgrades_and_rolls_back_with_helm(release, people):
    digest = "sha256:" + "6" * 64
    revision = len(release.cluster.helm("history", RELEASE, "--namespace", release.namespace).splitlines()) - 1
    release.upgrade("--set", f"global.image.digests.engine={digest}", by=people["deployer"])
    release.settled()
    assert digest in str(release.pods()["engine-paper-0"]["spec"]["containers"])
    release.rollback(revision, by=people["deployer"])
    release.settled()
    assert digest not in str(release.pods()["engine-paper-0"]["spec"]["containers"])


def test_a_quant_does_not_deploy(release, people):
    with pytest.raises(RuntimeError, match="forbidden"):
        release.upgrade(by=people["quant"])
