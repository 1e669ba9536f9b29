"""A deployment's plan: what it refuses, and that its parts are told what a keeper would tell them."""

import json
import os
import subprocess
import sys

import pytest
from pod_plans import DIGEST, plan_facts, written

from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ConfigError, Refused
from sapphire.serving.settings import Settings
from sapphire.stack.addresses import Ports
from sapphire.stack.assembly import Assembly
from sapphire.stack.network import Network
from sapphire.stack.plan import Market, Plan
from sapphire.stack.pods import Pod, PodPlan, exchange_words
from sapphire.stack.releases import described
from sapphire.telemetry.secret_files import write_secret


def changed(*path, to):
    """The plan with a value changed, or taken out."""
    facts = plan_facts()
    table = facts
    for key in path[:-1]:
        table = table[key]
    if to is None:
        del table[path[-1]]
    else:
        table[path[-1]] = to
    return facts


POOL = "e" * 64


def read(tmp_path, facts):
    return PodPlan.read(written(tmp_path, facts))


@pytest.mark.parametrize(
    ("path", "to", "said"),
    [
        (("surprise",), 1, "surprise of the plan"),
        (("market", "sped"), 1, "market.sped"),
        (("market", "start"), None, "market.start is missing"),
        (("market", "start"), "yesterday", "cannot be meant"),
        (("market", "start"), 5, "market.start"),
        (("market", "speed"), 0, "market.speed"),
        (("market", "speed"), "60", "market.speed"),
        (("market", "seed"), -1, "market.seed"),
        (("market", "seed"), 1.5, "market.seed"),
        (("market", "source"), "live", "no venue with real money is built yet"),
        (("market", "source"), "recorded", "market.source"),
        (("market", "symbols"), [], "market.symbols"),
        (("market", "symbols"), ["BTC/USDT", "ETH/EUR"], "one quote asset"),
        (("market", "symbols"), ["BTC/USDT", "BTC/USDT"], "once each"),
        (("market", "interval"), "7x", "cannot be meant"),
        (("market", "history_bars"), 0, "market.history_bars"),
        (("format",), "POD_PLAN@2", "POD_PLAN@1"),
        (("venue",), "binance", "embedded"),
        (("bus", "port"), 0, "bus.port"),
        (("bus", "port"), 65_536, "bus.port"),
        (("bus", "host"), "valkey:6379/", "bus.host"),
        (("exchange", "host"), "0.0.0.0", "by which others reach it"),
        (("agents",), {}, "agents"),
        (("agents", "trend", "release"), "trend@1", "64 hexadecimal digits"),
        (("accounts",), {}, "accounts"),
        (("accounts", "paper", "stage"), "live", "no venue with real money is built yet"),
        (("accounts", "paper", "agent"), "nobody", "an agent for account paper that there is: trend"),
        (("accounts", "paper", "tag"), 3, "tags of accounts that differ"),
        (("accounts", "paper", "tag"), 2, "one of them 1"),
        (("accounts", "paper", "tag"), True, "accounts.paper.tag"),
        (("accounts", "paper", "funds"), {"USDT": 100000}, "accounts.paper.funds.USDT"),
        (("accounts", "paper", "funds"), {"USDT": "-1"}, "cannot be meant"),
        (("accounts", "paper", "funds"), {"USDT": "1.123456789"}, "cannot be meant"),
        (("accounts", "paper", "spin"), "yes", "accounts.paper.spin"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path, path, to, said):
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, changed(*path, to=to))
    assert said in str(refused.value)
    assert "expected:" in str(refused.value)


@pytest.mark.parametrize("name", ["Paper", "a:b", "-a", "a_b", "a" * 21, ""])
def test_names_are_labels(tmp_path, name):
    facts = plan_facts()
    facts["accounts"][name] = facts["accounts"].pop("paper")
    with pytest.raises(ConfigError, match="cannot be meant"):
        read(tmp_path, facts)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "\xff"])
def test_what_is_no_plan_is_refused(tmp_path, text):
    path = tmp_path / "plan.json"
    path.write_text(text, "latin-1")
    with pytest.raises(ConfigError, match="plan"):
        PodPlan.read(path)
    with pytest.raises(ConfigError, match="no plan of the pods"):
        PodPlan.read(tmp_path / "none.json")


