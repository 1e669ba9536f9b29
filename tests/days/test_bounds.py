"""Parts of three days, with the bounds of a month scaled to them; a month and a hundred days: `make test-days`."""

import json
from datetime import date, timedelta

import pytest

from sapphire.coordination.decision_archive import archived_days
from sapphire.monitoring import DayOfRun, daily_report, days_of, read_run
from sapphire.stack.folders import RunFolder

START, IN_DAY = "2025-03-07T20:00:00Z", (48, 288, 12)
BARS = sum(IN_DAY)
MONTH = 30 * 288
FIRST = date(2025, 3, 7)


@pytest.fixture(scope="module")
def run(traded):
    return traded("5m", BARS, start=START, every=50)


def test_a_month_of_it_would_stay_in_bounds(run, size_of):
    """What grows with the days, times a month; what is made in full at the start is there once."""
    parts = run.bytes_by_part()
    fixed = {"bus", "logs", "account"}
    grows = sum(size for name, size in parts.items() if name not in fixed)
    journal = sum(file.stat().st_size for file in (run.run / "account" / "journal").glob("service-*"))
    month = (grows + journal) * MONTH / BARS + size_of(run.run / "bus") + size_of(run.run / "logs")
    assert month < 150e6, parts
    assert run.bus_bytes < 32e6
    assert run.bus_memory < 32e6


def test_the_first_day_of_decisions_is_archived_and_read_as_the_others(run):
    folder = RunFolder(run.run)
    assert list(archived_days(folder.decisions)) == [FIRST]
    plain = [json.loads(line)["bar_close_ns"] for line in folder.decisions.read_bytes().splitlines()]
    assert len(plain) == BARS - IN_DAY[0]
    whole = read_run(run.run, run.home)
    assert len(whole.decisions) == BARS
    assert list(whole.decisions) == sorted(whole.decisions)


def test_a_day_that_is_read_alone_is_the_whole_runs_part_to_the_last_atom(run):
    whole = daily_report(read_run(run.run, run.home))
    assert whole.is_sound
    assert days_of(whole.run) == tuple(FIRST + timedelta(days=number) for number in range(3))
    for day, bars in zip(days_of(whole.run), IN_DAY, strict=True):
        report = daily_report(read_run(run.run, run.home), day)
        part: DayOfRun = report.run
        assert report.is_sound
        assert (report.parity.bars, report.parity.equal_cash_bars, report.parity.lots) == (bars, bars, 0)
        for kind in ("orders", "fills", "signals", "reports", "targets"):
            rows = [row for row in getattr(whole.run.day, kind) if part._has(row.market_ns)]
            assert rows, kind
            assert list(getattr(part.day, kind)) == rows, kind
        replayed = {bar.bar_close_ns: bar for bar in whole.evidence.bars}
        for bar in report.evidence.bars:
            again = replayed[bar.bar_close_ns]
            assert (bar.cash_quote_atoms, bar.atoms, bar.targets) == (
                again.cash_quote_atoms,
                again.atoms,
                again.targets,
            )
        assert len(part.latency_traces) == len(part.day.orders)
        assert "decisions" not in part.whole.__dict__
