"""The evidence: the same again is the same, the books add up to the atom, and what went wrong is told."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from sapphire.agents import Agent, Arrays, Cash, MovingAverageCross, ViewPanel, fitted
from sapphire.data import snapshot
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.portfolio import FixedFraction
from sapphire.portfolio.targets import Target
from sapphire.research import costs, walk_forward
from sapphire.research.results.replays import LADDER, REAL, Model
from sapphire.research.results.screens import buy_and_hold
from sapphire.research.runs.replaying import replay_beliefs
from sapphire.research.runs.walking import walk_beliefs

ATOM = Fraction(1, 10**8)


@dataclass(frozen=True)
class Chaser(Agent):
    """Expects the last three bars to go on."""

    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 4

    def views(self, window):
        close = window.panel("close")
        return window.views(
            mean_bps=1e4 * (close.iloc[-1] / close.iloc[-4] - 1), std_bps=close.iloc[-1] * 0 + 60, horizon=self.horizon
        )

    def views_panel(self, bars):
        close = bars.frame("close")
        return ViewPanel(self.horizon, mean_bps=1e4 * (close / close.shift(3) - 1), std_bps=close * 0 + 60)


@dataclass(frozen=True)
class Thrower(Chaser):
    """Learns which of the two to buy by a throw of dice."""

    learned: Arrays = fitted()  # noqa: RUF009

    def fit(self, train, seed):
        return self.with_arrays({"learned.sides": np.random.default_rng(seed).choice([-50.0, 50.0], 2)})

    def views(self, window):
        flat = window.panel("close").iloc[-1] * 0
        return window.views(mean_bps=flat + self.learned["sides"], std_bps=flat + 60, horizon=self.horizon)

    def views_panel(self, bars):
        close = bars.frame("close")
        return ViewPanel(self.horizon, mean_bps=close * 0 + self.learned["sides"], std_bps=close * 0 + 60)


@dataclass(frozen=True)
class Stated:
    """A sizing that says what a test tells it to: row of the tested bars to targets."""

    name: ClassVar[str] = "stated"
    targets: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    @property
    def parameters(self):
        return {}

    def size(self, beliefs, state):
        self.asked.append((beliefs, state))
        wanted = self.targets.get(len(self.asked) - 1, ())
        return tuple(Target(symbol, lots, 0.0, "stated") for symbol, lots in wanted)


CHASER = Chaser()


def quiet(*_):
    """Progress that nobody follows."""


def run_of(study, agent=CHASER, model=REAL):
    beliefs = walk_beliefs(agent, study.evaluation, study.folds, seed=study.seed, on_progress=quiet)
    return replay_beliefs(study, agent, beliefs, model, on_progress=quiet)


def test_a_walk_says_each_fold_and_at_last_that_all_are_done(make_study):
    study, seen = make_study(), []
    walk_beliefs(CHASER, study.evaluation, study.folds, seed=study.seed, on_progress=lambda *at: seen.append(at))
    count = len(study.folds)
    assert [done for done, of, _ in seen if of == count][-1] == count
    assert {done for done, of, _ in seen if of == count} == set(range(count + 1))
    assert seen[-1] == (count, count, f"{CHASER.name}: {count} folds")


def test_the_same_study_twice_is_the_same_evidence(make_study):
    first, again = make_study().replay(CHASER), make_study().replay(CHASER)
    assert first.digest == again.digest
    assert first.as_dict() == again.as_dict()
    assert first.fills.equals(again.fills)
    assert len(first.fills) > 50


def test_the_seed_of_a_fit_matters_to_those_who_learn_alone(make_study, home):
    data = snapshot(
        ["BTC/USDT", "ETH/USDT"], interval="1h", start="2024-01-01", end="2024-01-13T12:00", source="embedded"
    )

    def digests(agent):
        return {make_study(data=data, seed=seed).replay(agent).digest for seed in (1, 2, 3)}

    assert len(digests(CHASER)) == 1
    assert len(digests(MovingAverageCross(fast=3, slow=12))) == 1
    assert len(digests(Thrower())) > 1


@pytest.mark.parametrize("model", LADDER)
def test_the_account_adds_up_to_the_atom(make_study, model):
    study = make_study()
    run = run_of(study, model=model)
    record, fills = run.record, run.record["fills"]
    cash, atoms_held = int(record["equity"]["cash_quote_atoms"][-1]), record["equity"]["position_atoms"][-1]
    marked = [
        int(atoms) * round(100 * close) * 10**6 // 10**8
        for atoms, close in zip(atoms_held, study.tested.close[-1], strict=True)
    ]
    assert record["equity"]["equity_quote_atoms"][-1] == cash + sum(marked)
    assert run.worth[-1] == record["equity"]["equity_quote_atoms"][-1] / 1e8
    books = Counter({"USDT": 100_000 * 10**8})
    lot_atoms = {"BTC": 1_000, "ETH": 10_000}
    for symbol, side, lots, quote in zip(
        fills["symbol"], fills["side"], fills["lots"], fills["quote_atoms"], strict=True
    ):
        base, sign = symbol.split("/")[0], 1 if side == "BUY" else -1
        books[base] += sign * int(lots) * lot_atoms[base]
        books["USDT"] -= sign * int(quote)
    for asset, atoms in zip(fills["fee_asset"], fills["fee_atoms"], strict=True):
        books[asset] -= int(atoms)
    assert [books["USDT"], books["BTC"], books["ETH"]] == [cash, *atoms_held.tolist()]


@pytest.mark.parametrize("model", LADDER)
def test_fees_are_the_sum_over_fills(make_study, model):
    run = run_of(make_study(), model=model)
    fills = run.record["fills"]
    by_asset = Counter()
    in_quote = Fraction(0)
    for asset, atoms, ticks in zip(fills["fee_asset"], fills["fee_atoms"], fills["price_ticks"], strict=True):
        by_asset[asset] += int(atoms)
        in_quote += int(atoms) * ATOM * (1 if asset == "USDT" else Fraction(int(ticks), 100))
    assert {asset: atoms for asset, atoms in run.record["fees_atoms"].items() if atoms} == dict(+by_asset)
    assert (set(+by_asset) == {"USDT"}) is (model == Model.IDEAL)
    assert bool(+by_asset) is model.has_fees
    assert run.performance.costs == pytest.approx(float(in_quote / 100_000), rel=1e-12)
    assert run.fills["fee"].sum() == pytest.approx(sum(by_asset.values()) / 1e8, rel=1e-12)
    traded = sum(int(atoms) for atoms in fills["quote_atoms"]) / 1e8
    years = 154 / 8_760
    assert run.performance.turnover == pytest.approx(traded / run.worth.mean() / years, rel=1e-12)
    assert run.performance.fills == len(fills["order"])
    assert (in_quote > 100) is model.has_fees


def test_the_account_is_one_over_all_folds_and_starts_with_its_cash(make_study):
    study = make_study(starting_cash=12_345.67)
    run = study.replay(CHASER)
    assert run.worth[0] == 12_345.67
    assert len(run.worth) == len(study.tested) == 155
    assert run.record["equity"]["close_ns"].tolist() == study.tested.close_time_ns.tolist()
    assert run.returns.tolist() == (run.worth[1:] / run.worth[:-1] - 1).tolist()
    assert run.equity.tolist() == run.worth.tolist()
    assert run.equity.index.equals(study.tested.times)
    assert run.returns.index.equals(study.tested.times[1:])


def test_a_sizing_is_asked_at_every_close_but_the_last_with_what_is_known_then(make_study):
    sizing = Stated(targets={0: [("BTC/USDT", 1_000)]})
    study = make_study(sizing=sizing)
    run = run_of(study, model=Model.IDEAL)
    assert len(sizing.asked) == len(study.tested) - 1
    for row, (beliefs, state) in enumerate(sizing.asked):
        assert state.as_of == study.tested.times[row].to_pydatetime()
        assert {belief.as_of for belief in beliefs} == {state.as_of}
        assert state.prices["ETH/USDT"] == study.tested.close[row, 1]
        assert state.equity_quote == run.worth[row]
        assert state.lots == {"BTC/USDT": 1_000 if row else 0, "ETH/USDT": 0}
    fills = run.fills
    assert fills["time"].tolist() == [study.tested.open_times[1]]
    assert fills["price"].tolist() == [study.tested.open[1, 0]]
    assert fills["quantity"].tolist() == pytest.approx([0.01])


@dataclass(frozen=True)
class Daily(Chaser):
    """Speaks at midnight, for a day; of ETH it falls silent for good after a while."""

    horizon: timedelta = timedelta(days=1)
    silent_from_ns: int = 0

    def views(self, window):
        mean = self._mean(window.bars).iloc[-1]
        return window.views(mean_bps=mean, std_bps=mean * 0 + 60, horizon=self.horizon)

    def views_panel(self, bars):
        mean = self._mean(bars)
        return ViewPanel(self.horizon, mean_bps=mean, std_bps=mean * 0 + 60)

    def _mean(self, bars):
        mean = bars.frame("close") * 0 + 50.0
        mean[mean.index.hour != 0] = np.nan
        mean.loc[bars.close_time_ns >= self.silent_from_ns, "ETH/USDT"] = np.nan
        return mean


def test_a_daily_agent_holds_on_hourly_bars_and_what_it_leaves_follows_the_rule(make_study):
    """Today's case: one silent bar closed the position, so it was opened and closed every day."""
    rule = WhenViewsStop(hold_bars=4, reduce_bars=2)
    study = make_study(sizing=FixedFraction(fraction=0.3), when_views_stop=rule)
    agent = Daily(silent_from_ns=int(study.tested.close_time_ns[60]))
    run = run_of(study, agent)
    positions = run.record["equity"]["position_atoms"]
    btc, eth = positions.T
    opened = np.flatnonzero(btc)[0]
    assert set(np.flatnonzero(btc)) == set(range(opened, len(btc)))
    assert len(run.record["fills"]["order"]) < 30
    beliefs = walk_beliefs(agent, study.evaluation, study.folds, seed=study.seed, on_progress=quiet)
    spoke = np.flatnonzero(np.isfinite(beliefs.mean_bps[:, 1]))
    ends = int(spoke[-1]) + 24  # the first close without a living belief
    lots = eth // 10_000
    assert set(lots[ends - 1 : ends + 5]) == {lots[ends]}
    assert lots[ends + 5 : ends + 8].tolist() == [lots[ends] * 2 // 3, lots[ends] // 3, 0]
    assert not lots[ends + 7 :].any()


def test_what_the_gate_denies_and_the_intake_refuses_is_told(make_study, walked):
    rows = np.concatenate([np.arange(150), np.arange(152, 302)])  # two bars that the venue never made
    study = make_study(walked(rows=rows))
    gap = int(np.flatnonzero(np.diff(study.tested.open_time_ns) > 3_600_000_000_000)[0])
    wanted = {
        gap: [("BTC/USDT", 1_000)],
        gap + 3: [("BTC/USDT", -1_000)],
        gap + 5: [("ETH/USDT", 100), ("ETH/USDT", 200)],
    }
    run = run_of(make_study(walked(rows=rows), sizing=Stated(targets=wanted)), model=Model.IDEAL)
    facts = run.as_dict()
    assert (facts["denials"], facts["denied_for"]) == (1, {"STALE_REFERENCE": 1})
    assert (facts["refusals"], facts["refused_for"]) == (2, {"BELOW_ZERO": 1, "REPEATED": 1})
    assert "2 orders, 1 denied, 2 signals refused" in run.caption
    assert run.fills["quantity"].tolist() == pytest.approx([0.01])


def test_an_account_that_never_trades_is_flat_and_says_so(make_study):
    run = make_study().replay(Cash(horizon=timedelta(hours=1)))
    assert set(run.worth.tolist()) == {100_000.0}
    values = run.as_dict()
    assert (values["total_return"], values["fills"], values["orders"], values["costs"]) == (0.0, 0, 0, 0.0)
    assert values["sharpe_annual"] is values["sharpe_annual_standard_error"] is values["probabilistic_sharpe"] is None
    assert run.table()[1][0][2:4] == ("-", "-")


def test_a_dearer_book_leaves_less(make_study):
    returns = [
        run_of(make_study(costs=costs.binance_spot(taker_bps=taker))).performance.total_return for taker in (0, 10, 50)
    ]
    assert returns == sorted(returns, reverse=True)


def test_buy_and_hold_waits_in_cash_for_what_is_not_listed_yet(make_study, bars_of, unlisted):
    closes = np.column_stack([100.0 * 1.01 ** np.arange(300), 50.0 * 1.02 ** np.arange(300)])
    bars = bars_of(closes, closes)
    first = 300 - 40 - 155
    bars = unlisted(unlisted(bars, "ETH/USDT", slice(0, first + 2)), "BTC/USDT", [first + 3])
    study = make_study(bars)
    btc, eth = study.tested.close.T
    benchmark = buy_and_hold(study).to_numpy()[:6]
    expected = [
        (btc[0] / btc[0] + 1) / 2,
        (btc[1] / btc[0] + 1) / 2,
        (btc[2] / btc[0] + 1) / 2,
        (btc[2] / btc[0] + eth[3] / eth[2]) / 2,
        (btc[4] / btc[0] + eth[4] / eth[2]) / 2,
        (btc[5] / btc[0] + eth[5] / eth[2]) / 2,
    ]
    assert benchmark.tolist() == pytest.approx(expected, rel=1e-12)


def test_a_recording_of_the_generated_market_says_so_in_every_label(make_study):
    data = snapshot(["BTC/USDT"], interval="1h", start="2024-01-01", end="2024-01-13T12:00", source="embedded", seed=9)
    study = make_study(data=data, split=walk_forward(train="100h", test="60h"))
    run = study.replay(CHASER)
    assert "generated market v2, seed 9 (uncalibrated)" in run.caption
    assert study.span[0].market == 'generated {"generator":"2","seed":"9"}'
