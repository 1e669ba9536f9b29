"""The collector of closed bars: each bar, once it has closed, into the cache and onto the bus.

It keeps nothing that the bus does not have. What its stream of bars ends with says where it was, so a collector that
was killed anywhere goes on with the same entries; the cache is filled again where it is not whole.

Venue time decides what has closed. In lock-step a bar closes when the conductor says so; on a running venue the
collector wakes at the close and asks until the venue shows a candle behind it, so that no bar is taken while it forms.
A symbol without a candle in a bar is marked as without one in the cache, and left out of the stream.

Known limitation: a candle that the venue corrects later stays as it first came.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from sapphire.data.bar_rings import BarRings, panel_of
from sapphire.data.venue import Candle, Venue
from sapphire.domain.bars import Bars
from sapphire.domain.clocks import Clock
from sapphire.domain.display import stamp
from sapphire.domain.errors import BadMessage, MessageError, NotReady, ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import AdvancedMessage, MarketDataMessage, MarketKind, Message, PartState
from sapphire.domain.wire import decimal_of_float
from sapphire.telemetry.bar_messages import bar_envelope, end_marker
from sapphire.telemetry.bus import Bus, Entry
from sapphire.telemetry.heartbeats import Pulse
from sapphire.telemetry.logs import traced
from sapphire.telemetry.part_runtime import PartRuntime
from sapphire.telemetry.streams import (
    COLLECTOR,
    MAX_SYMBOLS,
    EntryId,
    VenueStreams,
    bar_entry,
    bar_of,
    bars_stream,
    is_end_of_bar,
)

__all__ = ["ClosedBars", "Following"]

_WAIT_MS = 1_000
_SLICE_S = 0.5
_SHORTEST_S = 0.005
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 1.0
_NONE_AFTER_NS = 5_000_000_000
"""A venue that shows no candle behind a bar for so long after its close has no trades there; the bar is as it is."""

_Told = TypeVar("_Told")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Following:
    """What is followed.

    Parameters
    ----------
    venue : its name in streams and messages.
    market : what market it shows.
    symbols : in the order of the universe; the place in it is part of an entry's id.
    interval : length of a bar.
    history_bars : intervals that the cache holds at least.
    speed : how fast market time runs, 1 on a real venue; None in lock-step.
    cache : what the venue is called in the cache of bars and in the name of their stream, where two collectors follow
        it; its name unless given.

    Raises
    ------
    ValueRefused : no symbols, too many, one twice, a history or a speed that is not above zero.
    """

    venue: str
    market: MarketKind
    symbols: tuple[str, ...]
    interval: Interval
    history_bars: int
    speed: float | None
    cache: str = ""

    def __post_init__(self) -> None:
        once = 0 < len(set(self.symbols)) == len(self.symbols) <= MAX_SYMBOLS
        if not once or self.history_bars < 1 or (self.speed is not None and not 0 < self.speed < float("inf")):
            raise ValueRefused(
                "nothing to follow",
                expected="symbols, each once; history_bars and speed above zero",
                got=f"{', '.join(self.symbols) or 'no symbols'}, {self.history_bars}, {self.speed}",
            )


class ClosedBars:
    """The collector.

    Parameters
    ----------
    following : what is followed.
    venue : who is asked.
    bus : where bars go.
    clock : the machine's, for when messages are published.
    pulse : its heartbeats.
    runtime : of its process, where it counts.
    """

    def __init__(
        self,
        following: Following,
        venue: Venue,
        bus: Bus,
        clock: Clock,
        pulse: Pulse,
        runtime: PartRuntime | None = None,
    ) -> None:
        self._following, self._venue, self._bus = following, venue, bus
        self._streams = VenueStreams(following.venue)
        self._stream = bars_stream(following.cache or following.venue, following.interval.text, following.symbols)
        self._clock, self._pulse = clock, pulse
        self._runtime = runtime or PartRuntime(COLLECTOR)
        about = (following.cache or following.venue, following.symbols, following.interval, following.history_bars)
        self._rings = BarRings(bus, *about)
        self._cached_ns = 0
        """The cache is whole up to this close."""
        self._published_ns: int | None = None
        """The stream is whole up to this close; none yet in a run that begins."""

    def run(self) -> None:
        """Follow the venue for ever.

        Raises
        ------
        UnknownInstrument, UnknownInterval : the venue does not have it.
        ExchangeError : the venue says no; one that does not answer is asked again.
        BadBars : its candles are none.
        MessageError : the bus has other bars already.
        """
        following = self._following
        self._patiently(lambda: self._venue.require(following.symbols, following.interval))
        self._begin()
        self._pulse.state(PartState.READY)
        self._runtime.readiness.tell(ready=True)
        if following.speed is None:
            self._follow_conductor()
        else:
            self._follow_venue(following.speed)

    def _begin(self) -> None:
        """Fill the cache up to the last closed bar, and publish what closed while nobody looked."""
        interval, history_ns = self._following.interval, self._following.history_bars * self._following.interval.ns
        now_ns = interval.floor(self._patiently(self._venue.now_ns))
        last = self._bus.last(self._stream)
        if last is not None:
            # a bar without its marker is not whole, and is done again
            self._published_ns = bar_of(last.id) - (0 if is_end_of_bar(last.id) else interval.ns)
        known_ns = self._published_ns
        kept = known_ns is not None and now_ns - known_ns < history_ns and self._rings.whole_until(known_ns)
        start_ns = now_ns - history_ns if known_ns is None else known_ns if kept else min(known_ns, now_ns - history_ns)
        bars = self._asked(max(start_ns, 0), now_ns)
        if kept:
            self._rings.write(bars)
        else:
            self._rings.replace(bars)
        self._cached_ns = now_ns
        _log.info("%s bars of %s up to %s", f"{len(bars):,}", ", ".join(bars.symbols), stamp(now_ns))
        if self._following.speed is not None:
            self._publish_after(bars, now_ns if known_ns is None else known_ns)

    def _follow_conductor(self) -> None:
        """Do each bar that the conductor closes. It waits for each, so only the last one can be missing at a start."""
        last = self._bus.last(self._streams.lockstep)
        if last is not None:
            self._advanced(last)
        position = EntryId.BEGIN if last is None else last.id
        while True:
            for entry in self._bus.read(self._streams.lockstep, position, block_ms=_WAIT_MS):
                self._advanced(entry)
                position = entry.id
            self._pulse.beat()

    def _advanced(self, entry: Entry) -> None:
        try:
            message = entry.message
            if not isinstance(message, AdvancedMessage):
                raise BadMessage("another message than a step", expected="ADVANCED", got=type(message).__name__)
        except MessageError as error:
            _log.warning("entry %s of %s: %s", entry.id, entry.stream, error)
            self._bus.refuse(entry, error, to=self._streams.dead_letters)
            return
        close_ns = message.bar_close_ns
        if close_ns is None or (self._published_ns is not None and close_ns <= self._published_ns):
            return
        interval = self._following.interval
        bars = self._asked(min(self._cached_ns, close_ns - interval.ns), close_ns)
        with self._runtime.finishing():
            self._keep(bars)
            self._publish_row(bars, len(bars) - 1, message.envelope.message_id)
        self._runtime.metrics.market_lag.set(max(message.now_ns - close_ns, 0) / 1e9)

    def _follow_venue(self, speed: float) -> None:
        """Do each bar as the venue's time passes its close."""
        interval = self._following.interval
        while True:
            close_ns = self._cached_ns + interval.ns
            self._sleep_until(close_ns, speed)
            bars = self._formed(close_ns)
            with self._runtime.finishing():
                self._keep(bars)
                self._publish_after(bars, close_ns - interval.ns)
            behind_ns = self._patiently(self._venue.now_ns) - close_ns
            self._runtime.metrics.market_lag.set(max(behind_ns, 0) / 1e9)

    def _formed(self, close_ns: int) -> Bars:
        """The bar that closed at `close_ns`, once the venue shows a candle behind it or enough time has passed."""
        start_ns, pause_s = close_ns - self._following.interval.ns, _FIRST_PAUSE_S
        while True:
            now_ns = self._patiently(self._venue.now_ns)
            candles = self._candles(start_ns, close_ns)
            behind = all(any(candle[0] >= close_ns for candle in found) for found in candles.values())
            if behind or now_ns >= close_ns + _NONE_AFTER_NS:
                return panel_of(self._following.symbols, self._following.interval, candles, start_ns, close_ns)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            self._pulse.beat()

    def _sleep_until(self, moment_ns: int, speed: float) -> None:
        """Sleep until the venue's time has come to `moment_ns`."""
        while (left_ns := moment_ns - self._patiently(self._venue.now_ns)) > 0:
            until = time.monotonic() + left_ns / speed / 1e9
            while (left_s := until - time.monotonic()) > 0:
                time.sleep(max(_SHORTEST_S, min(left_s, _SLICE_S)))
                self._pulse.beat()

    def _asked(self, start_ns: int, end_ns: int) -> Bars:
        """The bars that open in `[start_ns, end_ns)`."""
        candles = self._candles(start_ns, end_ns) if end_ns > start_ns else {}
        return panel_of(self._following.symbols, self._following.interval, candles, start_ns, end_ns)

    def _candles(self, start_ns: int, end_ns: int) -> Mapping[str, Sequence[Candle]]:
        interval = self._following.interval
        return {
            symbol: self._patiently(partial(self._venue.candles, symbol, interval, start_ns, end_ns))
            for symbol in self._following.symbols
        }

    def _keep(self, bars: Bars) -> None:
        """Into the cache, before anything is published of them."""
        self._rings.write(bars)
        self._cached_ns = max(self._cached_ns, int(bars.close_time_ns[-1]))

    def _publish_after(self, bars: Bars, close_ns: int) -> None:
        """Publish every bar that closed after `close_ns`."""
        for row in np.flatnonzero(bars.close_time_ns > close_ns).tolist():
            self._publish_row(bars, row, None)

    def _publish_row(self, bars: Bars, row: int, causation_id: str | None) -> None:
        """The bar of each symbol, and the marker that these are all."""
        close_ns, now_ns = int(bars.close_time_ns[row]), self._clock.now_ns()
        listed = np.flatnonzero(bars.listed[row]).tolist()
        messages: list[tuple[EntryId, Message]] = [
            self._message(bars, row, column, now_ns, causation_id) for column in listed
        ]
        messages.append(
            end_marker(
                COLLECTOR,
                self._stream,
                close_ns,
                sent=len(listed),
                publish_time_ns=now_ns,
                trace_id=self._streams.trace(close_ns),
                causation_id=causation_id,
            )
        )
        self._bus.publish_all(self._stream, messages)
        self._published_ns = close_ns
        self._runtime.metrics.bars_seen.inc()
        if len(listed) < len(bars.symbols):
            missing = ", ".join(symbol for place, symbol in enumerate(bars.symbols) if place not in listed)
            with traced(self._streams.trace(close_ns)):
                _log.warning("the venue has no bar of %s that closed at %s", missing, stamp(close_ns))

    def _message(
        self, bars: Bars, row: int, column: int, now_ns: int, causation_id: str | None
    ) -> tuple[EntryId, MarketDataMessage]:
        entry = bar_entry(int(bars.close_time_ns[row]), column)
        envelope = bar_envelope(
            MarketDataMessage.SCHEMA_ID,
            COLLECTOR,
            self._stream,
            entry,
            publish_time_ns=now_ns,
            trace_id=self._streams.trace(bar_of(entry)),
            causation_id=causation_id,
        )
        return entry, MarketDataMessage(
            envelope=envelope,
            venue=self._following.venue,
            market=self._following.market,
            symbol=bars.symbols[column],
            interval=bars.interval.text,
            open_time_ns=int(bars.open_time_ns[row]),
            open=decimal_of_float(bars.open[row, column]),
            high=decimal_of_float(bars.high[row, column]),
            low=decimal_of_float(bars.low[row, column]),
            close=decimal_of_float(bars.close[row, column]),
            volume_base=decimal_of_float(bars.volume[row, column]),
        )

    def _patiently(self, ask: Callable[[], _Told]) -> _Told:
        """What the venue answers, however long that takes it."""
        pause_s = _FIRST_PAUSE_S
        while True:
            self._runtime.turned()
            try:
                return ask()
            except NotReady as error:
                if pause_s == _FIRST_PAUSE_S:
                    _log.warning("%s", error)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            self._pulse.beat()
