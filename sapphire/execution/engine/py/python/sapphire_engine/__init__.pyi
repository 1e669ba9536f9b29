from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypedDict, final

import numpy as np
from numpy.typing import NDArray

class Listing(TypedDict):
    """One symbol of the generated market."""

    symbol: str
    """As people write it, ``BTC/USDT``."""
    base: str
    quote: str
    listed_ns: int
    """Open time of the first minute, UTC nanoseconds."""

class TradingRules(TypedDict):
    """Trading rules of a symbol of the generated market, as text and in the engine's integers."""

    tick: str
    """Price step, decimal text."""
    lot: str
    """Quantity step, decimal text."""
    min_notional: str
    """Smallest order value in the quote asset, decimal text."""
    tick_atoms: int
    lot_atoms: int
    min_lots: int
    max_lots: int
    min_ticks: int
    max_ticks: int
    min_notional_atoms: int

GENERATOR_VERSION: Final[int]
"""Counts the changes of the generated market: candles of another version are another market."""

def engine_version() -> str:
    """Version of the compiled engine."""

def listings() -> list[Listing]:
    """All symbols of the generated market."""

def generated_rules(symbol: str, *, seed: int | None = None, at_ns: int = ...) -> TradingRules:
    """The trading rules in force at a time: those of the listing before it and where there is no seed, the last ones
    after the end. From one time to a later one a tick or a lot only becomes finer.

    Raises
    ------
    ValueError : an unknown symbol.
    """

