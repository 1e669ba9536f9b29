"""A hold-out is sealed by market, base asset and time, for every study of the state folder."""

from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import MovingAverageCross, RandomWalk
from sapphire.domain.bars import Bars
from sapphire.domain.errors import HoldoutSealed, StudyError
from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.research import walk_forward
from sapphire.research.results.replays import REAL
from sapphire.research.runs.informing import inform
from sapphire.research.runs.replaying import replay_beliefs
from sapphire.research.runs.screening import screened
from sapphire.research.runs.walking import walk_beliefs, walk_views

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))
ASKS = ("screen", "replay", "compare", "information", "submit")


def renamed(bars, names, recorded, *, scale=1.0, rows=slice(None)):
    """The same bars under other names, in other units."""
    steps = {each.symbol: each for each in recorded(bars).instruments}
    rules = Universe(
        Instrument(name, name.split("/")[0], name.split("/")[1], InstrumentKind.SPOT, of.tick, of.lot, of.min_notional)
        for name, of in zip(names, steps.values(), strict=False)
    )
    prices = {
        name: np.round(getattr(bars, name)[rows, : len(names)] * scale, 2) for name in ("open", "high", "low", "close")
    }
    made = Bars(
        symbols=tuple(names),
        interval=bars.interval,
        open_time_ns=bars.open_time_ns[rows],
        volume=bars.volume[rows, : len(names)],
        listed=bars.listed[rows, : len(names)],
        **prices,
    )
    return recorded(made.validate(), rules)


def test_nothing_is_sealed_before_the_first_evaluation(make_study):
    study = make_study()
    assert study.ledger.seals() == ()
    study.screen(AGENT)
    (seal,) = study.ledger.seals()
    assert (seal.study, seal.span.bases) == ("trend", {"BTC", "ETH"})
    assert seal.span.start_ns == study.data.bars.close_time_ns[260]
    assert seal.span.end_ns == study.data.bars.close_time_ns[-1] + 1
    for ask in ASKS[:-1]:
        getattr(study, ask)(AGENT)
    assert study.ledger.seals() == (seal,)


@pytest.mark.parametrize("ask", [*ASKS, "sweep"])
def test_a_five_minute_hold_out_does_not_replay_the_hold_out_of_another_study(make_study, ask):
    make_study(name="first").replay(AGENT)
    other = make_study(name="other", holdout="5m")
    before = other.ledger.head
    with pytest.raises(HoldoutSealed, match="study 'other' would look at a sealed hold-out") as refused:
        other.sweep(AGENT, fast=[2, 3]) if ask == "sweep" else getattr(other, ask)(AGENT)
    assert "of study 'first': BTC/USDT, ETH/USDT from 2024-01-11" in refused.value.got
    for way in ("to keep clear", "to adopt it", "opens='first'"):
        assert way in refused.value.next
    assert other.ledger.head == before


@pytest.mark.parametrize("way", ["beliefs", "views", "information"])
def test_there_is_no_way_round_by_the_functions_beneath(make_study, way):
    make_study(name="first").replay(AGENT)
    other = make_study(name="other", holdout="0h")
    settings = {"seed": 7, "on_progress": lambda *_: None}
    beliefs = walk_beliefs(AGENT, other.evaluation, other.folds, **settings)
    views = walk_views(AGENT, other.evaluation, other.folds, **settings)
    asks = {
        "beliefs": lambda: replay_beliefs(other, AGENT, beliefs, REAL, on_progress=settings["on_progress"]),
        "views": lambda: screened(other, [AGENT], [views]),
        "information": lambda: inform(other, AGENT, views),
    }
    with pytest.raises(HoldoutSealed):
        asks[way]()


def test_what_only_looks_like_a_study_evaluates_nothing(make_study):
    study = make_study()
    beliefs = walk_beliefs(AGENT, study.evaluation, study.folds, seed=7, on_progress=lambda *_: None)

    class Quiet(type(study)):
        """One that would rather not be counted."""

    twin = Quiet(**{name: getattr(study, name) for name in study.__dataclass_fields__})
    with pytest.raises(StudyError, match="not a study"):
        replay_beliefs(twin, AGENT, beliefs, REAL, on_progress=lambda *_: None)
    assert study.ledger.evaluations() == ()


def test_a_training_window_does_not_meet_it_either(make_study, walked):
    make_study(name="first", bars=walked().rows(0, 150), split=walk_forward(train="50h", test="30h")).screen(AGENT)
    later = make_study(name="later", split=walk_forward(train="150h", test="60h"))
    assert later.span[0].start_ns > later.ledger.seals()[0].span.end_ns
    with pytest.raises(HoldoutSealed):
        later.replay(AGENT)


