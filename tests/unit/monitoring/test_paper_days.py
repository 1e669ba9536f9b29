"""Days on paper are computed from the engine's journal, every one, bad ones as bad; and seen again by a gate."""

import dataclasses
import json
import shutil
from dataclasses import asdict

import pytest

from sapphire.coordination import Obstacle
from sapphire.domain.errors import EvidenceRefused
from sapphire.monitoring import daily_report, keep_paper_days, paper_day_witness, paper_days
from sapphire.monitoring.reading.market import Market
from sapphire.registry import EvidenceStore, Registry
from sapphire.registry.paper_days import PaperDays

DAYS = ["2025-04-06", "2025-04-07"]


@pytest.fixture
def daily(recorded, write_run):
    return daily_report(write_run(recorded))


@pytest.fixture
def days_of(recorded, write_run):
    """The days of what was told."""
    return lambda: paper_days(daily_report(write_run(recorded)))


def rows_of(recorded, kind):
    return [row for row in recorded.rows if row["kind"] == kind]


def test_a_day_as_it_should_be(daily, recorded):
    days = paper_days(daily)
    assert [(day.day, day.market, day.account) for day in days] == [(day, "generated", "paper") for day in DAYS]
    for day in days:
        assert (day.bars, day.whole_bars, day.bars_seen, day.bars_decided) == (24, 24, 24, 24)
        assert 0 < day.signals == day.signals_taken
        assert (day.foreign_signals, day.unexplained_lots, day.explained_lots) == (0, 0, {})
        assert (day.books_equal, day.replays, day.is_whole) == (True, True, True)
    assert sum(day.signals for day in days) == len(rows_of(recorded, "signal"))
    assert daily.as_dict()["paper_days"] == [asdict(day) for day in days]
    assert json.loads(json.dumps(daily.as_dict()["paper_days"])) == daily.as_dict()["paper_days"]


def test_a_bento_that_refuses_gives_bad_days(recorded, days_of):
    """Today's case: it answers 403, nothing is decided, nothing is traded, and every day was a clean one."""
    recorded.decisions = [
        made.knowing(views=[], beliefs=[]).without_signals(Obstacle.VIEWS_REFUSED, "403") for made in recorded.decisions
    ]
    recorded.rows = [row for row in recorded.rows if row["kind"] not in ("signal", "order", "fill")]
    for state in rows_of(recorded, "state"):
        state["cash_quote_atoms"] = str(100_000 * 10**8)
        state["positions"] = {symbol: {"atoms": "0", "lots": "0"} for symbol in state["positions"]}
    recorded.exchange["accounts"][0] |= {
        "balances": {"USDT": {"free": str(100_000 * 10**8), "locked": "0"}},
        "history": [],
    }
    days = days_of()
    assert [day.day for day in days] == DAYS
    for day in days:
        assert (day.bars_seen, day.bars_decided, day.signals_taken) == (24, 0, 0)
        assert day.signals > 0
        assert day.unexplained_lots > 0
        assert day.explained_lots == {}
    measured = PaperDays.seen_by(lambda *_: "", "release", days)
    assert (measured.bars_decided, measured.signals_taken) == (0.0, 0.0)


def test_a_day_with_a_hole_is_recorded_and_not_whole(recorded, days_of):
    recorded.rows.remove(rows_of(recorded, "state")[5])
    first, second = days_of()
    assert (first.day, first.bars, first.bars_seen, first.is_whole) == (DAYS[0], 24, 23, False)
    assert second.is_whole


def test_a_service_that_was_gone_leaves_a_day_that_it_did_not_see(recorded, days_of):
    """The last states are missing, the coordinator went on: the day is there all the same."""
    for row in rows_of(recorded, "state")[30:]:
        recorded.rows.remove(row)
    first, second = days_of()
    assert first.is_whole
    assert (second.bars, second.bars_seen) == (24, 6)


def test_a_day_that_is_not_over_is_not_recorded(recorded, days_of):
    last = rows_of(recorded, "state")[-1]["bar_close_ns"]
    recorded.rows = [row for row in recorded.rows if row.get("bar_close_ns") != last or row["kind"] != "state"]
    recorded.decisions = recorded.decisions[:-1]
    assert [day.day for day in days_of()] == DAYS[:1]


def test_lots_that_nothing_explains_are_on_their_day(recorded, days_of):
    position = rows_of(recorded, "state")[-1]["positions"]["BTC/USDT"]
    position["lots"] = str(int(position["lots"]) + 3)
    assert [day.unexplained_lots for day in days_of()] == [0, 3]


@pytest.mark.parametrize(("refused", "explained"), [("LATE", {"signal late": 2}), ("HALTED", {})])
def test_only_timing_and_the_venue_explain_a_lot(recorded, days_of, evidence, refused, explained):
    order = evidence.orders[0]
    closes = [bar.bar_close_ns for bar in evidence.bars]
    seen = str(closes[closes.index(order.bar_close_ns) + 1])
    (state,) = (row for row in rows_of(recorded, "state") if row["bar_close_ns"] == seen)
    position = state["positions"][order.symbol]
    position["lots"] = str(int(position["lots"]) - 2)
    (signal,) = (
        row
        for row in rows_of(recorded, "signal")
        if (row["symbol"], row["bar_close_ns"]) == (order.symbol, str(order.bar_close_ns))
    )
    signal["refused"] = refused
    days = days_of()
    assert sum(day.unexplained_lots for day in days) == 2 - sum(explained.values())
    assert days[0].explained_lots == explained
    assert sum(day.signals - day.signals_taken for day in days) == 1


