"""Rules for every pod that the chart makes, each a test of its own."""

import json
import re
from dataclasses import replace

import pytest
import yaml
from rendered import CHART, REPOSITORY, deployed, key, of_kind, pods, render, rendered, serving, values_of

from sapphire.serving.memory_plan import GIB, MemoryPlan, ModelShape
from sapphire.serving.vllm_server import VllmServer

EXECUTION = ("valkey", "exchange", "collector", "coordinator", "engine", "trimmer", "notices", "postgresql", "check")
AGENTS = ("agent", "mlflow", "prometheus", "weights")
RESEARCH = ("lab", "research", "retrain", "gaps", "reports")
SINGLE = {
    "valkey",
    "exchange",
    "collector",
    "coordinator",
    "engine",
    "trimmer",
    "notices",
    "postgresql",
    "prometheus",
    "lab",
}


def seconds_of_drain(pod):
    hook = pod.main.get("lifecycle", {}).get("preStop", {})
    return hook.get("sleep", {}).get("seconds", 0)


def test_each_container_asks_for_processor_and_memory_and_has_a_limit_of_memory_with_its_reason(objects):
    for pod in pods(objects):
        for container in pod.containers:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), (pod.name, container["name"])
            assert "memory" in container["resources"]["limits"], (pod.name, container["name"])
        assert len(pod.metadata["annotations"]["sapphire.dev/limits"]) > 10, pod.name


def test_no_container_is_throttled(objects):
    for pod in pods(objects):
        for container in pod.containers:
            assert "cpu" not in container["resources"]["limits"], (pod.name, container["name"])


def test_each_row_of_resources_is_somebodys():
    rows = yaml.safe_load((CHART / "values.yaml").read_text())["global"]["resources"]
    asked = {pod.metadata["annotations"]["sapphire.dev/limits"] for pod in pods(render(everything()))}
    assert {row["why"] for name, row in rows.items() if name not in ("watch", "copy")} <= asked


def everything():
    """Production with what it leaves aside today."""
    account = {"agent": "trend", "tag": 3, "stage": "paper", "funds": {"USDT": "1"}}
    notices = {"settings": "[notify.desk]\nurl_file = '/var/run/secrets/sapphire/desk-url'\n", "secrets": ["desk-url"]}
    return values_of("prod", accounts={"told": account | {"notices": notices}})


def test_what_serves_says_when_it_has_started_whether_it_lives_and_whether_it_is_ready(objects):
    for pod in serving(objects):
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert probe in pod.main, (pod.name, probe)
        assert pod.main["startupProbe"]["failureThreshold"] * pod.main["startupProbe"]["periodSeconds"] >= 60, pod.name


def test_ready_asks_for_more_than_alive_where_the_part_tells_them_apart(objects):
    alike = {"valkey", "postgresql", "mlflow", "lab"}  # a server that answers is all there is to know
    for pod in serving(objects):
        live, ready = pod.main["livenessProbe"], pod.main["readinessProbe"]
        asked = [{name: probe.get(name) for name in ("httpGet", "exec")} for probe in (live, ready)]
        assert (asked[0] == asked[1]) == (pod.component in alike), pod.name


def test_a_probe_asks_a_port_that_the_container_has(objects):
    for pod in serving(objects):
        ports = {port["name"] for port in pod.main.get("ports", ())}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = pod.main[probe].get("httpGet", {}).get("port")
            assert asked is None or asked in ports, (pod.name, probe)


def test_where_there_are_replicas_an_eviction_takes_one_at_a_time(objects):
    budgets = {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "PodDisruptionBudget")}
    least = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"]["minReplicas"]
        for each in of_kind(objects, "HorizontalPodAutoscaler")
    }
    several = {
        pod.owner["metadata"]["name"] for pod in serving(objects)
        if least.get(pod.owner["metadata"]["name"], pod.owner["spec"].get("replicas", 1)) > 1
    }  # fmt: skip
    assert set(budgets) == several
    assert all(budget["maxUnavailable"] == 1 for budget in budgets.values())


def test_production_has_replicas_of_mlflow_and_of_its_processor_agents(prod):
    assert {each["metadata"]["name"] for each in of_kind(prod, "PodDisruptionBudget")} == {
        "mlflow", "agent-trend", "agent-lag-llama"
    }  # fmt: skip


def test_a_single_writer_has_a_hook_that_drains_it_and_time_to_end(objects):
    for pod in serving(objects):
        if pod.component in SINGLE:
            assert "preStop" in pod.main["lifecycle"], pod.name
            assert pod.spec["terminationGracePeriodSeconds"] > seconds_of_drain(pod) + 5, pod.name


