"""What Helm renders is what Kubernetes and the makers of custom resources publish as valid."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import helm_python
import kubernetes_validate
import pytest
import yaml
from rendered import CHART, ENVIRONMENTS, FOUNDATION, NAMESPACE, key, pods, rendered, values_of

VERSION = "1.34"
TOOLS = Path(sys.prefix)
CUSTOM = ("gateway.networking.k8s.io", "networking.gke.io", "secrets-store.csi.x-k8s.io")
PROVIDER_CLASS = "secrets-store.csi.x-k8s.io/v1"


def is_custom(resource):
    return resource["apiVersion"].split("/")[0] in CUSTOM


def custom_faults(resources):
    """What the published schemas say, one for each."""
    schemas = TOOLS / "custom-resources/node_modules"
    assert schemas.is_dir(), f"no schemas of custom resources in {schemas} (make test brings them by npm)"
    done = subprocess.run(
        ("node", str(Path(__file__).with_name("check_resources.js"))),
        input=json.dumps(resources), capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"NODE_PATH": str(schemas)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", autouse=True)
def schemas_read_once():
    """The validator reads a megabyte of definitions anew for each object."""
    read = kubernetes_validate.utils.schema_contents
    kubernetes_validate.utils.schema_contents = functools.cache(read)
    yield
    kubernetes_validate.utils.schema_contents = read


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_helm_lints_it_without_a_word(environment):
    for chart, namespace in ((FOUNDATION, "foundation"), (CHART, NAMESPACE)):
        report = helm_python.lint(chart, values_of(environment), strict=True, with_subcharts=True, namespace=namespace)
        assert [each["error"] for each in report["messages"] if each["severity"] > 1] == [], chart


def test_each_object_is_valid_for_kubernetes_without_an_unknown_field(objects):
    templates = [pod.owner for pod in pods(objects)]
    for each in [*objects, *templates]:
        if not is_custom(each):
            kubernetes_validate.validate(
                {name: part for name, part in each.items() if name != "file"}, VERSION, strict=True
            )


def test_an_unknown_field_of_kubernetes_would_be_found(prod):
    wrong = json.loads(json.dumps(next(each for each in prod if each["kind"] == "StatefulSet")))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_custom_resources_are_valid_for_their_makers(prod):
    ours = [each for each in prod if is_custom(each) and each["apiVersion"] != PROVIDER_CLASS]
    assert {each["kind"] for each in ours} == {"Gateway", "HTTPRoute", "GCPBackendPolicy", "HealthCheckPolicy"}
    wrong = {"apiVersion": "networking.gke.io/v1", "kind": "GCPBackendPolicy", "metadata": {"name": "x"}}
    target = {"group": "", "kind": "Service", "name": "x"}
    bad_type = wrong | {"spec": {"default": {"iap": {"enabled": "yes"}}, "targetRef": target}}
    unknown = wrong | {"spec": {"default": {"iap": {"enable": True, "enabled": True}}, "targetRef": target}}
    *faults, of_type, of_field = custom_faults([*ours, bad_type, unknown])
    assert dict(zip(map(key, ours), faults, strict=True)) == dict.fromkeys(map(key, ours))
    assert "must be boolean" in of_type
    assert "/spec/default/iap/enable" in of_field


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_secret_provider_classes_are_as_the_driver_reads_them(environment):
    """No package holds that schema: provider and parameters are text, and Google's provider reads a list of secrets."""
    classes = [each for each in rendered(environment) if each["apiVersion"] == PROVIDER_CLASS]
    assert classes
    for each in classes:
        assert set(each["spec"]) == {"provider", "parameters"}
        assert each["spec"]["provider"] == "gke"
        assert set(each["spec"]["parameters"]) == {"secrets"}
        for secret in yaml.safe_load(each["spec"]["parameters"]["secrets"]):
            assert set(secret) == {"resourceName", "path", "mode"}
            assert secret["resourceName"].startswith(f"projects/sapphire-{environment}/secrets/")


CHECKOV_SKIPS = {
    "CKV_K8S_11": "a limit of CPU throttles, and what is throttled is late: values.yaml says so",
    "CKV_K8S_8": "the pod of helm test ends by itself",
    "CKV_K8S_9": "the pod of helm test ends by itself",
    "CKV_K8S_38": "Prometheus and the labs ask the API server, and test_policies.py says that nobody else does",
}


def test_checkov_finds_nothing_that_is_not_explained(prod, tmp_path):
    checkov = TOOLS / "checkov/bin/checkov"
    assert checkov.is_file(), f"no checkov in {checkov.parent} (make test brings it)"
    objects = [each | {"metadata": {"namespace": NAMESPACE} | each["metadata"]} for each in prod]
    (tmp_path / "prod.yaml").write_text(yaml.safe_dump_all(objects))
    done = subprocess.run(
        (str(checkov), "--file", "prod.yaml", "--framework", "kubernetes", "--compact", "--quiet", "--output", "json"),
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200, env=os.environ | {"LOG_LEVEL": "ERROR"},
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["summary"]["passed"] > 1000
    failed = {(each["check_id"], each["resource"]) for each in found["results"]["failed_checks"]}
    assert {check for check, _ in failed} <= set(CHECKOV_SKIPS), failed
    assert {resource for check, resource in failed if check in ("CKV_K8S_8", "CKV_K8S_9")} == {
        f"Pod.{NAMESPACE}.round-trip"
    }
