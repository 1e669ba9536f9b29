"""Features in a context: shown as of the latest bar where the window has them, and nowhere else."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from sapphire.agents import DeepSeek, Qwen, backed_by
from sapphire.agents.llm.context import contexts_of
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.requests import Scores
from sapphire.agents.panels import window_at
from sapphire.domain.canonical import canonical_json, plain, sha256_of
from sapphire.domain.errors import AgentError, LeakFound, ValueRefused
from sapphire.domain.windows import Window

QUARTER = timedelta(minutes=15)


def texts(agent, window):
    return [context.text for context in agent.contexts(window)]


def given(bars, row, **features):
    """A window of 12 bars with features that somebody made: name to a frame."""
    seen = bars.rows(row - 11, row + 1)
    return Window(
        seen, seen.times[-1].to_pydatetime(), {name: lambda _, frame=frame: frame for name, frame in features.items()}
    )


def frame(bars, row, values, *, bar=0, symbols=None):
    return pd.DataFrame([values], index=bars.times[row + bar : row + bar + 1], columns=list(symbols or bars.symbols))


class Kept:
    """Keeps what it is asked, and says up."""

    model = PACKAGED

    def __init__(self):
        self.asked = []

    def replies(self, requests):
        self.asked += map(plain, requests)
        return [Scores.among({"up": 1.0, "down": 0.0}, 9).reply("") for _ in requests]


@pytest.mark.parametrize(
    ("cls", "digest"),
    [
        (Qwen, "af0da9a9d306047f47deb1425c3fa295c7800d49c196493f17326ae979a8919e"),
        (DeepSeek, "f8925c651bf74d6efde233baeed0ec9df8723c6e35704c6b222d1643d344a805"),
    ],
)
def test_without_features_a_question_is_what_it_was_before_there_were_any(cls, digest, make_bars):
    """Recorded calls are known by it, to the last letter."""
    agent, kept = cls(shown_bars=3, memory=12), Kept()
    window = window_at(agent, make_bars(40), 30)
    with backed_by(kept):
        agent.views(window)
    assert (agent.features, agent.warmup) == ((), 12)
    assert texts(agent, window)[0] == (
        "BTC/USDT, 2025-01-01 02:35 UTC, bars of 5m.\n"
        "Returns of the last 3 bars in bps, oldest first: 4 -2 -2.\n"
        "Volatility 3 bps a bar. From its mean +0 bps. RSI 44. Volume 1.7 of its mean."
    )
    assert digest in [sha256_of(canonical_json(asked)) for asked in kept.asked]


@pytest.mark.parametrize("cls", [Qwen, DeepSeek])
def test_named_features_stand_below_the_indicators_which_stay_those_of_the_memory(cls, bars):
    plain = cls(horizon=QUARTER, shown_bars=3, memory=12)
    agent = plain.replace(shown_features=("momentum_z_24", "log_return_24"))
    assert agent.features == ("momentum_z_24", "log_return_24")
    assert agent.warmup == 25
    window = window_at(agent, bars, 60)
    z, change = (window.feature(name).iloc[-1].tolist() for name in agent.features)
    assert texts(agent, window) == [
        f"{text}\nReturn over 24 bars {z[place]:+.1f} deviations. Return over 24 bars {1e4 * change[place]:+.0f} bps."
        for place, text in enumerate(texts(plain, window_at(plain, bars, 60)))
    ]


def test_funding_and_the_book_are_shown_where_a_window_has_them(bars):
    agent = Qwen(shown_bars=3, memory=12, named=False, shown_features=("funding_rate", "spread_bps", "imbalance"))
    window = given(
        bars,
        40,
        funding_rate=frame(bars, 40, [1e-4, -2.5e-5]),
        imbalance=frame(bars, 40, [0.25, np.nan]),
        depth_quote=frame(bars, 40, [1e6, 1e6]),
    )
    first, second = texts(agent, window)
    assert first.endswith(
        "\nFunding +1.00 bps a settlement. Imbalance of the book +0.25 from -1 (asks alone) to 1 (bids alone)."
    )
    assert second.endswith("\nFunding -0.25 bps a settlement.")
    assert "Spread" not in first + second, "the window does not have it"
    assert "Depth" not in first + second, "nobody named it"


def test_what_is_older_or_of_another_symbol_is_not_shown_and_what_is_later_is_refused(bars):
    plain = contexts_of(given(bars, 40), bars=3, memory=48)
    older = frame(bars, 40, [1.0, 1.0], bar=-1)
    for before in (older, older.iloc[:0]):
        assert contexts_of(given(bars, 40, spread_bps=before), bars=3, memory=48, features=["spread_bps"]) == plain
    one = contexts_of(
        given(bars, 40, spread_bps=frame(bars, 40, [1.0], symbols=bars.symbols[1:])),
        bars=3,
        memory=48,
        features=["spread_bps"],
    )
    assert [context.features for context in one] == [(), (("spread_bps", 1.0),)]
    with pytest.raises(LeakFound, match="looks ahead"):
        contexts_of(
            given(bars, 40, spread_bps=frame(bars, 40, [1.0, 1.0], bar=1)), bars=3, memory=48, features=["spread_bps"]
        )


@pytest.mark.parametrize("names", [["log_return_24"], "log_return_24", ("Funding",), ("a\nb",), (1,), ("x", "x")])
def test_what_is_no_name_of_a_feature_is_refused(names):
    for cls in (Qwen, DeepSeek):
        with pytest.raises(AgentError, match=f"features that {cls.name} shows"):
            cls(shown_features=names)


def test_a_feature_that_no_formula_makes_is_refused_where_the_platform_makes_the_window(bars):
    with pytest.raises(ValueRefused, match="unknown feature"):
        window_at(Qwen(shown_features=("funding_rate",)), bars, 60)