def generated_candles(
    seed: int, symbol: str, interval_ns: int, start_ns: int, end_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Candles of the generated market as floats.

    Parameters
    ----------
    seed : the market's seed, 0 <= seed < 2**64.
    symbol : ``BTC/USDT`` or ``BTCUSDT``.
    interval_ns : a positive multiple of one minute; candles open at multiples of it since 1970.
    start_ns, end_ns : UTC nanoseconds; candles that open and close within ``[start_ns, end_ns)``.

    Returns
    -------
    open_ns : int64[T], ohlc : float64[T, 4] in the quote asset, volume : float64[T] in the base asset.
        Each price is the double nearest to its decimal. Nothing stands before the symbol's listing, nor after the
        review that delisted it.

    Raises
    ------
    ValueError : an unknown symbol, an interval that is not whole minutes, or an end before the start.
    """

def generated_candles_ticks(
    seed: int, symbol: str, interval_ns: int, start_ns: int, end_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The same candles in the engine's integers: open_ns int64[T], ohlc int64[T, 4] in ticks, volume int64[T] in lots,
    of the rules in force just before ``end_ns``, which hold all earlier ones."""

MODELS: Final[tuple[str, str, str, str]]
"""What a replay can assume, each model one assumption more realistic than the one before:

``ideal`` fills whole at the next open, fees in quote; ``venue_fees`` takes the fee from what is received;
``spread`` trades on the house's book; ``book`` lets orders travel for ``latency_ns`` as well.
"""

NO_SIGNAL: Final[int]
"""In a table of targets: nothing is said about this symbol at this bar."""

class EngineError(Exception):
    """A request that the compiled engine refuses."""

    what: str
    expected: str
    got: str

class BranchLimits(TypedDict, total=False):
    """What one branch of the limits tree allows; a key that is absent or ``None`` sets no limit."""

    max_order_atoms: int | None
    """Value of one order, quote atoms."""
    max_exposure_atoms: int | None
    """Value held plus buys on the way, quote atoms."""
    max_open_atoms: int | None
    """Value of orders on the way, quote atoms."""
    max_orders_per_second: int | None
    max_orders_per_minute: int | None

class ReplayLimits(TypedDict, total=False):
    """The gate's numbers. Collar (10 %) and reference age (10 s) have defaults, the others none."""

    collar_bps: int
    max_reference_age_ns: int
    max_daily_loss_bps: int | None
    symbol: BranchLimits
    """For every symbol."""
    symbols: Mapping[str, BranchLimits]
    """Instead of ``symbol``, for the symbols named."""
    strategy: BranchLimits
    account: BranchLimits

class ReplaySettings(TypedDict, total=False):
    """How targets are worked."""

    max_slippage_bps: int
    """How far beyond the best price of the other side an order may trade; 20."""
    retry_ns: int
    """Pause before the rest of an order is tried again; 5 s."""
    query_ns: int
    """Pause between two questions about an order; 1 s."""
    max_signal_age_ns: int
    """Oldest bar whose signal is taken; 60 s since its close."""

class InstrumentRules(TypedDict):
    """Venue rules in the engine's integers."""

    tick_atoms: int
    """Quote atoms (1e-8) that one tick adds to the price of one base unit."""
    lot_atoms: int
    """Base atoms (1e-8) in one lot."""
    min_lots: int
    max_lots: int
    min_ticks: int
    max_ticks: int
    min_notional_atoms: int

class EquityTable(TypedDict):
    """Amounts here and below (``_atoms``, and the numbers of a denial) are int64 where every one of a column fits in
    64 bits, otherwise exact Python integers (dtype object): never rounded, never cut.

    The account at each bar's close, positions marked at the symbols' last closes; in a replay of quotes at each
    multiple of ``equity_every_ns`` and at the last quote, marked in the middle of the quote before."""

    close_ns: NDArray[np.int64]
    equity_quote_atoms: NDArray[Any]
    cash_quote_atoms: NDArray[Any]
    position_atoms: NDArray[Any]
    """Shape [bars, symbols]."""

class FillTable(TypedDict):
    """Trades in time order."""

    time_ns: NDArray[np.int64]
    order: NDArray[np.int64]
    trade: NDArray[np.int64]
    symbol: list[str]
    side: list[str]
    price_ticks: NDArray[np.int64]
    lots: NDArray[np.int64]
    quote_atoms: NDArray[Any]
    fee_asset: list[str]
    fee_atoms: NDArray[Any]

class OrderTable(TypedDict):
    """Orders in the order in which they were made; -1 for a time that never came."""

    order: NDArray[np.int64]
    symbol: list[str]
    side: list[str]
    limit_ticks: NDArray[np.int64]
    lots: NDArray[np.int64]
    bar_close_ns: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    arrives_ns: NDArray[np.int64]
    ended_ns: NDArray[np.int64]
    state: list[str]
    filled_lots: NDArray[np.int64]
    filled_quote_atoms: NDArray[Any]

class DenialTable(TypedDict):
    """Orders that the gate refused, with the limit and the value that met it."""

    time_ns: NDArray[np.int64]
    order: NDArray[np.int64]
    code: list[str]
    level: list[str]
    value: NDArray[Any]
    limit: NDArray[Any]

class RefusalTable(TypedDict):
    """Signals that were not taken."""

    time_ns: NDArray[np.int64]
    symbol: list[str]
    bar_close_ns: NDArray[np.int64]
    reason: list[str]

class TargetTable(TypedDict):
    """How targets ended: ``REACHED`` with the lots held, or another end with the lots that were missing."""

    time_ns: NDArray[np.int64]
    symbol: list[str]
    bar_close_ns: NDArray[np.int64]
    end: list[str]
    lots: NDArray[np.int64]

class TradingTable(TypedDict):
    """Changes of the trading state."""

    time_ns: NDArray[np.int64]
    state: list[str]
    cause: list[str]

class ReplayRecord(TypedDict):
    """Everything that happened in a replay."""

    symbols: list[str]
    assets: list[str]
    equity: EquityTable
    fills: FillTable
    orders: OrderTable
    denials: DenialTable
    refusals: RefusalTable
    targets: TargetTable
    trading: TradingTable
    fees_atoms: dict[str, int]
    digest: str
    """BLAKE3 of every decision of the engine with its time, in hexadecimal."""

@final
class BarState:
    """The account at the close of a bar, positions marked at the symbols' last closes."""

    @property
    def close_ns(self) -> int: ...
    @property
    def equity_quote_atoms(self) -> int: ...
    @property
    def cash_quote_atoms(self) -> int: ...
    @property
    def position_atoms(self) -> list[int]:
        """Base atoms by symbol."""

    @property
    def position_lots(self) -> list[int]:
        """Whole lots by symbol."""

@final
class Replay:
    """The engine on a market, under virtual time.

    For each bar: :meth:`close_bar`, then :meth:`signal` for each symbol that has something to say, then
    :meth:`end_of_bar`. Orders sent while time stands at T arrive at T plus their delay.

    Parameters
    ----------
    symbols : ``BTC/USDT`` and so on, one quote asset.
    start_ns : UTC nanoseconds at which the market and the account begin.
    deposits_atoms : by asset, 1e-8 of a unit; at most 10**28 of each, which is what an account can hold.
    time_to_live_ns : how long a signal is worked on after its bar's close.
    model : one of :data:`MODELS`.
    seed : of the house, the delays and, without `candles`, the generated market.
    candles : recorded ones by symbol, in the engine's integers: open_ns [T], ohlc [T, 4] in ticks, volume [T] in lots.
    candle_interval_ns : their interval, whole minutes.
    instruments : venue rules by symbol; without them those of the generated market's listing.
    maker_fee_e8, taker_fee_e8 : rates in 1e-8 (100_000 is 10 basis points).
    latency_ns : shortest and longest delay of an order, used by the model ``book``.
    limits : the gate's numbers; an unknown key is refused.
    settings : how targets are worked; an unknown key is refused.

    Raises
    ------
    EngineError : whatever cannot be meant, by name; also any call after :meth:`finish`.
    """

    def __new__(
        cls,
        *,
        symbols: Sequence[str],
        start_ns: int,
        deposits_atoms: Mapping[str, int],
        time_to_live_ns: int,
        model: str = "book",
        seed: int = 0,
        candles: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] | None = None,
        candle_interval_ns: int = 60_000_000_000,
        instruments: Mapping[str, InstrumentRules] | None = None,
        maker_fee_e8: int = 0,
        taker_fee_e8: int = 0,
        latency_ns: tuple[int, int] = (0, 0),
        limits: ReplayLimits | None = None,
        settings: ReplaySettings | None = None,
    ) -> Replay: ...
    @property
    def now_ns(self) -> int:
        """Market time, UTC nanoseconds."""

    def close_bar(self, close_ns: int) -> BarState:
        """Lets the market run to the close of a bar, with all that happens on the way, and says how the account stands.

        Raises
        ------
        EngineError : a close that is no whole minute or not after the one before, or a holding without any price.
        """

    def signal(self, symbol: str, target_lots: int) -> None:
        """States the target of one symbol for the bar just closed; what is refused is in the record, with its reason."""

    def settle(self, symbol: str) -> tuple[int, int, int] | None:
        """Pays out what is held of a symbol that trades no more, at its last close, without a fee.

        Called between :meth:`close_bar` and the bar's signals. Returns base atoms, price in ticks and quote atoms; None
        where nothing is held, and where an order is on the way yet: it is asked again at the next close then.
        """

    def end_of_bar(self) -> None:
        """All signals of the bar are in: the engine acts, and what happens at this instant happens."""

    def command(self, command: str) -> None:
        """An operator's word at this moment: ``halt``, ``reduce`` or ``resume``."""

    def run_targets(self, bar_close_ns: NDArray[np.int64], target_lots: NDArray[np.int64]) -> None:
        """The whole loop over targets known beforehand.

        Parameters
        ----------
        bar_close_ns : int64[T], rising.
        target_lots : int64[T, S], :data:`NO_SIGNAL` where nothing is said.
        """

    def finish(self) -> ReplayRecord:
        """Compares the books of engine and exchange to the atom and hands out all that happened; the replay is over."""

