"""What was frozen in a study is what trades: through MLflow, gates, a signature, and back out of the registry."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from sapphire.agents import Agent, Calibrated, MovingAverageCross, Pool, RandomWalk
from sapphire.agents.release import freeze, load_release
from sapphire.domain import Bars, Interval, Window, from_ns, to_ns
from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.protocols import Protocol
from sapphire.domain.releases import ReleasedSizing
from sapphire.registry import EvidenceBundle, Registry

LOCK = sha256_of(b"lock")
START_NS = to_ns("2025-01-01T00:00Z")


@pytest.fixture(scope="module")
def bars() -> Bars:
    """A random walk of two symbols."""
    dice = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(dice.normal(0.0, 0.004, (300, 2)), axis=0))
    opens = np.vstack([np.full((1, 2), 100.0), close[:-1]])
    return Bars(
        symbols=("BTC/USDT", "ETH/USDT"),
        interval=Interval("1h"),
        open_time_ns=START_NS + np.arange(300, dtype=np.int64) * Interval("1h").ns,
        open=opens,
        high=np.maximum(opens, close) * 1.0001,
        low=np.minimum(opens, close) * 0.9999,
        close=close,
        volume=np.full((300, 2), 5.0),
        listed=np.ones((300, 2), dtype=np.bool_),
    ).validate()


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, with_mlflow: Callable[[Path], Path], wire: Callable[..., Registry]
) -> Registry:
    home = with_mlflow(tmp_path_factory.mktemp("home"))
    return wire(home, environment={}, count=lambda bundle: bundle.walk_forward)


def agents() -> dict[str, Agent]:
    cross = MovingAverageCross(fast=3, slow=9, horizon=timedelta(hours=3))
    return {"one": Calibrated(cross), "pool": Pool((cross, RandomWalk(lookback=10, horizon=timedelta(hours=3))))}


@pytest.mark.parametrize("kind", ["one", "pool"])
def test_what_was_frozen_is_what_trades(
    registry: Registry,
    protocol: Protocol,
    measured: Callable[..., EvidenceBundle],
    bars: Bars,
    tmp_path: Path,
    kind: str,
) -> None:
    agent = agents()[kind].fit(bars, seed=7)
    manifest = freeze(
        agent,
        name=f"journey-{kind}",
        train_bars=bars,
        sizing=ReleasedSizing(class_name="equal_weight", parameters={}, source_sha256="a" * 64),
        limits={"max_notional_quote": "10000"},
        execution={"style": "taker"},
        lock_sha256=LOCK,
        engine_version="0.1.0",
        universe=bars.symbols,
        folder=tmp_path,
    )
    made = registry.register(tmp_path / manifest.digest, measured(manifest.digest, protocol))
    report = registry.gates(made.label, to="paper")
    assert (report.permits, report.skill_failed) == ("paper", True)
    assert "generated market, seed 7" in str(report)
    registry.promote(made.label, to="paper")
    shutil.rmtree(tmp_path / manifest.digest)
    shutil.rmtree(registry.folder(manifest.digest))

    folder = registry.resolve(f"paper.{manifest.name}")
    release = load_release(folder, expected_digest=made.digest)
    assert release.manifest == manifest
    assert release.check_golden() > 0
    for row in (60, 150, 299):
        window = Window(bars.rows(0, row + 1), from_ns(int(bars.close_time_ns[row])))
        answered = release.beliefs(window)
        assert answered
        assert answered == agent.beliefs(window)  # type: ignore[attr-defined]
    assert registry.report(made.digest, to="paper")[1] == report
    assert registry.gates(made.label, to="live").permits is None
    with pytest.raises(EvidenceRefused, match="does not permit live"):
        registry.report(made.digest, to="live")
