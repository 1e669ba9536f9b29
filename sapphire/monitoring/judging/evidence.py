"""Evidence of the same bars: what the compiled engine does on the run's market with the run's release.

The release states its views from the same rows that the coordinator's server read; sizing is asked at every close with
the replay's own state, exactly as the coordinator asks it. Nothing of what was traded goes in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sapphire.agents.agent import documents_of
from sapphire.data.documents.current import CurrentDocuments
from sapphire.data.documents.store import DocumentStore
from sapphire.domain.clocks import from_ns
from sapphire.domain.engine import load_engine
from sapphire.domain.errors import EngineError, MissingData, SapphireError
from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.domain.progress import Progress
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.domain.views import Belief, View
from sapphire.domain.windows import Window
from sapphire.monitoring.reading.evidence_plan import EvidencePlan
from sapphire.portfolio import PortfolioState, Sizing, Target, make_sizing, size_at_close, volatility_window
from sapphire.research.results.replays import LADDER, REAL, Model

if TYPE_CHECKING:
    from sapphire.agents.release import LoadedRelease
    from sapphire.domain.bars import Bars

__all__ = ["DecidedAgain", "Evidence", "ReplayedFill", "ReplayedOrder", "evidence_of"]


@dataclass(frozen=True, slots=True)
class ReplayedOrder:
    """An order of the replay; times are market time, -1 where there was none."""

    order: int
    symbol: str
    side: str
    ticks: int
    lots: int
    bar_close_ns: int
    sent_ns: int
    arrives_ns: int
    state: str


@dataclass(frozen=True, slots=True)
class ReplayedFill:
    """A fill of the replay."""

    order: int
    symbol: str
    side: str
    ticks: int
    lots: int
    quote_atoms: int
    fee_asset: str
    fee_atoms: int
    market_ns: int


@dataclass(frozen=True, slots=True)
class DecidedAgain:
    """One bar of the replay: the account at its close, and what the release and its sizing made of it.

    Parameters
    ----------
    cash_quote_atoms, equity_quote_atoms, atoms, lots : of the replay's own account.
    obstacle : why nothing was decided; None where something was.
    """

    bar_close_ns: int
    cash_quote_atoms: int
    equity_quote_atoms: int
    atoms: Mapping[str, int] = field(hash=False)
    lots: Mapping[str, int] = field(hash=False)
    views: tuple[View, ...]
    targets: tuple[Target, ...]
    obstacle: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One replay of the run's bars.

    Parameters
    ----------
    model : what it assumes of the venue.
    bars : each bar's decision, in order.
    denied : (symbol, close of the bar) to the gate's codes.
    refused : (symbol, close of the bar) to the reason why a signal was not taken.
    digest : of every decision of the engine.
    """

    model: Model
    bars: tuple[DecidedAgain, ...]
    orders: tuple[ReplayedOrder, ...]
    fills: tuple[ReplayedFill, ...]
    denied: Mapping[tuple[str, int], tuple[str, ...]] = field(hash=False)
    refused: Mapping[tuple[str, int], str] = field(hash=False)
    digest: str

    @property
    def total_return(self) -> float:
        """From the first close to the last."""
        return self.bars[-1].equity_quote_atoms / self.bars[0].equity_quote_atoms - 1.0


def evidence_of(
    plan: EvidencePlan,
    release: LoadedRelease,
    *,
    models: Sequence[Model] = LADDER,
    on_progress: Progress = lambda *_: None,
) -> dict[Model, Evidence]:
    """The run's bars by the engine, once per model, in the order of the ladder; views are asked for once.

    Raises
    ------
    MissingData : bars that the market does not have.
    EngineError : what the engine refuses.
    """
    manifest = release.manifest
    history = max(release.warmup, volatility_window(plan.interval))
    whole = history + len(plan.closes_ns)
    bars = plan.market.bars(manifest.universe, plan.interval, rows=whole, until_ns=plan.closes_ns[-1])
    known = _known_at(plan, release, bars, history, on_progress)
    sizing = make_sizing(manifest.sizing.class_name, manifest.sizing.parameters)
    made: dict[Model, Evidence] = {}
    for number, model in enumerate(sorted(models, key=LADDER.index, reverse=True)):  # the one with limits first
        on_progress(number, len(models), f"replay, {model}")
        limited = made.get(Model.LIMITED)
        if model is Model.COSTLESS and limited is not None and not limited.denied:
            made[model] = replace(limited, model=model)  # no limit was met: without any it is the same run
        else:
            made[model] = _replay(plan, model, known, sizing, manifest.when_views_stop)
    on_progress(len(models), len(models), f"replay, {REAL}")
    return {model: made[model] for model in models}


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known at a close whatever the account holds: views, beliefs and the market's part of the state."""

    views: tuple[View, ...]
    beliefs: tuple[Belief, ...]
    state: PortfolioState | None
    obstacle: str | None