@final
class QuoteReplay:
    """The engine on recorded quotes of one symbol: best bid and ask, as a venue streams them.

    Each quote is shown to the engine, and a target in answer to it goes the way of every target: signal, gate, order
    table, venue, positions. An order trades with the quote that stands when it arrives, at its price and up to what is
    left of its size, and pays its fee in what it receives. Columns may be handed over in pieces; time goes on from one
    to the next. Own orders leave no trace in the quotes that follow, and a size below the venue's smallest order is not
    traded with.

    Parameters
    ----------
    symbol : ``BTC/USDT`` and so on.
    deposits_atoms : by asset, 1e-8 of a unit. Spot is not held below zero: a strategy that goes short begins with what
        it may sell.
    time_to_live_ns : how long a target is worked on after the quote that it answers.
    instrument : venue rules; without them those of the generated market's listing.
    seed : of the delays.
    taker_fee_e8 : rate in 1e-8 (100_000 is 10 basis points).
    latency_ns : shortest and longest delay of an order.
    equity_every_ns : the account is noted at multiples of this, where quotes pass one.
    limits : the gate's numbers, as for :class:`Replay`.
    settings : how targets are worked, as for :class:`Replay`.

    Raises
    ------
    EngineError : whatever cannot be meant, by name; also any call after :meth:`finish`.

    Examples
    --------
    >>> import numpy as np
    >>> from sapphire_engine import QuoteReplay
    >>> bid = np.array([5_000_000, 5_000_100, 5_000_200])
    >>> replay = QuoteReplay(symbol="BTC/USDT", deposits_atoms={"USDT": 10**12}, time_to_live_ns=10**9)
    >>> replay.run(lambda time_ns, bid, ask, held: 1_000 if held == 0 else None, np.arange(3) * 10**8, bid, bid + 1)
    >>> fills = replay.finish()["fills"]
    >>> fills["price_ticks"].tolist(), fills["lots"].tolist(), fills["time_ns"].tolist()
    ([5000001], [1000], [0])
    """

    def __new__(
        cls,
        *,
        symbol: str,
        deposits_atoms: Mapping[str, int],
        time_to_live_ns: int,
        instrument: InstrumentRules | None = None,
        seed: int = 0,
        taker_fee_e8: int = 0,
        latency_ns: tuple[int, int] = (0, 0),
        equity_every_ns: int = 60_000_000_000,
        limits: ReplayLimits | None = None,
        settings: ReplaySettings | None = None,
    ) -> QuoteReplay: ...
    @property
    def now_ns(self) -> int | None:
        """Time of the last quote, UTC nanoseconds; ``None`` before the first."""

    @property
    def held_lots(self) -> int:
        """Whole lots held."""

    def run(
        self,
        strategy: Callable[[int, int, int, int], int | None],
        time_ns: NDArray[np.int64],
        bid_ticks: NDArray[np.int64],
        ask_ticks: NDArray[np.int64],
        *,
        bid_lots: NDArray[np.int64] | None = None,
        ask_lots: NDArray[np.int64] | None = None,
    ) -> None:
        """Ask a strategy at every quote.

        Parameters
        ----------
        strategy : called with ``(time_ns, bid_ticks, ask_ticks, held_lots)``; answers with the whole lots to hold, or
            ``None`` where it has nothing new to say. Every answer is a target of its own, so a strategy that repeats
            itself supersedes itself; two at the same instant are refused and stand in the record. What it raises stops
            the replay there.
        time_ns : int64[N], UTC nanoseconds, not falling.
        bid_ticks, ask_ticks : int64[N], ``0 < bid <= ask``.
        bid_lots, ask_lots : int64[N], sizes; without them any order fits in.

        Raises
        ------
        EngineError : columns of different lengths or a bad row, by number, before any row is run; an answer that is no
            whole number.
        """

    def run_targets(
        self,
        target_lots: NDArray[np.int64],
        time_ns: NDArray[np.int64],
        bid_ticks: NDArray[np.int64],
        ask_ticks: NDArray[np.int64],
        *,
        bid_lots: NDArray[np.int64] | None = None,
        ask_lots: NDArray[np.int64] | None = None,
    ) -> None:
        """The same over targets known beforehand: int64[N], :data:`NO_SIGNAL` where nothing is said."""

    def command(self, command: str) -> None:
        """An operator's word after the last quote: ``halt``, ``reduce`` or ``resume``."""

    def finish(self) -> ReplayRecord:
        """Compares the books of engine and venue to the atom and hands out all that happened; the replay is over."""

