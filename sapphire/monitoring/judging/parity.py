"""Parity: whether what was traded is what the engine's replay of the same bars does, lot by lot.

Both sides are lists of positions at the same closes. Where they differ, the first difference of a symbol is traced back
through the bar that made it, from the decision to the fill, and the first link that is not the same on both sides is
its cause. A later difference follows from the first as long as the account is not back where the replay's is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sapphire.domain.views import View
from sapphire.monitoring.judging.evidence import DecidedAgain, Evidence, ReplayedFill, ReplayedOrder
from sapphire.monitoring.reading.decisions import DecidedBar
from sapphire.monitoring.reading.happened import AccountAt, SentOrder, TakenSignal, TradedFill
from sapphire.monitoring.reading.trading_day import TradedDay

__all__ = ["Cause", "Difference", "Parity", "compare"]


class Cause(StrEnum):
    """Why a position is not the replay's."""

    MISSING_BAR = "missing bar"
    NOT_DECIDED = "not decided"
    OTHER_BARS = "other bars"
    OTHER_VIEWS = "other views"
    ADJUSTED_BALANCE = "adjusted balance"
    FOLLOWS = "follows from an earlier difference"
    OTHER_TARGET = "other target"
    SIGNAL_MISSING = "signal missing"
    SIGNAL_LATE = "signal late"
    SIGNAL_REFUSED = "signal refused"
    TRADING_HALTED = "trading halted"
    ORDER_DENIED = "order denied"
    ORDER_LATE = "order late"
    OTHER_ORDER = "other order"
    DIFFERENT_FILL = "different fill"
    UNEXPLAINED = "unexplained"

    @property
    def is_explained(self) -> bool:
        """Whether it is one of timing or of the venue; every other one is ours, and a name does not excuse it."""
        return self in _TIMING_AND_VENUE


_TIMING_AND_VENUE = frozenset({Cause.SIGNAL_LATE, Cause.ORDER_LATE, Cause.DIFFERENT_FILL})
CASH = "cash"
"""Among the symbols that differ: the account's cash."""

_LATE = frozenset({"LATE", "EXPIRED"})
"""Reasons of the engine's intake that mean that a signal came too late."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A position that is not the replay's.

    Parameters
    ----------
    bar_close_ns : close at which it is seen.
    traded_lots, replay_lots : what is held on either side.
    cause, detail : the first link that differs, and how.
    root : the cause that it goes back to; the same as `cause` where it follows from nothing.
    """

    bar_close_ns: int
    symbol: str
    traded_lots: int
    replay_lots: int
    cause: Cause
    detail: str
    root: Cause

    @property
    def lots(self) -> int:
        """How many lots differ."""
        return abs(self.traded_lots - self.replay_lots)


@dataclass(frozen=True, slots=True)
class Parity:
    """The comparison of one run.

    Parameters
    ----------
    bars : closes that were compared.
    equal_cash_bars : closes at which cash is the same to the atom.
    differences : in order of time.
    """

    bars: int
    equal_cash_bars: int
    differences: tuple[Difference, ...]

    @property
    def lots(self) -> int:
        """Lots that differ, over all closes and symbols."""
        return sum(difference.lots for difference in self.differences)

    @property
    def unexplained_lots(self) -> int:
        """Those that go back to something that is neither timing nor the venue."""
        return sum(lots for cause, lots in self.lots_by_cause.items() if not cause.is_explained)

    @property
    def lots_by_cause(self) -> dict[Cause, int]:
        """Lots that differ, by the cause that they go back to."""
        lots: dict[Cause, int] = defaultdict(int)
        for difference in self.differences:
            lots[difference.root] += difference.lots
        return dict(lots)


def compare(day: TradedDay, decisions: Mapping[int, DecidedBar], evidence: Evidence) -> Parity:
    """Traded positions against the replay's, at every close of the replay that the service saw.

    Parameters
    ----------
    day : what was traded.
    decisions : the coordinator's, by close of the bar.
    evidence : the replay by the model that the market is.
    """
    sides = _Sides.of(day, decisions, evidence)
    differences: list[Difference] = []
    roots: dict[str, Cause] = {}
    compared = equal_cash = 0
    before: DecidedAgain | None = None
    for bar in evidence.bars:
        state = sides.states.get(bar.bar_close_ns)
        if state is not None:
            compared += 1
            equal_cash += state.cash_quote_atoms == bar.cash_quote_atoms
            found = _differing(state, bar)
            standing = dict(roots)
            for symbol, (traded, replayed) in found.items():
                cause, detail = sides.cause(symbol, before, bar.bar_close_ns, standing)
                root = _root(symbol, cause, standing)
                roots.setdefault(symbol, root)
                differences.append(Difference(bar.bar_close_ns, symbol, traded, replayed, cause, detail, root))
            if state.cash_quote_atoms != bar.cash_quote_atoms:
                roots.setdefault(CASH, next(iter(roots.values()), None) or sides.cash_cause(before, bar.bar_close_ns))
            for resolved in set(roots) - set(found) - {CASH}:
                del roots[resolved]
            if state.cash_quote_atoms == bar.cash_quote_atoms:
                roots.pop(CASH, None)
        before = bar
    return Parity(compared, equal_cash, tuple(differences))


