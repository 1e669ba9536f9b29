"""The process of an agent is sent the documents of its window, of the kinds that it names, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from sapphire.agents import Calibrated, load_agent_source
from sapphire.agents.panels import views_at, window_at
from sapphire.agents.release import ReleaseCode, freeze, read_release
from sapphire.agents.worker import ReleaseWorker, Worker, ask_panel
from sapphire.agents.worker.messages import documents_in
from sapphire.domain import Document, Documents
from sapphire.domain.errors import MissingData, TextExpired
from sapphire.domain.releases import ReleasedSizing

SIZING = ReleasedSizing(class_name="volatility_target", parameters={"annual": 0.2}, source_sha256="a" * 64)
READER = '''
"""Reads what its process is sent."""

from dataclasses import dataclass
from datetime import timedelta

from sapphire.agents import Agent
from sapphire.domain import ViewNote


@dataclass(frozen=True)
class Reader(Agent):
    """Forecasts the number of items that it reads, and of edits among them, and names them."""

    documents = {kinds}
    lookback: int = 3
    horizon: timedelta = timedelta(minutes=15)

    @property
    def warmup(self):
        return self.lookback

    def views(self, window):
        read = window.documents(since=window.as_of - self.lookback * window.interval.timedelta)
        close, edits = window.panel("close").iloc[-1], sum(each.version > 1 for each in read)
        mean, std = close * 0 + 10 * len(read) + edits, close * 0 + 1
        note = ViewNote(f"{{edits}} edits\\n[bold]", tuple(each.id for each in read), "counted", "all at once")
        notes = {{symbol: note for symbol in window.symbols[:1] if read}}
        return window.views(mean_bps=mean, std_bps=std, horizon=self.horizon, notes=notes)
'''


@pytest.fixture(scope="module")
def read_bars(make_bars):
    bars, dice = make_bars(160), np.random.default_rng(8)
    items = []
    for place, at in enumerate(sorted(map(int, dice.integers(bars.open_time_ns[0] + 1, bars.close_time_ns[-1], 120)))):
        kind = "note" if place % 5 == 0 else "news"
        items.append(
            Document(
                kind=kind,
                id=f"{kind}-{place // 2}",
                version=1 + place % 2,
                title=f"item {place}",
                source="desk",
                licence="CC0",
                published_ns=at,
                received_ns=at,
                retention_days=30,
                symbols=("BTC/USDT",),
            )
        )
    return bars.with_documents(Documents(items))


@pytest.fixture
def started(tmp_path, read_bars):
    """Starts workers that end with the test; gives the agent too."""
    running = []

    def start(kinds='("news",)', bars=read_bars):
        agent = load_agent_source(READER.format(kinds=kinds), tmp_path / "reader.py")()
        running.append(Worker(ReleaseCode.of(Calibrated(agent)), bars.symbols, bars.interval, label=agent.name))
        running[-1].learn({})
        return agent, running[-1]

    yield start
    for each in running:
        each.close()


def test_a_process_says_what_the_agent_says_here(started, read_bars):
    agent, worker = started()
    assert worker.documents == ("news",)
    rows = range(agent.warmup - 1, 40)
    answers = [worker.views(window_at(agent, read_bars, row)) for row in rows]
    assert answers == [views_at(agent, read_bars, row) for row in rows]
    assert len({view.mean_bps for views in answers for view in views}) > 3
    read = {view.note.read for views in answers for view in views[:1] if view.note}
    assert len(read) > 3, "what stands beside the numbers comes over too"


def test_a_window_with_more_sends_no_more(started, read_bars):
    agent, worker = started()
    whole = window_at(agent, read_bars, 30)
    more = type(whole)(read_bars.rows(28, 31), whole.as_of)
    assert len(more.bars.documents) > len(whole.bars.documents)
    assert worker.views(more) == worker.views(whole)


def test_a_message_has_the_kinds_that_are_read_and_no_others(read_bars):
    sent = documents_in(read_bars, ("news",))["documents"]
    assert sent["kinds"] == ("news",)
    assert {each["kind"] for each in sent["items"]} == {"news"} < {each.kind for each in read_bars.documents}
    assert documents_in(read_bars, ()) == documents_in(read_bars.with_documents(None), ("news",)) == {}


def test_evidence_asks_about_windows_with_their_documents(started, read_bars):
    agent, asked = started()
    _, again = started()
    found = ask_panel(asked, again, read_bars, 20, 60, seed=3, renew=lambda: started()[1])
    expected = [[view.mean_bps for view in views_at(agent, read_bars, row)] for row in range(20, 60)]
    np.testing.assert_array_equal(found.mean_bps, expected)
    assert found.sample.again_worst == 0.0


def test_checks_and_fits_in_a_process_have_documents(started, read_bars):
    agent, worker = started()
    worker.fit(read_bars, seed=7)
    report = worker.check(read_bars, seed=7, moments=20)
    assert not report.failed, report
    assert worker.views(window_at(agent, read_bars, 150)) == views_at(agent, read_bars, 150)


def test_what_a_process_is_not_sent_is_said(started, read_bars):
    agent, worker = started()
    gone = Documents([each.without_text() for each in read_bars.documents])
    with pytest.raises(TextExpired, match="is gone"):
        worker.views(window_at(agent, read_bars.with_documents(gone), 30))
    with pytest.raises(MissingData, match="no documents in this window"):
        worker.views(window_at(agent, read_bars.with_documents(None), 30))


def test_a_release_that_reads_says_in_its_process_what_it_said_when_it_was_frozen(tmp_path, read_bars):
    agent = load_agent_source(READER.format(kinds='("news",)'), tmp_path / "reader.py")()
    manifest = freeze(
        agent, name="reader", train_bars=read_bars, sizing=SIZING, limits={}, execution={}, lock_sha256="b" * 64,
        engine_version="0.1.0", universe=read_bars.symbols, folder=tmp_path / "releases",
    )  # fmt: skip
    with ReleaseWorker(read_release(tmp_path / "releases" / manifest.digest)) as worker:
        assert worker.documents == ("news",)
        assert worker.check_golden() > 0
        window = window_at(agent, read_bars, 150)
        expected = [view.mean_bps for view in views_at(agent, read_bars, 150)]
        assert [view.mean_bps for view in worker.views(window)] == expected
