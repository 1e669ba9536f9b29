"""The plan that the chart renders is the one that parts read; what the exchange is told is what follows from it."""

import json

import pytest
from rendered import ENVIRONMENTS, key, pods, render, values_of

from sapphire.stack.pods import PodPlan, exchange_words
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
