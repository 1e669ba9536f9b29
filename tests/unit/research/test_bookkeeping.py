"""The ledger's side of a study: what is written, when, what counts, and what is refused before anything is written."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from sapphire.agents import Agent, BuyAndHold, Cash, MovingAverageCross
from sapphire.domain.bars import Bars
from sapphire.domain.errors import AgentError, EngineError, LedgerDamaged, StatisticsError, StudyError, ValueRefused
from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.domain.intervals import Interval
from sapphire.domain.limits import Execution, Limits
from sapphire.portfolio import FixedFraction
from sapphire.research import costs, walk_forward
from sapphire.research.runs import screening

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))
ASKS = ("screen", "replay", "compare", "information")


@dataclass(frozen=True)
class Broken(Agent):
    """Fails at the first tested bar, after it has learned nothing."""

    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 106

    def views(self, window):
        raise ZeroDivisionError("an agent's own mistake")


def methods(study):
    return [entry.method for entry in study.ledger.evaluations()]


@pytest.mark.parametrize("ask", ASKS)
def test_an_evaluation_is_in_the_ledger_before_its_result_is_had(make_study, ask):
    study = make_study()
    result = getattr(study, ask)(AGENT)
    shown = ["replay", "screen"] if ask == "compare" else [ask]
    assert [entry.method for entry in study.ledger.evaluations() if entry.counted] == shown
    assert study.trials().count == len(shown)
    assert f"N = {len(shown)} trials" in result.caption
    assert result.as_dict()["trials"] == len(shown)


@pytest.mark.parametrize("ask", [*ASKS, "sweep"])
def test_without_the_ledger_there_is_no_result(make_study, ask):
    study = make_study()
    study.ledger.folder.mkdir(parents=True)
    study.ledger.path.write_text('{"half a li')
    with pytest.raises(LedgerDamaged):
        study.sweep(AGENT, fast=[2, 3]) if ask == "sweep" else getattr(study, ask)(AGENT)
    assert study.ledger.path.read_text() == '{"half a li'


@pytest.mark.parametrize("ask", ASKS)
def test_the_same_again_adds_a_line_and_no_trial(make_study, ask):
    study = make_study()
    first, again = getattr(study, ask)(AGENT), getattr(study, ask)(AGENT)
    assert study.trials().count == (2 if ask == "compare" else 1)
    assert first.as_dict() == again.as_dict()
    lines = study.ledger.evaluations()
    assert len(lines) == (18 if ask == "compare" else 2)
    assert lines[-1].returns_digest == lines[len(lines) // 2 - 1].returns_digest


def test_a_sweep_counts_every_combination_once(make_study):
    study = make_study()
    swept = study.sweep(AGENT, fast=[2, 3, 12], slow=[12, 16])
    assert (len(swept.values), len(swept.refused)) == (5, 1)
    assert swept.trials == study.trials().count == 5
    assert study.screen(AGENT).trials == 5  # fast 3 and slow 12 were in the sweep
    assert study.sweep(AGENT, slow=np.array([12, 16, 20])).trials == 6  # an array's numbers are a list's
    assert {type(value) for values in study.sweep(AGENT, slow=np.array([12])).values for value in values} == {int}


def test_comparing_counts_as_the_replay_and_the_screen_in_it(make_study):
    study = make_study()
    compared = study.compare(AGENT)
    assert methods(study) == [*["counterfactual"] * 5, "replay", "screen", *["counterfactual"] * 2]
    assert [entry.counted for entry in study.ledger.evaluations()] == [False] * 5 + [True, True, False, False]
    assert study.replay(AGENT).trials == study.screen(AGENT).trials == 2
    assert {run.trials for run in compared.runs} == {2}


def test_what_decides_makes_another_trial(make_study):
    for change in (
        {},
        {"costs": costs.binance_spot(taker_bps=5.0)},
        {"sizing": FixedFraction(fraction=0.2)},
        {"seed": 8},
        {"starting_cash": 50_000.0},
        {"limits": Limits(name="tight", order=0.9)},
        {"execution": Execution(max_slippage_bps=30)},
        {"split": walk_forward(train="100h", test="50h", embargo="5h")},
    ):
        make_study(**change).replay(AGENT)
    assert make_study().trials().count == 8
    for taker_bps in (10.0, 5.0):
        make_study(costs=costs.binance_spot(taker_bps=taker_bps)).screen(AGENT)
    make_study().replay(AGENT.replace(fast=4))
    assert make_study().trials().count == 11


def test_a_thousand_seeds_of_one_model_are_a_thousand_trials(make_study):
    for seed in range(5):
        make_study(seed=seed).screen(AGENT)
    assert make_study().trials().count == 5


def test_another_name_does_not_hide_a_trial(make_study, walked):
    make_study(name="one").replay(AGENT)
    make_study(name="another", holdout="120h").screen(AGENT)
    make_study(name="elsewhere", bars=walked().rows(0, 106), holdout="0h").screen(AGENT)
    table = make_study(name="asked").trials()
    assert table.count == 3
    assert {line[2] for line in table.table()[1]} == {"another", "elsewhere", "one"}
    sealed = make_study(name="late", split=walk_forward(train="220h", test="60h"))
    assert sealed.tested.close_time_ns[0] > make_study(holdout="120h").tested.close_time_ns[-1]
    assert sealed.trials().count == 1


def test_dropping_a_symbol_does_not_hide_a_trial(make_study, walked):
    make_study().replay(AGENT)
    for symbol in ("BTC/USDT", "ETH/USDT"):
        asked = make_study(walked().symbols_only([symbol])).trials()
        assert asked.count == 2, "whoever saw both could choose the better one"
        assert [line[-1] for line in asked.table()[1]] == ["2"]
    assert make_study().trials().count == 1


def test_another_asset_is_counted_apart(make_study, walked):
    make_study(walked().symbols_only(["BTC/USDT"])).replay(AGENT)
    assert make_study(walked().symbols_only(["ETH/USDT"])).trials().count == 0


def test_the_ledger_says_who_when_and_what(make_study):
    study = make_study()
    study.replay(AGENT)
    line = study.ledger.path.read_text()
    assert '"at_ns":1735689600000000000' in line
    entry = study.ledger.evaluations()[0]
    assert (entry.agent, entry.study, entry.parameters["slow"]) == ("moving-average-cross", "trend", 12)
    assert entry.sizing["name"] == "fixed_fraction"
    assert entry.sizing["costs"]["taker_bps"] == 10.0
    assert (entry.span.market, sorted(entry.span.assets)) == ("real", ["BTC/USDT", "ETH/USDT"])
    assert entry.span.start_ns == study.tested.close_time_ns[0]
    assert entry.span.end_ns == study.tested.close_time_ns[-1] + 1
    assert entry.seed == study.seed
    assert study.ledger.protocol(entry.protocol) == study.protocol


def test_a_protocol_that_is_gone_is_named(make_study):
    study = make_study()
    study.replay(AGENT)
    (study.ledger.folder / "protocols" / f"{study.protocol.digest}.json").unlink()
    with pytest.raises(LedgerDamaged, match="a protocol that the trial ledger names"):
        study.ledger.protocol(study.protocol.digest)


@pytest.mark.parametrize("ask", ASKS)
def test_a_failed_evaluation_writes_nothing(make_study, ask):
    study = make_study()
    with pytest.raises(AgentError, match="an agent's own mistake"):
        getattr(study, ask)(Broken())
    with pytest.raises(AgentError, match="an agent's own mistake"):
        study.sweep(Broken(), horizon=[timedelta(hours=1)])
    assert study.ledger.head.lines == 0


def test_a_comparison_that_does_not_hold_was_an_evaluation_all_the_same(make_study, monkeypatch):
    study = make_study()
    equity = screening.equity_of_fills
    monkeypatch.setattr(screening, "equity_of_fills", lambda *args, **kwargs: equity(*args, **kwargs) + 1.0)
    with pytest.raises(StudyError, match="vectorbt and the engine disagree"):
        study.compare(AGENT)
    assert study.trials().count == 1


def test_information_of_one_who_says_nothing_is_refused(make_study):
    study = make_study()
    with pytest.raises(StatisticsError):
        study.information(Cash())
    assert study.ledger.evaluations() == ()


def test_a_hold_out_longer_than_the_data_is_refused(make_study):
    with pytest.raises(StudyError, match="the hold-out leaves no bars") as refused:
        make_study(holdout="400h")
    assert "longer than the hold-out of 16 days, 16:00:00" in refused.value.expected


def test_too_few_bars_say_how_many_are_needed(make_study, walked):
    with pytest.raises(StudyError, match="too little data before the hold-out") as refused:
        make_study(walked(140))
    assert "more than 4 days, 9:00:00" in refused.value.expected


@pytest.mark.parametrize("cash", [0.0, -5.0, float("nan"), 0.1 + 0.2, 1e300])
def test_a_starting_cash_that_is_none_is_refused(make_study, cash):
    with pytest.raises(ValueRefused):
        make_study(starting_cash=cash)


def test_perpetuals_are_not_studied(make_study, walked, recorded):
    bars = walked().symbols_only(["BTC/USDT"])
    symbol, steps = "BTC/USDT:USDT", (Decimal("0.01"), Decimal("0.001"), Decimal("5"))
    rules = Universe([Instrument(symbol, "BTC", "USDT", InstrumentKind.LINEAR_PERPETUAL, *steps)])
    arrays = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume", "listed")}
    perpetual = Bars(symbols=(symbol,), interval=bars.interval, open_time_ns=bars.open_time_ns, **arrays)
    with pytest.raises(StudyError, match="a study of perpetuals"):
        make_study(data=recorded(perpetual, rules))


def test_prices_off_the_tick_are_not_replayed(make_study, walked, recorded):
    coarse = Instrument(
        "BTC/USDT", "BTC", "USDT", InstrumentKind.SPOT, Decimal("0.1"), Decimal("0.00001"), Decimal("5")
    )
    study = make_study(data=recorded(walked().symbols_only(["BTC/USDT"]), Universe([coarse])))
    with pytest.raises(StudyError, match="off its tick grid"):
        study.replay(AGENT)


def test_what_the_engine_refuses_is_an_error_of_the_house(make_study, walked, recorded):
    steps = (Decimal("0.01"), Decimal("0.00001"), Decimal("5"))
    pairs = [("BTC/USDT", "BTC", "USDT"), ("ETH/BTC", "ETH", "BTC")]
    rules = Universe([Instrument(*pair, InstrumentKind.SPOT, *steps) for pair in pairs])
    bars = walked()
    arrays = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume", "listed")}
    mixed = Bars(symbols=rules.symbols, interval=Interval("1h"), open_time_ns=bars.open_time_ns, **arrays)
    study = make_study(data=recorded(mixed, rules))
    with pytest.raises(EngineError, match="the engine refuses a replay"):
        study.replay(AGENT)
    assert study.ledger.head.lines == 0


def test_a_sweep_takes_bars_that_a_symbol_does_not_have(make_study, walked, unlisted):
    study = make_study(unlisted(walked(), "ETH/USDT", [150, 151]))
    swept = study.sweep(AGENT, fast=[2, 3])
    assert all(np.isfinite(row.total_return) for row in swept.performances)
    assert len(study.ledger.evaluations()) == 2


@pytest.mark.parametrize(
    ("grid", "got"),
    [
        ({}, "no parameters"),
        ({"quick": [1, 2]}, "quick"),
        ({"fast": [50, 60]}, "2, all refused"),
        ({"fast": []}, "0, all"),
    ],
)
def test_a_sweep_over_nothing_is_refused(make_study, grid, got):
    with pytest.raises(StudyError, match="nothing to sweep") as refused:
        make_study().sweep(AGENT, **grid)
    assert got in refused.value.got


def test_a_study_says_what_it_is_made_of(make_study):
    study = make_study()
    lines = dict(study.table()[1])
    assert lines["tested"] == "2024-01-05 10:00Z to 2024-01-11 20:00Z in 3 folds"
    assert lines["embargo"] == "5h"
    assert lines["hold-out, sealed"] == "from 2024-01-11 20:00Z, 1d16h"
    assert study.as_dict()["folds"] == 3


def test_buying_and_holding_is_an_agent_like_any_other(make_study):
    study = make_study()
    assert study.screen(BuyAndHold(horizon=timedelta(hours=2))).performance.fills == 2
