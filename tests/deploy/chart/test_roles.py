"""Who may do what: one table, from which the Roles and their bindings are rendered."""

import pytest
import yaml
from rendered import (
    ENVIRONMENTS,
    FOUNDATION,
    NAMESPACE,
    deployed,
    founded,
    key,
    of_kind,
    pods,
    render,
    render_foundation,
    values_of,
)

ROWS = yaml.safe_load((FOUNDATION / "files/roles.yaml").read_text())
TABLE = ROWS["roles"]
PEOPLE = ("quant", "promoter", "operator", "risk", "deployer")
INTO_PODS = ("pods/exec", "pods/attach", "pods/ephemeralcontainers", "pods/proxy", "*")


def rules(objects):
    """Every rule of every role, with the role's name."""
    for each in of_kind(objects, "Role", "ClusterRole"):
        for rule in each["rules"]:
            yield each["metadata"]["name"], rule


def test_the_table_has_the_five_roles_and_says_what_each_is_for():
    assert tuple(TABLE) == PEOPLE
    assert all(len(row["what"]) > 20 for row in TABLE.values())


def test_each_role_is_rendered_from_the_table_and_bound_to_its_groups(prod):
    bindings = {each["metadata"]["name"]: each for each in of_kind(prod, "RoleBinding")}
    for role in PEOPLE:
        binding = bindings[role]
        assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
        assert [each["kind"] for each in binding["subjects"]] == ["Group"]


def test_nobody_gets_into_a_pod(objects):
    for role, rule in rules(objects):
        assert not set(rule["resources"]) & set(INTO_PODS), role


def test_no_rule_is_a_wildcard(objects):
    for role, rule in rules(objects):
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"], role


def test_nobody_reads_a_secret(objects):
    for role, rule in rules(objects):
        assert "secrets" not in rule["resources"], role
        assert "serviceaccounts/token" not in rule["resources"], role


def test_nobody_raises_himself(objects):
    for role, rule in rules(objects):
        assert not set(rule["verbs"]) & {"escalate", "bind", "impersonate"}, role
        if "rbac.authorization.k8s.io" in rule["apiGroups"] or "admissionregistration.k8s.io" in rule["apiGroups"]:
            assert set(rule["verbs"]) <= {"get", "list", "watch"}, role


@pytest.mark.parametrize("role", ["quant", "promoter", "risk"])
def test_who_does_not_deploy_or_operate_changes_nothing_that_runs(role, prod):
    writing = {
        (resource, verb) for name, rule in rules(prod) if name == role
        for resource in rule["resources"] for verb in rule["verbs"] if verb not in ("get", "list", "watch")
    }  # fmt: skip
    assert (
        writing
        == {
            "quant": {("jobs", "create"), ("jobs", "delete"), ("configmaps", "create")},
            "promoter": set(),
            "risk": {("pods/portforward", "create")},
        }[role]
    )


def policy(objects, name):
    """An admission policy, once it is bound so that it denies."""
    policies, bindings = (
        {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, kind)}
        for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    )
    binding, spec = bindings[f"{NAMESPACE}-{name}"], policies[f"{NAMESPACE}-{name}"]
    assert binding["policyName"] == f"{NAMESPACE}-{name}"
    assert "Deny" in binding["validationActions"]
    assert binding["matchResources"]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": NAMESPACE}
    assert spec["failurePolicy"] == "Fail"
    return spec, binding


def asked_by(spec):
    return " ".join(each["expression"] for each in spec["matchConditions"])


def test_the_way_to_an_engine_leads_to_engines_alone(prod):
    ways = {name for name, rule in rules(prod) if "pods/portforward" in rule["resources"]}
    spec, _ = policy(prod, "ways-to-engines")
    assert spec["matchConstraints"]["resourceRules"][0]["resources"] == ["pods/portforward"]
    assert spec["matchConstraints"]["resourceRules"][0]["operations"] == ["CONNECT"]
    assert ways == {"operator", "risk"}
    for group in ("operators@example.com", "risk@example.com"):
        assert f"'{group}'" in asked_by(spec)
    (bound,) = spec["validations"]
    assert "^engine-[a-z0-9-]+-0$" in bound["expression"]


def test_an_operator_scales_agents_alone(prod):
    assert [name for name, rule in rules(prod) if "deployments/scale" in rule["resources"]] == ["operator"]
    spec, _ = policy(prod, "scaled-agents")
    assert "'operators@example.com'" in asked_by(spec)
    (bound,) = spec["validations"]
    assert "app.kubernetes.io/component=agent" in bound["expression"]
    assert {pod.component for pod in pods(prod) if pod.owner["metadata"]["name"].startswith("agent-")} == {"agent"}


PLURALS = {
    "NetworkPolicy": "networkpolicies", "GCPBackendPolicy": "gcpbackendpolicies",
    "HealthCheckPolicy": "healthcheckpolicies", "SecretProviderClass": "secretproviderclasses",
}  # fmt: skip


