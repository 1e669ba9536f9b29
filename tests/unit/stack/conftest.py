"""State folders with releases: frozen ones for stacks that run, registered ones for choosing among them."""

import importlib.util
from datetime import timedelta
from pathlib import Path

import pytest

from sapphire.agents import Calibrated, MovingAverageCross
from sapphire.domain.clocks import WallClock
from sapphire.registry import Deployment, Door, EvidenceStore
from sapphire.registry.promotion import Promoter
from sapphire.registry.tracking import Tracking
from sapphire.registry.versions import Versions

UNIT = Path(__file__).parents[1]


def fixtures_of(room):
    """The functions of another room's fixtures, which make releases and evidence as that room leaves them."""
    spec = importlib.util.spec_from_file_location(f"fixtures_of_{room}", UNIT / room / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def frozen(tmp_path_factory, sign_permit):
    """A state folder with a release that is admitted to paper, and its digest."""
    serving = fixtures_of("serving")
    home = tmp_path_factory.mktemp("state")
    bars = serving.random_bars(600)
    agent = Calibrated(MovingAverageCross(fast=3, slow=9, horizon=timedelta(minutes=15)))
    digest = serving.freeze_into(home, agent.fit(bars.rows(0, 400), seed=7), bars)
    sign_permit(home, digest)
    return home, digest


@pytest.fixture(scope="session")
def champion(frozen, with_mlflow):
    """The same release once it was promoted on its signed report: registered, copied and recorded by the promoter."""
    home, digest = frozen
    tracking, clock, store = Tracking.of(with_mlflow(home), {}), WallClock(), EvidenceStore(home / "evidence")
    versions = Versions.of(tracking)
    with tracking.run(versions.client, "research.trend", "submit trend", tags={}, clock=clock) as run:
        source = versions.create("research.trend", home / "releases" / digest, run_id=run, tags={})
    report = Door(home, Deployment.read()).permit(digest, stage="paper", at_ns=clock.now_ns(), name="trend")
    (signed,) = store.reports(digest)
    Promoter(versions, store, clock, report.signer).promote(source, "paper", signed, report, {})
    return home, digest


@pytest.fixture(scope="session")
def registered():
    """Functions that make small releases and what was measured of them."""
    return fixtures_of("registry")
