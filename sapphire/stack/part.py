"""One part of the stack as a process: `python -m sapphire.stack.part collector|coordinator --config FILE`.

It runs until SIGTERM and then ends with 0; what is wrong at the start goes to stderr and ends it with 1. It may be
killed at any time: everything a part knows is on the bus and in its files.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sapphire.domain.canonical import is_sha256
from sapphire.domain.clocks import WallClock
from sapphire.domain.errors import ConfigError, NotReady, ValueRefused
from sapphire.domain.evidence import Target
from sapphire.domain.messages import MarketKind, PartState
from sapphire.execution.bus_users import user_of
from sapphire.telemetry.bus import Bus, without_password
from sapphire.telemetry.heartbeats import Pulse
from sapphire.telemetry.logs import log_to_stderr
from sapphire.telemetry.part_runtime import PartRuntime, run_part
from sapphire.telemetry.part_settings import PartSettings, is_number
from sapphire.telemetry.signal_keys import SignalKey
from sapphire.telemetry.streams import COLLECTOR, COORDINATOR, AccountStreams, VenueStreams, bars_stream, require_name

if TYPE_CHECKING:
    from sapphire.coordination.coordinator import Duty
    from sapphire.coordination.decisions import Scope
    from sapphire.coordination.sizing import Asked, Size
    from sapphire.domain.instruments import Instrument, Universe
    from sapphire.domain.intervals import Interval
    from sapphire.domain.releases import Manifest
    from sapphire.portfolio import Sized

__all__ = ["CollectorConfig", "CoordinatorConfig", "history_of", "instrument_row", "main", "scope_of", "sizing_of"]

_INSTRUMENT_KEYS = ("symbol", "tick", "lot", "min_notional")
_GOODBYE_WITHIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config(PartSettings):
    """What both parts are told."""

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "bus_url": "valkey://USER:PASSWORD@HOST:PORT/DATABASE",
        "venue": "a name of letters, digits, - and _",
        "cache": "what the venue is called in the cache of bars",
        "clock": '{"lockstep": true} or {"speed": a number above zero}',
    }

    bus_url: str
    venue: str
    clock: Mapping[str, Any]
    cache: str = ""

    @property
    def speed(self) -> float | None:
        """How fast market time runs; None in lock-step."""
        return None if "lockstep" in self.clock else float(self.clock["speed"])

    def _check(self, **sound: bool) -> None:
        """Refuse the first key that is not sound."""
        sound["bus_url"] = isinstance(self.bus_url, str) and bool(self.bus_url)
        sound["venue"], sound["cache"] = _is_name(self.venue), isinstance(self.cache, str)
        sound["clock"] = self.clock == {"lockstep": True} or (
            isinstance(self.clock, Mapping) and set(self.clock) == {"speed"} and is_number(self.clock["speed"])
        )
        PartSettings._check(self, **sound)

    def _shown(self, key: str) -> object:
        given = getattr(self, key)
        return without_password(given) if key == "bus_url" and isinstance(given, str) else given


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorConfig(_Config):
    """Settings of the collector.

    Parameters
    ----------
    bus_url : "valkey://127.0.0.1:6379/0".
    exchange, url : "embedded" and the address of its REST API; or ccxt's id of a venue, and None.
    venue : its name in streams and messages.
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
class CoordinatorConfig(_Config):
    """Settings of the coordinator.

    Parameters
    ----------
    bus_url, venue, cache, clock : as the collector's.
    account, signal_key : whose targets it decides, and the file with the key that signs them.
    bento_url : "http://127.0.0.1:3000".
    home, release, stage : state folder, digest, "paper" or "live": what admission is asked.
    decisions : path of decisions.jsonl.
    instruments : one `instrument_row` for each symbol of the release's universe.
    """

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "account": "a name of letters, digits, - and _",
        "signal_key": "path of the account's signal key",
        "bento_url": "http://HOST:PORT",
        "home": "the state folder",
        "release": "a release's digest, 64 hexadecimal digits",
        "stage": "paper or live",
        "decisions": "path of decisions.jsonl",
        "instruments": f"objects of text with exactly {', '.join(_INSTRUMENT_KEYS)}",
    }

    account: str
    signal_key: Path
    bento_url: str
    home: Path
    release: str
    stage: Target
    decisions: Path
    instruments: tuple[Mapping[str, str], ...]

    def __post_init__(self) -> None:
        self._check(
            account=_is_name(self.account),
            signal_key=isinstance(self.signal_key, str | Path) and bool(str(self.signal_key)),
            bento_url=isinstance(self.bento_url, str),
            home=isinstance(self.home, str | Path) and bool(str(self.home)),
            release=is_sha256(self.release),
            stage=self.stage in ("paper", "live"),
            decisions=isinstance(self.decisions, str | Path) and bool(str(self.decisions)),
            instruments=all(
                isinstance(row, Mapping)
                and set(row) == set(_INSTRUMENT_KEYS)
                and all(isinstance(text, str) for text in row.values())
                for row in self.instruments
            ),
        )
        object.__setattr__(self, "home", Path(self.home))
        object.__setattr__(self, "decisions", Path(self.decisions))
        object.__setattr__(self, "signal_key", Path(self.signal_key))