def test_a_deployer_may_write_all_that_its_chart_makes(prod):
    """Helm patches every object of a release; releases lie in ConfigMaps (HELM_DRIVER=configmap), not in Secrets."""
    may = {}
    for name, rule in rules(prod):
        for group in rule["apiGroups"] if name == "deployer" else ():
            for resource in rule["resources"]:
                may.setdefault((group, resource), set()).update(rule["verbs"])
    helm = {"get", "create", "update", "patch", "delete"}
    for each in deployed("prod"):
        group, _, version = each["apiVersion"].rpartition("/")
        resource = PLURALS.get(each["kind"], f"{each['kind'].lower()}s")
        needs = {"get", "create", "delete"} if each["kind"] == "Pod" else helm
        assert needs <= may.get((group, resource), set()), f"{key(each)} ({group}/{version})"


def test_what_an_administrator_owns_is_in_no_deployers_chart():
    owned = {
        "Namespace", "PriorityClass", "ResourceQuota", "LimitRange", "Role", "RoleBinding", "ClusterRole",
        "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    }  # fmt: skip
    for environment in ENVIRONMENTS:
        assert not {each["kind"] for each in deployed(environment)} & owned
        assert {each["kind"] for each in founded(environment)} <= owned


@pytest.mark.parametrize(
    "more",
    [
        {"agents": {"fifth": {"release": "5" * 64, "runner": "cpu"}}},
        {"accounts": {"third": {"agent": "trend", "tag": 3, "stage": "paper", "funds": {"USDT": "1"}}}},
        {"global": {"image": {"digests": {"lab": "sha256:" + "5" * 64, "platform": "sha256:" + "6" * 64}}}},
        {"retrain": {"lag-llama": {"schedule": "0 4 * * 0", "notebook": "notebooks/study.ipynb"}}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_whoever_deploys_needs_no_administrator_for(more):
    assert render_foundation(values_of("prod", **more)) == founded("prod")
    assert render(values_of("prod", **more)) != deployed("prod")


def test_a_lab_more_is_given_by_an_administrator():
    """It may start jobs, which is a right that a deployer has not got to give."""
    more = {"lab": {"users": {"cleo": {"email": "cleo@example.com"}}}}
    names = {key(each) for each in render_foundation(values_of("prod", **more))} - {
        key(each) for each in founded("prod")
    }
    assert names == {"RoleBinding/lab-cleo"}


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_a_quants_job_is_bounded_to_research(environment):
    """Who may start any Job may be anybody in the namespace: as the engine, with its keys."""
    spec, _ = policy(founded(environment), "research-jobs")
    assert "'quants@example.com'" in asked_by(spec)
    assert "system:serviceaccount:trading-system:lab-" in asked_by(spec)
    bounded = " ".join(each["expression"] for each in spec["validations"])
    for what in (
        "serviceAccountName == 'research'",
        "object.metadata.labels['app.kubernetes.io/component'] == 'research'",
        "object.spec.template.metadata.labels['app.kubernetes.io/component'] == 'research'",
        "priorityClassName",
        "variables.pod.volumes",
        "secretKeyRef",
        "secretRef",
    ):
        assert what in bounded, what


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_research_job_runs_the_images_that_a_deployer_put_there(environment):
    spec, binding = policy(founded(environment), "research-images")
    assert "each.image in [params.data['lab'], params.data['platform']]" in spec["validations"][0]["expression"]
    assert binding["paramRef"] == {"name": "images", "namespace": NAMESPACE, "parameterNotFoundAction": "Deny"}
    (images,) = [
        each["data"] for each in of_kind(deployed(environment), "ConfigMap") if each["metadata"]["name"] == "images"
    ]
    assert set(images) == {"lab", "platform"}
    for pod in pods(deployed(environment)):
        if pod.component == "research":
            assert (
                pod.owner["metadata"]["labels"].items()
                >= binding["matchResources"]["objectSelector"]["matchLabels"].items()
            )
            assert {each["image"] for each in pod.containers} <= set(images.values())


def test_a_quant_makes_no_configmap_that_others_read(prod):
    spec, _ = policy(prod, "notebooks")
    assert "'quants@example.com'" in asked_by(spec)
    (bound,) = spec["validations"]
    assert bound["expression"] == (
        "object.metadata.name.startsWith('research-') && object.metadata.name != 'research-jobs'"
    )
    configs = {each["metadata"]["name"] for each in of_kind(prod, "ConfigMap")}
    assert {name for name in configs if name.startswith("research-")} == {"research-jobs"}


def test_only_quants_and_labs_start_jobs_besides_the_deployer(prod):
    starting = {name for name, rule in rules(prod) if "jobs" in rule["resources"] and "create" in rule["verbs"]}
    assert starting == {"quant", "deployer"}
    bound = {
        (each["metadata"]["name"], subject["kind"]) for each in of_kind(prod, "RoleBinding")
        if each["roleRef"]["name"] == "quant" for subject in each["subjects"]
    }  # fmt: skip
    assert bound == {("quant", "Group"), ("lab-anna", "ServiceAccount"), ("lab-ben", "ServiceAccount")}
