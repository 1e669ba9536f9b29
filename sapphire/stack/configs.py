"""What collector and coordinator are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import ValueRefused
from sapphire.domain.evidence import Target
from sapphire.domain.messages import MarketKind
from sapphire.telemetry.bus import with_password, without_password
from sapphire.telemetry.part_settings import PartSettings, is_number
from sapphire.telemetry.streams import require_name

if TYPE_CHECKING:
    from sapphire.domain.instruments import Instrument

__all__ = [
    "INSTRUMENT_KEYS",
    "BusConfig",
    "CollectorConfig",
    "CoordinatorConfig",
    "MarketConfig",
    "instrument_row",
    "is_name",
]

INSTRUMENT_KEYS = ("symbol", "tick", "lot", "min_notional")
"""Of an instrument's row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusConfig(PartSettings):
    """What a part that works on the bus is told.

    Parameters
    ----------
    bus_url, bus_password : "valkey://127.0.0.1:6379/0"; file with the password of its user where the address has none.
    venue : its name in streams and messages.
    """

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "bus_url": "valkey://USER:PASSWORD@HOST:PORT/DATABASE",
        "bus_password": "path of a file with the password, for an address that has none",
        "venue": "a name of letters, digits, - and _",
    }

    bus_url: str
    venue: str
    bus_password: Path | None = None

    @property
    def bus_address(self) -> str:
        """The address of the bus with the password; raises what `with_password` raises."""
        return with_password(self.bus_url, self.bus_password)

    def _check(self, **sound: bool) -> None:
        """Refuse the first key that is not sound."""
        sound["bus_url"] = isinstance(self.bus_url, str) and bool(self.bus_url)
        sound["venue"] = is_name(self.venue)
        sound["bus_password"] = self.bus_password is None or isinstance(self.bus_password, str | Path)
        PartSettings._check(self, **sound)
        if self.bus_password is not None:
            object.__setattr__(self, "bus_password", Path(self.bus_password))

    def _shown(self, key: str) -> object:
        given = getattr(self, key)
        return without_password(given) if key == "bus_url" and isinstance(given, str) else given


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketConfig(BusConfig):
    """What a part that follows the market is told besides."""

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "cache": "what the venue is called in the cache of bars",
        "clock": '{"lockstep": true} or {"speed": a number above zero}',
    }

    clock: Mapping[str, Any]
    cache: str = ""

    @property
    def speed(self) -> float | None:
        """How fast market time runs; None in lock-step."""
        return None if "lockstep" in self.clock else float(self.clock["speed"])

    def _check(self, **sound: bool) -> None:
        """Refuse the first key that is not sound."""
        sound["cache"] = isinstance(self.cache, str)
        sound["clock"] = self.clock == {"lockstep": True} or (
            isinstance(self.clock, Mapping) and set(self.clock) == {"speed"} and is_number(self.clock["speed"])
        )
        BusConfig._check(self, **sound)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorConfig(MarketConfig):
    """Settings of the collector.

    Parameters
    ----------
    bus_url, bus_password, venue : as `BusConfig`.
    exchange, url : "embedded" and the address of its REST API; or ccxt's id of a venue, and None.
    cache : what it is called in the cache and the stream of bars, where two collectors follow it; else its name.
    market : GENERATED, RECORDED or REAL.
    symbols : in the order of the release's universe.
    interval : "5m".
    history_bars : what the cache holds at least; `history_of` says what a release needs.
    clock : {"lockstep": True} or {"speed": 1.0}.
    """

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "exchange": '"embedded" with its url, or an id of ccxt\'s',
        "url": "http://HOST:PORT of the embedded exchange; null for a ccxt venue's own",
        "market": "one of " + ", ".join(MarketKind),
        "symbols": "symbols, in the order of the release's universe",
        "interval": "the length of a bar, such as 5m",
        "history_bars": "a whole number above zero",
    }

    exchange: str
    url: str | None
    market: str
    symbols: tuple[str, ...]
    interval: str
    history_bars: int

    def __post_init__(self) -> None:
        self._check(
            exchange=isinstance(self.exchange, str) and bool(self.exchange),
            url=isinstance(self.url, str) if self.exchange == "embedded" else self.url is None,
            market=self.market in list(MarketKind),
            symbols=bool(self.symbols) and all(isinstance(symbol, str) for symbol in self.symbols),
            interval=isinstance(self.interval, str),
            history_bars=type(self.history_bars) is int and self.history_bars > 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorConfig(MarketConfig):
    """Settings of the coordinator.

    Parameters
    ----------
    bus_url, bus_password, venue, cache, clock : as the collector's.
    account, signal_key : whose targets it decides, and the file with the key that signs them.
    bento_url : "http://127.0.0.1:3000"; empty where the release's members are served by themselves.
    member_urls : of a pool, the address of each member by its name; empty where one server has the whole release.
    home, release, stage : state folder, digest, "paper" or "live": what admission is asked.
    decisions : path of decisions.jsonl.
    instruments : one `instrument_row` for each symbol of the release's universe.
    """

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "account": "a name of letters, digits, - and _",
        "signal_key": "path of the account's signal key",
        "bento_url": "http://HOST:PORT",
        "member_urls": "the address of each member of a pool by its name",
        "home": "the state folder",
        "release": "a release's digest, 64 hexadecimal digits",
        "stage": "paper or live",
        "decisions": "path of decisions.jsonl",
        "instruments": f"objects of text with exactly {', '.join(INSTRUMENT_KEYS)}",
    }

    account: str
    signal_key: Path
    bento_url: str
    home: Path
    release: str
    stage: Target
    decisions: Path
    instruments: tuple[Mapping[str, str], ...]
    member_urls: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check(
            member_urls=isinstance(self.member_urls, Mapping)
            and all(isinstance(each, str) for pair in self.member_urls.items() for each in pair),
            account=is_name(self.account),
            signal_key=isinstance(self.signal_key, str | Path) and bool(str(self.signal_key)),
            bento_url=isinstance(self.bento_url, str),
            home=isinstance(self.home, str | Path) and bool(str(self.home)),
            release=is_sha256(self.release),
            stage=self.stage in ("paper", "live"),
            decisions=isinstance(self.decisions, str | Path) and bool(str(self.decisions)),
            instruments=all(
                isinstance(row, Mapping)
                and set(row) == set(INSTRUMENT_KEYS)
                and all(isinstance(text, str) for text in row.values())
                for row in self.instruments
            ),
        )
        object.__setattr__(self, "home", Path(self.home))
        object.__setattr__(self, "decisions", Path(self.decisions))
        object.__setattr__(self, "signal_key", Path(self.signal_key))


def is_name(value: object) -> bool:
    """Whether it is the name of a venue or an account."""
    try:
        return isinstance(value, str) and bool(require_name(value, "name"))
    except ValueRefused:
        return False


def instrument_row(instrument: Instrument) -> dict[str, str]:
    """An instrument as the coordinator's settings name it."""
    return {
        "symbol": instrument.symbol,
        "tick": f"{instrument.tick:f}",
        "lot": f"{instrument.lot:f}",
        "min_notional": f"{instrument.min_notional:f}",
    }