def test_a_single_writer_says_in_one_line_why_it_has_no_autoscaler(objects):
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(objects, "HorizontalPodAutoscaler")}
    for pod in serving(objects):
        reason = pod.owner["metadata"].get("annotations", {}).get("sapphire.dev/single-writer")
        assert (reason is not None) == (pod.component in SINGLE), pod.name
        if reason is not None:
            assert len(reason) > 20, pod.name
            assert "\n" not in reason, pod.name
            assert pod.owner["spec"]["replicas"] == 1, pod.name
            assert pod.owner["metadata"]["name"] not in scaled, pod.name


def test_a_single_writer_is_never_two_while_it_is_replaced(objects):
    for pod in serving(objects):
        if pod.component in SINGLE and pod.owner["kind"] == "Deployment":
            assert pod.owner["spec"]["strategy"] == {"type": "Recreate"}, pod.name


def test_what_has_replicas_grows_with_its_load(prod):
    scalers = {each["metadata"]["name"]: each["spec"] for each in of_kind(prod, "HorizontalPodAutoscaler")}
    assert set(scalers) == {"mlflow", "agent-trend", "agent-lag-llama"}
    for each in scalers.values():
        assert each["minReplicas"] < each["maxReplicas"]
    for pod in serving(prod):
        if pod.owner["metadata"]["name"] in scalers:
            assert "replicas" not in pod.owner["spec"], f"{pod.name}: an upgrade would undo the autoscaler"


def test_replicas_are_spread_over_zones_and_nodes(objects):
    for pod in serving(objects):
        keys = [each["topologyKey"] for each in pod.spec.get("topologySpreadConstraints", ())]
        gpu = "nvidia.com/gpu" in pod.main["resources"]["limits"]
        alone = pod.component in SINGLE or gpu
        assert keys == ([] if alone else ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]), pod.name


def test_each_workload_is_somebody_of_its_own(objects):
    accounts = {each["metadata"]["name"]: each for each in of_kind(objects, "ServiceAccount")}
    users = {}
    for pod in pods(objects):
        users.setdefault(pod.spec["serviceAccountName"], set()).add(pod.labels["app.kubernetes.io/name"])
    assert set(users) == set(accounts)
    assert {name: names for name, names in users.items() if names != {name}} == {}
    for each in accounts.values():
        assert each["automountServiceAccountToken"] is False


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_each_workload_is_an_identity_of_its_own_at_google(environment):
    for each in of_kind(render(values_of(environment)), "ServiceAccount"):
        email = each["metadata"]["annotations"]["iam.gke.io/gcp-service-account"]
        assert email == f"{each['metadata']['name']}@sapphire-{environment}.iam.gserviceaccount.com"
        assert 6 <= len(email.partition("@")[0]) <= 30, email


def test_only_labs_and_prometheus_may_speak_to_the_api_server(objects):
    for pod in pods(objects):
        assert pod.spec["automountServiceAccountToken"] == (pod.component in ("lab", "prometheus")), pod.name


def test_nobody_is_root_or_writes_to_the_images_files_or_has_a_capability(objects):
    for pod in pods(objects):
        whole = pod.spec["securityContext"]
        assert whole["runAsNonRoot"] is True, pod.name
        assert whole["runAsUser"] == whole["runAsGroup"] == whole["fsGroup"] == 10001, pod.name
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}, pod.name
        for container in pod.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, (pod.name, container["name"])
        assert not any(pod.spec.get(each) for each in ("hostNetwork", "hostPID", "hostIPC")), pod.name
        assert not any("hostPath" in volume for volume in pod.spec["volumes"]), pod.name


def test_what_trades_comes_before_agents_and_agents_before_research(objects):
    classes = {each["metadata"]["name"]: each for each in of_kind(objects, "PriorityClass")}
    values = [classes[f"trading-system-{name}"]["value"] for name in ("execution", "agents", "research")]
    assert values == sorted(values, reverse=True)
    assert classes["trading-system-research"]["preemptionPolicy"] == "Never"
    for pod in pods(objects):
        expected = {
            **dict.fromkeys(EXECUTION, "execution"),
            **dict.fromkeys(AGENTS, "agents"),
            **dict.fromkeys(RESEARCH, "research"),
        }
        assert pod.spec["priorityClassName"] == f"trading-system-{expected[pod.component]}", pod.name


def test_no_services_addresses_are_put_into_the_environment(objects):
    """A Service called sapphire-x would make variables that Sapphire refuses as settings."""
    assert all(pod.spec["enableServiceLinks"] is False for pod in pods(objects))