def test_a_decision_whose_end_the_engine_never_took_is_none(recorded, days_of):
    ends = rows_of(recorded, "end_of_bar")
    for row in ends[:3]:
        recorded.rows.remove(row)
    assert [day.bars_decided for day in days_of()] == [21, 24]


def test_signals_of_another_release_are_on_their_day(recorded, days_of):
    signal = rows_of(recorded, "signal")[0]
    recorded.rows.insert(recorded.rows.index(signal), {**signal, "release": "9" * 64})
    first, second = days_of()
    assert (first.foreign_signals, second.foreign_signals) == (1, 0)


def test_recorded_bars_say_so(daily, tmp_path):
    facts = dataclasses.replace(daily.run.facts, market=Market(7, tmp_path))
    run = dataclasses.replace(daily.run, facts=facts)
    assert {day.market for day in paper_days(dataclasses.replace(daily, run=run))} == {"recorded"}


def test_a_run_that_is_not_sound_gives_bad_days(daily):
    folded = dataclasses.replace(daily.replay, identical=False)
    assert [day.replays for day in paper_days(dataclasses.replace(daily, replay=folded))] == [False, False]
    lost = dataclasses.replace(daily.reconciliation, lost=("sap-0001-1-1",))
    assert [day.books_equal for day in paper_days(dataclasses.replace(daily, reconciliation=lost))] == [False, False]
    running = dataclasses.replace(daily, reconciliation=None)
    assert [day.books_equal for day in paper_days(running)] == [None, None]


def test_a_day_keeps_its_journal_while_the_account_trades_on(daily, recorded, days_of):
    first, second = paper_days(daily)
    state = rows_of(recorded, "state")[-1]
    later = str(int(state["bar_close_ns"]) + 3_600 * 10**9)
    recorded.rows.insert(-1, {**state, "bar_close_ns": later, "market_ns": later})
    shutil.rmtree(daily.run.folder)
    shutil.rmtree(daily.run.folder.parent / "bin")
    assert [day.journal_digest for day in days_of()] == [first.journal_digest, second.journal_digest]
    assert first.journal_digest != second.journal_digest


def test_a_journal_of_another_account_or_release_is_refused(daily):
    facts = dataclasses.replace(daily.run.facts, account="live")
    with pytest.raises(EvidenceRefused, match="of another account"):
        paper_days(dataclasses.replace(daily, run=dataclasses.replace(daily.run, facts=facts)))
    facts = dataclasses.replace(daily.run.facts, release="9" * 64)
    with pytest.raises(EvidenceRefused, match="of another release"):
        paper_days(dataclasses.replace(daily, run=dataclasses.replace(daily.run, facts=facts)))


@pytest.fixture
def state_folder(home, recorded, write_run):
    """A state folder with the release in it and no day yet, and the run where `sapphire up` leaves it."""
    run = write_run(recorded)
    state = run.folder.parent / "state"
    shutil.copytree(home, state, ignore=shutil.ignore_patterns("evidence"))
    (digest,) = (path.name for path in (state / "releases").iterdir())
    facts = {"name": "trend", "version": 1, "run_id": "r", "model": "research.trend"}
    EvidenceStore(state / "evidence").append(digest, "registered", at_ns=1, facts=facts, files={})
    run.folder.rename(state / "stack")
    return state


def test_days_are_computed_from_the_run_and_kept_once(state_folder, release):
    registry = Registry(state_folder)
    assert keep_paper_days(registry, release.digest, state_folder / "stack") == 2
    assert keep_paper_days(registry, release.digest, state_folder / "stack") == 0
    assert [day.day for day in registry.store.parity(release.digest)] == DAYS


def test_a_run_of_another_release_is_refused(state_folder, release):
    registry = Registry(state_folder)
    facts = {"name": "other", "version": 1, "run_id": "r", "model": "research.other"}
    registry.store.append("8" * 64, "registered", at_ns=1, facts=facts, files={})
    with pytest.raises(EvidenceRefused, match="is of another release than other@1"):
        keep_paper_days(registry, "8" * 64, state_folder / "stack")


def test_a_witness_knows_the_days_of_its_journals_and_no_others(state_folder, release):
    """A notebook that writes better days beside the release gets nothing for them."""
    registry, run = Registry(state_folder), state_folder / "stack"
    keep_paper_days(registry, release.digest, run)
    first, second = registry.store.parity(release.digest)
    witness = paper_day_witness(state_folder)
    assert (witness(release.digest, first), witness(release.digest, second)) == ("", "")
    assert witness("8" * 64, first)
    for invented in (
        dataclasses.replace(first, market="real"),
        dataclasses.replace(first, day="2025-04-08"),
        dataclasses.replace(first, journal_digest="ab" * 32),
        dataclasses.replace(first, unexplained_lots=1),
    ):
        assert witness(release.digest, invented) == "not in the journal of any run here"
    shutil.rmtree(run)
    assert paper_day_witness(state_folder)(release.digest, first)
