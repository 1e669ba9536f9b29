"""A plan says all that a stack is made of, and comes back from a file as it was."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import ConfigError, Refused, ValueRefused
from sapphire.domain.limits import STANDARD, Limits
from sapphire.registry import EvidenceStore
from sapphire.stack.account.limits import account_limits
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import ChosenRelease, Market, Plan

RELEASE = ChosenRelease("a" * 64, "paper.trend@1", "trend", True, ("skill not shown",))


def plan(**changed):
    settings = {
        "run": Path("/run"),
        "home": Path("/home"),
        "release": RELEASE,
        "symbols": ("BTC/USDT", "ETH/USDT"),
        "interval": "5m",
    }
    return Plan(**settings | changed)


speeds = st.none() | st.floats(0.001, 1e6)
markets = st.builds(
    Market,
    st.integers(0, 2**64 - 1),
    st.none() | st.just(Path("/candles")),
    st.none() | st.just("2025-03-07T00:00:00Z"),
)


@given(
    speed=speeds,
    market=markets,
    mlflow=st.booleans(),
    spin=st.booleans(),
    bento=st.none() | st.just("http://127.0.0.1:1"),
)
def test_a_plan_survives_its_file(speed, market, mlflow, spin, bento):
    given = {"speed": speed, "market": market, "mlflow": mlflow, "spin": spin, "bento_url": bento}
    made = plan(**given, ports={"bus": 7}, funds={"USDT": "12.5"})
    assert Plan.from_dict(json.loads(json.dumps(made.as_dict()))) == made


def test_no_stack_trades_without_limits():
    assert plan(funds={"USDT": "2000"}).limits == STANDARD.settings(2_000 * 10**8)
    assert plan(funds={"BTC": "1"}).limits == plan().limits == STANDARD.settings(100_000 * 10**8)
    own = {"max_daily_loss_bps": 100}
    assert plan(limits=own).limits == own


def test_the_account_has_the_limits_that_the_evidence_was_made_under(tmp_path, registered):
    folder = registered.write_release(tmp_path / "frozen")
    bundle = registered.bundle_of(folder)
    assert account_limits(tmp_path, bundle.manifest_digest, 10**8) == STANDARD.settings(10**8)
    tight = Limits(name="tight", daily_loss_bps=500, order=0.5)
    under = registered.replaced(bundle, protocol={"limits": tight.as_dict()})
    EvidenceStore(tmp_path / "evidence").add_bundle(under, at_ns=1)
    found = account_limits(tmp_path, bundle.manifest_digest, 10**8)
    assert found == tight.settings(10**8)
    assert (found["max_daily_loss_bps"], found["account"]["max_order_atoms"]) == (500, 5 * 10**7)


def test_lock_step_says_its_latency_and_a_paced_market_has_none():
    assert plan().latency_ms == (5, 25)
    assert plan(speed=1.0).latency_ms is None
    with pytest.raises(ConfigError, match="latency of a paced market"):
        plan(speed=1.0, latency_ms=(1, 2))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"symbols": ("BTC/USDT", "ETH/BTC")}, ConfigError),
        ({"symbols": ()}, ConfigError),
        ({"funds": {"USDT": "much"}}, ValueRefused),
        ({"funds": {"": "1"}}, ConfigError),
    ],
    ids=["two quotes", "nothing", "not a decimal", "no asset"],
)
def test_what_cannot_be_meant_is_refused(changed, error):
    with pytest.raises(error):
        plan(**changed)


def test_a_file_that_is_no_plan_is_refused():
    with pytest.raises(ConfigError, match="the plan of a stack"):
        Plan.from_dict({"release": {}})


def test_a_folder_without_a_run_says_what_to_do(tmp_path):
    with pytest.raises(Refused, match="no stack ran in") as refused:
        RunFolder(tmp_path).read()
    assert refused.value.next == "sapphire up starts one"


def test_damaged_facts_are_named(tmp_path):
    folder = RunFolder(tmp_path)
    for text in ("{", "[]"):
        folder.facts.write_text(text)
        with pytest.raises(ConfigError, match=r"damaged facts in .*stack\.json"):
            folder.read()
    folder.write({"state": "ready"})
    assert folder.read() == {"state": "ready"}
