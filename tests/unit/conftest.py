"""Agents that tests plant, and a system that cannot keep them from files and sockets."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sapphire.agents import Agent

PLANTED_HEAD = '''
"""An agent of a test."""

import os, random, socket, time
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

import sapphire as sp
from sapphire import Agent
from sapphire.agents import Arrays, Model, ViewPanel, ask_model, fitted


@dataclass(frozen=True)
class Planted(Agent):
    horizon: timedelta = timedelta(hours=2)
    length: int = 4

    @property
    def warmup(self):
        return self.length + 1

    def of(self, close):
        return close / close.shift(self.length) - 1.0

    def say(self, window, score):
        return window.views(score=score, horizon=self.horizon)

    def honest(self, window):
        return self.of(window.panel("close")).iloc[-1]

    def whole(self, window):
        """The memory behind the window's closes."""
        array = window.bars.close
        while array.base is not None:
            array = array.base
        return array

'''
"""A whole agent but for its views: what follows is indented by four."""

PER_LINUX, PER_LINUX32 = 0, 8
"""Execution domains of personality(2): under the second the kernel says that the machine is one of 32 bits."""


@pytest.fixture(scope="session")
def planted_head() -> str:
    """The text above."""
    return PLANTED_HEAD


@pytest.fixture
def planted(tmp_path: Path) -> Callable[..., Agent]:
    """The rest of the class, from `views` on, and perhaps a horizon to an agent."""
    from sapphire.agents import load_agent_source

    def plant(body: str, horizon: timedelta = timedelta(hours=2)) -> Agent:
        return load_agent_source(PLANTED_HEAD + body, tmp_path / "planted.py")(horizon=horizon)

    return plant


@pytest.fixture
def other_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers run on a machine whose system calls nobody knows the numbers of, so no filter can be put on them."""
    from sapphire.agents.worker import spawner

    libc = ctypes.CDLL(None, use_errno=True)
    running: dict[tuple[int, int], spawner.Spawner] = {}
    monkeypatch.setattr(spawner, "_running", running)
    assert libc.personality(PER_LINUX32) != -1
    try:
        yield
    finally:
        libc.personality(PER_LINUX)
        for each in running.values():
            each.close()
