"""A feature that serving computes otherwise than training did is found before anything is served.

Two ways to skew: the formula changed and said so by its version, or it changed and kept silent.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sapphire.agents import freeze, load_agent_source, load_release
from sapphire.data.features import FORMULAS, FeatureSet, Formula
from sapphire.domain import Bars, FixedClock, Interval, Window
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.view_requests import encode_window
from sapphire.serving import Runner, Settings, Standing, admit
from sapphire.serving.cached_windows import BarCache

SOURCE = '''
"""Follows the last day."""

from dataclasses import dataclass
from datetime import timedelta

from sapphire.agents import Agent


@dataclass(frozen=True)
class Follows(Agent):
    warmup: int = 25
    horizon: timedelta = timedelta(hours=1)

    def views(self, window):
        mean = 100.0 * window.feature("momentum_z_24").iloc[-1]
        return window.views(mean_bps=mean, std_bps=mean * 0.0 + 10.0, horizon=self.horizon)
'''


def bars_of(length: int = 200) -> Bars:
    dice, interval = np.random.default_rng(5), Interval("1h")
    close = 100.0 * np.exp(np.cumsum(0.01 * dice.standard_normal((length, 2)), axis=0))
    return Bars(
        symbols=("BTC/USDT", "ETH/USDT"),
        interval=interval,
        open_time_ns=1_735_689_600_000_000_000 + np.arange(length, dtype=np.int64) * interval.ns,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.ones((length, 2)),
        listed=np.ones((length, 2), dtype=np.bool_),
    )


def frozen_into(tmp_path: Path, sign_permit: Callable[..., object]) -> Path:
    """A frozen release of an agent that reads a feature, with a report that permits paper."""
    bars, home = bars_of(), tmp_path / "home"
    agent = load_agent_source(SOURCE, tmp_path / "follows.py")()
    sizing = ReleasedSizing(class_name="equal_weight", parameters={}, source_sha256="a" * 64)
    digest = freeze(
        agent, name="follows", train_bars=bars, sizing=sizing, limits={}, execution={}, lock_sha256="b" * 64,
        engine_version="0.1.0", universe=bars.symbols,
        features=FeatureSet(["momentum_z_24"]), max_age=timedelta(days=90), folder=home / "releases",
    ).digest  # fmt: skip
    sign_permit(home, digest, name="follows")
    return home / "releases" / digest


@pytest.fixture
def release(tmp_path: Path, sign_permit: Callable[..., object]) -> Path:
    """A release that was frozen by the formula there is."""
    return frozen_into(tmp_path, sign_permit)


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes the platform's formula."""

    def change(**changes: Any) -> None:
        monkeypatch.setitem(dict_of(FORMULAS), "momentum_z", dataclasses.replace(FORMULAS["momentum_z"], **changes))

    return change


def dict_of(formulas: object) -> dict[str, Formula]:
    assert isinstance(formulas, dict)
    return formulas


def runner_of(release: Path) -> Runner:
    home = release.parents[1]
    made = Runner(admit(Settings(home, release.name)), BarCache(""), FixedClock(1_740_000_000_000_000_000))
    made.stand_up()
    return made


def asked(runner: Runner) -> int:
    bars = bars_of()
    window = Window(bars, from_ns(int(bars.close_time_ns[-1])))
    return asyncio.run(runner.views(encode_window(window))).status


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_formula_it_was_frozen_with_is_served(release: Path) -> None:
    assert load_release(release).check_golden() > 0
    runner = runner_of(release)
    assert (runner.standing, asked(runner)) == (Standing.READY, 200)


def test_a_formula_that_changed_in_silence_is_found_by_the_golden_values(
    release: Path, formula: Callable[..., None]
) -> None:
    """By its last digits only, as when a sum runs over all bars in training and over the window in serving."""
    plain = FORMULAS["momentum_z"].compute

    def summed_otherwise(close: pd.DataFrame, *, bars: int) -> pd.DataFrame:
        return plain(close, bars=bars) * (1.0 + 1e-12)

    before = contents(release.parents[1])
    formula(compute=summed_otherwise)
    loaded = load_release(release)
    with pytest.raises(EvidenceRefused, match="says something else here than when it was frozen") as refused:
        loaded.check_golden()
    for label in ("expected:", "got:", "next:"):
        assert f"\n  {label:<10}" in str(refused.value)
    assert "BTC/USDT" in str(refused.value) or "ETH/USDT" in str(refused.value)
    assert contents(release.parents[1]) == before


def test_a_service_finds_it_too(
    tmp_path: Path, sign_permit: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen by another formula of the same version than the one that the service has."""
    plain = FORMULAS["momentum_z"].compute

    def summed_otherwise(close: pd.DataFrame, *, bars: int) -> pd.DataFrame:
        return plain(close, bars=bars) * (1.0 + 1e-12)

    with monkeypatch.context() as elsewhere:
        other = dataclasses.replace(FORMULAS["momentum_z"], compute=summed_otherwise)
        elsewhere.setitem(dict_of(FORMULAS), "momentum_z", other)
        release = frozen_into(tmp_path, sign_permit)
    before = contents(release.parents[1])
    runner = runner_of(release)
    assert (runner.standing, asked(runner)) == (Standing.REFUSED, 503)
    assert "says something else here than when it was frozen" in str(runner.refusal)
    assert contents(release.parents[1]) == before


def test_a_formula_of_another_version_is_refused_before_the_source_runs(
    release: Path, formula: Callable[..., None]
) -> None:
    formula(version=2)
    with pytest.raises(EvidenceRefused, match="reads other features than there are here") as refused:
        load_release(release)
    assert refused.value.expected == "bars@1 momentum_z_24@1"
    assert refused.value.got == "bars@1 momentum_z_24@2"
    runner = runner_of(release)
    assert (runner.standing, asked(runner)) == (Standing.REFUSED, 503)
