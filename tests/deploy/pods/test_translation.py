"""What podman plays is what Helm rendered: every field is honoured, or stands in the list of what is left out."""

import copy

import pytest
from left_out import FIELDS
from rendered import ENVIRONMENTS, key, rendered
from translation import translate

from sapphire.registry import Deployment
from sapphire.stack.pods import PodPlan

PLAYED = {"valkey", "exchange", "collector", "postgresql", "mlflow", "agent-trend", "coordinator-paper", "engine-paper",
          "trimmer-paper", "round-trip"}  # fmt: skip


@pytest.fixture(scope="module")
def pods():
    return translate(rendered("dev"))


@pytest.fixture
def changed():
    """The rendered objects with one field of the engine's pod changed."""

    def change(path, value, of="StatefulSet/engine-paper"):
        objects = copy.deepcopy(rendered("dev"))
        found = next(each for each in objects if key(each) == of)
        *folders, last = path.split("/")
        for name in folders:
            found = found[int(name)] if name.isdigit() else found[name]
        found[last] = value
        return objects

    return change


def option(container, name):
    return [container.options[place + 1] for place, word in enumerate(container.options) if word == name]


def test_the_account_and_what_it_needs_are_played_by_the_names_that_parts_know(pods):
    assert pods.keys() == PLAYED
    assert pods["agent-trend"].hosts == ("agent-trend", "agent-trend-pods")
    assert all(name in pod.hosts for name, pod in pods.items() if name != "round-trip")


def test_no_pod_is_more_than_nobody(pods):
    for pod in pods.values():
        for container in (*pod.first, *pod.containers):
            assert option(container, "--user") == ["10001:10001"]
            assert option(container, "--cap-drop") == ["all"]
            assert option(container, "--security-opt") == ["no-new-privileges"]
            assert {"--read-only", "--read-only-tmpfs=false", "--http-proxy=false"} <= set(container.options)


def test_the_engine_s_pod_is_as_the_chart_says(pods):
    pod = pods["engine-paper"]
    settings, watch = pod.first
    assert (settings.restarts, watch.restarts) == (False, True)
    (engine,) = pod.containers
    assert (option(engine, "--entrypoint"), engine.words[0]) == (["service"], "run")
    assert engine.liveness.command[:2] == ("service", "health")
    assert engine.readiness.command[-1] == "--ready"
    assert (engine.stop_sleep_s, pod.grace_s) == (3.0, 30.0)
    assert pod.volumes["data"].kind == "claim"
    secrets = pod.volumes["secrets"]
    assert (secrets.mode, ("venue-keys.json", "venue-keys.json") in secrets.items) == (0o440, True)
    assert "places.json" not in dict(secrets.items)
    mounted = {mount.path: mount for mount in engine.mounts}
    assert mounted["/var/run/secrets/sapphire"].read_only
    assert not mounted["/var/lib/sapphire/run"].read_only


def test_what_helm_tests_runs_once(pods):
    (check,) = pods["round-trip"].containers
    assert not check.restarts
    assert check.words[:2] == ("round-trip", "http://exchange:8080")


def test_a_probe_of_a_port_asks_that_port(pods):
    (exchange,) = pods["exchange"].containers
    assert (exchange.liveness.path, exchange.liveness.port, exchange.startup.failures) == ("/livez", 8081, 150)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec/template/spec/hostNetwork", True),
        ("spec/template/spec/dnsPolicy", "Default"),
        ("spec/template/spec/containers/0/tty", True),
        ("spec/template/spec/containers/0/env", [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"x": "y"}}}]),
        ("spec/template/spec/containers/0/livenessProbe/successThreshold", 2),
        ("spec/template/spec/volumes/0/emptyDir/other", 1),
        ("spec/template/spec/securityContext/supplementalGroups", [7]),
        ("spec/minReadySeconds", 5),
    ],
)
def test_a_field_that_nobody_honours_is_named(changed, path, value):
    with pytest.raises(AssertionError, match=r"is not honoured, and stands in no list"):
        translate(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem", False),
        ("spec/template/spec/containers/0/securityContext/capabilities/drop", ["NET_RAW"]),
        ("spec/template/spec/securityContext/seccompProfile/type", "Unconfined"),
        ("spec/template/spec/initContainers/1/restartPolicy", "OnFailure"),
        ("spec/template/spec/enableServiceLinks", True),
        ("spec/replicas", 2),
    ],
)
def test_a_value_that_podman_is_not_told_is_refused(changed, path, value):
    with pytest.raises(AssertionError, match="podman is told only"):
        translate(changed(path, value))


def test_an_object_of_another_kind_is_named(changed):
    objects = [*rendered("dev"), {"kind": "DaemonSet", "metadata": {"name": "new"}, "spec": {"x": 1}}]
    with pytest.raises(AssertionError, match="DaemonSet/new"):
        translate(objects)


def test_a_row_that_leaves_nothing_out_is_named(monkeypatch):
    monkeypatch.setitem(FIELDS, "*/spec/nothing", "no such field")
    with pytest.raises(AssertionError, match=r"leave nothing out: \['\*/spec/nothing'\]"):
        translate(rendered("dev"))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_who_verifies_reads_whom_the_chart_trusts(environment):
    variables = next(each for each in rendered(environment) if key(each) == "ConfigMap/environment")["data"]
    assert Deployment.read(variables).authority == variables["SAPPHIRE_TRUSTED_AUTHORITY"]


def test_bars_are_kept_for_what_sizing_looks_back_on(tmp_path):
    """8 weeks at the interval: a number of the chart's own was too small for any release of 5 minutes."""
    plan = tmp_path / "plan.json"
    plan.write_text(next(each for each in rendered("dev") if key(each) == "ConfigMap/plan")["data"]["plan.json"])
    assert PodPlan.read(plan).market.kept_bars > 56 * 24 * 12
