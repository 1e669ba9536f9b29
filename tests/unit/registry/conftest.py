"""Small frozen releases, what was measured of them, and one MLflow for a module."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sapphire.domain.canonical import sha256_of
from sapphire.domain.clocks import FixedClock, to_ns
from sapphire.domain.protocols import Protocol
from sapphire.domain.releases import MANIFEST_FILE, Manifest, ReleasedAgent, ReleasedSizing
from sapphire.registry import (
    ActiveEvidence,
    CheckEvidence,
    CostEvidence,
    Difference,
    EvidenceBundle,
    HoldoutEvidence,
    IntegrityEvidence,
    Outcome,
    ParityDay,
    Registry,
    WalkForwardEvidence,
)
from sapphire.registry.integrity import CHECKS

POLICIES = Path(__file__).parents[3] / "mlflow" / "gates"
"""The house's own."""
LOCK = sha256_of(b"lock")
CLOCK = FixedClock(to_ns("2026-03-01T00:00Z"))


COSTS = {"maker_bps": 10.0, "taker_bps": 10.0, "slippage_bps": 1.0, "latency_ms": [5.0, 50.0], "tier": "regular"}
PROTOCOL = Protocol(
    costs=COSTS,
    published=COSTS,
    split={"kind": "WalkForward"},
    holdout_ns=180 * 86_400_000_000_000,
    seeds={"study": 7},
    sizing={"name": "volatility_target", "parameters": {"annual": 0.2}},
    limits={"name": "standard"},
    execution={"max_slippage_bps": 20},
    when_views_stop={},
    starting_cash="100000",
)
DIFFERENCE = Difference(mean=3e-5, standard_error=1e-5, p_value=0.01, length=4_320, method="bootstrap")


def span_of(start: str, end: str) -> dict[str, Any]:
    """What the ledger calls hourly bars of one symbol."""
    times = {"start_ns": to_ns(start), "end_ns": to_ns(end)}
    return {"market": "real", "assets": {"BTC/USDT": sha256_of(b"closes")}, "bar_ns": 3_600_000_000_000, **times}


def write_release(folder: Path, *, name: str = "trend", fast: int = 12) -> Path:
    """A release of one agent, as freezing leaves it."""
    files = {
        "source.py": f"FAST = {fast}\n".encode(),
        "arrays.safetensors": bytes(range(64)),
        "card.json": b"{}",
        "golden_inputs.safetensors": b"inputs",
        "golden_outputs.json": b"[]",
    }
    agent = ReleasedAgent(
        name="cross",
        class_name="Cross",
        parameters={"fast": fast},
        source_sha256=sha256_of(files["source.py"]),
        arrays_sha256=sha256_of(files["arrays.safetensors"]),
        card_sha256=sha256_of(files["card.json"]),
        golden_inputs_sha256=sha256_of(files["golden_inputs.safetensors"]),
        golden_outputs_sha256=sha256_of(files["golden_outputs.json"]),
        feature_version="FEATURES@1",
        horizon_ns=3_600_000_000_000,
        warmup=48,
        max_age_ns=90 * 86_400_000_000_000,
    )
    manifest = Manifest(
        name=name,
        universe=("BTC/USDT",),
        interval="1h",
        agents=(agent,),
        sizing=ReleasedSizing(
            class_name="volatility_target", parameters={"annual": 0.2}, source_sha256=sha256_of(b"sizing")
        ),
        lock_sha256=LOCK,
        engine_version="0.1.0",
    )
    inside = folder / "agents" / "cross"
    inside.mkdir(parents=True)
    for path, data in files.items():
        (inside / path).write_bytes(data)
    (folder / MANIFEST_FILE).write_bytes(manifest.canonical)
    return folder


def manifest_of(folder: Path) -> Manifest:
    return Manifest.parse((folder / MANIFEST_FILE).read_bytes())


