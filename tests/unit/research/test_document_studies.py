"""A study shows an agent what had been received by each close, and remembers it by that."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import ClassVar

import numpy as np
import pytest

from sapphire.agents import Agent, MovingAverageCross, load_agent_source
from sapphire.agents.release import ReleaseCode, load_release
from sapphire.data import import_documents, snapshot
from sapphire.domain import Document, Documents
from sapphire.domain.clocks import FixedClock, from_ns, to_ns
from sapphire.domain.errors import MissingData
from sapphire.research import combinatorial_purged
from sapphire.research.evidence import submitting
from sapphire.research.evidence.declared import kept_snapshot
from sapphire.research.evidence.integrity import measure_integrity
from sapphire.research.evidence.worker import walk_in_workers
from sapphire.research.runs.walking import training_bars, walk_beliefs

HOUR = 3_600_000_000_000
START = to_ns("2024-01-01")
NOW = FixedClock(1_735_689_600_000_000_000)


@dataclass(frozen=True)
class Tone(Agent):
    """Forecasts how many of the news of the last bar say that it rises, and counts how often it is asked."""

    documents = ("news",)
    horizon: timedelta = timedelta(hours=1)
    asked: ClassVar[list] = []

    @property
    def warmup(self):
        return 1

    def views(self, window):
        Tone.asked.append(window.as_of)
        read = window.documents("news", since=window.as_of - window.interval.timedelta)
        tone = sum(each.text == "rises" for each in read)
        close = window.panel("close").iloc[-1]
        return window.views(mean_bps=close * 0 + 100.0 * tone, std_bps=close * 0 + 50.0, horizon=self.horizon)


CAPTURED = '''
"""The same in a file of its own, as a process captures it."""

from dataclasses import dataclass
from datetime import timedelta

from sapphire.agents import Agent


@dataclass(frozen=True)
class Tone(Agent):
    """Forecasts how many of the news of the last bar say that it rises."""

    documents = ("news",)
    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 1

    def views(self, window):
        read = window.documents("news", since=window.as_of - window.interval.timedelta)
        tone = sum(each.text == "rises" for each in read)
        close = window.panel("close").iloc[-1]
        return window.views(mean_bps=close * 0 + 100.0 * tone, std_bps=close * 0 + 50.0, horizon=self.horizon)
'''


def quiet(*_):
    """Progress that nobody follows."""


def told(name, received_ns, *, text="rises", kind="news"):
    return Document(
        kind=kind, id=name, title=name, text=text, source="desk", licence="CC0", published_ns=received_ns,
        received_ns=received_ns,
    )  # fmt: skip


@pytest.fixture
def reading(make_study, walked):
    """A study of bars with these documents."""
    return lambda *items, **changed: make_study(walked().with_documents(Documents(items, kinds=("news",))), **changed)


def walked_by(study, agent):
    return walk_beliefs(agent, study.evaluation, study.folds, seed=study.seed, on_progress=quiet)


def tones(beliefs):
    """Hour since the start at which each close is, to what was forecast there, where that is not zero."""
    hours = (np.asarray(beliefs.close_time_ns) - START) // HOUR
    return {int(hour): float(mean) for hour, mean in zip(hours, beliefs.mean_bps[:, 0], strict=True) if mean != 0.0}


def test_what_comes_a_nanosecond_after_the_close_is_seen_at_the_next(make_study):
    """Through a file, a snapshot, a study and the engine."""
    received = {"at the close": START + 150 * HOUR, "after it": START + 160 * HOUR + 1, "long before": START + HOUR}
    lines = [
        {"id": name, "title": name, "text": "rises", "published_ns": at, "received_ns": at}
        for name, at in received.items()
    ]
    data = "\n".join(map(json.dumps, lines)).encode()
    import_documents(data, kind="news", source="desk", licence="CC0", clock=NOW)
    taken = snapshot(
        ["BTC/USDT", "ETH/USDT"], interval="1h", start=START, end=START + 300 * HOUR, source="embedded",
        documents=("news",), clock=NOW,
    )  # fmt: skip
    replayed = make_study(data=taken).replay(Tone())
    means = replayed.beliefs["mean_bps"]["BTC/USDT"]
    seen = {(to_ns(at) - START) // HOUR for at, mean in means.items() if mean != 0.0}
    assert seen == {150, 151, 161}  # a bar's own time has its open and its close
    assert replayed.study.data.hash == taken.hash
    assert kept_snapshot(taken) is not None
    assert kept_snapshot(replace(taken, bars=taken.bars.with_documents(None))) is None


def test_evidence_in_processes_reads_what_the_notebook_reads(reading, tmp_path):
    captured = load_agent_source(CAPTURED, tmp_path / "tone.py")()
    study = reading(
        told("a", START + 130 * HOUR + 1), told("b", START + 131 * HOUR + 1), told("c", START + 200 * HOUR - 1)
    )
    here = walked_by(study, Tone())
    there = walk_in_workers(
        ReleaseCode.of(captured), study.evaluation, study.folds, seed=study.seed, label="tone", horizon_of=captured,
        on_progress=quiet,
    )  # fmt: skip
    np.testing.assert_array_equal(there.beliefs.mean_bps, here.mean_bps)
    assert tones(here) == {131: 100.0, 132: 100.0, 200: 100.0}


def test_nothing_of_the_hold_out_is_read(reading):
    study = reading(told("a", START + 260 * HOUR), told("b", START + 260 * HOUR + 1))
    assert [each.id for each in study.evaluation.documents] == ["a"]


def test_training_has_nothing_of_what_is_tested(reading):
    every = [told(str(hour), START + hour * HOUR + 1) for hour in range(260)]
    study = reading(*every, split=combinatorial_purged(4, 2, purge="2h"))
    apart = [fold for fold in study.folds if len(fold.training) > 1]
    assert apart
    for fold in apart:
        train = training_bars(study.evaluation, fold)
        received = {(each.received_ns - 1) // HOUR for each in train.documents}
        assert received == {int(opened) // HOUR for opened in train.open_time_ns}


def test_what_is_remembered_hangs_on_the_documents(make_study, walked):
    """An agent without a twin is not asked again about the same windows, and is about others."""
    bars, mixed = walked(seed=3), [told("b", START + 130 * HOUR)]
    first, other = (
        make_study(bars.with_documents(Documents([*mixed, told("a", START + 150 * HOUR, text=text)])))
        for text in ("rises", "falls")
    )
    first.screen(Tone())
    Tone.asked.clear()
    first.screen(Tone())
    again = len(Tone.asked)
    Tone.asked.clear()
    other.screen(Tone())
    assert again < 30 < len(Tone.asked)


def test_a_study_without_the_documents_that_an_agent_reads_is_refused_at_once(make_study, reading, walked):
    verbs = {
        "screen": lambda study: study.screen(Tone()),
        "sweep": lambda study: study.sweep(Tone(), horizon=[timedelta(hours=1), timedelta(hours=2)]),
        "replay": lambda study: study.replay(Tone()),
        "information": lambda study: study.information(Tone()),
        "paths": lambda study: study.paths(Tone()),
        "submit": lambda study: study.submit(Tone()),
    }
    notes = Documents([told("n", START + HOUR, kind="note")])
    for study, held in ((make_study(), "no documents"), (make_study(walked().with_documents(notes)), "others")):
        for verb in verbs.values():
            with pytest.raises(MissingData, match=f"tone reads news, and the snapshot has {held}"):
                verb(study)
        assert study.ledger.trials(*study.span).count == 0


def test_an_agent_that_reads_documents_is_studied_and_submitted(reading, home, with_mlflow, tmp_path, monkeypatch):
    monkeypatch.setattr(submitting, "measure_integrity", partial(measure_integrity, moments=20))
    with_mlflow(home)
    study = reading(*(told(f"{hour}", START + hour * HOUR) for hour in range(100, 290, 7)))
    release = study.submit(load_agent_source(CAPTURED, tmp_path / "tone.py")())
    checks = release.bundle.integrity.checks
    assert {name for name, check in checks.items() if check.verdict == "fail"} == set()
    found = load_release(home / "releases" / release.digest)
    assert found.check_golden() > 0
    assert found.golden["tone"].bars.documents.kinds == ("news",)
    assert study.screen(Tone()).performance.bars > 0
    sweep = study.sweep(Tone(), horizon=[timedelta(hours=1), timedelta(hours=2)])
    assert len(sweep.performances) == 2


def test_an_agent_that_reads_none_says_the_same_beside_them(reading, make_study, walked):
    agent = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))
    with_them = walked_by(reading(*(told(str(hour), START + hour * HOUR) for hour in range(260))), agent)
    without = walked_by(make_study(walked()), agent)
    np.testing.assert_array_equal(with_them.mean_bps, without.mean_bps)
    assert from_ns(int(with_them.close_time_ns[0])) == from_ns(int(without.close_time_ns[0]))
