"""A result that was seen counts, whether its run came to an end or not."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from sapphire.agents import MovingAverageCross
from sapphire.domain.errors import LedgerDamaged
from sapphire.portfolio import FixedFraction
from sapphire.research.evidence.measuring import open_holdout
from sapphire.research.ledger.book import HOLDOUT
from sapphire.research.results.replays import REAL
from sapphire.research.runs.informing import inform
from sapphire.research.runs.replaying import replay_beliefs, replay_beside, replay_ladder, replay_paths
from sapphire.research.runs.screening import screened, screened_ladder
from sapphire.research.runs.walking import walk_beliefs, walk_views

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))
LINE = {"kind": "begun"}


class Once:
    """Tells the time once: it raises where what was seen is to be written down."""

    calls = 0

    def now_ns(self):
        self.calls += 1
        if self.calls > 1:
            raise ZeroDivisionError("no time to write that down")
        return 1

    def monotonic_ns(self):
        return 1


@dataclass(frozen=True)
class Listening(FixedFraction):
    """Hears what the account is worth at every close, and raises before the last one is written down."""

    heard: list[Any] = field(default_factory=list)
    last: int = 150

    @property
    def parameters(self):
        return {"fraction": self.fraction}

    def size(self, beliefs, state):
        self.heard.append(state.equity_quote)
        if len(self.heard) == self.last:
            raise ZeroDivisionError("that is enough")
        return super().size(beliefs, state)


def quiet(*_):
    """Progress is not told."""


def stopped(*_):
    raise KeyboardInterrupt


def walked_by(study):
    settings = {"seed": 7, "on_progress": quiet}
    beliefs = walk_beliefs(AGENT, study.evaluation, study.folds, **settings)
    return beliefs, walk_views(AGENT, study.evaluation, study.folds, **settings)


ASKS = {
    "replay_beliefs": lambda study, beliefs, views: replay_beliefs(study, AGENT, beliefs, REAL, on_progress=quiet),
    "replay_beside": lambda study, beliefs, views: replay_beside(study, AGENT, beliefs, [], on_progress=quiet),
    "replay_ladder": lambda study, beliefs, views: replay_ladder(study, AGENT, beliefs, on_progress=quiet),
    "replay_paths": lambda study, beliefs, views: replay_paths(study, AGENT, [beliefs, beliefs], on_progress=quiet),
    "screened": lambda study, beliefs, views: screened(study, [AGENT, AGENT], [views, views]),
    "screened_ladder": lambda study, beliefs, views: screened_ladder(study, AGENT, views, beliefs),
    "inform": lambda study, beliefs, views: inform(study, AGENT, views),
}


@pytest.mark.parametrize("ask", ASKS)
def test_what_a_clock_keeps_from_being_written_counts(make_study, ask):
    study = make_study(clock=Once())
    with pytest.raises(ZeroDivisionError):
        ASKS[ask](study, *walked_by(study))
    found = study.trials()
    assert study.ledger.evaluations() == ()
    assert found.count == found.trials.evaluations == (2 if ask == "screened" else 1)
    assert all(np.isnan(row.sharpe) and row.method.endswith(", interrupted") for row in found.trials.rows)
    assert len(study.ledger.seals()) == 1


@pytest.mark.parametrize("ask", ASKS)
def test_what_comes_to_its_end_counts_as_before(make_study, ask):
    study = make_study()
    ASKS[ask](study, *walked_by(study))
    counted = [line for line in study.ledger.evaluations() if line.counted]
    trials = study.trials().trials
    assert trials.count == 1
    assert trials.evaluations == len(counted) == (2 if ask == "screened" else 1)
    assert all(line.begun for line in counted)
    assert len(study.ledger.path.read_text().split('"kind":"begun"')) == len(counted) + 1


def test_a_sizing_that_listens_counts(make_study):
    sizing = Listening(fraction=0.4)
    study = make_study(sizing=sizing)
    with pytest.raises(ZeroDivisionError):
        study.replay(AGENT)
    assert len(sizing.heard) == sizing.last
    assert study.trials().count == 1


def test_each_run_that_was_interrupted_counts(make_study):
    study = make_study()
    beliefs, _ = walked_by(study)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            replay_beliefs(study, AGENT, beliefs, REAL, on_progress=stopped)
    assert study.trials().count == 3
    study.replay(AGENT)
    assert study.replay(AGENT).trials == 4, "what ends well is one trial, however often"
    assert study.screen(AGENT).trials == 5
    now = study.ledger.trials(*study.span)
    assert sum(np.isfinite(row.sharpe) for row in now.rows) == 1, "and they dilute no variance"


def test_an_evaluation_of_something_else_completes_nothing(make_study):
    study = make_study(clock=Once())
    with pytest.raises(ZeroDivisionError):
        study.replay(AGENT)
    (row,) = study.trials().trials.rows
    other = replace(row, method="replay", returns_digest="d" * 64)
    study.ledger.record([replace(other, seed=8), replace(other, counted=False), replace(other, begun="")], at_ns=2)
    assert study.trials().count == 3
    study.ledger.record([other], at_ns=2)
    assert study.trials().count == 2


def test_a_look_at_a_hold_out_that_was_interrupted_is_a_look(make_study):
    study = make_study()
    beliefs, _ = walked_by(study)
    replay_beliefs(study, AGENT, beliefs, REAL, on_progress=quiet)
    opened = open_holdout(study)
    beliefs = walk_beliefs(AGENT, opened.evaluation, opened.folds, seed=7, on_progress=quiet)
    assert study.ledger.trials(*opened.span).count == 0
    with pytest.raises(KeyboardInterrupt):
        replay_beside(opened, AGENT, beliefs, [], on_progress=stopped, method=HOLDOUT, code="c" * 64)
    looks = make_study(name="another").ledger.trials(*opened.span)
    assert (looks.count, looks.studies) == (1, ("trend",))
    assert [opening.code for opening in study.ledger.openings()] == ["c" * 64]
    replay_beside(opened, AGENT, beliefs, [], on_progress=quiet, method=HOLDOUT, code="c" * 64)
    assert len(study.ledger.openings()) == 1, "it was opened for that release before"


def test_a_line_of_what_was_begun_that_lacks_something_is_named(make_study):
    ledger = make_study().ledger
    ledger.chain.append(lambda *_: [LINE], written=lambda head: None)
    with pytest.raises(LedgerDamaged, match="line 1") as refused:
        make_study().trials()
    assert refused.value.expected == "the field 'agent'"
    assert "of another version" in refused.value.got
