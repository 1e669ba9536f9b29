"""An agent reaches a model through the backend that was handed in, and evidence of it can be made again without one."""

from __future__ import annotations

import pickle
import re
from contextlib import nullcontext
from datetime import timedelta
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from sapphire.agents import InProcess, Model, Qwen, backed_by, plain_parameters, read_parameters
from sapphire.agents.counterfactuals import counterfactuals_of, drawn_windows
from sapphire.agents.llm.backends import LanguageModel
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.requests import Scores
from sapphire.agents.model_calls import ModelCalls
from sapphire.agents.models import window_digest
from sapphire.agents.release import ReleaseCode, read_release
from sapphire.agents.worker import Worker
from sapphire.domain import Window
from sapphire.domain.canonical import sha256_of
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError, EvidenceRefused, ValueRefused
from sapphire.research.evidence import integrity as research_integrity
from sapphire.research.evidence import submitting
from sapphire.research.evidence import worker as evidence_worker
from sapphire.research.evidence.integrity import measure_integrity
from sapphire.research.evidence.submitting import submit

BODY = """
    model: Model = Model("desk/direction", "v1", "{sha256}")

    def views(self, window):
        moves = window.panel("close").pct_change().iloc[-4:]
        {ask}
        mean = 1e4 * pd.Series(answer)
        return window.views(mean_bps=mean, std_bps=mean * 0.0 + 60.0, horizon=self.horizon)
"""
ASK = 'answer = ask_model(self.model, window, {"moves": {name: list(of) for name, of in moves.items()}})'
SWALLOWS = f"""try:
            {ASK}
        except Exception:
            answer = moves.iloc[-1] * 0.0"""
OTHER = ASK.replace("self.model", 'Model("desk/other", "v1", "0" * 64)')


class Counted(InProcess):
    """Counts what it is asked."""

    asked = 0

    def answer(self, request):
        self.asked += 1
        return super().answer(request)


def loaded(data):
    """The next move of each coin by a linear regression on the four before."""
    regression = pickle.loads(data)
    return lambda request: {
        name: float(regression.predict(np.array([moves]))[0]) for name, moves in request["moves"].items()
    }


@pytest.fixture
def weights(tmp_path, walked):
    """A fitted regression, as a file."""
    moves = np.diff(np.log(walked(400, seed=5).close[:, 0]))
    past = np.lib.stride_tricks.sliding_window_view(moves[:-1], 4)
    path = tmp_path / "direction.bin"
    path.write_bytes(pickle.dumps(LinearRegression().fit(past, moves[4:])))
    return path


@pytest.fixture
def model(weights):
    return Model("desk/direction", "v1", sha256_of(weights.read_bytes()))


@pytest.fixture
def agent(planted, model):
    return planted(BODY.format(sha256=model.sha256, ask=ASK))


def worker(agent, bars, **settings):
    made = Worker(ReleaseCode.of(agent), bars.symbols, bars.interval, label=agent.name, **settings)
    made.learn({})
    return made


def window_at(bars, row):
    return Window(bars.rows(row - 4, row + 1), from_ns(int(bars.close_time_ns[row])))


