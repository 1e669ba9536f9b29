"""What the coordinator decides is what a study decided in the same place, bit for bit."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from sapphire.agents import RandomWalk
from sapphire.coordination import Bento, Coordinator, DecisionLog, Duty
from sapphire.coordination.history import History
from sapphire.data import snapshot
from sapphire.domain.clocks import FixedClock, WallClock
from sapphire.domain.instruments import Universe
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.views import View
from sapphire.portfolio import EqualWeight, FixedFraction, VolatilityTarget, volatility_window
from sapphire.research import costs, study, walk_forward
from sapphire.research.replaying import REAL, replay_beliefs
from sapphire.research.walking import BeliefPanel
from sapphire.stack.part import sizing_of
from sapphire.telemetry.streams import ACCOUNT, SIGNALS, end_of_bar

RELEASE = "f" * 64
SYMBOLS = ["BTC/USDT", "ETH/USDT"]
SIZINGS = [
    VolatilityTarget(annual=0.4, cost_bps=3.0),
    VolatilityTarget(annual=2.5, full_conviction=40.0, rebalance_band=0.02),
    FixedFraction(fraction=0.37),
    EqualWeight(hold=False, rebalance_band=0.0),
]


@dataclass(frozen=True)
class Remembered:
    """A sizing that remembers what it answered."""

    sizing: object
    answers: list = field(default_factory=list, compare=False)

    @property
    def name(self):
        return self.sizing.name

    @property
    def parameters(self):
        return self.sizing.parameters

    def size(self, beliefs, state):
        targets = self.sizing.size(beliefs, state)
        self.answers.append((tuple(beliefs), state.equity_quote, targets))
        return targets


@dataclass(frozen=True)
class Named:
    """As much of a manifest as says how it is sized."""

    sizing: ReleasedSizing


def studied(sizing, seed):
    """A study of the generated market, its beliefs made by dice: of any sign and size, and sometimes none."""
    data = snapshot(SYMBOLS, interval="1h", start="2024-01-01", end="2024-01-12", source="embedded", seed=seed)
    made = study(
        "parity",
        data=data,
        holdout="40h",
        split=walk_forward(train="100h", test="60h", embargo="5h"),
        costs=costs.binance_spot(),
        sizing=sizing,
        clock=FixedClock(1_735_689_600_000_000_000),
    )
    dice, shape = np.random.default_rng(seed), made.tested.close.shape
    mean = np.where(dice.random(shape) < 0.1, np.nan, dice.normal(4.0, 20.0, shape))
    beliefs = BeliefPanel(
        symbols=made.tested.symbols,
        horizon=timedelta(hours=3),
        close_time_ns=made.tested.close_time_ns,
        mean_bps=mean,
        std_bps=dice.gamma(4.0, 15.0, shape),
    )
    return made, beliefs


@pytest.mark.parametrize(("sizing", "seed"), list(zip(SIZINGS, (1, 2, 3, 4), strict=True)))
def test_targets_equal_those_of_the_study(
    sizing, seed, tmp_path, bus, run, market, said, speaking, pulse_until, monkeypatch
):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))
    remembered = Remembered(sizing)
    made, beliefs = studied(remembered, seed)
    agent = RandomWalk()
    record = replay_beliefs(made, agent, beliefs, REAL, told=lambda *_: None).record
    equity = record["equity"]
    assert len(record["fills"]["order"]) > 20

    closes = [int(close_ns) for close_ns in equity["close_ns"]][: len(remembered.answers)]
    rows = {close_ns: row for row, close_ns in enumerate(closes)}

    def reply(request):
        close_ns = int(request["as_of_ns"])
        views = [
            View(belief.symbol, belief.as_of, belief.horizon, mean_bps=belief.mean_bps, std_bps=belief.std_bps)
            for belief in beliefs.at(rows[close_ns])
        ]
        return 200, said(RELEASE, views, close_ns)

    universe = Universe([made.data.instruments[symbol] for symbol in made.tested.symbols])
    shown = market(bus, made.evaluation)
    first = int(np.searchsorted(made.evaluation.close_time_ns, closes[0]))
    for row, close_ns in enumerate(closes):
        shown.close(first + row)
        held = {
            symbol: (int(atoms), int(atoms) // universe[symbol].lot_atoms)
            for symbol, atoms in zip(universe.symbols, equity["position_atoms"][row], strict=True)
        }
        cash = int(equity["cash_quote_atoms"][row])
        bus.publish(ACCOUNT, *run.state(close_ns, cash=cash, held=held))

    interval = made.tested.interval
    released = ReleasedSizing(class_name=sizing.name, parameters=sizing.parameters, source_sha256="a" * 64)
    path = tmp_path / "decisions.jsonl"
    coordinator = Coordinator(
        Duty(RELEASE, universe, interval, lockstep=True),
        bento=Bento(speaking(reply).url, RELEASE, "embedded"),
        size=sizing_of(Named(released), universe),
        history=History(bus, "embedded", universe.symbols, interval, volatility_window(interval)),
        log=DecisionLog(path),
        bus=bus,
        clock=WallClock(),
        pulse=pulse_until(bus, "coordinator", lambda: bus.entry(SIGNALS, end_of_bar(closes[-1])) is not None),
    )
    with pytest.raises(run.done):
        coordinator.run()

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == len(closes) > 100
    for row, (line, (believed, equity_quote, targets)) in enumerate(zip(lines, remembered.answers, strict=True)):
        assert line["reason"] is None
        assert int(line["equity_quote_atoms"]) == int(equity["equity_quote_atoms"][row])
        assert int(line["equity_quote_atoms"]) / 10**8 == equity_quote
        told = [(each["symbol"], each["mean_bps"], each["std_bps"]) for each in line["beliefs"]]
        assert told == [(each.symbol, each.mean_bps, each.std_bps) for each in believed]
        chosen = [(each["symbol"], int(each["lots"]), each["weight"], each["reason"]) for each in line["targets"]]
        assert chosen == [(each.symbol, each.lots, each.weight, str(each.reason)) for each in targets]
        signals = {each["symbol"]: int(each["target_lots"]) for each in line["signals"]}
        assert signals == {each.symbol: each.lots for each in targets}
        ticks = {each["symbol"]: int(each["reference_ticks"]) for each in line["signals"]}
        closing = dict(zip(universe.symbols, made.tested.close[row], strict=True))
        assert ticks == {symbol: int(Decimal(repr(float(closing[symbol]))) / universe[symbol].tick) for symbol in ticks}
