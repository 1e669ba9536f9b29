"""A month at 5m bars and a hundred days at 1h bars: what they leave behind, and how long a day's report takes.

`make test-days` runs it, some ten minutes on two cores; numbers are printed.
"""

import subprocess
import sys
import time
from datetime import date, timedelta

import pytest

from sapphire.domain.workspace import HOME_VARIABLE
from sapphire.execution.journal import replay_journal, verify_journal
from sapphire.monitoring import daily_report, read_run

MONTH, HUNDRED = 30 * 288, 100 * 24
FIRST = date(2025, 3, 7)
TIMES = 3


def print_numbers(traded):
    """The numbers, for people."""
    print(f"\n{traded.bars:,} bars in {traded.seconds:.0f} s, {1e3 * traded.seconds / traded.bars:.0f} ms a bar")
    for name, size in sorted(traded.bytes_by_part().items(), key=lambda part: -part[1]):
        if size > 10_000:
            print(f"{size / 1e6:9.2f} MB  {name}")
    print(f"{traded.largest / 1e6:9.2f} MB  the whole folder at its largest")
    print(f"{traded.bus_bytes / 1e6:9.2f} MB  the bus at its largest, {traded.bus_memory / 1e6:.2f} MB in memory")


@pytest.mark.timeout(1_800)
def test_a_month(traded):
    run = traded("5m", MONTH)
    print_numbers(run)
    assert run.largest < 150e6
    assert run.bus_bytes < 32e6
    assert run.bus_memory < 32e6
    assert list((run.run / "account" / "journal").glob("*.zst")), "closed segments are archived"
    account = run.run / "account"
    verified, replayed = verify_journal(account), replay_journal(account)
    print(dict(verified.facts), dict(replayed.facts))
    assert verified.ok
    assert replayed.identical
    assert daily_report(read_run(run.run, run.home), FIRST + timedelta(days=29)).is_sound


@pytest.mark.timeout(1_800)
def test_the_hundredth_day_is_reported_as_fast_as_the_first(traded, monkeypatch, tmp_path):
    run = traded("1h", HUNDRED)
    print_numbers(run)
    (tmp_path / "sapphire.toml").write_text('name = "days"\n')
    monkeypatch.setenv(HOME_VARIABLE, str(run.home))
    first, last = (FIRST + timedelta(days=number) for number in (0, 99))
    seconds = {day: [] for day in (first, last)}
    for _ in range(TIMES):
        for day in seconds:
            seconds[day].append(rendered(run, day, tmp_path))
    times = {day: min(each) for day, each in seconds.items()}
    print(f"day 1: {times[first]:.2f} s, day 100: {times[last]:.2f} s, of {TIMES} each the fastest")
    assert times[last] <= 1.2 * times[first]


def rendered(run, day, workspace):
    """Seconds that a day's report takes."""
    words = ["-m", "sapphire.cli", "report", "run", "daily", "--day", day.isoformat(), "--run", str(run.run)]
    began = time.monotonic()
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=workspace)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began