def test_evidence_of_a_model_is_recorded_and_made_again_without_it(
    make_study, agent, model, weights, with_mlflow, tmp_path, monkeypatch
):
    monkeypatch.setattr(submitting, "measure_integrity", partial(measure_integrity, moments=20))

    def submitted(name):
        home = with_mlflow(tmp_path / name)
        monkeypatch.setenv("SAPPHIRE_HOME", str(home))
        release = submit(make_study(), agent)
        return release, release.registry.store

    backend = Counted(model, weights, loaded)
    with backed_by(backend) as calls:
        release, store = submitted("first")
    integrity = release.bundle.integrity
    assert {name for name, check in integrity.checks.items() if check.verdict == "fail"} == set()
    assert integrity.golden_ok
    assert (integrity.isolation, integrity.models) == ("observed", (str(model),)), "its answers come from outside"
    assert "asked models that the platform did not run: desk/direction@v1" in release.bundle.marks
    kept = store.model_calls(release.digest)
    assert kept == calls.canonical
    assert backend.asked == len(calls) == len(kept.splitlines()) > 200
    manifest = (tmp_path / "first" / "releases" / release.digest / "manifest.json").read_text()
    assert str(model) in manifest

    def drawn_again():
        """Who makes the evidence again looks where it looked."""
        seeds = iter([*(each.seed for each in integrity.twins), integrity.checks_seed])
        for module in (evidence_worker, research_integrity):
            monkeypatch.setattr(module, "drawn_seed", lambda: next(seeds))

    drawn_again()
    with backed_by(recorded=kept):
        again, other = submitted("second")
    assert again.digest == release.digest
    assert again.bundle.replays == release.bundle.replays
    assert again.bundle.integrity == integrity
    assert other.model_calls(again.digest) == kept

    drawn_again()
    with backed_by(recorded=kept[: kept.rindex(b"\n", 0, -1) + 1]), pytest.raises(AgentError, match="nobody answers"):
        submitted("third")
    (file,) = store.folder(release.digest).glob("model-calls-*.jsonl")
    file.write_bytes(kept.replace(b"0.0", b"0.1", 1))
    with pytest.raises(EvidenceRefused, match="is not what was recorded"):
        store.records(release.digest)


class Returns:
    """A small language model: up by the last return that its prompt shows, and by its symbol where it is Bitcoin's."""

    models = (PACKAGED,)

    def score(self, model, questions):
        return [self._one(question) for question in questions]

    def _one(self, question):
        prompt = question.messages[1].content
        shown = re.search(r"oldest first: ([-0-9 ]+)\.", prompt)
        odds = (int(shown[1].split()[-1]) / 20.0 if shown else 0.0) + 9.0 * ("BTC" in prompt)
        return Scores.among({"up": odds, "down": 0.0}, 5).reply("")


def test_evidence_of_a_language_agent_says_what_names_dates_and_inputs_changed(
    make_study, with_mlflow, tmp_path, monkeypatch
):
    monkeypatch.setattr(submitting, "measure_integrity", partial(measure_integrity, moments=4))
    monkeypatch.setenv("SAPPHIRE_HOME", str(with_mlflow(tmp_path / "home")))
    study = make_study()
    agent = Qwen(horizon=timedelta(hours=2), shown_bars=3, memory=8)
    with backed_by(LanguageModel(Returns(), PACKAGED)):
        release = submit(study, agent)
        (entry,) = read_release(tmp_path / "home" / "releases" / release.digest).manifest.agents
        bars, seed = study.evaluation, evidence_worker.counterfactual_seed(entry)
        windows = drawn_windows(agent, bars, first=study.first_tested_row, seed=seed)
        assert release.bundle.counterfactuals == (counterfactuals_of(agent, windows),), "in a worker as here"
    stored = release.registry.store.bundle_under(
        release.digest, protocol=study.protocol.digest, snapshot=study.data.hash
    )
    assert stored == release.bundle, "it reads as it was written"
    (found,) = release.bundle.counterfactuals
    report = release.gates(to="paper")
    values = {each.measure: each for each in report.rows}
    assert (found.agent, found.windows, found.unit) == ("qwen", 32, "probability")
    assert windows[0].as_of >= study.folds[0].test_start
    dated, hidden = found.row("shifted_dates"), found.row("anonymised_symbols")
    assert (dated.kept, hidden.kept < hidden.views) == (dated.views, True)
    assert values["dates_consistency"].passed
    assert values["anonymised_consistency"].value == hidden.kept / hidden.views
    assert values["anonymised_consistency"].note.startswith(f"qwen: {hidden.kept} of {hidden.views} views kept")
    assert not values["anonymised_consistency"].passed
    assert ("qwen, shifted dates", "100 %", f"of {dated.views} views kept their sign") in release.table()[1]


