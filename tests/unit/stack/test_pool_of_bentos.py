"""A pool behind a bento for each member: `up` starts them, and what trades is what the study would pool.

Five plain agents, the fifth of a file of its own: one entry in the pool is all that it takes.
"""

import json
import math
import os
import signal
from datetime import timedelta

import pytest

from sapphire.agents import MovingAverageCross, Pool, Pooling, RandomWalk, load_agent_source
from sapphire.agents.release import load_release
from sapphire.coordination.decision_log import latest_decisions
from sapphire.data import snapshot
from sapphire.domain.clocks import from_ns
from sapphire.domain.views import View
from sapphire.domain.windows import Window
from sapphire.stack import Stack, run_bars
from sapphire.stack.addresses import Ports
from sapphire.stack.assembly import Assembly
from sapphire.stack.plan import Market, Plan
from sapphire.stack.releases import described

QUARTER = timedelta(minutes=15)
BOUND = 0.4
"""Annualised Sharpe ratio; a year of 365 days has 35,040 quarters of an hour."""
FIFTH = '''
"""A fifth agent: one file."""

from dataclasses import dataclass
from datetime import timedelta

from sapphire import Agent


@dataclass(frozen=True)
class Liar(Agent):
    """Always 99 % sure of the same."""

    horizon: timedelta = timedelta(minutes=15)
    mean_bps: float = 900.0

    @property
    def warmup(self):
        return 2

    def views(self, window):
        close = window.panel("close").iloc[-1]
        return window.views(mean_bps=close * 0.0 + self.mean_bps, std_bps=close * 0.0 + 1.0, horizon=self.horizon)
'''


@pytest.fixture(scope="module")
def pool(tmp_path_factory, sign_permit, fixtures_of):
    """A state folder with a pool of five that is admitted to paper, and its digest."""
    serving, home = fixtures_of("serving"), tmp_path_factory.mktemp("state")
    bars = serving.random_bars(600)
    fifth = load_agent_source(FIFTH, tmp_path_factory.mktemp("agents") / "liar.py")()
    crosses = [MovingAverageCross(fast=fast, slow=3 * fast, horizon=QUARTER) for fast in (3, 5, 8)]
    members = (*crosses, RandomWalk(lookback=10, horizon=QUARTER), fifth)
    agent = Pool(members, quorum=3, member_bound=BOUND).fit(bars.rows(0, 400), seed=7)
    digest = serving.freeze_into(home, agent, bars, name="five")
    sign_permit(home, digest)
    return home, digest


def plan_of(pool, run, **more):
    release, manifest = described(*pool)
    market = Market(seed=7, start="2025-03-07T00:00:00Z")
    return Plan(run=run, home=pool[0], release=release, symbols=manifest.universe, interval=manifest.interval,
                market=market, **more), manifest  # fmt: skip


def test_each_member_is_a_part_that_says_which_release_it_serves(pool, tmp_path):
    plan, manifest = plan_of(pool, tmp_path, speed=60.0, latency_ms=None)
    names = list(manifest.members)
    assert len(names) == 5
    made = Assembly(plan, Ports.choose(tmp_path, members=names), manifest)
    parts = {part.name: part for part in made.parts()}
    served = {name: parts[f"bento-{name}"] for name in names}
    assert "bento" not in parts
    assert {name: part.release for name, part in served.items()} == {
        name: member.digest for name, member in manifest.members.items()
    }
    assert [part.environment["SAPPHIRE_MEMBER"] for part in served.values()] == names
    assert len({part.address for part in served.values()}) == 5
    assert parts["exchange"].needs == tuple(f"bento-{name}" for name in names)
    coordinator = json.loads((tmp_path / "coordinator.json").read_text())
    assert coordinator["member_urls"] == {name: part.address for name, part in served.items()}
    whole, _ = plan_of(pool, tmp_path, bento_url="http://127.0.0.1:9")
    parts = {part.name for part in Assembly(whole, Ports.choose(tmp_path), manifest).parts()}
    assert not any(name.startswith("bento") for name in parts), "a server that runs already has the whole release"


@pytest.fixture(scope="module")
def traded(pool, tmp_path_factory):
    """Decisions of a run in lock-step, in whose midst a member is killed."""
    plan, _ = plan_of(pool, tmp_path_factory.mktemp("run"))
    with Stack(plan) as stack:
        run_bars(stack, 4)
        os.kill(stack.parts["bento-liar"].pid, signal.SIGKILL)
        run_bars(stack, 4)
    return plan, latest_decisions(plan.run / "decisions.jsonl", 8)


def window_at(plan, release, close_ns):
    bars = snapshot(
        list(plan.symbols), interval=plan.interval, start="2025-03-06", end="2025-03-08", source="embedded", seed=7
    ).bars
    return Window(bars.head_until(from_ns(close_ns)).tail(release.warmup), from_ns(close_ns))


def stated(facts):
    """What a member said at a decision's close, by symbol."""
    return lambda member: {
        view["symbol"]: View(
            view["symbol"], from_ns(int(facts["bar_close_ns"])), QUARTER, mean_bps=view["mean_bps"],
            std_bps=view["std_bps"],
        )
        for view in member["views"]
    }  # fmt: skip


def test_what_is_pooled_is_what_the_release_pools_as_one(pool, traded):
    plan, decisions = traded
    assert len(decisions) == 8
    release = load_release(pool[0] / "releases" / pool[1])
    for decision in decisions:
        facts = decision.facts
        assert facts["format"] == "DECISION@4"
        assert [member["silence"] for member in facts["members"]] == [None] * 5, "in lock-step a killed one is awaited"
        window = window_at(plan, release, decision.bar_close_ns)
        said = {view.symbol: (view.mean_bps, view.std_bps) for view in release.views(window)}
        assert said == {of["symbol"]: (of["mean_bps"], of["std_bps"]) for of in facts["beliefs"]}
        assert set(said) == set(plan.symbols)


def test_a_member_that_lies_moves_no_belief_beyond_its_bound(traded):
    """Against the pool that does not hear it."""
    _, decisions = traded
    moved = []
    for facts in (decision.facts for decision in decisions):
        names = tuple(member["name"] for member in facts["members"])
        pooling = Pooling(names, (1.0,) * 5, quorum=3, member_bound=BOUND)
        heard = {of["symbol"]: of["mean_bps"] / of["std_bps"] for of in facts["beliefs"]}
        without = [*map(stated(facts), facts["members"][:-1]), {}]
        silent = pooling.views(without, tuple(heard), from_ns(int(facts["bar_close_ns"])), QUARTER)
        moved += [abs(heard[view.symbol] - view.mean_bps / view.std_bps) * math.sqrt(365 * 24 * 4) for view in silent]
    assert len(moved) == 16
    assert max(moved) <= BOUND * (1 + 1e-9)
    assert max(moved) > 0.5 * BOUND, "it is heard"