def _root(symbol: str, cause: Cause, standing: Mapping[str, Cause]) -> Cause:
    """What a cause goes back to: itself, or the root of what already differed, the symbol's own before others'."""
    if cause is not Cause.FOLLOWS:
        return cause
    return standing.get(symbol) or next(iter(standing.values()), Cause.UNEXPLAINED)


def _differing(state: AccountAt, bar: DecidedAgain) -> dict[str, tuple[int, int]]:
    """Symbols whose lots are not the same: traded, replayed."""
    lots = {symbol: (state.lots(symbol), replayed) for symbol, replayed in bar.lots.items()}
    return {symbol: (traded, replayed) for symbol, (traded, replayed) in lots.items() if traded != replayed}


@dataclass(frozen=True, slots=True)
class _Sides:
    """Everything of either side by (symbol, close of the bar that was decided on)."""

    day: TradedDay
    decisions: Mapping[int, DecidedBar]
    evidence: Evidence
    states: Mapping[int, AccountAt] = field(hash=False)
    signals: Mapping[tuple[str, int], TakenSignal] = field(hash=False)
    orders: Mapping[tuple[str, int], list[SentOrder]] = field(hash=False)
    replayed: Mapping[tuple[str, int], list[ReplayedOrder]] = field(hash=False)
    fills: Mapping[str, list[TradedFill]] = field(hash=False)
    replayed_fills: Mapping[int, list[ReplayedFill]] = field(hash=False)

    @classmethod
    def of(cls, day: TradedDay, decisions: Mapping[int, DecidedBar], evidence: Evidence) -> _Sides:
        orders: dict[tuple[str, int], list[SentOrder]] = defaultdict(list)
        for order in day.orders:
            orders[order.symbol, order.bar_close_ns].append(order)
        replayed: dict[tuple[str, int], list[ReplayedOrder]] = defaultdict(list)
        for again in evidence.orders:
            replayed[again.symbol, again.bar_close_ns].append(again)
        fills: dict[str, list[TradedFill]] = defaultdict(list)
        for fill in day.fills:
            fills[fill.order].append(fill)
        replayed_fills: dict[int, list[ReplayedFill]] = defaultdict(list)
        for filled in evidence.fills:
            replayed_fills[filled.order].append(filled)
        states = {state.bar_close_ns: state for state in day.states}
        signals: dict[tuple[str, int], TakenSignal] = {}
        for signal in day.signals:  # a repeated one is refused and says nothing about the first
            signals.setdefault((signal.symbol, signal.bar_close_ns), signal)
        return cls(day, decisions, evidence, states, signals, orders, replayed, fills, replayed_fills)

    def cause(
        self, symbol: str, decided: DecidedAgain | None, seen_ns: int, standing: Mapping[str, Cause]
    ) -> tuple[Cause, str]:
        """Why `symbol` differs at the close `seen_ns`, that after the bar `decided`; `standing` differed before."""
        asset = symbol.split("/")[0]
        if decided is None:
            adjusted = self._adjusted(asset, seen_ns)
            return adjusted or (Cause.UNEXPLAINED, "it differs before anything was decided")
        if symbol in standing:
            return Cause.FOLLOWS, "the position was another one already"
        links = (
            self._adjusted(asset, seen_ns, decided.bar_close_ns),
            self._decision(symbol, decided, standing),
            self._signal(symbol, decided),
            self._trading(decided),
            self._order(symbol, decided),
            self._fill(symbol, decided),
        )
        return next((link for link in links if link is not None), (Cause.UNEXPLAINED, "every link is the same"))

    def cash_cause(self, decided: DecidedAgain | None, seen_ns: int) -> Cause:
        """Why cash differs at the close `seen_ns` though every position is the same."""
        adjusted = self._adjusted(str(self.day.config["quote"]), seen_ns)
        if adjusted is not None:
            return adjusted[0]
        symbols = () if decided is None else tuple(decided.lots)
        links = (self._fill(symbol, decided) for symbol in symbols if decided is not None)
        return next((link[0] for link in links if link is not None), Cause.UNEXPLAINED)

    def _adjusted(self, asset: str, until_ns: int, since_ns: int = 0) -> tuple[Cause, str] | None:
        """A balance that changed without a fill, from `since_ns` up to `until_ns`."""
        for change in self.day.adjusted_later:
            if change.asset == asset and since_ns <= change.market_ns <= until_ns:
                return Cause.ADJUSTED_BALANCE, f"{asset} {change.atoms:+,} atoms by a snapshot"
        return None

    def _decision(self, symbol: str, decided: DecidedAgain, standing: Mapping[str, Cause]) -> tuple[Cause, str] | None:
        """What the coordinator knew and made of it."""
        made = self.decisions.get(decided.bar_close_ns)
        if made is None:
            return Cause.MISSING_BAR, "the coordinator has no line about the bar"
        if made.code is not None and decided.obstacle is None:
            return Cause.NOT_DECIDED, f"{made.code}: {made.text}"
        ours, theirs = _view_text(made.views, symbol), _view_text(decided.views, symbol)
        if ours != theirs:
            return Cause.OTHER_VIEWS, f"traded on {ours}, the replay on {theirs}"
        target = {each.symbol: each.lots for each in made.targets}.get(symbol)
        again = {each.symbol: each.lots for each in decided.targets}.get(symbol)
        if target == again:
            return None
        lots = f"traded towards {target} lots, the replay towards {again}"
        if standing:
            return Cause.FOLLOWS, f"{lots}; {', '.join(sorted(standing))} differed before"
        if made.equity_quote_atoms != decided.equity_quote_atoms:
            return Cause.OTHER_BARS, f"{lots}; the same holdings were valued at other closes"
        return Cause.OTHER_TARGET, lots

    def _signal(self, symbol: str, decided: DecidedAgain) -> tuple[Cause, str] | None:
        at = (symbol, decided.bar_close_ns)
        wanted = any(target.symbol == symbol for target in decided.targets)
        signal = self.signals.get(at)
        if signal is None:
            return (Cause.SIGNAL_MISSING, "the service never took one in") if wanted else None
        if signal.refused is None or signal.refused == self.evidence.refused.get(at):
            return None
        late = signal.refused in _LATE
        return (Cause.SIGNAL_LATE if late else Cause.SIGNAL_REFUSED), signal.refused

    def _trading(self, decided: DecidedAgain) -> tuple[Cause, str] | None:
        """Whether somebody or something had stopped trading by then."""
        until = decided.bar_close_ns
        changes = [change for change in self.day.trading if change.market_ns <= until]
        if not changes or changes[-1].state == "ACTIVE":
            return None
        return Cause.TRADING_HALTED, f"{changes[-1].state}: {changes[-1].cause}"

    def _order(self, symbol: str, decided: DecidedAgain) -> tuple[Cause, str] | None:
        at = (symbol, decided.bar_close_ns)
        denied = tuple(each.code for each in self.day.denials if (each.symbol, each.bar_close_ns) == at)
        again = self.evidence.denied.get(at, ())
        if denied != again:
            return Cause.ORDER_DENIED, f"traded: {', '.join(denied) or 'none'}; replay: {', '.join(again) or 'none'}"
        ours, theirs = self.orders.get(at, []), self.replayed.get(at, [])
        for order, replayed in zip(ours, theirs, strict=False):
            if (order.side, order.ticks, order.lots) != (replayed.side, replayed.ticks, replayed.lots):
                late = order.market_ns - replayed.sent_ns
                if late > 0:
                    return Cause.ORDER_LATE, f"{order.order} was sent {late:,} ns later"
                return Cause.OTHER_ORDER, f"{order.order}: {_order_text(order)} against {_order_text(replayed)}"
        if len(ours) != len(theirs):
            filled = self._fill(symbol, decided)
            return filled or (Cause.OTHER_ORDER, f"{len(ours)} orders against {len(theirs)}")
        return None

    def _fill(self, symbol: str, decided: DecidedAgain) -> tuple[Cause, str] | None:
        at = (symbol, decided.bar_close_ns)
        for order, replayed in zip(self.orders.get(at, []), self.replayed.get(at, []), strict=False):
            ours = [_trade(fill) for fill in self.fills.get(order.order, [])]
            theirs = [_trade(fill) for fill in self.replayed_fills.get(replayed.order, [])]
            if ours != theirs:
                late = order.market_ns - replayed.sent_ns
                if late > 0:
                    return Cause.ORDER_LATE, f"{order.order} was sent {late:,} ns later and filled otherwise"
                return Cause.DIFFERENT_FILL, f"{order.order}: {_trades(ours)} against {_trades(theirs)}"
        return None


def _view_text(views: Iterable[View], symbol: str) -> str:
    """What was said of a symbol, to the last bit."""
    view = next((view for view in views if view.symbol == symbol), None)
    return "silence" if view is None else f"{view.mean_bps!r} ± {view.std_bps!r} bps over {view.horizon}"


def _order_text(order: SentOrder | ReplayedOrder) -> str:
    return f"{order.side} {order.lots:,} lots at {order.ticks:,} ticks"


def _trade(fill: TradedFill | ReplayedFill) -> tuple[int, int, int, str, int]:
    return fill.ticks, fill.lots, fill.quote_atoms, fill.fee_asset, fill.fee_atoms


def _trades(trades: list[tuple[int, int, int, str, int]]) -> str:
    return ", ".join(f"{lots:,} lots at {ticks:,} ticks" for ticks, lots, *_ in trades) or "no fill"