def test_a_model_that_never_says_the_same_twice_is_one_voice_by_its_recording(agent, model, weights, walked):
    bars, dice = walked(40), np.random.default_rng(3)
    restless = InProcess(model, weights, lambda _: lambda request: {name: dice.normal() for name in request["moves"]})
    with backed_by(restless), worker(agent, bars) as asked, worker(agent, bars, hash_seed=1) as again:
        first, later = (asked.answer(window_at(bars, row))[1] for row in (10, 11))
        assert [view.mean_bps for view in first] != [view.mean_bps for view in later]
        assert again.answer(window_at(bars, 10))[1] == first
        assert asked.answer(window_at(bars, 10))[1] == first
        assert agent.views(window_at(bars, 10)) == first


@pytest.mark.parametrize("ask", [ASK, SWALLOWS])
@pytest.mark.parametrize("handed", [nullcontext, backed_by])
def test_without_an_answer_there_are_no_views_even_where_an_agent_would_live_with_it(
    planted, model, walked, ask, handed
):
    bars, agent = walked(40), planted(BODY.format(sha256=model.sha256, ask=ask))
    with (
        handed(),
        worker(agent, bars) as asked,
        pytest.raises(AgentError, match="nobody answers for the model desk/direction@v1"),
    ):
        asked.answer(window_at(bars, 10))


def test_a_model_that_the_release_does_not_name_is_not_asked(planted, model, weights, walked):
    bars, agent = walked(40), planted(BODY.format(sha256=model.sha256, ask=OTHER))
    with (
        backed_by(InProcess(model, weights, loaded)),
        worker(agent, bars) as asked,
        pytest.raises(AgentError, match="asks a model that it does not name") as refused,
    ):
        asked.answer(window_at(bars, 10))
    assert refused.value.got == f"desk/other@v1#{'0' * 64}"


def test_a_model_that_fails_says_so(agent, model, weights, walked):
    bars = walked(40)
    failing = InProcess(model, weights, lambda _: lambda request: request["volume"])
    with backed_by(failing), worker(agent, bars) as asked:
        with pytest.raises(AgentError, match=r"the model desk/direction@v1 fails") as failed:
            asked.answer(window_at(bars, 10))
        assert failed.value.got == "KeyError: 'volume'"
        assert asked.alive


def test_other_weights_are_another_model(model, weights):
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(EvidenceRefused, match="are not those of desk/direction"):
        InProcess(model, weights, loaded)


def test_a_model_is_a_parameter_like_any_other(agent, model):
    assert plain_parameters(agent)["model"] == str(model)
    assert read_parameters(type(agent), {"model": str(model)}) == {"model": model}
    with pytest.raises(AgentError, match="does not read"):
        read_parameters(type(agent), {"model": "desk/direction"})
    with pytest.raises(ValueRefused, match="name of a model"):
        Model("desk/direction", "v1", "latest")


def test_a_call_is_known_by_all_that_the_window_shows(walked, changed):
    bars = walked(40)
    digest = window_digest(window_at(bars, 10))
    assert window_digest(window_at(bars.rows(0, 30), 10)) == digest
    assert window_digest(window_at(changed(bars, 8, 1.01), 10)) != digest
    assert window_digest(window_at(changed(bars, 11, 1.01), 10)) == digest
    assert window_digest(window_at(bars, 11)) != digest
    assert window_digest(window_at(bars.symbols_only(bars.symbols[::-1]), 10)) != digest


def test_a_recording_that_was_written_over_is_refused():
    with pytest.raises(EvidenceRefused, match="recorded calls that cannot be read"):
        ModelCalls.parse(b'{"answer": 1}\n')
    with pytest.raises(EvidenceRefused, match="recorded calls that cannot be read"):
        ModelCalls.parse(b'{"answer":1}\n')