def test_it_may_be_kept_clear_of(make_study, walked):
    make_study(name="first").replay(AGENT)
    make_study(name="clear", bars=walked().rows(0, 260), holdout="20h").replay(AGENT)
    assert len(make_study().ledger.seals()) == 2


def test_it_may_be_adopted(make_study):
    make_study(name="first").replay(AGENT)
    make_study(name="adopts", holdout="40h").replay(AGENT)
    make_study(name="more", holdout="60h").replay(AGENT)
    assert [seal.study for seal in make_study().ledger.seals()] == ["first", "more"]


@pytest.mark.parametrize("by", ["name", "digest"])
def test_it_may_be_opened_which_is_recorded_and_counts_and_marks(make_study, by):
    first = make_study(name="first")
    first.replay(AGENT)
    (seal,) = first.ledger.seals()
    opener = make_study(name="opener", holdout="5m", opens="first" if by == "name" else seal.digest[:12])
    for ask in ("screen", "replay"):
        getattr(opener, ask)(AGENT)
    (opening,) = first.ledger.openings()
    assert (opening.study, opening.seal, opening.code) == ("opener", seal.digest, "")
    assert opener.ledger.trials(seal.span).count == 2


def test_opening_what_nobody_sealed_is_refused(make_study):
    with pytest.raises(StudyError, match="opens a hold-out that nobody sealed") as refused:
        make_study(opens="trend").replay(AGENT)
    assert refused.value.got == "trend"


def test_another_venue_quote_and_interval_are_the_same_market(make_study, walked, recorded):
    make_study(name="first").replay(AGENT)
    for names in (["BTC/EUR"], ["SOL/USDT", "ETH/BUSD"]):
        with pytest.raises(HoldoutSealed):
            make_study(name="other", data=renamed(walked(), names, recorded), holdout="5m").screen(AGENT)


@pytest.mark.parametrize("scale", [1.0, 0.37, 12.0])
def test_the_same_closes_under_another_name_are_the_same_asset(make_study, walked, recorded, scale):
    make_study(name="first", bars=walked(400), holdout="100h").replay(AGENT)
    copy = renamed(walked(400), ["DOGE/EUR", "PEPE/EUR"], recorded, scale=scale)
    other = make_study(name="other", data=copy, holdout="5m")
    assert other.trials().count == 2, "two symbols were seen, and by other names none of them is known to be there"
    with pytest.raises(HoldoutSealed):
        other.replay(AGENT)


@pytest.mark.parametrize("inverted", [False, True])
def test_another_venue_s_candles_under_another_name_are_the_same_asset(make_study, walked, recorded, bars_of, inverted):
    """Noise of 0.1 % on 60 days of hours leaves no 64 directions as they were, and the moves are the same."""
    bars = walked(1_440)
    split = walk_forward(train="700h", test="400h")
    make_study(name="first", bars=bars, holdout="240h", split=split).screen(AGENT)
    closes = bars.close * np.exp(np.random.default_rng(3).normal(0.0, 0.001, bars.close.shape))
    closes = 1e7 / closes if inverted else closes
    opens = np.vstack([closes[:1], closes[:-1]])
    copy = renamed(bars_of(opens, closes), ["XBT/EUR", "XETH/EUR"], recorded)
    other = make_study(name="other", data=copy, holdout="5m", split=split)
    assert other.trials().count == 2, "as many as it has symbols, by other names"
    with pytest.raises(HoldoutSealed):
        other.screen(AGENT)


def test_other_prices_of_another_asset_are_not_sealed(make_study, walked, recorded):
    make_study(name="first").replay(AGENT)
    other = make_study(name="other", data=renamed(walked(seed=5), ["SOL/USDT", "ADA/USDT"], recorded), holdout="5m")
    other.screen(AGENT)
    assert other.trials().count == 1


def test_a_submit_opens_its_own_and_says_who_saw_it(make_study, home):
    study = make_study()
    first = study.submit(AGENT)
    assert first.bundle.holdout.seen_by == ()
    assert first.bundle.walk_forward.openings == 1
    assert "seen before" not in first.caption
    second = study.submit(RandomWalk(lookback=5, horizon=timedelta(hours=2)))
    assert second.bundle.holdout.seen_by == ("trend",)
    assert second.bundle.walk_forward.openings == 2
    assert "its hold-out was seen before by trend" in second.caption.split("MARKED: ")[1]
    opened = {opening.code for opening in study.ledger.openings()}
    assert opened == {first.digest, second.digest}
    lines = study.ledger.head.lines
    assert study.submit(AGENT).bundle == first.bundle
    assert study.ledger.head.lines == lines, "the same release under the same protocol opens nothing again"
