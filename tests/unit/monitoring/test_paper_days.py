"""Whole days on paper become evidence for the release that traded them, once, and only if the run was sound."""

import dataclasses
import json
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from sapphire.monitoring import daily_report, keep_paper_days, paper_days
from sapphire.monitoring.market import Market
from sapphire.registry import Registry


@pytest.fixture
def daily(told, write_run):
    return daily_report(write_run(told))


def test_a_day_counts_when_every_bar_of_it_was_seen(daily):
    days = paper_days(daily)
    assert [(day.day, day.market, day.unexplained_lots) for day in days] == [
        ("2025-04-06", "generated", 0),
        ("2025-04-07", "generated", 0),
    ]
    assert {day.journal_digest for day in days} == {daily.replay.digest}
    assert daily.as_dict()["paper_days"] == [asdict(day) for day in days]
    assert json.loads(json.dumps(daily.as_dict()["paper_days"])) == daily.as_dict()["paper_days"]


def test_a_day_with_a_hole_is_no_day(told, write_run):
    states = [row for row in told.rows if row["kind"] == "state"]
    told.rows.remove(states[5])
    assert [day.day for day in paper_days(daily_report(write_run(told)))] == ["2025-04-07"]


def test_lots_that_nothing_explains_are_on_their_day(told, write_run):
    states = [row for row in told.rows if row["kind"] == "state"]
    held = states[-1]["positions"]["BTC/USDT"]
    held["lots"] = str(int(held["lots"]) + 3)
    assert [day.unexplained_lots for day in paper_days(daily_report(write_run(told)))] == [0, 3]


def test_recorded_bars_say_so(daily, tmp_path):
    facts = dataclasses.replace(daily.run.facts, market=Market(7, tmp_path))
    run = SimpleNamespace(facts=facts, states=daily.run.states)
    assert {day.market for day in paper_days(dataclasses.replace(daily, run=run))} == {"recorded"}


def test_a_run_that_is_not_sound_gives_no_day(daily):
    folded = dataclasses.replace(daily.replay, identical=False)
    assert paper_days(dataclasses.replace(daily, replay=folded)) == ()
    lost = dataclasses.replace(daily.reconciliation, lost=("sap-0001-1-1",))
    assert paper_days(dataclasses.replace(daily, reconciliation=lost)) == ()


def test_the_same_days_are_kept_once(daily, home, release):
    registry, digest, days = Registry(home), release.digest, daily.as_dict()["paper_days"]
    before = len(registry.store.parity(digest))
    keep_paper_days(registry, digest, days)
    assert keep_paper_days(registry, digest, days) == 0
    later = [{**day, "journal_digest": "ab" * 32} for day in days]
    assert keep_paper_days(registry, digest, later) == 0, "the account traded on; the days are the same"
    worse = [{**days[0], "unexplained_lots": 2 + before}]
    assert keep_paper_days(registry, digest, worse) == 1
    assert sum(day.unexplained_lots for day in registry.store.parity(digest)) >= 2