def test_staging_and_production_run_images_by_digest(objects):
    environment = "dev" if not of_kind(objects, "SecretProviderClass") else "other"
    for pod in pods(objects):
        for container in pod.containers:
            pattern = r"sapphire/[-a-z]+:dev" if environment == "dev" else r"sapphire/[-a-z]+@sha256:[0-9a-f]{64}"
            assert re.fullmatch(pattern, container["image"]), (pod.name, container["image"])


def test_two_language_models_share_one_spot_l4_and_end_within_fifteen_seconds(prod):
    models = [pod for pod in serving(prod) if "nvidia.com/gpu" in pod.main["resources"]["limits"]]
    assert {pod.labels["sapphire.dev/agent"] for pod in models} == {"deepseek", "qwen"}
    for pod in models:
        assert pod.main["resources"]["limits"]["nvidia.com/gpu"] == 1
        assert pod.spec["nodeSelector"] == {
            "cloud.google.com/gke-accelerator": "nvidia-l4",
            "cloud.google.com/gke-spot": "true",
            "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing",
            "cloud.google.com/gke-max-shared-clients-per-gpu": "2",
        }
        assert {each["key"] for each in pod.spec["tolerations"]} == {"nvidia.com/gpu", "cloud.google.com/gke-spot"}
        # one share each: the old pod goes before the new one comes
        assert pod.owner["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_every_pod_on_a_gpu_node_ends_within_fifteen_seconds(prod):
    on_gpu = [pod for pod in pods(prod) if "nodeSelector" in pod.spec]
    assert {pod.component for pod in on_gpu} == {"agent", "weights", "research"}
    for pod in on_gpu:
        assert pod.spec["terminationGracePeriodSeconds"] <= 15, pod.name
        assert not any("persistentVolumeClaim" in each and not each["persistentVolumeClaim"].get("readOnly")
                       for each in pod.spec["volumes"] if pod.component != "weights"), pod.name  # fmt: skip


def test_the_servers_of_language_models_fit_on_the_l4_with_what_their_settings_say(prod):
    """By the configuration of Qwen3-8B, which is that of DeepSeek-R1-0528-Qwen3-8B too."""
    models = [pod for pod in serving(prod) if "nvidia.com/gpu" in pod.main["resources"]["limits"]]
    found = [VllmServer.read({each["name"]: each.get("value", "") for each in pod.main["env"]}) for pod in models]
    by_name = {server.weights.repository: server for server in found}
    deepseek, qwen = by_name["deepseek-ai/DeepSeek-R1-0528-Qwen3-8B"], by_name["Qwen/Qwen3-8B-FP8"]
    assert (deepseek.quantization, deepseek.length, deepseek.sequences, deepseek.adapters) == ("fp8", 2048, 4, ())
    assert (qwen.quantization, qwen.length, qwen.sequences, qwen.rank) == ("", 2048, 3, 16)
    assert qwen.names == ("Qwen/Qwen3-8B-FP8", "desk/fingpt-qwen3-8b")
    config = json.loads((REPOSITORY / "tests/bench/qwen3_8b/config.json").read_text())
    stored = config | {"quantization_config": {"quant_method": "fp8"}}
    plan = MemoryPlan(22 * GIB, (deepseek.memory(ModelShape.of(config)), qwen.memory(ModelShape.of(stored))))
    plan.require()
    # where both shares are taken, the next release waits for the one before it to go
    assert plan.place(replace(plan.servers[0], name="next"), instead_of=plan.servers[0].name) == "in turn"


def test_weights_are_pulled_once_for_each_model_and_adapter_by_repository_revision_and_sha256(prod):
    jobs = [pod for pod in pods(prod) if pod.component == "weights"]
    assert len(jobs) == 3
    for pod in jobs:
        words = pod.main["command"]
        assert words[:3] == ["sapphire", "weights", "pull"]
        assert {"--revision", "--sha256", "--into"} <= set(words)
        assert "nvidia.com/gpu" not in pod.main["resources"]["limits"]


def test_a_fifth_agent_is_one_entry_and_restarts_nobody():
    fifth = {"release": "5" * 64, "runner": "cpu", "replicas": 1}
    more = render(values_of("prod", agents={"fifth": fifth}))
    known, now = ({key(each): each for each in objects} for objects in (deployed("prod"), more))
    added = {name for name in now if name not in known}
    assert added == {
        f"{kind}/agent-fifth" for kind in ("Deployment", "Service", "ServiceAccount", "SecretProviderClass")
    } | {"Service/agent-fifth-pods"}
    changed = {name for name, each in known.items() if now[name] != each}
    assert changed == {"ConfigMap/plan"}


def test_another_account_restarts_no_account_that_trades(prod):
    account = {"agent": "trend", "tag": 3, "stage": "paper", "funds": {"USDT": "1000"}}
    more = {pod.name: pod for pod in pods(render(values_of("prod", accounts={"third": account})))}
    changed = {
        pod.name for pod in pods(prod) if more[pod.name].spec != pod.spec or more[pod.name].metadata != pod.metadata
    }
    # the exchange is told its accounts when it begins, and a trimmer waits for every account
    assert changed == {"StatefulSet/exchange", "Deployment/trimmer-paper", "Deployment/trimmer-candidate"}


def test_what_a_pod_mounts_is_there(objects):
    made = {key(each) for each in objects}
    for pod in pods(objects):
        volumes = {each["name"] for each in pod.spec["volumes"]}
        claims = {each["metadata"]["name"] for each in pod.owner["spec"].get("volumeClaimTemplates", ())}
        for container in pod.containers:
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes | claims, pod.name
        for volume in pod.spec["volumes"]:
            if "configMap" in volume and pod.component != "research":
                assert f"ConfigMap/{volume['configMap']['name']}" in made, pod.name
            if "csi" in volume:
                assert f"SecretProviderClass/{volume['csi']['volumeAttributes']['secretProviderClass']}" in made
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                owner = claim.removeprefix("data-").removesuffix("-0")
                assert f"PersistentVolumeClaim/{claim}" in made or f"StatefulSet/{owner}" in made, pod.name


def test_every_scratch_volume_has_a_size(objects):
    for pod in pods(objects):
        for volume in pod.spec["volumes"]:
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], (pod.name, volume["name"])


