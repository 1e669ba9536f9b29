"""The agent keeps its promises: it sees no bar of the future, and its two ways to speak say the same."""

from datetime import timedelta
from pathlib import Path

import pytest

import sapphire as sp
from sapphire.agents import Agent, check_agent, resolve
from sapphire.domain import Bars

AGENTS = Path(__file__).parents[1] / "agents"


@pytest.fixture(scope="module")
def bars() -> Bars:
    """A month of the generated market."""
    taken = sp.data.snapshot(
        ["BTC/USDT", "ETH/USDT"], interval="1h", start="2024-01-01", end="2024-02-01", source="embedded"
    )
    return taken.bars


@pytest.fixture
def agent() -> Agent:
    """The agent of this workspace."""
    return resolve("momentum", agents_folder=AGENTS)


def test_it_keeps_every_promise(agent: Agent, bars: Bars) -> None:
    """Truncation, other futures, warm-up, twin, order of symbols, repeated rows."""
    report = check_agent(agent, bars)
    assert report.ok, report


def test_its_parameters_are_what_they_are_called(agent: Agent) -> None:
    """A longer look back needs more bars."""
    longer = agent.replace(lookback=48, horizon=timedelta(hours=6))
    assert (agent.warmup, longer.warmup) == (25, 49)
