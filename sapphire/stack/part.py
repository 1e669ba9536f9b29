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
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.clocks import WallClock
from sapphire.domain.errors import ConfigError, NotReady
from sapphire.domain.messages import MarketKind, PartState
from sapphire.execution.bus_users import user_of
from sapphire.stack.configs import INSTRUMENT_KEYS, BusConfig, CollectorConfig, CoordinatorConfig
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.heartbeats import Pulse
from sapphire.telemetry.logs import log_to_stderr
from sapphire.telemetry.part_runtime import PartRuntime, run_part
from sapphire.telemetry.signal_keys import SignalKey
from sapphire.telemetry.streams import COLLECTOR, COORDINATOR, AccountStreams, VenueStreams, bars_stream

if TYPE_CHECKING:
    from sapphire.coordination.bento import Bento
    from sapphire.coordination.coordinator import Duty
    from sapphire.coordination.decisions import Scope
    from sapphire.coordination.member_bentos import MemberBentos
    from sapphire.coordination.sizing import Asked, Size
    from sapphire.domain.instruments import Universe
    from sapphire.domain.intervals import Interval
    from sapphire.domain.releases import Manifest
    from sapphire.portfolio import Sized
    from sapphire.serving.admission import Admitted

__all__ = [
    "collect",
    "coordinate",
    "history_of",
    "main",
    "scope_of",
    "sizing_of",
]

_GOODBYE_WITHIN_S = 0.5


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
    clock, bus, address = WallClock(), runtime.bus(config.bus_address), runtime.serve()
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


def run_coordinator(config: CoordinatorConfig, runtime: PartRuntime, fits: Callable[[Manifest], None]) -> None:
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
    manifest = admitted.manifest
    fits(manifest)
    Watch(config.home, config.release).start()  # the engine's service looks at the same files
    clock, bus, address = WallClock(), runtime.bus(config.bus_address), runtime.serve()
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
    from sapphire.coordination.coordinator import Coordinator
    from sapphire.coordination.decision_log import DecisionLog
    from sapphire.coordination.history import History

    universe, interval = _universe(config, manifest), Interval(manifest.interval)
    cache = config.cache or config.venue
    Coordinator(
        _duty(config, universe, interval, manifest),
        bento=_bento(config, admitted, cache, pulse),
        size=sizing_of(manifest, universe),
        history=History(bus, cache, universe.symbols, interval, history_of(manifest)),
        log=DecisionLog(config.decisions),
        bus=bus,
        clock=clock,
        pulse=pulse,
        runtime=runtime,
    ).run()


def _bento(config: CoordinatorConfig, admitted: Admitted, cache: str, pulse: Pulse) -> Bento | MemberBentos:
    """Who says the views: one server of the release, or one of each member of the pool that it is."""
    from sapphire.coordination.bento import Bento
    from sapphire.coordination.member_bentos import MemberBentos

    manifest = admitted.manifest
    if not config.member_urls:
        return Bento(config.bento_url, config.release, cache, admitted.permit, waits=pulse.beat)
    if set(config.member_urls) != set(manifest.members):
        raise ConfigError(
            "addresses of other members than the release has",
            expected=", ".join(manifest.members) or "none: it is no pool",
            got=", ".join(config.member_urls),
            next="name each member once, in member_urls",
        )
    return MemberBentos.of(manifest, config.member_urls, cache, admitted.permit)


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
            return collect(CollectorConfig.read(arguments.config, COLLECTOR, os.environ))
        return coordinate(CoordinatorConfig.read(arguments.config, COORDINATOR, os.environ))
    except ConfigError as error:
        log.error("%s", error)
        return 1


def collect(config: CollectorConfig) -> int:
    """Be the collector until told to end; its exit code."""
    return _run(config, COLLECTOR, {}, lambda runtime: run_collector(config, runtime))


def coordinate(config: CoordinatorConfig, *, fits: Callable[[Manifest], None] = lambda _: None) -> int:
    """Be a coordinator until told to end; its exit code.

    Parameters
    ----------
    fits : asked before anything is decided; raises where the release does not fit what is around it.
    """
    identity = {"account": config.account, "release": config.release}
    return _run(config, COORDINATOR, identity, lambda runtime: run_coordinator(config, runtime, fits))


def _run(config: BusConfig, part: str, more: Mapping[str, str], run: Callable[[PartRuntime], None]) -> int:
    """Run a part under its name, and say goodbye on the bus."""
    identity = {"venue": config.venue, **more}
    log_to_stderr(part, identity=identity)

    def goodbye() -> None:
        with suppress(NotReady):
            bus = Bus(config.bus_address, patience_s=_GOODBYE_WITHIN_S)
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
        tick, lot, least = (rows[symbol][key] for key in INSTRUMENT_KEYS[1:])
        made.append(Instrument(symbol, *pair_of(symbol), kind_of(symbol), Decimal(tick), Decimal(lot), Decimal(least)))
    return Universe(made)


if __name__ == "__main__":
    sys.exit(main())
