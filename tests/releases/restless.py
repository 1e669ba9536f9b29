"""A release that trades often, in a state folder of its own, with its signed report for paper."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from sapphire.agents import Calibrated, MovingAverageCross
from sapphire.agents.release import freeze
from sapphire.domain import Bars, Interval
from sapphire.domain.clocks import to_ns
from sapphire.domain.releases import ReleasedSizing

__all__ = ["SEED", "SYMBOLS", "restless"]

SYMBOLS = ("BTC/USDT", "ETH/USDT")
SEED = 7


def _trending_bars(length: int) -> Bars:
    """Bars on which the last step says much about the next, so that the agent learns to have an opinion."""
    dice, interval = np.random.default_rng(SEED), Interval("5m")
    steps = 0.001 * dice.standard_normal((length, 2))
    for row in range(1, length):
        steps[row] += 0.6 * steps[row - 1]
    close = 100.0 * np.exp(np.cumsum(steps, axis=0))
    opened = np.vstack([np.full((1, 2), 100.0), close[:-1]])
    return Bars(
        symbols=SYMBOLS,
        interval=interval,
        open_time_ns=to_ns("2025-02-20") + np.arange(length, dtype=np.int64) * interval.ns,
        open=opened,
        high=np.maximum(opened, close),
        low=np.minimum(opened, close),
        close=close,
        volume=np.ones((length, 2)),
        listed=np.ones((length, 2), dtype=np.bool_),
    ).validate()


def _release_in(home: Path, sign_permit: Callable[..., object]) -> str:
    """A frozen release that changes its mind every few bars and is sized anew at each, admitted to paper."""
    bars = _trending_bars(3_000)
    agent = Calibrated(MovingAverageCross(fast=2, slow=5, horizon=timedelta(minutes=15))).fit(bars, seed=SEED)
    digest = freeze(
        agent,
        name="restless",
        train_bars=bars,
        sizing=ReleasedSizing(
            class_name="fixed_fraction",
            parameters={"fraction": 0.15, "rebalance_band": 0.0},
            source_sha256="a" * 64,
        ),
        limits={},
        execution={},
        lock_sha256="b" * 64,
        engine_version="0.1.0",
        universe=SYMBOLS,
        folder=home / "releases",
    ).digest
    sign_permit(home, digest, name="restless")
    return digest


@pytest.fixture(scope="session")
def restless(tmp_path_factory: pytest.TempPathFactory, sign_permit: Callable[..., object]) -> tuple[Path, str]:
    """The state folder and the digest of its release."""
    home = tmp_path_factory.mktemp("restless") / "home"
    home.mkdir()
    return home, _release_in(home, sign_permit)
