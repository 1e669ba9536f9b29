"""Counterfactuals of agents that are known to go by the name, the date, the numbers, the news, or by nothing."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import Agent, FinGpt, Qwen, backed_by, recording, window_at
from sapphire.agents.counterfactuals import (
    COUNTERFACTUALS,
    AgentCounterfactuals,
    Counterfactual,
    binary_divergence,
    counterfactuals_of,
    drawn_windows,
)
from sapphire.agents.counterfactuals.windows import (
    SHIFT,
    anonymised,
    exchanged,
    flipped_news,
    shifted_dates,
    swapped_names,
)
from sapphire.agents.counterfactuals.words import OPPOSITES, flipped_text, moved_years, renamed_text
from sapphire.agents.llm.backends import LanguageModel
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.requests import Scores
from sapphire.domain import Document, Documents
from sapphire.domain.errors import AgentError, NotFitted, ValueRefused

QUARTER = timedelta(minutes=15)
QWEN = Qwen(horizon=QUARTER, shown_bars=3, memory=12)
NAMES_AND_DATES = ("anonymised_symbols", "swapped_names", "shifted_dates")


@dataclass(frozen=True)
class Known(Agent):
    """An agent of two bars that states what its subclass says of each symbol."""

    horizon: timedelta = QUARTER
    warmup: int = 2

    def views(self, window):
        return window.views(score=self.scores(window), horizon=self.horizon)

    def scores(self, window):
        return dict.fromkeys(window.symbols, 1.0)


@dataclass(frozen=True)
class Constant(Known):
    """Says the same whatever it is shown."""


@dataclass(frozen=True)
class ByName(Known):
    """Likes Bitcoin, by its name."""

    def scores(self, window):
        return {symbol: 1.0 if symbol.startswith("BTC") else -1.0 for symbol in window.symbols}


@dataclass(frozen=True)
class ByDate(Known):
    """Remembers that prices fell before 2024."""

    def scores(self, window):
        return dict.fromkeys(window.symbols, window.as_of.year - 2023.5)


@dataclass(frozen=True)
class ByNumbers(Known):
    """The last return."""

    def scores(self, window):
        close = window.panel("close")
        return close.iloc[-1] / close.iloc[-2] - 1.0


@dataclass(frozen=True)
class OddsByName(ByName):
    """States the log-odds of a rise: 2 of Bitcoin, by its name, and another of any other coin."""

    score_is = "log_odds"
    other: float = 1.0

    def scores(self, window):
        return {symbol: 2.0 if symbol.startswith("BTC") else self.other for symbol in window.symbols}


@dataclass(frozen=True)
class Shy(Known):
    """Speaks of coins that it knows."""

    def scores(self, window):
        return {symbol: 1.0 for symbol in window.symbols if symbol.startswith("BTC")}


@dataclass(frozen=True)
class Lookup(Known):
    """Breaks at a coin that it does not know."""

    def scores(self, window):
        return {symbol: {"BTC/USDT": 1.0, "ETH/USDT": -1.0}[symbol] for symbol in window.symbols}


@dataclass(frozen=True)
class Forecaster(Known):
    """States a mean of 10 bps, 30 after 2024, and a deviation of 10."""

    def views(self, window):
        mean = dict.fromkeys(window.symbols, 30.0 if window.as_of.year > 2024 else 10.0)
        return window.views(mean_bps=mean, std_bps=dict.fromkeys(window.symbols, 10.0), horizon=self.horizon)


@dataclass(frozen=True)
class Learner(Known):
    """Has not learned yet."""

    def fit(self, train, seed):
        return self


@dataclass(frozen=True)
class Reader(Known):
    """Counts headlines of each coin that say it surges, less those that say it plunges."""

    documents = ("news",)
    warmup: int = 40

    def scores(self, window):
        return {
            symbol: float(sum(("surges" in e.title) - ("plunges" in e.title) for e in read))
            for symbol in window.symbols
            if (read := [each for each in window.documents("news") if symbol in each.symbols])
        }


class Answers:
    """A model by a rule of what stands in the prompt: words to what they add to the first choice."""

    def __init__(self, **words):
        self.words, self.asked = words, 0

    def score(self, model, questions):
        self.asked += len(questions)
        return [self._one(question) for question in questions]

    def _one(self, question):
        prompt = question.messages[1].content
        added = sum(value for word, value in self.words.items() if word in prompt)
        odds = dict.fromkeys(question.choices, 0.0)
        odds[question.choices[-1] if "positive" in odds else question.choices[0]] = added
        return Scores.among(odds, 5).reply("")


def asked_of(agent, bars, count=16, **settings):
    return counterfactuals_of(agent, drawn_windows(agent, bars, count=count, seed=3), **settings)


def news(bars, *headlines, **about):
    """Headlines: (row of the bar by whose close it was received, symbol, title)."""
    made = [
        Document(
            kind="news", id=f"bitcoin-{place}", title=title, source="desk", licence="CC0", symbols=(symbol,),
            url="https://desk.example/bitcoin", published_ns=int(bars.close_time_ns[row]) - 1_000,
            received_ns=int(bars.close_time_ns[row]), **about,
        )
        for place, (row, symbol, title) in enumerate(headlines)
    ]  # fmt: skip
    return bars.with_documents(Documents(made, kinds=("news",)))


def shares(found, name="consistency"):
    return [getattr(found.row(kind), name) for kind in COUNTERFACTUALS]


def test_an_agent_that_keys_on_the_name_shows_it_where_names_change(bars):
    found = asked_of(ByName(), bars)
    assert shares(found) == [0.5, 0.0, 1.0, None, 1.0]
    assert shares(found, "dependency") == [0.5, 1.0, 0.0, None, 0.0]
    row = found.row("anonymised_symbols")
    assert (row.views, row.silent, row.kept, row.moved) == (32, 0, 16, 16)
    assert row.interval == (pytest.approx(0.3363, abs=5e-5), pytest.approx(0.6637, abs=5e-5))
    assert (found.unit, row.median_change, row.worst_change) == ("deviations", 1.0, 2.0)  # from 1 to -1, deviation 1
    assert (row.confidence_invariance, row.divergence, found.constant) == (None, None, False)


def test_an_agent_that_keys_on_the_date_shows_it_where_dates_change(bars):
    found = asked_of(ByDate(), bars)
    assert shares(found) == [1.0, 1.0, 0.0, None, 1.0]
    assert found.row("shifted_dates").worst_change == 3.0 / 1.5
    assert not found.constant, "it says the same in one year, and something else in another"


def test_an_agent_of_the_numbers_alone_moves_with_them_and_with_nothing_else(bars):
    agent = ByNumbers()
    windows = drawn_windows(agent, bars, count=16, seed=3)
    found = counterfactuals_of(agent, windows)
    assert [found.row(kind).worst_change for kind in NAMES_AND_DATES] == [0.0, 0.0, 0.0]
    scores = np.array([[view.score for view in agent.views(window)] for window in windows])
    there = np.roll(scores, -8, axis=0)
    moved = np.abs(scores - there) / scores.std() > 0.01
    row = found.row("exchanged_inputs")
    assert (row.moved, row.kept) == (moved.sum(), (np.sign(scores) == np.sign(there)).sum())
    assert row.dependency > 0.9
    assert row.within == 1.0 - row.dependency
    assert counterfactuals_of(agent, windows, tolerance=100.0).row("exchanged_inputs").moved == 0


def test_a_constant_agent_is_shown_as_one(bars):
    found = asked_of(Constant(), bars)
    assert found.constant
    assert shares(found, "dependency") == [0.0, 0.0, 0.0, None, 0.0]
    assert found.row("flipped_news").note == "not read"
    silent = asked_of(Shy(), bars.symbols_only(["ETH/USDT"]))
    assert not silent.constant, "it says nothing at all"
    assert silent.row("swapped_names").note == "one coin"
    assert {row.views for row in silent.rows} == {0}


def test_probabilities_have_confidence_invariance_and_divergence(bars):
    found = asked_of(OddsByName(), bars)
    high, low = (1.0 / (1.0 + math.exp(-odds)) for odds in (2.0, 1.0))
    row = found.row("anonymised_symbols")
    assert (found.unit, row.consistency) == ("probability", 1.0)
    assert row.confidence_invariance == pytest.approx(1.0 - (high - low) / 2.0)
    assert row.divergence == pytest.approx(binary_divergence(high, low) / 2.0)
    assert (row.worst_change, row.median_change) == (pytest.approx(high - low), pytest.approx((high - low) / 2.0))
    turned = found.row("swapped_names")
    assert turned.divergence == pytest.approx((binary_divergence(high, low) + binary_divergence(low, high)) / 2.0)
    assert (row.dependency, turned.dependency) == (0.5, 1.0)
    split = asked_of(OddsByName(other=-1.0), bars)
    assert split.row("anonymised_symbols").confidence_invariance == 1.0, "of the views that kept their sign"
    assert split.row("swapped_names").confidence_invariance is None


def test_a_forecast_is_a_probability_of_a_rise_too(bars):
    found = asked_of(Forecaster(), bars)
    row = found.row("shifted_dates")
    assert (found.unit, row.consistency, row.dependency) == ("probability", 1.0, 1.0)
    assert row.worst_change == pytest.approx(0.99865 - 0.84134, abs=1e-4)  # of a normal distribution at 3 and at 1


def test_views_that_fall_silent_are_counted_and_have_kept_nothing(bars):
    found = asked_of(Shy(), bars)
    row = found.row("anonymised_symbols")
    assert (row.views, row.silent, row.kept, row.consistency, row.dependency) == (16, 16, 0, 0.0, None)
    assert found.row("swapped_names").silent == 16, "what was Bitcoin is now called Ether"
    assert found.row("shifted_dates").silent == 0


def test_an_agent_that_breaks_at_a_name_is_silent_there_and_says_why(bars):
    found = asked_of(Lookup(), bars)
    row = found.row("anonymised_symbols")
    assert (row.views, row.silent, row.kept) == (32, 32, 0)
    assert row.note.startswith("fails: KeyError: 'COIN1/USDT'")
    assert shares(found) == [0.0, 0.0, 1.0, None, 1.0]


def test_a_reader_turns_with_its_news_and_what_cannot_turn_is_counted(bars):
    btc, eth = bars.symbols
    told = news(bars, *((row, btc, "Coin surges") for row in (20, 60, 100)), (60, eth, "A foundation reports"))
    windows = [window_at(Reader(), told, row) for row in (50, 70, 110, 120)]
    found = counterfactuals_of(Reader(), windows)
    row = found.row("flipped_news")
    assert (row.views, row.kept, row.moved, row.silent) == (4, 0, 4, 0), "Ether's news have no word that turns"
    assert (row.documents, row.turned) == (4, 3)
    assert found.row("anonymised_symbols").consistency == 1.0, "documents are about the renamed coin"
    calm = news(bars, (60, btc, "A foundation reports"))
    none = counterfactuals_of(Reader(), [window_at(Reader(), calm, row) for row in (70, 80)])
    row = none.row("flipped_news")
    assert (row.note, row.documents, row.turned) == ("no document with a word that turns", 1, 0)


def test_news_of_another_window_are_exchanged_with_its_numbers(bars):
    told = news(bars, (20, bars.symbols[0], "Coin surges"), (100, bars.symbols[0], "Coin plunges"))
    first, second = (window_at(Reader(), told, row) for row in (45, 110))
    there, back = exchanged([first, second])
    assert [each.title for each in there.documents("news")] == ["Coin plunges"]
    assert there.as_of == first.as_of
    assert np.array_equal(there.bars.close, second.bars.close)
    assert np.array_equal(there.bars.open_time_ns, first.bars.open_time_ns)
    assert there.bars.symbols == back.bars.symbols == bars.symbols
    found = counterfactuals_of(Reader(), [first, second]).row("exchanged_inputs")
    assert (found.views, found.kept, found.moved) == (2, 0, 2)
    alone = counterfactuals_of(Reader(), [first])
    assert alone.row("exchanged_inputs").note == "one window"


def test_nothing_of_the_coin_is_left_where_it_is_anonymised(bars):
    btc, eth = bars.symbols
    title = f"Bitcoin ({btc}, BTCUSDT) beats ETH and ether"
    window = window_at(Reader(), news(bars, (20, btc, title), (21, eth, "BTC"), text="BITCOIN"), 30)
    hidden = anonymised(window)
    (first, second) = hidden.documents("news")
    assert hidden.symbols == ("COIN1/USDT", "COIN2/USDT")
    assert (first.title, first.text) == ("COIN1 (COIN1/USDT, COIN1USDT) beats COIN2 and COIN2", "COIN1")
    assert (first.symbols, first.url, first.id, second.id) == (("COIN1/USDT",), "", "document-0", "document-1")
    assert first.received_ns == window.documents("news")[0].received_ns
    assert np.array_equal(hidden.bars.close, window.bars.close)
    swapped = swapped_names(window)
    assert swapped.symbols == (eth, btc)
    assert swapped.documents("news")[0].title == f"Ethereum ({eth}, ETHUSDT) beats BTC and Bitcoin"
    assert swapped_names(swapped).documents("news")[0].symbols == (btc,)


def test_dates_move_in_whole_weeks_with_the_years_that_texts_name(bars):
    window = window_at(Reader(), news(bars, (20, bars.symbols[0], "The best since 2024, at $2024")), 30)
    moved = shifted_dates(window)
    (document,) = moved.documents("news")
    assert moved.as_of - window.as_of == SHIFT
    assert (moved.as_of.weekday(), moved.as_of.time()) == (window.as_of.weekday(), window.as_of.time())
    assert document.title == "The best since 2021, at $2024"
    assert document.received_ns - window.documents("news")[0].received_ns == SHIFT // timedelta(microseconds=1) * 1_000
    assert moved.bars.validate() is moved.bars
    assert moved.panel("close").to_numpy().tobytes() == window.panel("close").to_numpy().tobytes()


def test_expired_documents_stay_expired(bars):
    told = news(bars, (20, bars.symbols[0], "Coin surges"), retention_days=1)
    gone = Documents([each.without_text() for each in told.documents], kinds=("news",))
    window = window_at(Reader(), bars.with_documents(gone), 30)
    for change in (anonymised, swapped_names, shifted_dates, flipped_news):
        (document,) = change(window).bars.documents
        assert (document.expired, document.sha256) == (True, next(iter(gone)).sha256)


def test_opposites_stand_in_one_pair_each_so_that_turning_twice_changes_nothing():
    assert set(Counter(word for pair in OPPOSITES for word in pair).values()) == {1}
    for text in ("ETF Approved: inflows RISE, bears sell", "Up 5 %, best week; the list is unlisted"):
        assert flipped_text(text) != text
        assert flipped_text(flipped_text(text)) == text
    assert flipped_text("Up 5 %, best week; the list is unlisted") == "Down 5 %, worst week; the list is unlisted"


def test_names_are_whole_words():
    names = {"BTC": "COIN1", "SOL": "COIN2"}
    assert renamed_text("WBTC, SOLID and sol; BTC's", names) == "WBTC, SOLID and sol; COIN1's"
    assert renamed_text("Nothing", {}) == "Nothing"
    assert moved_years("120245, 2024% and 2024-05", -3) == "120245, 2024% and 2021-05"


def test_a_model_that_knows_the_name_is_told_from_one_that_reads_the_returns(bars):
    with backed_by(LanguageModel(Answers(BTC=1.0, Volatility=0.5), PACKAGED)):
        found = asked_of(QWEN, bars)
    high, low = (1.0 / (1.0 + math.exp(-odds)) for odds in (1.5, 0.5))
    row = found.row("anonymised_symbols")
    assert (found.unit, row.consistency, row.dependency) == ("probability", 1.0, 0.5)
    assert row.worst_change == pytest.approx(high - low)
    assert shares(found, "dependency") == [0.5, 1.0, 0.0, None, 0.0]
    assert found.row("exchanged_inputs").divergence == 0.0, "it does not look at what it is shown"
    with backed_by(LanguageModel(Answers(**{"2025-01": 3.0, "2022-01": -3.0}), PACKAGED)):
        dated = asked_of(QWEN, bars)
        unnamed = asked_of(QWEN.replace(named=False), bars)
    assert shares(dated)[:3] == [1.0, 1.0, 0.0]
    assert unnamed.constant, "without a date there is nothing left that it reads"


def test_a_reader_of_sentiment_turns_and_its_answers_are_replayed(bars, tmp_path):
    agent = FinGpt(horizon=QUARTER, reach=timedelta(minutes=50), bar=bars.interval.timedelta)
    symbols = bars.symbols
    told = news(bars, *((row, symbols[row // 4 % 2], "Bitcoin rallies to a high") for row in range(0, 400, 4)))
    model = Answers(rallies=3.0, slumps=-3.0)
    with recording(tmp_path / "calls", LanguageModel(model, PACKAGED)):
        found = asked_of(agent, told)
    row = found.row("flipped_news")
    assert (row.views, row.kept, row.consistency, row.turned, row.dependency) == (32, 0, 0.0, row.documents, 1.0)
    assert found.row("anonymised_symbols").consistency == 1.0
    asked = model.asked
    with recording(tmp_path / "calls", mode="replay"):
        assert asked_of(agent, told) == found
    assert model.asked == asked


def test_a_model_that_nobody_answers_for_is_no_silence(bars, tmp_path):
    with recording(tmp_path / "calls", mode="replay"), pytest.raises(AgentError, match="nobody answers"):
        asked_of(QWEN, bars)
    windows = drawn_windows(QWEN, bars, count=4, seed=3)
    with recording(tmp_path / "calls", LanguageModel(Answers(BTC=1.0), PACKAGED)):
        QWEN.views_batch(windows)
    with recording(tmp_path / "calls", mode="replay"), pytest.raises(AgentError, match="nobody answers"):
        counterfactuals_of(QWEN, windows)  # the windows as they are would be answered


def test_all_windows_are_asked_in_one_pass(bars):
    passes = []

    @dataclass(frozen=True)
    class Many(ByNumbers):
        """Notes how many windows it is asked about at once."""

        def views_batch(self, windows):
            passes.append(len(windows))
            return [self.views(window) for window in windows]

    asked_of(Many(), bars, count=8)
    assert passes == [5 * 8]  # as they are, and four changes


def test_windows_are_drawn_from_equal_parts_and_the_same_for_a_seed(bars):
    agent = ByNumbers()
    moments = [window.as_of for window in drawn_windows(agent, bars.rows(0, 200), first=100, count=10, seed=1)]
    rows = np.searchsorted(bars.close_time_ns, [int(moment.timestamp()) * 10**9 for moment in moments])
    assert [row // 10 for row in rows] == list(range(10, 20))
    assert moments == [window.as_of for window in drawn_windows(agent, bars.rows(0, 200), first=100, count=10, seed=1)]
    assert len(drawn_windows(agent, bars, first=397, count=10, seed=1)) == 3


def test_what_cannot_be_asked_is_refused(bars):
    agent, windows = ByNumbers(), drawn_windows(ByNumbers(), bars, count=2, seed=1)
    for wrong in ([], [windows[0], window_at(replace(agent, warmup=5), bars, 20)]):
        with pytest.raises(ValueRefused, match="windows for counterfactuals"):
            counterfactuals_of(agent, wrong)
    with pytest.raises(ValueRefused, match="tolerance"):
        counterfactuals_of(agent, windows, tolerance=math.nan)
    with pytest.raises(ValueRefused, match="windows of by-numbers"):
        drawn_windows(agent, bars, count=0, seed=1)
    with pytest.raises(NotFitted):
        asked_of(Learner(), bars, count=1)


def test_the_numbers_read_back_and_impossible_ones_are_refused(bars):
    found = asked_of(ByName(), bars, count=2)
    assert AgentCounterfactuals.from_dict(found.as_dict()) == found
    for wrong in ({"views": 1, "kept": 2}, {"views": 1, "silent": 2}, {"views": 1, "worst_change": math.inf}):
        with pytest.raises(ValueRefused, match="counterfactual"):
            Counterfactual(kind="swapped_names", **wrong)
    with pytest.raises(ValueRefused, match="counterfactuals of by-name"):
        replace(found, rows=found.rows[1:])
