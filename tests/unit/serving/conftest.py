"""A state folder with releases and signed gate reports, as the registry leaves it, and agents to put there."""

import json
import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import Calibrated, LagLlama, MovingAverageCross
from sapphire.agents.release import freeze
from sapphire.agents.release.files import read_release_files, write_release_files
from sapphire.domain import Bars, Interval
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.releases import ReleasedSizing

QUARTER = timedelta(minutes=15)
SYMBOLS = ("BTC/USDT", "ETH/USDT")
START_NS = 1_735_689_600_000_000_000  # 2025-01-01T00:00Z
TINY = {"context": 4, "lags": (0, 1, 3), "scaling": 12, "width": 8, "layers": 1, "steps": 5, "batch": 8}


def random_bars(length, seed=3):
    dice = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(0.002 * dice.standard_t(5, (length, 2)), axis=0))
    opened = np.vstack([np.full((1, 2), 100.0), close[:-1]])
    interval = Interval("5m")
    return Bars(
        symbols=SYMBOLS,
        interval=interval,
        open_time_ns=START_NS + np.arange(length, dtype=np.int64) * interval.ns,
        open=opened,
        high=np.maximum(opened, close) * 1.001,
        low=np.minimum(opened, close) * 0.999,
        close=close,
        volume=dice.gamma(2.0, 5.0, (length, 2)),
        listed=np.ones((length, 2), dtype=np.bool_),
    ).validate()


def freeze_into(home, agent, bars, **changed):
    """Freeze into the state folder; gives the digest."""
    settings = {
        "name": "trend",
        "train_bars": bars.rows(0, 400),
        "sizing": ReleasedSizing(class_name="volatility_target", parameters={"annual": 0.2}, source_sha256="a" * 64),
        "limits": {},
        "execution": {},
        "lock_sha256": "b" * 64,
        "engine_version": "0.1.0",
        "universe": bars.symbols,
        "folder": home / "releases",
    }
    return freeze(agent, **settings | changed).digest


def skewed(home, digest):
    """The same release, but for its golden outputs, which are those of another build; gives the digest."""
    folder = home / "releases" / digest
    manifest, files = read_release_files(folder, digest)
    entry = manifest.agents[0]
    path = f"agents/{entry.name}/golden_outputs.json"
    outputs = json.loads(files[path])
    for views in outputs["release"]:
        views[0]["mean_bps"] = math.nextafter(views[0]["mean_bps"], math.inf)
    files[path] = canonical_json(outputs)
    entry = replace(entry, golden_outputs_sha256=sha256_of(files[path]))
    other = replace(manifest, agents=(entry,))
    write_release_files(home / "releases" / other.digest, other, files)
    return other.digest


@pytest.fixture(scope="session")
def bars():
    """600 bars; agents are fitted on the first 400."""
    return random_bars(600)


@pytest.fixture(scope="session")
def cross(bars):
    return Calibrated(MovingAverageCross(fast=3, slow=9, horizon=QUARTER)).fit(bars.rows(0, 400), seed=7)


@pytest.fixture(scope="session")
def llama(bars):
    return Calibrated(LagLlama(horizon=QUARTER, **TINY)).fit(bars.rows(0, 400), seed=7)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty state folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("SAPPHIRE_HOME", str(folder))
    return folder


@pytest.fixture
def place(home, bars):
    """Freezes an agent into the state folder."""
    return lambda agent, **changed: freeze_into(home, agent, bars, **changed)


@pytest.fixture
def sign_report(home, sign_permit):
    """Signs a gate report on a release."""
    return lambda digest, **how: sign_permit(home, digest, **how)


@pytest.fixture(scope="session", name="freeze_into")
def freeze_into_fixture():
    """home, agent, bars to the digest of the release."""
    return freeze_into


@pytest.fixture(scope="session", name="report_on")
def report_on_fixture(sign_permit):
    """home, digest to a signed report."""
    return sign_permit


@pytest.fixture(scope="session", name="skewed")
def skewed_fixture():
    """home, digest to the digest of a release whose golden outputs do not match."""
    return skewed