def bundle_of(folder: Path, *, good: bool = True, **changed: Any) -> EvidenceBundle:
    """What was measured: of an agent with an edge, or of one without."""
    bundle = EvidenceBundle(
        manifest_digest=manifest_of(folder).digest,
        source="recorded",
        data="recorded candles (binance spot)",
        engine_version="0.1.0",
        walk_forward=WalkForwardEvidence(
            sharpe=0.05 if good else 0.01,
            skew=-0.3,
            kurtosis=6.0,
            length=8_760,
            total_return=0.4 if good else 0.02,
            active=ActiveEvidence(
                alpha=2e-4,
                alpha_t=4.0,
                beta=0.1,
                information_ratio=0.05 if good else 0.01,
                sharpe=0.05 if good else 0.01,
                skew=-0.3,
                kurtosis=6.0,
            ),
            folds=12,
            tested_days=365.0,
            fills=900,
            span=span_of("2024-01-01", "2025-01-01"),
            trials=74,
            variance_of_trials=1e-4,
            variance_of_active=1e-4,
            effective_trials=21.5,
            openings=1,
            ledger_head=sha256_of(b"ledger"),
            ledger_lines=120,
        ),
        holdout=HoldoutEvidence(
            start_ns=to_ns("2025-01-01"),
            end_ns=to_ns("2025-06-30"),
            agent=Outcome(total_return=0.12 if good else -0.03, sharpe=0.03 if good else -0.01),
            baselines={
                "cash": Outcome(total_return=0.0, sharpe=None),
                "buy_and_hold": Outcome(total_return=0.10, sharpe=0.012),
            },
            over=dict.fromkeys(("cash", "buy_and_hold"), DIFFERENCE if good else None),
            span=span_of("2025-01-01", "2025-06-30"),
            seen_by=(),
        ),
        costs=CostEvidence(times=2.0, outcome=Outcome(total_return=0.2 if good else -0.1, sharpe=0.02)),
        integrity=IntegrityEvidence(
            captured_source=True,
            snapshot_hash=sha256_of(b"snapshot"),
            snapshot_verified=True,
            lock_sha256=LOCK,
            checks={name: CheckEvidence(verdict="pass", bars=460, worst=0.0) for name in CHECKS},
            isolation="enforced",
            golden_ok=True,
            git_commit="c0ffee" + "0" * 34,
            dirty=False,
        ),
        protocol=PROTOCOL,
        replays={name: sha256_of(name.encode()) for name in ("walk_forward", "holdout", "doubled_costs")},
    )
    return replaced(bundle, **changed)


def replaced(bundle: EvidenceBundle, **changed: Any) -> EvidenceBundle:
    """The bundle with some values changed; a mapping changes those of a part."""
    parts = {
        key: dataclasses.replace(getattr(bundle, key), **value)
        if isinstance(value, dict) and key != "replays"
        else value
        for key, value in changed.items()
    }
    return dataclasses.replace(bundle, **parts)


def paper_day(day: str, **changed: Any) -> ParityDay:
    """A day as it should be, but for what is changed."""
    sound: dict[str, Any] = {
        "day": day,
        "market": "real",
        "account": "paper",
        "bars": 24,
        "whole_bars": 24,
        "bars_seen": 24,
        "bars_decided": 24,
        "signals": 40,
        "signals_taken": 40,
        "foreign_signals": 0,
        "books_equal": True,
        "replays": True,
        "unexplained_lots": 0,
        "explained_lots": {},
    }
    made = {**sound, **changed}
    return ParityDay(**{"journal_digest": sha256_of(f"{made['market']} {day}".encode()), **made})


def paper_days(count: int, **changed: Any) -> list[ParityDay]:
    return [paper_day(f"2026-02-{day:02}", **changed) for day in range(1, count + 1)]


def as_submitted(bundle: EvidenceBundle) -> WalkForwardEvidence:
    """Nothing was tried since the submit."""
    return bundle.walk_forward


@pytest.fixture(scope="session")
def small() -> SimpleNamespace:
    """The functions above."""
    made = (write_release, manifest_of, bundle_of, replaced, paper_day, paper_days, as_submitted)
    values = {"PROTOCOL": PROTOCOL, "DIFFERENCE": DIFFERENCE, "POLICIES": POLICIES, "CLOCK": CLOCK}
    return SimpleNamespace(**{each.__name__: each for each in made}, **values)


@pytest.fixture
def freeze(tmp_path: Path) -> Callable[..., Path]:
    """Makes a release in a folder of its own."""
    numbers = itertools.count()
    return lambda **how: write_release(tmp_path / f"release-{next(numbers)}", **how)


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, with_mlflow: Callable[[Path], Path], wire: Callable[..., Registry]
) -> Registry:
    """A registry on a real MLflow, which a module shares: each test takes a name of its own."""
    environment = {"SAPPHIRE_NOTEBOOK": "00_start_here.ipynb"}
    home = with_mlflow(tmp_path_factory.mktemp("home"))
    settings = {"policies": POLICIES, "clock": CLOCK, "witness": lambda *_: "", "count": as_submitted}
    return wire(home, environment=environment, **settings)
