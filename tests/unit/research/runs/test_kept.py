"""What was asked before is there in the next kernel, and a stale or fooled file is worth nothing."""

import json
import os
import sys

import numpy as np
import pytest

from sapphire.agents import BuyAndHold
from sapphire.agents.agent_files import load_agent_source
from sapphire.portfolio import EqualWeight, FixedFraction
from sapphire.research.runs import kept, kept_replays, replaying
from sapphire.research.runs.replaying import replay_beside
from sapphire.research.runs.walking import walk_beliefs, walk_views

TEXT = '''
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from sapphire import Agent

ASKED = []
FACTOR = 1.0

@dataclass(frozen=True)
class Plain(Agent):
    """How far the close is from that of some bars before."""

    lookback: int = 6
    horizon: timedelta = timedelta(hours=2)

    @property
    def warmup(self):
        return self.lookback + 1

    def views(self, window):
        ASKED.append(window.as_of)
        close = window.panel("close")
        return window.views(score=FACTOR * (close.iloc[-1] / close.iloc[0] - 1.0), horizon=self.horizon)
'''
PROVEN_BY = 8


def quiet(*_):
    pass


@pytest.fixture
def plain(tmp_path):
    return load_agent_source(TEXT, tmp_path / "plain.py")


def asked(cls):
    """The moments that it was asked about since the last time."""
    moments = sys.modules[cls.__module__].ASKED
    times, moments[:] = list(moments), []
    return times


@pytest.fixture
def engines(monkeypatch):
    """The engines that were made."""
    made, engine_on = [], replaying.engine_on
    monkeypatch.setattr(replaying, "engine_on", lambda *of: made.append(of) or engine_on(*of))
    return made


def flat(record):
    """A record as JSON, to be compared."""
    return json.dumps(kept_replays._packed(record), sort_keys=True)


def test_the_next_kernel_asks_nothing_but_a_sample(make_study, plain, engines):
    first = make_study().replay(plain())
    assert len(asked(plain)) > 200
    again = make_study().replay(plain())  # a study of its own remembers nothing of the other
    assert len(asked(plain)) == PROVEN_BY
    assert len(engines) == 1
    assert flat(first.record) == flat(again.record)
    assert np.array_equal(first.worth, again.worth)
    assert first.performance == again.performance
    screen = make_study().screen(plain())
    assert len(asked(plain)) == PROVEN_BY
    assert make_study().screen(plain()).performance == screen.performance


def test_looking_again_counts_as_it_did(make_study, plain, engines):
    study = make_study()
    lines = [study.replay(plain()).trials, len(study.ledger.chain.read()[0])]
    again = make_study()
    lines += [again.replay(plain()).trials, len(again.ledger.chain.read()[0])]
    assert lines[0] == lines[2] == 1
    assert lines[3] == lines[1] + 2  # what begins and what came of it, as if it had been run
    assert again.ledger.trials(*again.span).evaluations == 2


@pytest.mark.parametrize("change", ["code", "parameter", "bars", "method", "constant", "file", "platform"])
def test_another_thing_is_asked_anew(make_study, plain, walked, changed, tmp_path, monkeypatch, change):
    study, agent = make_study(), plain()
    before = walk_in(study, agent)
    asked(plain)
    if change == "code":
        plain = load_agent_source(TEXT.replace("- 1.0)", "- 1.0) * 2.0"), tmp_path / "plain.py")
        agent = plain()
    elif change == "parameter":
        agent = plain(lookback=5)
    elif change == "bars":
        study = make_study(changed(walked(), slice(150, 151), 1.01))
    elif change == "method":
        views = plain.views
        monkeypatch.setattr(plain, "views", lambda self, window: views(self, window))
    elif change == "constant":
        monkeypatch.setattr(sys.modules[plain.__module__], "FACTOR", -1.0)
    elif change == "file":
        (path,) = (study.ledger.folder.parent / "kept" / "views").iterdir()
        path.write_bytes(path.read_bytes()[:-100])
    else:
        monkeypatch.setattr(kept, "_platform", lambda: "another interpreter")
    again = make_study() if change != "bars" else study
    after = walk_in(again, agent)
    assert len(asked(plain)) > 150
    assert after.equals(walk_views(agent, again.evaluation, again.folds, seed=again.seed, on_progress=quiet).score)
    if change in ("code", "parameter", "constant"):
        assert not after.equals(before)