def test_research_and_jobs_end_some_time(objects):
    for pod in pods(objects):
        spec = pod.owner["spec"].get("jobTemplate", pod.owner)["spec"]
        if pod.owner["kind"] in ("Job", "CronJob"):
            assert spec["activeDeadlineSeconds"] <= 43200, pod.name
            assert spec["backoffLimit"] <= 6, pod.name


def test_a_report_reads_the_volumes_of_an_account_on_their_own_node_and_changes_nothing(objects):
    found = [pod for pod in pods(objects) if pod.component == "reports"]
    assert found
    for pod in found:
        account = pod.labels["sapphire.dev/account"]
        claims = {each["persistentVolumeClaim"]["claimName"]: each["persistentVolumeClaim"]["readOnly"]
                  for each in pod.spec["volumes"] if "persistentVolumeClaim" in each}  # fmt: skip
        assert claims == {f"data-engine-{account}-0": True, f"data-coordinator-{account}-0": True}
        (near,) = pod.spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert near["topologyKey"] == "kubernetes.io/hostname"
        assert near["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] == f"engine-{account}"
        (other,) = [
            each for each in serving(objects) if each.labels["app.kubernetes.io/name"] == f"coordinator-{account}"
        ]
        assert other.spec["affinity"]["podAffinity"] == pod.spec["affinity"]["podAffinity"]


def test_jobs_by_the_clock_are_reports_retraining_and_gaps_and_never_run_twice_at_once(prod):
    jobs = {each["metadata"]["name"]: each["spec"] for each in of_kind(prod, "CronJob")}
    assert set(jobs) == {"reports-paper", "reports-candidate", "retrain-momentum", "gaps-btc-usdt", "gaps-eth-usdt"}
    for each in jobs.values():
        assert each["concurrencyPolicy"] == "Forbid"
        assert each["timeZone"] == "Etc/UTC"


def test_every_command_of_ours_is_one_that_sapphire_has(objects):
    """But for those that come with the parts and the models: part, weights, watch --once."""
    from typer.main import get_command

    from sapphire.cli import app

    known = get_command(app)
    for pod in pods(objects):
        for container in pod.containers:
            words = container.get("command", ())
            if not words or words[0] != "sapphire" or words[1] in ("part", "weights") or "watch" in words:
                continue
            command, rest = known.commands[words[1]], list(words[2:])
            while hasattr(command, "commands") and rest and rest[0] in command.commands:
                command = command.commands[rest.pop(0)]
            command.make_context(words[1], rest, resilient_parsing=False)


@pytest.mark.parametrize(
    "more",
    [
        {"global": {"image": {"digests": {"platform": "sha256:" + "5" * 64}}}},
        {"global": {"resources": {"weights": {"memory": "1Gi"}}}},
    ],
)
def test_a_job_of_another_pod_is_another_job(more):
    """Kubernetes refuses to change a Job's pod, and with it the whole upgrade."""
    before, after = (
        {each["metadata"]["name"]: each["spec"] for each in of_kind(objects, "Job")}
        for objects in (rendered("prod"), render(values_of("prod", **more)))
    )
    assert before
    assert after
    assert not before.keys() & after.keys()
