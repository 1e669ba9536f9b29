"""An agent that names documents sees those of its windows, and what comes later moves nothing that it said."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import (
    Agent,
    Arrays,
    Calibrated,
    MovingAverageCross,
    Pool,
    ViewPanel,
    check_agent,
    fitted,
    truncation_test,
    view_panel,
    window_panel,
)
from sapphire.agents.agent import documents_of
from sapphire.agents.futures import FUTURES
from sapphire.agents.models import window_digest
from sapphire.agents.panels import window_at
from sapphire.agents.release import freeze, load_release
from sapphire.agents.release.golden import Golden
from sapphire.domain import Document, Documents, Window
from sapphire.domain.canonical import canonical_json
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError, EvidenceRefused, LeakFound, MissingData
from sapphire.domain.releases import ReleasedSizing

QUARTER = timedelta(minutes=15)
SIZING = ReleasedSizing(class_name="volatility_target", parameters={"annual": 0.2}, source_sha256="a" * 64)


def document(place, received_ns, *, text="rises", kind="news", **changed):
    settings = {"id": f"{kind}-{place}", "title": f"item {place}", "source": "desk", "licence": "CC0"}
    return Document(
        kind=kind, text=text, published_ns=received_ns - 60 * 10**9, received_ns=received_ns, **settings | changed
    )


def read(documents):
    """How many say that it rises, less those that say that it falls."""
    return sum((each.text == "rises") - (each.text == "falls") for each in documents)


@dataclass(frozen=True)
class Reader(Agent):
    """The tone of the news of its last bars."""

    documents = ("news",)
    bars: int = 4
    horizon: timedelta = QUARTER

    @property
    def warmup(self):
        return self.bars

    def views(self, window):
        close = window.panel("close").iloc[-1]
        since = window.as_of - self.bars * window.interval.timedelta
        return window.views(score=close * 0 + read(window.documents("news", since)), horizon=self.horizon)


@dataclass(frozen=True)
class Farsighted(Reader):
    """Its twin counts what was received up to an hour after each bar."""

    ahead: int = 12

    def views_panel(self, bars):
        close, times = bars.frame("close"), bars.close_time_ns
        news = bars.documents.of("news")
        first = self.bars * bars.interval.ns
        tone = [
            read(each for each in news if at - first <= each.received_ns <= at + self.ahead * bars.interval.ns)
            for at in times
        ]
        return ViewPanel(score=close * 0 + np.array(tone, dtype=float)[:, np.newaxis], horizon=self.horizon)


@dataclass(frozen=True)
class Twinned(Farsighted):
    """An honest twin."""

    ahead: int = 0


@dataclass(frozen=True)
class Hoarder(Reader):
    """Asks for the news of a whole day, and says that it needs four bars."""

    def views(self, window):
        found = window.documents("news", since=window.as_of - timedelta(days=1))
        return window.views(score=window.panel("close").iloc[-1] * 0 + len(found), horizon=self.horizon)


@dataclass(frozen=True)
class Student(Agent):
    """Learns how many notes there were, which it does not name."""

    horizon: timedelta = QUARTER
    learned: Arrays = fitted()  # noqa: RUF009

    @property
    def warmup(self):
        return 1

    def fit(self, train, seed):
        return self.with_arrays(
            {"learned.notes": np.array([-1.0 if train.documents is None else len(train.documents)])}
        )

    def views(self, window):
        return window.views(score=window.panel("close").iloc[-1] * 0 + self.learned["notes"][0], horizon=self.horizon)


@pytest.fixture(scope="module")
def read_bars(make_bars):
    """Bars with an item of news in every second of them or so, and a note."""
    bars, dice = make_bars(300), np.random.default_rng(5)
    times = np.sort(dice.integers(bars.open_time_ns[0] + 1, bars.close_time_ns[-1], 150))
    news = [document(place, int(at), text=str(dice.choice(["rises", "falls"]))) for place, at in enumerate(times)]
    return bars.with_documents(Documents([*news, document(0, int(times[40]), kind="note")]))


def test_a_window_has_the_kinds_that_the_agent_names_of_the_time_of_its_bars(read_bars):
    window = window_at(Reader(), read_bars, 50)
    first, last = int(window.bars.open_time_ns[0]), int(window.bars.close_time_ns[-1])
    expected = [each for each in read_bars.documents if each.kind == "news" and first <= each.received_ns <= last]
    assert list(window.documents()) == expected
    with pytest.raises(MissingData, match="no note in this window"):
        window.documents("note")
    assert window_at(MovingAverageCross(), read_bars, 50).bars.documents is None


def test_nothing_is_shown_that_was_not_named(read_bars):
    """Whoever hands over a window or bars with more, the agent sees what it names."""
    agent = Calibrated(Student()).fit(read_bars, seed=7).agent
    assert agent.learned["notes"][0] == -1.0
    pool = Pool((MovingAverageCross(fast=2, slow=4, horizon=QUARTER), Reader())).fit(read_bars, seed=7)
    assert documents_of(pool) == ("news",)
    assert len(pool.views(window_at(pool, read_bars, 100))) == 2
    plain = Window(read_bars.rows(90, 101).with_documents(None), from_ns(int(read_bars.close_time_ns[100])))
    with pytest.raises(MissingData, match="documents"):
        pool.views(plain)


def test_what_a_class_names_is_looked_at_when_it_is_written():
    for named in ("news", ("tweets",), ["news"]):
        with pytest.raises(AgentError, match="documents of Wrong"):
            type("Wrong", (Reader,), {"documents": named})


def test_an_honest_reader_passes_every_check(read_bars):
    for agent in (Reader(), Twinned()):
        report = check_agent(agent, read_bars, moments=60)
        assert not report.failed, report


def test_a_twin_that_reads_ahead_is_caught_and_its_panel_not_taken(read_bars):
    report = truncation_test(Farsighted(), read_bars, moments=30)
    verdicts = {row.check: row.verdict for row in report.rows}
    assert {name: verdicts[f"twin, future {name}"] for name in FUTURES} == dict.fromkeys(FUTURES, "fail")
    assert verdicts["views, future replaced"] == "pass"
    by_window = window_panel(Reader(), read_bars).score.to_numpy()
    np.testing.assert_array_equal(view_panel(Farsighted(), read_bars).score.to_numpy(), by_window)
    np.testing.assert_array_equal(view_panel(Twinned(), read_bars).score.to_numpy(), by_window)


def test_a_reader_that_needs_more_than_its_warm_up_is_caught(read_bars):
    report = check_agent(Hoarder(), read_bars, moments=60)
    assert "warm_up" in {row.kind for row in report.rows if row.verdict == "fail"}


@pytest.mark.parametrize("name", FUTURES)
def test_another_future_keeps_the_past(read_bars, name):
    row = 120
    other = FUTURES[name](read_bars, row, np.random.default_rng(3))
    moment = int(read_bars.close_time_ns[row])
    assert other.documents.until(moment) == read_bars.documents.until(moment)
    assert [each.text for each in other.documents] != [each.text for each in read_bars.documents]


def test_a_model_is_asked_about_the_documents_too(read_bars):
    window = window_at(Reader(), read_bars, 50)
    edited = [document(999, int(window.bars.close_time_ns[-1]), text="falls"), *window.bars.documents]
    other = Window(window.bars, window.as_of, documents=Documents(edited))
    bare = Window(window.bars.with_documents(None), window.as_of)
    assert len({window_digest(each) for each in (window, other, bare)}) == 3


def frozen(agent, bars, folder):
    return freeze(
        agent, name="reader", train_bars=bars, sizing=SIZING, limits={}, execution={}, lock_sha256="b" * 64,
        engine_version="0.1.0", universe=bars.symbols, folder=folder,
    )  # fmt: skip


@pytest.mark.parametrize("pooled", [False, True])
def test_a_release_keeps_what_its_golden_views_read_and_is_read_back_with_it(read_bars, tmp_path, pooled):
    agent = (
        Pool((Reader(), MovingAverageCross(horizon=QUARTER))).fit(read_bars, seed=7)
        if pooled
        else Calibrated(Reader()).fit(read_bars, seed=7)
    )
    manifest = frozen(agent, read_bars, tmp_path)
    folder = tmp_path / manifest.digest / "agents" / "reader"
    outputs = json.loads((folder / "golden_outputs.json").read_text())
    assert (outputs["format"], outputs["documents"]["kinds"]) == ("GOLDEN@4", ["news"])
    release = load_release(tmp_path / manifest.digest)
    golden = release.golden["reader"]
    assert len(golden.bars.documents) > 0
    assert {each.id for each in golden.bars.documents} <= {each.id for each in read_bars.documents}
    assert release.check_golden() > 0
    for bad in ({**outputs, "format": "GOLDEN@3"}, {key: of for key, of in outputs.items() if key != "documents"}):
        with pytest.raises(EvidenceRefused):
            Golden.read(
                (folder / "golden_inputs.safetensors").read_bytes(), canonical_json(bad),
                symbols=read_bars.symbols, interval=read_bars.interval, label="reader", found=golden.numbers,
            )  # fmt: skip


def test_what_may_be_kept_for_some_time_only_is_in_no_release(read_bars, tmp_path):
    passing = Documents([replace(each, retention_days=30) for each in read_bars.documents if each.kind == "news"])
    manifest = frozen(Calibrated(Reader()).fit(read_bars, seed=7), read_bars.with_documents(passing), tmp_path)
    text = (tmp_path / manifest.digest / "agents" / "reader" / "golden_outputs.json").read_text()
    assert json.loads(text)["documents"] == {"items": [], "kinds": ["news"]}


def test_an_agent_that_reads_documents_is_neither_frozen_nor_asked_without_any(read_bars, tmp_path):
    with pytest.raises(MissingData, match="no news in this window"):
        frozen(Reader(), read_bars.with_documents(None), tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(MissingData, match="no news in this window"):
        window_panel(Reader(), read_bars.with_documents(None))


def test_a_window_of_the_future_is_a_leak_for_an_agent_too(read_bars):
    with pytest.raises(LeakFound, match="a document of its own future"):
        Window(read_bars.rows(0, 50).with_documents(read_bars.documents), from_ns(int(read_bars.close_time_ns[49])))
