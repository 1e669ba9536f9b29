"""Secrets are files that each container has for itself; none stands in a value, an environment or an object."""

import re

import pytest
import yaml
from rendered import of_kind, pods, rendered

HERE = "/var/run/secrets/sapphire"
FILES = {
    "valkey": {"bus-users.acl", "probe-password"},
    "exchange": {"exchange-keys.json"},
    "collector": {"bus-password"},
    "coordinator": {"bus-password", "signal-key", "places.json"},
    "engine": {"bus-password", "signal-key", "venue-keys.json", "service-tokens.json"},
    "trimmer": {"bus-password", "service-read-token"},
    "agent": {"bus-password"},
    "mlflow": {"mlflow-database.dsn", "mlflow-admin-password", "mlflow-secret-key"},
    "postgresql": {"postgres-passwords.json"},
    "prometheus": {"mlflow-password"},
    "lab": {"places.json"},
    "research": {"places.json"},
    "retrain": {"places.json", "mlflow-password"},
    "gaps": {"places.json"},
    "reports": {"places.json"},
    "check": {"venue-keys.json"},
    "weights": set(),
}
"""What each main container is given, and nothing else."""


def files_of(pod, container):
    """The files of a container, from the volume that is mounted for it."""
    mounted = [each["name"] for each in container["volumeMounts"] if each["mountPath"] == HERE]
    if not mounted:
        return set()
    (volume,) = [each for each in pod.spec["volumes"] if each["name"] == mounted[0]]
    if "secret" in volume:
        return {item["path"] for item in volume["secret"]["items"]}
    copied = pod.containers[0]["command"][3:]
    return {target.split("/")[-1] for target in copied if f"=/mnt/{volume['name']}/" in target}


def test_each_container_has_the_secrets_that_it_needs_and_no_other(objects):
    for pod in pods(objects):
        assert files_of(pod, pod.main) == FILES[pod.component], pod.name
        for container in pod.spec.get("initContainers", ()):
            expected = set() if container["name"] == "secrets" else {"places.json"}
            assert files_of(pod, container) == expected, (pod.name, container["name"])


def test_nothing_in_an_environment_is_a_secret(objects):
    for pod in pods(objects):
        for container in pod.containers:
            for variable in container.get("env", ()):
                assert "valueFrom" not in variable, (pod.name, variable)
                named = re.search("PASSWORD|TOKEN|SECRET|KEY", variable["name"])
                assert not named or variable["value"].startswith((HERE, "/etc/sapphire/")), (pod.name, variable)
            assert all("secretRef" not in source for source in container.get("envFrom", ()))


def test_the_chart_makes_no_secret(objects):
    assert of_kind(objects, "Secret") == []


def test_a_laptops_secrets_are_made_beforehand_and_read_by_the_group_alone():
    for pod in pods(rendered("dev")):
        for volume in pod.spec["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440, pod.name
                assert volume["secret"]["secretName"] in (pod.labels["app.kubernetes.io/name"], "jobs", "check")


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_secret_managers_files_are_copied_for_each_container_as_its_own(environment):
    """The driver leaves files to root:root, so only everybody or nobody could read them where it mounts them."""
    objects = rendered(environment)
    classes = {each["metadata"]["name"]: each for each in of_kind(objects, "SecretProviderClass")}
    for pod in pods(objects):
        drivers = [each for each in pod.spec["volumes"] if "csi" in each]
        assert len(drivers) == bool(FILES[pod.component]), pod.name
        if not drivers:
            continue
        first = pod.containers[0]
        assert first["name"] == "secrets", pod.name
        seeing = [container["name"] for container in pod.containers
                  if any(mount["name"] == "secrets-store" for mount in container["volumeMounts"])]  # fmt: skip
        assert seeing == ["secrets"], pod.name
        copied = {pair.split("=")[0].removeprefix("/mnt/secrets-store/") for pair in first["command"][3:]}
        name = drivers[0]["csi"]["volumeAttributes"]["secretProviderClass"]
        assert name == pod.spec["serviceAccountName"], pod.name
        listed = yaml.safe_load(classes[name]["spec"]["parameters"]["secrets"])
        assert {each["path"] for each in listed} == copied, pod.name
        for volume in pod.spec["volumes"]:
            if volume["name"] in ("secrets", "secrets-init"):
                assert volume["emptyDir"]["medium"] == "Memory", pod.name


def test_the_copier_leaves_a_file_that_its_owner_alone_can_read(tmp_path):
    """The very words of the container, on this machine."""
    import subprocess
    import sys

    pod = next(pod for pod in pods(rendered("prod")) if pod.component == "collector")
    source, target = tmp_path / "bus-password", tmp_path / "copy"
    source.write_text("hunter2")
    source.chmod(0o444)
    words = pod.containers[0]["command"]
    assert words[0] == "python"
    subprocess.run((sys.executable, *words[1:3], f"{source}={target}"), check=True, timeout=30)
    assert target.read_text() == "hunter2"
    assert target.stat().st_mode & 0o777 == 0o400


def test_whoever_fits_again_by_the_clock_has_no_key_to_promote_with(prod):
    for pod in pods(prod):
        if pod.component in ("retrain", "research", "lab"):
            assert files_of(pod, pod.main) <= {"places.json", "mlflow-password"}, pod.name
            variables = {each["name"]: each["value"] for each in pod.main["env"]}
            assert variables.get("MLFLOW_TRACKING_USERNAME") in (None, "retrain")