def test_what_may_be_left_out_has_its_usual_value(tmp_path):
    facts = plan_facts()
    del facts["bind"], facts["postgresql"]
    plan = read(tmp_path, facts)
    assert (plan.bind, plan.postgresql, plan.market.kept_bars) == ("0.0.0.0", None, 16_133 + 2_048)
    assert plan.accounts["paper"].notices is None
    assert plan.first == "paper"
    assert [*plan.later] == ["second"]


def test_the_exchange_s_arguments(tmp_path):
    words = [
        "--port", "8080", "--control-port", "8081", "--bind", "0.0.0.0", "--host", "exchange",
        "--symbols", "BTC/USDT,ETH/USDT", "--seed", "7", "--speed", "60", "--start", "2025-03-07T00:00:00Z",
        "--journal", "/var/lib/sapphire/run/exchange", "--fund", "USDT=100000",
        "--account", "second:BTC=1,USDT=50000", "--account", "check:USDT=10000",
        "--keys", "/var/run/secrets/sapphire/exchange-keys.json",
    ]  # fmt: skip
    assert exchange_words(read(tmp_path, plan_facts())) == words
    half = exchange_words(read(tmp_path, changed("market", "speed", to=0.5)))
    assert half[half.index("--speed") + 1] == "0.5"


def test_the_server_of_an_agent_reads_what_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path))
    told = Pod(read(tmp_path, plan_facts()), tmp_path, tmp_path / "secrets").serving_variables("trend")
    assert told == {
        "SAPPHIRE_RELEASE": DIGEST,
        "SAPPHIRE_STAGE": "paper",
        "SAPPHIRE_RUNNING": "1",
        "SAPPHIRE_MEMBER": "",
        "SAPPHIRE_BARS_URL": "valkey://agent%3Atrend@valkey:6379/0",
        "SAPPHIRE_BARS_PASSWORD_FILE": str(tmp_path / "secrets" / "bus-password"),
    }
    with pytest.raises(Refused, match="has no password"):
        Settings.read(told)
    write_secret(tmp_path / "secrets" / "bus-password", "hush\n")
    assert Settings.read(told).bars_url == "valkey://agent%3Atrend:hush@valkey:6379/0"


def test_a_pool_is_an_entry_for_each_of_its_members(tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path))
    facts = plan_facts()
    for name in ("qwen", "fingpt", "cross"):
        facts["agents"][name] = {"release": POOL, "member": name, "host": f"agent-{name}", "port": 3000}
    facts["accounts"]["paper"]["agent"] = "qwen"
    pod = Pod(read(tmp_path, facts), tmp_path, tmp_path / "secrets")
    coordinator = pod.coordinator("paper")
    assert coordinator.release == POOL
    assert coordinator.member_urls == {name: f"http://agent-{name}:3000" for name in ("qwen", "fingpt", "cross")}
    assert pod.coordinator("second").member_urls == {}
    assert pod.coordinator("second").bento_url == "http://agent-trend:3000"
    assert pod.serving_variables("fingpt")["SAPPHIRE_MEMBER"] == "fingpt"
    assert pod.serving_variables("fingpt")["SAPPHIRE_RELEASE"] == POOL
    facts["agents"]["cross"]["member"] = "qwen"
    with pytest.raises(ConfigError, match="members of a release that stand there once each"):
        read(tmp_path, facts)


def test_a_part_of_an_account_that_is_not_there_names_those_that_are(tmp_path):
    pod = Pod(read(tmp_path, plan_facts()), tmp_path)
    with pytest.raises(ConfigError, match="no such account") as refused:
        pod.coordinator("third")
    assert "paper, second" in str(refused.value)
    with pytest.raises(ConfigError, match="no such agent"):
        pod.serving("none")


@pytest.fixture(scope="module")
def both(frozen, tmp_path_factory):
    home, digest = frozen
    release, manifest = described(home, digest)
    facts = plan_facts(digest)
    facts["market"] |= {"symbols": list(manifest.universe), "interval": manifest.interval}
    run = tmp_path_factory.mktemp("run")
    plan = Plan(
        run=run,
        home=home,
        release=release,
        symbols=manifest.universe,
        interval=manifest.interval,
        market=Market(7, None, "2025-03-07T00:00:00Z"),
        speed=60.0,
        bento_url="http://agent-trend:3000",
        network=Network("0.0.0.0"),
    )
    assembly = Assembly(plan, Ports.choose(run, network=plan.network), manifest)
    parts = {part.name: part for part in assembly.parts()}
    pod = Pod(PodPlan.read(written(run, facts)), home, run / "secrets")
    return parts, run, pod, manifest


