"""The verbs that compose rooms: `new` makes a workspace, `demo` runs the loop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sapphire.domain.errors import ConfigError

__all__ = ["demo", "new"]

_SETTINGS = """\
# A Sapphire workspace. State (snapshots, ledger, journals) lives in .sapphire/, agents in agents/.
name = "{name}"
"""

_AGENT = '''\
"""Momentum: what rose keeps rising, for a while.

In: closed bars.  Out: one score per symbol.  Never: sizes, orders, I/O, the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sapphire import Agent, View, Window


@dataclass(frozen=True)
class Momentum(Agent):
    """Return over the last `lookback` bars."""

    lookback: int = 24
    horizon: timedelta = timedelta(hours=12)

    @property
    def warmup(self) -> int:
        return self.lookback + 1

    def views(self, window: Window) -> list[View]:
        close = window.panel("close")
        return window.views(score=close.iloc[-1] / close.iloc[-1 - self.lookback] - 1.0, horizon=self.horizon)
'''


def new(folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")]) -> None:
    """Make a workspace with one agent in it.

    Example: sapphire new my-desk
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(
            f"{folder} is not empty",
            expected="a new or empty folder",
            got=f"{sum(1 for _ in folder.iterdir())} entries",
            next="give another name",
        )
    (folder / "agents").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    (folder / "agents" / "momentum.py").write_text(_AGENT, encoding="utf-8")
    (folder / ".gitignore").write_text(".sapphire/\n", encoding="utf-8")
    (folder / "sapphire.toml").write_text(_SETTINGS.format(name=folder.resolve().name), encoding="utf-8")
    sys.stderr.write(f"made {folder}: sapphire.toml, agents/momentum.py\n  next: cd {folder} && sapphire agent list\n")


def demo(
    seed: Annotated[int, typer.Option(help="Seed of the generated market.")] = 7,
    bars: Annotated[int, typer.Option(min=2, help="Bars of five minutes that the release trades on paper.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")] = False,
) -> None:
    """Run the whole loop on the embedded exchange: collect, train, study, promote, trade on paper, report.

    The market is generated; where SAPPHIRE_RECORDINGS names a folder of recorded candles, BTC and ETH futures candles
    of five minutes drive the spot pairs instead. Example: sapphire demo --seed 7
    """
    from sapphire.lab.demo import run_demo

    run_demo(seed=seed, bars=bars, as_json=as_json)