def _known_at(
    plan: EvidencePlan, release: LoadedRelease, bars: Bars, history: int, on_progress: Progress
) -> dict[int, _Known]:
    known = {}
    documents, kinds = CurrentDocuments(DocumentStore()), documents_of(release.agent)
    for number, close_ns in enumerate(plan.closes_ns):
        if number % 50 == 0:
            on_progress(number, len(plan.closes_ns), f"views of {release.manifest.name}")
        as_of = from_ns(close_ns)
        past = bars.head_until(as_of)
        try:
            if not len(past) or int(past.close_time_ns[-1]) != close_ns:
                raise MissingData("no bar closed then", expected="a bar of any symbol", got="none")
            shown = past.rows(max(0, len(past) - release.warmup), len(past))
            window = documents.shown(Window(shown, as_of), kinds)
            views = tuple(release.views(window, heard=plan.heard.get(close_ns)))
            measured = past.rows(max(0, len(past) - history), len(past))
            state = PortfolioState.from_bars(
                measured, equity_quote=1.0, lots={}, instruments=plan.instruments, older_prices=_last_prices(past)
            )
        except SapphireError as error:
            known[close_ns] = _Known((), (), None, error.what)
            continue
        known[close_ns] = _Known(views, tuple(map(_belief, views)), state, None)
    return known


def _last_prices(bars: Bars) -> dict[str, float]:
    """The last known close of each symbol that has one."""
    known = {symbol: bars.close[bars.listed[:, column], column] for column, symbol in enumerate(bars.symbols)}
    return {symbol: float(closes[-1]) for symbol, closes in known.items() if closes.size}


def _belief(view: View) -> Belief:
    """A release's view is a forecast already."""
    assert view.mean_bps is not None  # a release speaks calibrated
    assert view.std_bps is not None
    return Belief(view.symbol, view.as_of, view.horizon, view.mean_bps, view.std_bps)


def _replay(
    plan: EvidencePlan, model: Model, known: Mapping[int, _Known], sizing: Sizing, rule: WhenViewsStop
) -> Evidence:
    symbols = plan.instruments.symbols
    try:
        engine = _engine(plan, model)
        bars = []
        remembered = plan.remembered
        for close_ns in plan.closes_ns:
            state = engine.close_bar(close_ns)
            lots = dict(zip(symbols, state.position_lots, strict=True))
            at = known[close_ns]
            targets: tuple[Target, ...] = ()
            if at.state is not None:
                equity = state.equity_quote_atoms / ATOMS_PER_UNIT
                account = replace(at.state, equity_quote=equity, lots=lots)
                sized = size_at_close(at.beliefs, remembered, account, sizing=sizing, rule=rule, interval=plan.interval)
                targets, remembered = sized.targets, sized.remembered
                for target in sorted(targets, key=lambda of: plan.instruments.index(of.symbol)):
                    engine.signal(target.symbol, target.lots)
            engine.end_of_bar()
            bars.append(
                DecidedAgain(
                    bar_close_ns=close_ns,
                    cash_quote_atoms=state.cash_quote_atoms,
                    equity_quote_atoms=state.equity_quote_atoms,
                    atoms=dict(zip(symbols, state.position_atoms, strict=True)),
                    lots=lots,
                    views=at.views,
                    targets=targets,
                    obstacle=at.obstacle,
                )
            )
        record = engine.finish()
    except load_engine().EngineError as error:
        raise EngineError(
            f"the engine refuses to replay the run: {error.what}", expected=error.expected, got=str(error.got)
        ) from error
    return _read(model, tuple(bars), record)


def _engine(plan: EvidencePlan, model: Model) -> Any:
    settings = plan.market.replay_settings(plan.listings, plan.interval)
    return load_engine().Replay(
        symbols=list(plan.instruments.symbols),
        start_ns=plan.start_ns,
        deposits_atoms=dict(plan.deposits_atoms),
        time_to_live_ns=plan.interval.ns,
        model=model.venue,
        maker_fee_e8=plan.fee_e8 if model.has_fees else 0,
        taker_fee_e8=plan.fee_e8 if model.has_fees else 0,
        latency_ns=plan.latency_ns,
        limits=dict(plan.limits) if model.has_limits else {},
        settings=dict(plan.execution),
        **settings,
    )


def _read(model: Model, bars: tuple[DecidedAgain, ...], record: Mapping[str, Any]) -> Evidence:
    orders = tuple(ReplayedOrder(*map(_plain, row)) for row in _rows(record["orders"], _ORDER))
    fills = tuple(ReplayedFill(*map(_plain, row)) for row in _rows(record["fills"], _FILL))
    bar_of = {order.order: (order.symbol, order.bar_close_ns) for order in orders}
    denied: dict[tuple[str, int], tuple[str, ...]] = {}
    for order, code in _rows(record["denials"], ("order", "code")):
        of = bar_of[int(order)]
        denied[of] = (*denied.get(of, ()), str(code))
    refused = {
        (str(symbol), int(close_ns)): str(reason)
        for symbol, close_ns, reason in _rows(record["refusals"], ("symbol", "bar_close_ns", "reason"))
    }
    sent = tuple(order for order in orders if order.arrives_ns >= 0)
    return Evidence(model, bars, sent, fills, denied, refused, str(record["digest"]))


_ORDER = ("order", "symbol", "side", "limit_ticks", "lots", "bar_close_ns", "sent_ns", "arrives_ns", "state")
_FILL = ("order", "symbol", "side", "price_ticks", "lots", "quote_atoms", "fee_asset", "fee_atoms", "time_ns")


def _rows(table: Mapping[str, Any], names: Sequence[str]) -> Any:
    return zip(*(table[name] for name in names), strict=True)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else int(value)