def test_answers_with_notes_are_kept_for_one_kernel_and_asked_anew_in_the_next(make_study, tmp_path):
    """Arrays hold numbers alone: what came back from them would be other views."""
    noted = TEXT.replace("horizon=self.horizon)", "horizon=self.horizon, notes=dict.fromkeys(window.symbols, WHY))")
    cls = load_agent_source(
        noted.replace("FACTOR = 1.0", 'FACTOR = 1.0\nWHY = sapphire.ViewNote("it rose")').replace(
            "from sapphire import Agent", "import sapphire\nfrom sapphire import Agent"
        ),
        tmp_path / "plain.py",
    )
    study = make_study()
    before = walk_in(study, cls())
    first = len(asked(cls))
    assert walk_in(study, cls()).equals(before)
    assert asked(cls) == []
    assert walk_in(make_study(), cls()).equals(before)
    assert len(asked(cls)) == first


def walk_in(study, agent):
    with study._remembered.open():
        return walk_views(agent, study.evaluation, study.folds, seed=study.seed, on_progress=quiet).score


def test_another_sizing_or_belief_is_run_anew(make_study, plain, engines):
    make_study().replay(plain())
    make_study(sizing=FixedFraction(fraction=0.3)).replay(plain())
    make_study(seed=8).replay(plain())
    make_study().replay(plain(lookback=9))
    assert len(engines) == 4
    make_study().replay(plain())
    assert len(engines) == 4


def test_settings_of_another_kind_are_not_kept(make_study, plain, engines):
    class Fewer(FixedFraction):
        """One with a method of its own."""

    for _ in range(2):
        make_study(sizing=Fewer(fraction=0.4)).replay(plain())
    assert len(engines) == 2


def test_a_fooled_file_fools_no_evidence(make_study, plain, engines):
    study = make_study()
    honest = study.replay(plain())
    (path,) = (study.ledger.folder.parent / "kept" / "replays").iterdir()
    record = json.loads(path.read_bytes())
    record["equity"]["equity_quote_atoms"]["values"][-1] *= 2
    path.write_text(json.dumps(record))
    assert make_study().replay(plain()).performance.total_return > 0.5  # who writes there fools himself
    beliefs = walk_beliefs(plain(), study.evaluation, study.folds, seed=study.seed, on_progress=quiet)
    engines.clear()
    (evidence,) = replay_beside(study, plain(), beliefs, [], on_progress=quiet)
    assert len(engines) == 1
    assert np.array_equal(evidence.worth, honest.worth)
    path.write_text("{")
    assert np.array_equal(make_study().replay(plain()).worth, honest.worth)


def test_a_record_comes_back_as_it_went(make_study, walked, unlisted, engines):
    study = make_study(unlisted(walked(), "ETH/USDT", slice(200, 300)), sizing=EqualWeight())
    run = study.replay(BuyAndHold())
    assert run.record["settlements"]
    assert len(run.record["fills"]["order"])
    known = study.replay(BuyAndHold())
    assert len(engines) == 1
    assert flat(known.record) == flat(run.record)
    assert known.record["settlements"] == run.record["settlements"]
    assert known.record["decided_for"] == run.record["decided_for"]
    for name, of in run.record["fills"].items():
        assert type(known.record["fills"][name]) is type(of)
        assert not isinstance(of, np.ndarray) or known.record["fills"][name].dtype == of.dtype


def test_a_folder_that_cannot_be_written_keeps_nothing(make_study, plain, engines):
    study = make_study()
    (study.ledger.folder.parent).mkdir(parents=True, exist_ok=True)
    (study.ledger.folder.parent / "kept").write_text("a file where the folder should be")
    study.replay(plain())
    make_study().replay(plain())
    assert len(engines) == 2


def test_the_oldest_files_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "_FILES", 2)
    files = kept.KeptFiles(tmp_path, ".json")
    paths = [files.path({"number": number}) for number in range(3)]
    for place, path in enumerate(paths):
        files.write(path, b"x")
        os.utime(path, (place, place)) if place < 2 else None
    assert [path.exists() for path in paths] == [False, True, True]
    assert files.read(paths[0]) is None
