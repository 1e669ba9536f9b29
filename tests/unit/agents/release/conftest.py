"""Small agents, fitted, and releases of them."""

from datetime import timedelta

import pytest

from sapphire.agents import Calibrated, LagLlama, MovingAverageCross, Pool, RandomWalk
from sapphire.agents.release import freeze, load_release
from sapphire.domain.releases import ReleasedSizing

SIZING = ReleasedSizing(class_name="volatility_target", parameters={"annual": 0.2}, source_sha256="a" * 64)
TINY = {"context": 4, "lags": (0, 1, 3), "scaling": 12, "width": 8, "layers": 1, "steps": 5, "batch": 8}


def freeze_settings(bars, **changed):
    """What `freeze` takes beside the agent."""
    settings = {
        "name": "trend",
        "train_bars": bars,
        "sizing": SIZING,
        "limits": {"max_notional_quote": "10000"},
        "execution": {"style": "taker"},
        "lock_sha256": "b" * 64,
        "engine_version": "0.1.0",
        "universe": bars.symbols,
    }
    return settings | changed


@pytest.fixture(scope="session")
def cross(bars):
    """A score, calibrated."""
    return Calibrated(MovingAverageCross(fast=3, slow=9, horizon=timedelta(minutes=15))).fit(bars, seed=7)


@pytest.fixture(scope="session")
def llama(bars):
    """A forecast from arrays in float32."""
    return Calibrated(LagLlama(horizon=timedelta(minutes=15), **TINY)).fit(bars, seed=7)


@pytest.fixture(scope="session")
def pool(bars, cross, llama):
    """Two of a kind, one that learned and one that did not, with weights."""
    slower = MovingAverageCross(fast=5, slow=20, horizon=timedelta(minutes=15))
    still = RandomWalk(lookback=10, horizon=timedelta(minutes=15))
    return Pool((cross.agent, llama.agent, slower, still), weights=(2.0, 1.0, 1.0, 0.5), method="logarithmic").fit(
        bars, seed=7
    )


@pytest.fixture
def frozen(bars, tmp_path):
    """Freezes an agent into the test's own folder and gives the release's folder."""

    def make(agent, **changed):
        settings = freeze_settings(bars, **{"folder": tmp_path / "releases"} | changed)
        return settings["folder"] / freeze(agent, **settings).digest

    return make


@pytest.fixture
def loaded(frozen):
    """Freezes an agent and loads the release."""
    return lambda agent, **changed: load_release(frozen(agent, **changed))
