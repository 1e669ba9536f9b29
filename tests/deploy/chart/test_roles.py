"""Who may do what: one table, from which the Roles and their bindings are rendered."""

import pytest
import yaml
from rendered import CHART, of_kind, render, rendered, values_of

TABLE = yaml.safe_load((CHART / "files/roles.yaml").read_text())["roles"]
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


def test_the_way_to_an_engine_leads_to_engines_alone(prod):
    ways = [rule for _, rule in rules(prod) if "pods/portforward" in rule["resources"]]
    assert len(ways) == 2
    for rule in ways:
        assert rule["resourceNames"] == ["engine-candidate-0", "engine-paper-0"]


def test_without_an_account_there_is_no_way_at_all():
    """A rule for no name would be one for every name."""
    objects = render(values_of("dev") | {"accounts": {}})
    assert not [rule for _, rule in rules(objects) if "pods/portforward" in rule["resources"]]


def test_an_operator_scales_agents_alone(prod):
    (rule,) = [rule for name, rule in rules(prod) if "deployments/scale" in rule["resources"]]
    assert rule["resourceNames"] == ["agent-deepseek", "agent-lag-llama", "agent-qwen", "agent-trend"]


def test_a_deployer_writes_what_the_chart_makes_but_who_may_what_and_what_bounds_them(prod):
    """Its releases lie in ConfigMaps (HELM_DRIVER=configmap), so it reads no Secret."""
    kinds = {
        "ConfigMap": "configmaps", "Service": "services", "ServiceAccount": "serviceaccounts",
        "PersistentVolumeClaim": "persistentvolumeclaims", "Deployment": "deployments", "StatefulSet": "statefulsets",
        "Job": "jobs", "CronJob": "cronjobs", "HorizontalPodAutoscaler": "horizontalpodautoscalers",
        "PodDisruptionBudget": "poddisruptionbudgets", "NetworkPolicy": "networkpolicies",
        "SecretProviderClass": "secretproviderclasses", "Gateway": "gateways", "HTTPRoute": "httproutes",
        "GCPBackendPolicy": "gcpbackendpolicies", "HealthCheckPolicy": "healthcheckpolicies", "Pod": "pods",
    }  # fmt: skip
    looked_at = {
        "Role": "roles", "RoleBinding": "rolebindings", "ClusterRole": "clusterroles", "LimitRange": "limitranges",
        "ClusterRoleBinding": "clusterrolebindings", "ResourceQuota": "resourcequotas",
        "PriorityClass": "priorityclasses",
        "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
        "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    }  # fmt: skip
    may = {}
    for name, rule in rules(prod):
        if name in ("deployer", "trading-system-deployer"):
            for resource in rule["resources"]:
                may.setdefault(resource, set()).update(rule["verbs"])
    for each in prod:
        if each["kind"] in looked_at:
            assert may[looked_at[each["kind"]]] == {"get", "list", "watch"}, each["kind"]
        else:
            assert {"get", "create", "delete"} <= may[kinds[each["kind"]]], each["kind"]


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_a_quants_job_is_bounded_to_research(environment):
    """Who may start any Job may be anybody in the namespace: as the engine, with its keys."""
    objects = rendered(environment)
    (policy,) = of_kind(objects, "ValidatingAdmissionPolicy")
    (binding,) = of_kind(objects, "ValidatingAdmissionPolicyBinding")
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert "Deny" in binding["spec"]["validationActions"]
    (asked,) = policy["spec"]["matchConditions"]
    assert "quants@example.com" in asked["expression"]
    assert "system:serviceaccount:trading-system:lab-" in asked["expression"]
    bounded = " ".join(each["expression"] for each in policy["spec"]["validations"])
    for what in (
        "serviceAccountName == 'research'",
        "component'] == 'research'",
        "priorityClassName",
        "each.image in",
        "variables.pod.volumes",
        "secretKeyRef",
        "secretRef",
    ):
        assert what in bounded, what


def test_only_quants_and_labs_start_jobs_besides_the_deployer(prod):
    starting = {name for name, rule in rules(prod) if "jobs" in rule["resources"] and "create" in rule["verbs"]}
    assert starting == {"quant", "deployer"}
    bound = {
        (each["metadata"]["name"], subject["kind"]) for each in of_kind(prod, "RoleBinding")
        if each["roleRef"]["name"] == "quant" for subject in each["subjects"]
    }  # fmt: skip
    assert bound == {("quant", "Group"), ("lab-anna", "ServiceAccount"), ("lab-ben", "ServiceAccount")}