class TestLikeAKeeper:
    """The same deployment as a stack at home: its keeper's settings, and the pods' own."""

    def told_at_home(self, run, part):
        return json.loads((run / f"{part}.json").read_text())

    def differences(self, one, other):
        assert one.keys() == other.keys()
        return {key: (one[key], other[key]) for key in one if one[key] != other[key]}

    def test_collector(self, both):
        _, run, pod, manifest = both
        told, mine = self.told_at_home(run, "collector"), json.loads(json.dumps(pod.collector().as_dict()))
        differ = self.differences(told, mine)
        assert differ.keys() == {"bus_url", "bus_password", "url", "port", "history_bars"}
        assert (mine["bus_url"], mine["url"], mine["port"]) == (
            "valkey://collector@valkey:6379/0", "http://exchange:8080", 9101,
        )  # fmt: skip
        assert mine["bus_password"] == str(run / "secrets" / "bus-password")
        pod.require_fits("paper", manifest)

    def test_coordinator(self, both):
        _, run, pod, _ = both
        told, mine = self.told_at_home(run, "coordinator"), json.loads(json.dumps(pod.coordinator("paper").as_dict()))
        differ = self.differences(told, mine)
        assert differ.keys() == {"bus_url", "bus_password", "signal_key", "decisions", "port"}
        assert mine["bus_url"] == "valkey://coordinator%3Apaper@valkey:6379/0"
        assert mine["decisions"] == str(pod.home / "run" / "decisions.jsonl")
        assert mine["signal_key"] == str(run / "secrets" / "signal-key")

    def test_service(self, both):
        _, run, pod, manifest = both
        told, mine = self.told_at_home(run, "service"), pod.service("paper", manifest).as_dict()
        assert told["venue"].keys() == mine["venue"].keys()
        differ = self.differences(told, json.loads(json.dumps(mine)))
        assert differ.keys() - {"execution"} == {
            "bus_url", "bus_password", "signal_key", "credentials", "service_tokens", "folder", "host", "port", "venue",
        }  # fmt: skip
        assert mine["execution"] == {**manifest.execution}  # a keeper's plan has them by then
        assert mine["limits"] == told["limits"] != {}
        assert (mine["bus_url"], mine["host"]) == ("valkey://service%3Apaper@valkey:6379/0", "engine-paper")
        other = pod.service("second", manifest)
        assert (other.account, other.account_tag) == ("second", 3)
        assert other.limits["account"]["max_order_atoms"] * 2 == mine["limits"]["account"]["max_order_atoms"], (
            "half the funds"
        )

    def test_exchange(self, both):
        parts, _, pod, _ = both
        told, mine = list(parts["exchange"].command[1:]), exchange_words(pod.plan)
        for word in ("--symbols", "--seed", "--speed", "--start", "--fund", "--bind"):
            assert mine[mine.index(word) + 1] == told[told.index(word) + 1], word
        assert "--lockstep" not in mine

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"symbols": ("ETH/USDT", "BTC/USDT")}, "BTC/USDT, ETH/USDT"),
            ({"interval": "1h"}, "bars of 1h"),
            ({"history_bars": 3}, "history_bars of market in the plan"),
        ],
    )
    def test_a_release_that_does_not_fit_is_refused(self, both, change, said):
        _, _, pod, manifest = both
        market = pod.plan.market.model_copy(update=change)
        other = Pod(pod.plan.model_copy(update={"market": market}), pod.home)
        with pytest.raises(Refused, match="does not fit the plan's market") as refused:
            other.require_fits("paper", manifest)
        assert said in str(refused.value)


def test_the_verbs_show_what_a_chart_says(tmp_path):
    path = written(tmp_path, plan_facts())

    def said(*words):
        command = (sys.executable, "-m", "sapphire.cli", "part", *words, "--plan", str(path), "--json")
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env=os.environ | {"SAPPHIRE_HOME": str(tmp_path)},
        )
        return json.loads(done.stdout)

    words = said("exchange")
    assert words[words.index("--journal") + 1] == str(tmp_path / "run" / "exchange")
    assert said("agent", "--agent", "trend")["SAPPHIRE_RELEASE"] == DIGEST


def test_market_time_begins_where_the_plan_says(tmp_path):
    assert Pod(read(tmp_path, plan_facts()), tmp_path).start_ns == to_ns("2025-03-07T00:00:00Z")
