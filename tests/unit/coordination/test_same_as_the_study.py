"""What the coordinator decides is what a study decided in the same place, bit for bit."""

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from sapphire.agents import RandomWalk
from sapphire.coordination import Bento, Coordinator, Decision, DecisionLog, Duty, Scope
from sapphire.coordination.decision_archive import decision_lines
from sapphire.coordination.history import History
from sapphire.data import snapshot
from sapphire.domain.clocks import FixedClock, WallClock
from sapphire.domain.instruments import Universe
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.domain.views import View
from sapphire.portfolio import EqualWeight, FixedFraction, Reason, VolatilityTarget, size_at_close, volatility_window
from sapphire.research import costs, study, walk_forward
from sapphire.research.results.replays import REAL
from sapphire.research.runs.replaying import replay_beliefs
from sapphire.research.runs.walking import BeliefPanel
from sapphire.stack.part import sizing_of
from sapphire.telemetry.signal_keys import SignalKey
from sapphire.telemetry.streams import AccountStreams, end_of_bar

RELEASE = "f" * 64
SYMBOLS = ["BTC/USDT", "ETH/USDT"]
OWN = AccountStreams("embedded", "paper")
ACCOUNT, SIGNALS = OWN.states, OWN.signals(RELEASE)
RULE = WhenViewsStop(hold_bars=2, reduce_bars=3)
RULED = {Reason.VIEWS_STOPPED_HELD, Reason.VIEWS_STOPPED_REDUCED, Reason.VIEWS_STOPPED_ZERO}
RESTARTED_EVERY = 16
SIZINGS = [
    VolatilityTarget(annual=0.4, cost_bps=3.0),
    VolatilityTarget(annual=2.5, full_conviction=40.0, rebalance_band=0.02),
    FixedFraction(fraction=0.37),
    EqualWeight(hold=False, rebalance_band=0.0),
]


@dataclass(frozen=True)
class Named:
    """As much of a manifest as says how it is sized."""

    sizing: ReleasedSizing
    interval: str = "1h"
    when_views_stop: WhenViewsStop = RULE


def studied(sizing, seed):
    """A study of the generated market, its beliefs made by dice: of any sign and size, with silences of any length."""
    data = snapshot(SYMBOLS, interval="1h", start="2024-01-01", end="2024-01-12", source="embedded", seed=seed)
    made = study(
        "parity",
        data=data,
        holdout="40h",
        split=walk_forward(train="100h", test="60h", embargo="5h"),
        costs=costs.binance_spot(),
        sizing=sizing,
        when_views_stop=RULE,
        clock=FixedClock(1_735_689_600_000_000_000),
    )
    dice, shape = np.random.default_rng(seed), made.tested.close.shape
    mean = dice.normal(8.0, 20.0, shape)
    for column in (0, 1, slice(None)):
        for start in dice.integers(0, shape[0], 4):
            mean[start : start + dice.integers(1, 14), column] = np.nan
    beliefs = BeliefPanel(
        symbols=made.tested.symbols,
        horizon=timedelta(hours=3),
        close_time_ns=made.tested.close_time_ns,
        mean_bps=mean,
        std_bps=dice.gamma(4.0, 15.0, shape),
    )
    return made, beliefs


