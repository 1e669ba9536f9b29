"""From market to summary: research, paper, report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sapphire.domain.errors import ExchangeError
from sapphire.domain.workspace import home, workspace
from sapphire.lab.demo.market import demo_market
from sapphire.lab.demo.paper import trade_on_paper
from sapphire.lab.demo.reading import prepare_reading, record
from sapphire.lab.demo.research import NOTEBOOKS, research
from sapphire.lab.demo.steps import Steps
from sapphire.lab.demo.summary import summarised
from sapphire.lab.demo.tracking import tracking_server
from sapphire.monitoring import Rendered, daily_report, days_of, keep_paper_days, read_run, render_report
from sapphire.registry import Registry

__all__ = ["run_demo"]

_REPORT = "daily"


def run_demo(
    *,
    seed: int,
    bars: int | None,
    as_json: bool,
    candles: Path | None = None,
    symbols: Sequence[str] = (),
    reading: bool = False,
    anew: bool = False,
) -> None:
    """Run it all and print the summary.

    Parameters
    ----------
    bars : how many the release trades on paper; 500, or a fifth of the candles where these are fewer, unless given.
    candles : a folder of candle files; what the environment names, else the generated market, unless given.
    symbols : what is traded; the demo's own choice where there are none.
    reading : whether the pool has the agents that ask language models, each behind a bento of its own.
    anew : whether models are asked about all of the study, and what they answer becomes the demo's recording.

    Raises
    ------
    DataError : candles that do not do for a demo, before anything is begun.
    SapphireError : the first step that failed.
    ExchangeError : a check at the end that did not hold.
    """
    began = time.monotonic()
    place, state = workspace(), home()
    folder = state / "demo"
    steps = Steps(total=len(NOTEBOOKS) - 1 + 6)
    run = folder / "run"
    market = steps.run(
        "market",
        lambda: demo_market(seed, folder, candles=candles, symbols=symbols, bars=bars, reading=reading),
    )
    windows = market.windows
    steps.note(f"{market.label}: study of {windows.start} to {windows.end}, then {windows.paper:,} bars on paper")
    with tracking_server(state, folder, steps) as tracking:
        market.prepare()
        if reading:
            prepare_reading(market, place / "notebooks", steps, anew=anew)
        researched = research(market, workspace=place, folder=folder, tracking=tracking, steps=steps, reading=reading)
        if anew:
            record(place / "notebooks", steps)
        release = researched.last("submit")["release"]
        trade_on_paper(release, market, home=state, run=run, steps=steps)
        pages = steps.run(f"report: {_REPORT}", lambda: _pages(run, state, place))
        report = daily_report(read_run(run, state)).as_dict()
        keep_paper_days(Registry(state), report["release"]["digest"], run)
        orders = read_run(run, state).day.orders
        summary = summarised(
            market,
            researched,
            report,
            home=state,
            folder=folder,
            html=pages[-1].html,
            order=orders[-1].order if orders else None,
            seconds=time.monotonic() - began,
        )
    sys.stdout.write(json.dumps(summary.facts, sort_keys=True) + "\n" if as_json else str(summary))
    if not summary.is_sound:
        facts = summary.facts
        raise ExchangeError(
            "the demo's own checks failed",
            expected="books equal to the last digit, nothing lost, doubled or unexplained, replays with one digest",
            got=f"ccxt's balances agree: {facts['ccxt']['balances_agree']}; identical replays: "
            f"{facts['replays_identical']}; the traded run is sound: {facts['traded']['sound']}",
            next=f"open {pages[-1].html}; logs are in {run / 'logs'}",
        )


def _pages(run: Path, state: Path, place: Path) -> list[Rendered]:
    """A page for each day of the run."""
    return [render_report(_REPORT, run, home=state, workspace=place, day=day) for day in days_of(read_run(run, state))]
