"""Quantiles that a model states: a forecast where they can be used, recorded as bad and no view where not."""

import json
import re
from datetime import timedelta

import pytest

from sapphire.agents import Calibrated, DeepSeek, Pool, Qwen, backed_by, recording
from sapphire.agents.llm.backends import LanguageModel
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.quantiles import QUANTILE_SCHEMA, Quantiles
from sapphire.agents.llm.requests import Generated, Scores
from sapphire.agents.panels import kind_stated, view_panel, window_at
from sapphire.agents.release import freeze, load_release
from sapphire.domain.errors import AgentError, BadModelOutput
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.views import ViewNote
from sapphire.statistics import DirectionCalibration

QUARTER = timedelta(minutes=15)
QWEN = Qwen(horizon=QUARTER, shown_bars=3, memory=12, elicitation="quantiles")
DEEPSEEK = DeepSeek(
    horizon=QUARTER, shown_bars=3, memory=12, elicitation="quantiles", reason_every=6, max_tokens=8, seconds=5.0
)


class Wide:
    """A small model that states the last return, less and plus 20 bps, and scores by it; written freely, "it rose".

    Parameters
    ----------
    bad : what it writes instead where the prompt names this symbol.
    """

    models = (PACKAGED,)

    def __init__(self, symbol="", bad=""):
        self.symbol, self.bad, self.asked = symbol, bad, []

    def score(self, model, questions):
        odds = [
            last_return(each.messages[1].content) / 10 if "bps" in each.messages[1].content else 0.5
            for each in questions
        ]
        return [Scores.among({"up": each, "down": 0.0}, 5).reply("") for each in odds]

    def generate(self, model, questions):
        self.asked += questions
        texts = [self._text(question) for question in questions]
        return [Generated(text, "end", 9, 8).reply(text) for text in texts]

    def _text(self, question):
        if question.grammar is None:
            return "it rose"
        prompt = question.messages[1].content
        if self.symbol and self.symbol in prompt:
            return self.bad
        last = last_return(prompt)
        return json.dumps({"q10": last - 20, "q50": last, "q90": last + 20})


def last_return(prompt):
    return int(re.search(r"oldest first: ([-0-9 ]+)\.", prompt).group(1).split()[-1])


def last_returns(agent, window):
    return [last_return(context.text) for context in agent.contexts(window)]


@pytest.mark.parametrize(
    ("stated", "mean", "std"),
    [
        ((-1282, 0, 1282), 0.0, 1000.3),  # the normal's 10 to 90 % width is 2.5631 deviations
        ((-2, 3, 8), 3.0, 3.9015),
        ((-30, 0, 90), 20.0, 46.818),
        ((-5, -5, 5), -5 / 3, 3.9015),
    ],
)
def test_the_forecast_is_the_normal_distribution_nearest_to_the_quantiles(stated, mean, std):
    assert Quantiles(*stated).mean_and_std_bps == pytest.approx((mean, std), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [-1, 0, 1],
        {"q10": -1, "q50": 0},
        {"q10": -1, "q50": 0, "q90": 1, "q99": 2},
        {"q10": 1, "q50": 0, "q90": 2},
        {"q10": -1, "q50": 3, "q90": 2},
        {"q10": 1, "q50": 1, "q90": 1},
        {"q10": -10_000, "q50": 0, "q90": 1},
        {"q10": -1, "q50": 0, "q90": 10_000},
        {"q10": -1, "q50": 0.5, "q90": 1},
        {"q10": -1, "q50": False, "q90": 1},
        {"q10": "-1", "q50": 0, "q90": 1},
        json.loads('{"q10": -1, "q50": 0, "q90": 1e999}'),
    ],
)
def test_what_are_no_quantiles_are_not_guessed_at(value):
    with pytest.raises(BadModelOutput, match="quantiles"):
        Quantiles.of(value)


def test_qwen_states_a_forecast_of_each_symbol(bars):
    backend, window = Wide(), window_at(QWEN, bars, 40)
    with backed_by(LanguageModel(backend, PACKAGED)):
        views = QWEN.views(window)
        assert QWEN.views_batch([window_at(QWEN, bars, row) for row in (39, 40)])[1] == views
    assert [view.symbol for view in views] == list(bars.symbols)
    assert [view.mean_bps for view in views] == pytest.approx(last_returns(QWEN, window))
    assert [view.std_bps for view in views] == pytest.approx([40 / 2.5631] * 2, rel=1e-4)
    assert {view.note for view in views} == {ViewNote(model_kind="embedded-default", elicitation="quantiles")}
    (question, *_) = backend.asked
    assert question.grammar == QUANTILE_SCHEMA
    assert question.answer_so_far == "<think>\n\n</think>\n\n"
    assert question.messages[1].content.endswith("quantiles of the return over the next 15 minutes?")