@pytest.fixture
def coordinate(tmp_path, bus, run, market, speaking, pulse_until):
    """Has coordinators, one after the other, decide the bars of a replay; the lines of their file."""

    def make(made, equity, sizing, reply, *, closes):
        universe = Universe([made.data.instruments[symbol] for symbol in made.tested.symbols])
        released = ReleasedSizing(class_name=sizing.name, parameters=sizing.parameters, source_sha256="a" * 64)
        shown, interval, path = market(bus, made.evaluation), made.tested.interval, tmp_path / "decisions.jsonl"
        first = int(np.searchsorted(made.evaluation.close_time_ns, closes[0]))
        url = speaking(reply).url
        for row, close_ns in enumerate(closes):
            shown.close(first + row)
            positions = {
                symbol: (int(atoms), int(atoms) // universe[symbol].lot_atoms)
                for symbol, atoms in zip(universe.symbols, equity["position_atoms"][row], strict=True)
            }
            bus.publish(ACCOUNT, *run.state(close_ns, cash=int(equity["cash_quote_atoms"][row]), positions=positions))
            if row % RESTARTED_EVERY and row < len(closes) - 1:
                continue
            coordinator = Coordinator(
                Duty(
                    Scope(OWN, RELEASE, "trend", shown.stream),
                    universe,
                    interval,
                    lockstep=True,
                    key=SignalKey(bytes(32), SIGNALS),
                    rule=RULE,
                ),
                bento=Bento(url, RELEASE, "embedded"),
                size=sizing_of(Named(released), universe),
                history=History(bus, "embedded", universe.symbols, interval, volatility_window(interval)),
                log=DecisionLog(path),
                bus=bus,
                clock=WallClock(),
                pulse=pulse_until(
                    bus, "coordinator", lambda close_ns=close_ns: bus.entry(SIGNALS, end_of_bar(close_ns)) is not None
                ),
            )
            with pytest.raises(run.done):
                coordinator.run()
        return [json.loads(line) for line in decision_lines(path)]

    return make


@pytest.mark.parametrize(("sizing", "seed"), list(zip(SIZINGS, (1, 2, 3, 4), strict=True)))
def test_targets_equal_those_of_the_study(sizing, seed, tmp_path, answer_body, coordinate, monkeypatch):
    """Silence, refusals and restarts included: what is remembered is remembered the same."""
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))
    answers = []

    def remembering(spoken, remembered, state, **more):
        answers.append((tuple(spoken), state.equity_quote, size_at_close(spoken, remembered, state, **more)))
        return answers[-1][2]

    monkeypatch.setattr("sapphire.research.runs.replaying.size_at_close", remembering)
    made, beliefs = studied(sizing, seed)
    agent = RandomWalk()
    record = replay_beliefs(made, agent, beliefs, REAL, on_progress=lambda *_: None).record
    equity = record["equity"]
    assert len(record["fills"]["order"]) > 20
    follows = sizing.name != "equal_weight"  # it trades on whatever anybody believes
    seen = {target.reason for _, _, sized in answers for target in sized.targets}
    assert (seen > RULED) is follows

    closes = [int(close_ns) for close_ns in equity["close_ns"]][: len(answers)]
    rows = {close_ns: row for row, close_ns in enumerate(closes)}
    refused = set()

    def reply(request):
        close_ns = int(request["as_of_ns"])
        spoken = beliefs.at(rows[close_ns])
        if not spoken and follows:
            refused.add(close_ns)
            return 403, b'{"what":"release parity may not be served","got":"its permit is closed"}'
        views = [
            View(belief.symbol, belief.as_of, belief.horizon, mean_bps=belief.mean_bps, std_bps=belief.std_bps)
            for belief in spoken
        ]
        return 200, answer_body(RELEASE, views, close_ns)

    lines = coordinate(made, equity, sizing, reply, closes=closes)
    assert len(lines) == len(closes) > 100
    assert {int(line["bar_close_ns"]) for line in lines if line["reason"]} == refused
    assert bool(refused) is follows
    universe = made.data.instruments
    for row, (line, (believed, equity_quote, sized)) in enumerate(zip(lines, answers, strict=True)):
        assert int(line["equity_quote_atoms"]) == int(equity["equity_quote_atoms"][row])
        assert int(line["equity_quote_atoms"]) / 10**8 == equity_quote
        beliefs = [(each["symbol"], each["mean_bps"], each["std_bps"]) for each in line["beliefs"]]
        assert beliefs == [(each.symbol, each.mean_bps, each.std_bps) for each in believed]
        chosen = [(each["symbol"], int(each["lots"]), each["weight"], each["reason"]) for each in line["targets"]]
        assert chosen == [(each.symbol, each.lots, each.weight, str(each.reason)) for each in sized.targets]
        signals = {each["symbol"]: int(each["target_lots"]) for each in line["signals"]}
        assert signals == {each.symbol: each.lots for each in sized.targets}
        assert Decision.read(json.dumps(line, sort_keys=True, separators=(",", ":")).encode()).remembered == (
            sized.remembered
        )
        ticks = {each["symbol"]: int(each["reference_ticks"]) for each in line["signals"]}
        closing = dict(zip(made.tested.symbols, made.tested.close[row], strict=True))
        assert ticks == {symbol: int(Decimal(repr(float(closing[symbol]))) / universe[symbol].tick) for symbol in ticks}