class CrossSweep(TypedDict):
    """What each pair of lengths made of the closes, per unit of starting cash; one entry a pair, in their order."""

    total_return: NDArray[np.float64]
    """Value at the last close, less one."""
    sharpe: NDArray[np.float64]
    """Mean over standard deviation (n - 1) of all returns from close to close, not annualised; NaN without an order."""
    fees: NDArray[np.float64]
    """Fees paid."""
    orders: NDArray[np.int64]
    """Entries and exits."""
    held_bars: NDArray[np.int64]
    """Bars that began with a position."""

def sweep_crosses(
    close: NDArray[np.float64], fast: NDArray[np.int64], slow: NDArray[np.int64], *, taker_fee_e8: int = 0
) -> CrossSweep:
    """What moving-average crosses would have made of one series of closes, for many pairs of lengths at once.

    A pair is long with all it has from the close at which the fast average comes to stand above the slow one to the
    close at which it no longer does, and flat otherwise; one that begins above waits for its first cross. Averages are
    of full windows.

    It explores and proves nothing: it trades at the very close that it looks at and in any fraction, no gate reads it,
    and it writes nothing down. A parameter chosen by it was chosen among all that were swept: ``study.sweep`` is what
    counts them as trials.

    Parameters
    ----------
    close : float64[T], closes of consecutive bars, above zero, at least 3.
    fast, slow : int64[K], lengths of the averages in bars, ``1 <= fast < slow``. A slow one beyond T never trades.
    taker_fee_e8 : rate in 1e-8 of the traded value (100_000 is 10 basis points).

    Raises
    ------
    EngineError : closes that are no prices, lengths that cannot cross or do not pair, a fee that is none; by row.

    Examples
    --------
    >>> import numpy as np
    >>> from sapphire_engine import sweep_crosses
    >>> swept = sweep_crosses(np.array([3.0, 2.0, 1.0, 2.0, 4.0, 3.0, 1.0]), np.array([1]), np.array([2]))
    >>> swept["orders"].tolist(), swept["total_return"].tolist(), swept["held_bars"].tolist()
    ([2], [0.5], [2])
    """