@pytest.mark.parametrize(
    "bad", ['{"q10": 9, "q50": 3, "q90": 12}', '{"q10": 9, "q50"', '{"q10": 1, "q50": 1, "q90": 1}']
)
def test_what_cannot_be_used_is_recorded_as_bad_and_no_view(bad, bars, tmp_path):
    first, *others = bars.symbols
    with recording(tmp_path, LanguageModel(Wide(first, bad), PACKAGED)) as calls:
        views = QWEN.views(window_at(QWEN, bars, 40))
        assert [view.symbol for view in views] == others
        assert sum("bad" in call.about for call in calls) == 1


def test_a_forecast_is_not_calibrated_and_a_choice_of_the_same_agent_is(bars):
    with backed_by(LanguageModel(Wide(), PACKAGED)):
        assert kind_stated(QWEN, bars) == "forecast"
        fitted = Calibrated(QWEN).fit(bars, seed=7)
        assert (fitted.calibration, fitted.is_fitted) == (None, True)
        assert fitted.views(window_at(QWEN, bars, 60)) == QWEN.views(window_at(QWEN, bars, 60))
        panel = view_panel(QWEN, bars.rows(0, 20))
        assert panel.mean_bps.iloc[-1].tolist() == pytest.approx(last_returns(QWEN, window_at(QWEN, bars, 19)))
        choice = QWEN.replace(elicitation="choice")
        assert isinstance(Calibrated(choice).fit(bars, seed=7).calibration, DirectionCalibration)


def test_deepseek_states_quantiles_after_its_thought(bars):
    backend = Wide()
    windows = [window_at(DEEPSEEK, bars, row) for row in range(40, 46)]
    with backed_by(LanguageModel(backend, PACKAGED)):
        batch = DEEPSEEK.views_batch(windows)
    notes = {DEEPSEEK.reasons_at(window): views[0].note for window, views in zip(windows, batch, strict=True)}
    assert notes == {
        True: ViewNote("it rose", (), "embedded-default", "reasoned, 8 tokens, end, quantiles"),
        False: ViewNote(model_kind="embedded-default", elicitation="quantiles"),
    }
    answers = [question for question in backend.asked if question.grammar is not None]
    assert len(answers) == len(windows) * len(bars.symbols)
    begun = {question.answer_so_far for question in answers}
    assert begun == {"<think>\n\n</think>\n\n", "<think>\nit rose\n</think>\n\n"}
    for window, views in zip(windows, batch, strict=True):
        assert [view.mean_bps for view in views] == pytest.approx(last_returns(DEEPSEEK, window))


@pytest.mark.parametrize("elicitation", ["", "quantile", None])
def test_another_elicitation_is_refused(elicitation):
    for cls in (Qwen, DeepSeek):
        with pytest.raises(AgentError, match=f"elicitation of {cls.name}"):
            cls(elicitation=elicitation)


def test_a_release_says_the_same_and_shows_the_same_features(bars, tmp_path):
    """Its windows hold what the features need, and its parameters come back."""
    shown = QWEN.replace(shown_features=("volume_z_24",))
    agent = Pool((shown, DEEPSEEK))
    backend = Wide()
    with backed_by(LanguageModel(backend, PACKAGED)):
        fitted = agent.fit(bars, seed=7)
        manifest = freeze(
            fitted, name="far", train_bars=bars, limits={}, execution={}, lock_sha256="b" * 64, engine_version="0.1.0",
            sizing=ReleasedSizing(class_name="volatility_target", parameters={"annual": 0.2}, source_sha256="a" * 64),
            universe=bars.symbols, folder=tmp_path,
        )  # fmt: skip
        release = load_release(tmp_path / manifest.digest)
        assert release.check_golden() > 0
        before = len(backend.asked)
        views = release.views(window_at(fitted, bars, 60))
        assert [view.mean_bps for view in views] == [
            view.mean_bps for view in fitted.views(window_at(fitted, bars, 60))
        ]
    assert release.features.version == "volume_z_24@1"
    prompts = [question.messages[1].content for question in backend.asked[before:]]
    assert sum("Volume against its mean of 24 bars" in prompt for prompt in prompts) >= len(bars.symbols)
