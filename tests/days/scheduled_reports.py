"""Scheduled reports of a stack whose market runs by itself: rendered as their time comes, and ended with the stack.

`make test-days` runs it, a minute or two on two cores.
"""

import json
import time

import psutil
import pytest

from sapphire.domain.workspace import HOME_VARIABLE
from sapphire.stack.plan import Market, Plan
from sapphire.stack.releases import described
from sapphire.stack.reports_part import REPORTS
from sapphire.stack.stack import Stack

SCHEDULE = """
[daily]
cron = "5 0 * * *"

[again]
report = "daily"
cron = "10 0 * * *"
"""
WITHIN_S = 180.0


def until(is_so):
    """What `is_so` says, once that is true."""
    deadline = time.monotonic() + WITHIN_S
    while not (found := is_so()):
        assert time.monotonic() < deadline, "what the test waits for does not come"
        time.sleep(0.1)
    return found


@pytest.mark.timeout(600)
def test_a_day_is_rendered_by_itself_and_what_is_rendered_ends_with_the_stack(admitted, monkeypatch, tmp_path):
    home, digest = admitted
    (tmp_path / "sapphire.toml").write_text('name = "scheduled"\n')
    (tmp_path / "reports.toml").write_text(SCHEDULE)
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    monkeypatch.chdir(tmp_path)
    release, manifest = described(home, digest)
    market = Market(7, None, "2025-03-07T22:00:00Z")
    plan = Plan(run=home / "stack", home=home, release=release, symbols=manifest.universe,
                interval=manifest.interval, market=market, speed=300.0)  # fmt: skip
    index, page = home / "reports" / "index.html", home / "reports" / "stack-paper" / "daily-2025-03-07.html"
    with Stack(plan) as stack:
        told = stack.folder.read()["parts"][REPORTS]
        assert (told["state"], told["restarts"]) == ("ready", 0)
        until(lambda: index.exists() and page.name in index.read_text())
        assert page.stat().st_size > 10_000

        def rendered():
            told = json.loads(stack.folder.reports_state.read_bytes())
            return {name: int(until_ns) for name, until_ns in told.items()}

        until(lambda: rendered()["daily"] >= 1_741_392_300_000_000_000)  # five past midnight
        working = until(lambda: psutil.Process(told["pid"]).children(recursive=True))
        before = rendered()
    assert not [process for process in working if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert rendered() == before, "what was ended is not taken for done, and is begun again"
    lines = stack.folder.log(REPORTS).read_text().splitlines()
    lines = [json.loads(line) for line in lines if line.startswith("{")]  # among them stands what the verb says
    assert [line for line in lines if line["level"] == "ERROR"] == []
    assert lines[-1]["message"] == "ends"