def _is_name(value: object) -> bool:
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


def history_of(manifest: Manifest) -> int:
    """How many bars a release decides and is sized on."""
    from sapphire.domain.intervals import Interval
    from sapphire.portfolio import volatility_window

    return max(*(agent.warmup for agent in manifest.agents), volatility_window(Interval(manifest.interval)))


def sizing_of(manifest: Manifest, universe: Universe) -> Size:
    """The release's sizing, as the coordinator asks it: the same state and the same call as in a study."""
    from sapphire.domain.intervals import Interval
    from sapphire.portfolio import PortfolioState, make_sizing, size_at_close

    sizing, interval = make_sizing(manifest.sizing.class_name, manifest.sizing.parameters), Interval(manifest.interval)

    def size(asked: Asked) -> Sized:
        account = asked.account
        state = PortfolioState.from_bars(
            account.bars,
            equity_quote=account.equity_quote,
            lots=account.lots,
            instruments=universe,
            older_prices=account.prices,
        )
        return size_at_close(
            asked.beliefs,
            asked.remembered,
            state,
            sizing=sizing,
            rule=manifest.when_views_stop,
            interval=interval,
            answered=asked.answered,
        )

    return size


def run_collector(config: CollectorConfig, runtime: PartRuntime) -> None:
    """Follow closed bars until the process is told to end.

    Raises
    ------
    SapphireError : what `sapphire.data.closed_bars.ClosedBars.run` raises.
    """
    clock, bus, address = WallClock(), runtime.bus(config.bus_url), runtime.serve()
    heartbeats = VenueStreams(config.venue).heartbeats
    pulse = Pulse(bus, heartbeats, COLLECTOR, clock, address=address, turned=runtime.turned)
    pulse.state(PartState.STARTING)
    from sapphire.data.closed_bars import ClosedBars, Following
    from sapphire.data.venue import Venue
    from sapphire.domain.intervals import Interval
    from sapphire.execution.ccxt_settings import ccxt_config

    following = Following(
        venue=config.venue,
        market=MarketKind(config.market),
        symbols=config.symbols,
        interval=Interval(config.interval),
        history_bars=config.history_bars,
        speed=config.speed,
        cache=config.cache,
    )
    embedded = config.url is not None
    venue = Venue("binance", ccxt_config(str(config.url), "")) if embedded else Venue(config.exchange)
    ClosedBars(following, venue, bus, clock, pulse, runtime).run()


def run_coordinator(config: CoordinatorConfig, runtime: PartRuntime) -> None:
    """Decide at each closed bar until the process is told to end. The release's evidence is verified first.

    One that is started again after the permit was closed goes on where it was: positions follow the release's rule for
    views that stop.

    Raises
    ------
    EvidenceRefused : the release may not be traded at this stage.
    SapphireError : what `sapphire.coordination.Coordinator.run` raises.
    """
    from sapphire.coordination.decision_log import last_decision
    from sapphire.domain.intervals import Interval
    from sapphire.registry.watching import Watch
    from sapphire.serving.admission import admit
    from sapphire.serving.settings import Settings

    last = last_decision(config.decisions)
    running = last is not None and last.facts["release"] == config.release
    admitted = admit(Settings(config.home, config.release, config.stage, running=running))
    Watch(config.home, config.release).start()  # the engine's service looks at the same files
    manifest = admitted.manifest
    clock, bus, address = WallClock(), runtime.bus(config.bus_url), runtime.serve()
    streams = AccountStreams(config.venue, config.account)
    pulse = Pulse(
        bus,
        streams.shared.heartbeats,
        user_of(COORDINATOR, config.account),
        clock,
        release=config.release,
        address=address,
        turned=runtime.turned,
    )
    pulse.state(PartState.STARTING)
    from sapphire.coordination.bento import Bento
    from sapphire.coordination.coordinator import Coordinator
    from sapphire.coordination.decision_log import DecisionLog
    from sapphire.coordination.history import History

    universe, interval = _universe(config, manifest), Interval(manifest.interval)
    cache = config.cache or config.venue
    Coordinator(
        _duty(config, universe, interval, manifest),
        bento=Bento(config.bento_url, config.release, cache, admitted.permit, waits=pulse.beat),
        size=sizing_of(manifest, universe),
        history=History(bus, cache, universe.symbols, interval, history_of(manifest)),
        log=DecisionLog(config.decisions),
        bus=bus,
        clock=clock,
        pulse=pulse,
        runtime=runtime,
    ).run()


