"""State folders with releases: frozen ones for stacks that run, registered ones for choosing among them."""

import importlib.util
from datetime import timedelta
from pathlib import Path

import pytest

from sapphire.agents import Calibrated, MovingAverageCross

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
def registered():
    """Functions that make small releases and what was measured of them."""
    return fixtures_of("registry")
