"""The plan that the chart renders is the one that parts read; what the exchange is told is what follows from it."""

import json
import subprocess

import pytest
from rendered import ENVIRONMENTS, key, pods, render, rendered, values_of
from typer.testing import CliRunner

from sapphire.cli import app
from sapphire.execution.binaries import engine_binary
from sapphire.stack.pods import Pod, PodPlan, exchange_words
from sapphire.stack.pods.secret_making import make_secrets

SECOND = {"agent": "trend", "tag": 7, "stage": "paper", "funds": {"USDT": "50000", "BTC": "1"}}


@pytest.fixture(params=ENVIRONMENTS)
def deployed(request, tmp_path):
    """An environment with one account more, and its plan as a part reads it."""
    objects = render(values_of(request.param, accounts={"second": SECOND}, market={"speed": 60}))
    (config,) = [each for each in objects if key(each) == "ConfigMap/plan"]
    (tmp_path / "plan.json").write_text(config["data"]["plan.json"])
    return objects, PodPlan.read(tmp_path / "plan.json")


def test_parts_read_it_and_find_each_other_by_the_names_of_services(deployed):
    objects, plan = deployed
    services = {
        (each["metadata"]["name"], port["port"])
        for each in objects
        if each["kind"] == "Service"
        for port in each["spec"]["ports"]
    }
    parts = [plan.bus, plan.exchange, plan.collector, plan.postgresql, *plan.agents.values()]
    for account in plan.accounts.values():
        parts += [account.coordinator, account.engine, account.trimmer]
    assert {(part.host, part.port) for part in parts} <= services
    assert (plan.exchange.host, plan.exchange.control_port) in services


def test_a_fifth_member_of_a_pool_is_one_entry_and_no_new_image(tmp_path):
    pool = "5" * 64
    names = ("deepseek", "qwen", "fingpt", "lag-llama", "reversal")
    members = {name: {"release": pool, "member": name, "runner": "cpu-torch"} for name in names}
    account = {"paper": {"agent": "qwen", "tag": 1, "stage": "paper", "funds": {"USDT": "100000"}}}
    drawn = [render(values_of("dev", agents=dict(list(members.items())[:count]), accounts=account)) for count in (4, 5)]
    four, five = ({key(each): each for each in objects} for objects in drawn)
    added = five.keys() - four.keys()
    assert all("agent-reversal" in name for name in added)
    assert {"Deployment/agent-reversal", "Service/agent-reversal"} <= added
    images = [{container["image"] for pod in pods(objects) for container in pod.containers} for objects in drawn]
    assert images[0] == images[1]
    (tmp_path / "plan.json").write_text(five["ConfigMap/plan"]["data"]["plan.json"])
    pod = Pod(PodPlan.read(tmp_path / "plan.json"), tmp_path, tmp_path)
    assert list(pod.plan.members(pool)) == sorted(names)
    assert pod.coordinator("paper").member_urls == {name: f"http://agent-{name}:3000" for name in names}
    for name in names:
        (served,) = (pod for pod in pods(drawn[1]) if pod.name == f"Deployment/agent-{name}")
        environment = {each["name"]: each.get("value") for each in served.main["env"]}
        assert environment["SAPPHIRE_MEMBER"] == name
        assert environment["SAPPHIRE_RELEASE"] == pool


def test_the_exchange_is_told_the_market_and_the_accounts_of_the_plan(deployed):
    objects, plan = deployed
    (exchange,) = [pod for pod in pods(objects) if pod.component == "exchange"]
    assert exchange.main["args"] == exchange_words(plan)


def test_the_secrets_that_are_drawn_are_the_ones_that_pods_mount(tmp_path):
    objects = render(values_of("dev", retrain={"trend": {"schedule": "0 3 * * 0", "notebook": "study.ipynb"}}))
    (config,) = [each for each in objects if key(each) == "ConfigMap/plan"]
    (tmp_path / "plan.json").write_text(json.dumps(json.loads(config["data"]["plan.json"])))
    make_secrets(tmp_path / "drawn", PodPlan.read(tmp_path / "plan.json"))
    drawn = {str(path.relative_to(tmp_path / "drawn")) for path in (tmp_path / "drawn").rglob("*") if path.is_file()}
    mounted = {
        f"{volume['secret']['secretName']}/{item['key']}"
        for pod in pods(objects)
        for volume in pod.spec["volumes"]
        if "secret" in volume
        for item in volume["secret"]["items"]
    }
    assert mounted == drawn


def test_what_helm_test_does_is_done_by_the_drawn_keys_at_an_exchange_of_the_rendered_words(tmp_path):
    """The container's own words, but for addresses and folders, which are this machine's."""
    objects = rendered("dev")
    (config,) = [each for each in objects if key(each) == "ConfigMap/plan"]
    (tmp_path / "plan.json").write_text(config["data"]["plan.json"])
    make_secrets(tmp_path / "drawn", PodPlan.read(tmp_path / "plan.json"))
    of = {pod.component: pod for pod in pods(objects)}
    words = list(of["exchange"].main["args"])
    here = {
        "--port": "0",
        "--control-port": "0",
        "--bind": "127.0.0.1",
        "--host": "127.0.0.1",
        "--journal": str(tmp_path / "journal"),
        "--keys": str(tmp_path / "drawn/exchange/exchange-keys.json"),
    }
    for word, value in here.items():
        words[words.index(word) + 1] = value
    with subprocess.Popen((str(engine_binary("exchange")), *words), stdout=subprocess.PIPE, text=True) as exchange:
        try:
            url = json.loads(exchange.stdout.readline())["url"]
            asked = [url if word == "http://exchange:8080" else word for word in of["check"].main["command"][1:]]
            asked[asked.index("--keys") + 1] = str(tmp_path / "drawn/check/venue-keys.json")
            done = CliRunner().invoke(app, [*asked, "--json"], catch_exceptions=False)
        finally:
            exchange.terminate()
    assert done.exit_code == 0
    assert json.loads(done.stdout)["fills"] >= 2
