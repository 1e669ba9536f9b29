from collections.abc import Mapping, Sequence
from typing import Final, TypedDict, final

import numpy as np
from numpy.typing import NDArray

class Listing(TypedDict):
    """One symbol of the generated market."""

    symbol: str
    """As people write it, ``BTC/USDT``."""
    base: str
    quote: str
    tick: str
    """Price step, decimal text."""
    lot: str
    """Quantity step, decimal text."""
    min_notional: str
    """Smallest order value in the quote asset, decimal text."""
    listed_ns: int
    """Open time of the first minute, UTC nanoseconds."""

def engine_version() -> str:
    """Version of the compiled engine."""

def listings() -> list[Listing]:
    """All symbols of the generated market."""

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
        Each price is the double nearest to ticks times tick. Nothing stands before the symbol's listing.

    Raises
    ------
    ValueError : an unknown symbol, an interval that is not whole minutes, or an end before the start.
    """

def generated_candles_ticks(
    seed: int, symbol: str, interval_ns: int, start_ns: int, end_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The same candles in the engine's integers: open_ns int64[T], ohlc int64[T, 4] in ticks, volume int64[T] in lots."""

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
    """The account at each bar's close, positions marked at the symbols' last closes."""

    close_ns: NDArray[np.int64]
    equity_quote_atoms: NDArray[np.int64]
    cash_quote_atoms: NDArray[np.int64]
    position_atoms: NDArray[np.int64]
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
    quote_atoms: NDArray[np.int64]
    fee_asset: list[str]
    fee_atoms: NDArray[np.int64]

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
    filled_quote_atoms: NDArray[np.int64]

class DenialTable(TypedDict):
    """Orders that the gate refused, with the limit and the value that met it."""

    time_ns: NDArray[np.int64]
    order: NDArray[np.int64]
    code: list[str]
    level: list[str]
    value: NDArray[np.int64]
    limit: NDArray[np.int64]

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
    deposits_atoms : by asset, 1e-8 of a unit.
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