def scope_of(venue: str, account: str, release: str, manifest: Manifest, *, cache: str = "") -> Scope:
    """For whom a release decides, and where it is said: its only agent believes, or the pool, called as the release.

    `cache` : what the venue is called by the collector whose bars are decided on; its name unless given.
    """
    from sapphire.coordination.decisions import Scope

    agents = manifest.agents
    agent = agents[0].name if len(agents) == 1 else manifest.name
    bars = bars_stream(cache or venue, manifest.interval, manifest.universe)
    return Scope(AccountStreams(venue, account), release, agent, bars)


def _duty(config: CoordinatorConfig, universe: Universe, interval: Interval, manifest: Manifest) -> Duty:
    """What is coordinated; on a running venue a release has half a bar to answer in, so that signals live yet."""
    from sapphire.coordination.coordinator import Duty

    lockstep = config.speed is None
    patience_s = math.inf if config.speed is None else interval.timedelta.total_seconds() / config.speed / 2.0
    scope = scope_of(config.venue, config.account, config.release, manifest, cache=config.cache)
    key = SignalKey.read(config.signal_key, scope.signals)
    rule = manifest.when_views_stop
    return Duty(scope, universe, interval, lockstep=lockstep, key=key, rule=rule, patience_s=patience_s)


def main(words: Sequence[str] | None = None) -> int:
    """Run a part; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sapphire.stack.part", description=__doc__)
    parser.add_argument("part", choices=(COLLECTOR, COORDINATOR))
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args(words)
    log = log_to_stderr(arguments.part)
    try:
        if arguments.part == COLLECTOR:
            collector = CollectorConfig.read(arguments.config, COLLECTOR, os.environ)
            return _run(collector, COLLECTOR, {}, lambda runtime: run_collector(collector, runtime))
        coordinator = CoordinatorConfig.read(arguments.config, COORDINATOR, os.environ)
        identity = {"account": coordinator.account, "release": coordinator.release}
        return _run(coordinator, COORDINATOR, identity, lambda runtime: run_coordinator(coordinator, runtime))
    except ConfigError as error:
        log.error("%s", error)
        return 1


def _run(config: _Config, part: str, more: Mapping[str, str], run: Callable[[PartRuntime], None]) -> int:
    """Run a part under its name, and say goodbye on the bus."""
    identity = {"venue": config.venue, **more}
    log_to_stderr(part, identity=identity)

    def goodbye() -> None:
        with suppress(NotReady):
            bus = Bus(config.bus_url, patience_s=_GOODBYE_WITHIN_S)
            named = user_of(part, more["account"]) if "account" in more else part
            Pulse(bus, VenueStreams(config.venue).heartbeats, named, WallClock()).state(PartState.STOPPING)

    return run_part(PartRuntime(part, config, identity=identity), run, goodbye=goodbye)


def _universe(config: CoordinatorConfig, manifest: Manifest) -> Universe:
    """The release's instruments, in its order."""
    from decimal import Decimal

    from sapphire.data.series import kind_of, pair_of
    from sapphire.domain.instruments import Instrument, Universe

    rows = {row["symbol"]: row for row in config.instruments}
    if set(rows) != set(manifest.universe) or len(rows) != len(config.instruments):
        raise ConfigError(
            "instruments of the coordinator",
            expected="one for each of " + ", ".join(manifest.universe),
            got=", ".join(row["symbol"] for row in config.instruments) or "none",
        )
    made = []
    for symbol in manifest.universe:
        tick, lot, least = (rows[symbol][key] for key in _INSTRUMENT_KEYS[1:])
        made.append(Instrument(symbol, *pair_of(symbol), kind_of(symbol), Decimal(tick), Decimal(lot), Decimal(least)))
    return Universe(made)


if __name__ == "__main__":
    sys.exit(main())
