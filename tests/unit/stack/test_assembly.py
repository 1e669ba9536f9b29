"""The parts that a plan is made of: who waits for whom."""

from dataclasses import replace

import pytest

from sapphire.stack.addresses import Ports
from sapphire.stack.assembly import Assembly
from sapphire.stack.plan import Plan
from sapphire.stack.releases import described


@pytest.fixture
def needs(frozen, tmp_path):
    """A changed plan's needs, by part."""
    home, digest = frozen
    release, manifest = described(home, digest)
    plan = Plan(run=tmp_path, home=home, release=release, symbols=manifest.universe, interval=manifest.interval)

    def of(**changes):
        changed = replace(plan, **changes)
        return {part.name: part.needs for part in Assembly(changed, Ports.choose(tmp_path), manifest).parts()}

    return of


def test_market_time_that_runs_by_itself_begins_when_the_release_answers(needs):
    assert needs(speed=60.0, latency_ms=None)["exchange"] == ("bento",)
    assert needs(speed=60.0, latency_ms=None, bento_url="http://127.0.0.1:9")["exchange"] == ()


def test_in_lockstep_nobody_waits_for_what_he_does_not_use(needs):
    assert needs()["exchange"] == ()
    assert needs()["service"] == needs()["collector"] == ("bus", "exchange")


def test_pages_start_behind_what_trades(needs):
    assert needs(mlflow=True)["mlflow"] == ("bento",)
    assert "mlflow" not in needs()
