"""Settings of a stack's parts from its plan: for the keeper that starts them all, and for a part that starts alone.

What follows from the plan stands here once. What differs is around it: a keeper has every part on ports of its choice
and passwords in the bus's address, a pod has a host and a file of secrets for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.messages import MarketKind
from sapphire.execution.bus_users import SERVICE, user_of
from sapphire.execution.candle_folder import candle_instruments
from sapphire.execution.exchange import exchange_arguments
from sapphire.execution.service import ServiceSettings
from sapphire.registry.trust import Deployment
from sapphire.stack.configs import CollectorConfig, CoordinatorConfig, instrument_row
from sapphire.telemetry.streams import COLLECTOR, COORDINATOR

if TYPE_CHECKING:
    from sapphire.domain.instruments import Instrument
    from sapphire.domain.releases import Manifest
    from sapphire.stack.plan import Plan

__all__ = [
    "VENUE",
    "BusAddress",
    "Surroundings",
    "collector_config",
    "coordinator_config",
    "exchange_words",
    "service_settings",
    "with_execution",
]

VENUE = "embedded"
"""What the embedded exchange is called in streams, messages and the cache of bars."""


@dataclass(frozen=True, slots=True)
class BusAddress:
    """Where the bus is, for one of its users.

    Parameters
    ----------
    url : with the user; its password is in it, or else in the file.
    password : the file.
    """

    url: str
    password: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the parts of an account find around them.

    Parameters
    ----------
    bus : the address of the bus for a user.
    exchange_url, exchange_ws_url, exchange_control_url, bento_url : by which others are reached.
    bind : where servers listen.
    ports : where each listens: exchange, exchange_control, service, collector, coordinator.
    hosts : by what name the exchange and the service are reached; what they bind where there is none.
    exchange_journal, account, decisions : what exchange, service and coordinator write.
    credentials, service_tokens : keys at the venue; tokens of the service, where they are in a file of their own.
    signal_key : what signs the account's signals.
    cache : what the venue is called in the cache of bars.
    member_urls : of a pool, by which each member is reached.
    """

    bus: Callable[[str], BusAddress]
    exchange_url: str
    exchange_ws_url: str
    exchange_control_url: str
    bento_url: str
    bind: str
    ports: Mapping[str, int]
    hosts: Mapping[str, str | None]
    exchange_journal: Path
    account: Path
    decisions: Path
    credentials: Path
    signal_key: Path
    service_tokens: Path | None = None
    cache: str = VENUE
    member_urls: Mapping[str, str] = field(default_factory=dict)


def exchange_words(
    plan: Plan,
    around: Surroundings,
    *,
    keys: Path | None = None,
    accounts: Mapping[str, Mapping[str, str]] | None = None,
) -> list[str]:
    """Words behind `exchange` on its command line.

    Parameters
    ----------
    keys : file with all keys and tokens, made beforehand; else it draws them and tells them.
    accounts : accounts besides the first, with what each begins with.
    """
    return exchange_arguments(
        symbols=plan.symbols,
        seed=plan.market.seed,
        lockstep=plan.is_lockstep,
        speed=plan.speed,
        start=plan.market.start,
        candles=plan.market.candles,
        journal=around.exchange_journal,
        latency_ms=plan.latency_ms,
        funds=plan.funds,
        accounts=accounts,
        keys=keys,
        bind=around.bind,
        host=around.hosts["exchange"],
        port=around.ports["exchange"],
        control_port=around.ports["exchange_control"],
    )


def collector_config(plan: Plan, around: Surroundings, *, history_bars: int) -> CollectorConfig:
    """Settings of the collector; `history_bars` is what its cache holds at least."""
    bus = around.bus(COLLECTOR)
    return CollectorConfig(
        bus_url=bus.url,
        bus_password=bus.password,
        venue=VENUE,
        cache=around.cache,
        clock=plan.clock,
        exchange="embedded",
        url=around.exchange_url,
        market=MarketKind.RECORDED if plan.market.candles else MarketKind.GENERATED,
        symbols=plan.symbols,
        interval=plan.interval,
        history_bars=history_bars,
        host=around.bind,
        port=around.ports[COLLECTOR],
    )


def coordinator_config(plan: Plan, around: Surroundings, *, start_ns: int) -> CoordinatorConfig:
    """Settings of the coordinator; `start_ns` is where the market begins, whose rules of that time it counts by.

    Raises
    ------
    EngineMissing : the engine's module, which has the generated market's rules, is not installed.
    """
    bus = around.bus(user_of(COORDINATOR, plan.account))
    return CoordinatorConfig(
        bus_url=bus.url,
        bus_password=bus.password,
        venue=VENUE,
        cache=around.cache,
        clock=plan.clock,
        account=plan.account,
        signal_key=around.signal_key,
        bento_url=around.bento_url,
        member_urls=around.member_urls,
        home=plan.home,
        release=plan.release.digest,
        stage=plan.stage,
        decisions=around.decisions,
        instruments=tuple(instrument_row(_instrument(plan, symbol, start_ns)) for symbol in plan.symbols),
        host=around.bind,
        port=around.ports[COORDINATOR],
    )


def with_execution(plan: Plan, manifest: Manifest) -> Plan:
    """The plan with the execution settings of its release below its own."""
    return replace(plan, execution={**manifest.execution, **plan.execution})


def service_settings(plan: Plan, around: Surroundings) -> ServiceSettings:
    """What the service is told; `plan` has the execution settings of the release in its own by now.

    Raises
    ------
    ConfigError : what is trusted here cannot be meant.
    """
    bus = around.bus(user_of(SERVICE, plan.account))
    return ServiceSettings(
        account=plan.account,
        account_tag=plan.account_tag,
        release=plan.release.digest,
        venue=VENUE,
        stage=plan.stage,
        home=plan.home,
        trust=Deployment.read().as_dict(),
        folder=around.account,
        symbols=plan.symbols,
        quote=plan.quote,
        interval=plan.interval,
        rest_url=around.exchange_url,
        ws_url=around.exchange_ws_url,
        control_url=around.exchange_control_url if plan.is_lockstep else None,
        credentials=around.credentials,
        service_tokens=around.service_tokens,
        bus_url=bus.url,
        bus_password=bus.password,
        signal_key=around.signal_key,
        clock=plan.clock,
        bind=around.bind,
        host=around.hosts["service"],
        port=around.ports["service"],
        limits=plan.limits,
        execution=plan.execution,
        spin=plan.spin,
    )


def _instrument(plan: Plan, symbol: str, start_ns: int) -> Instrument:
    """The rules that the exchange trades by: the candles', else those in force at the generated market's start."""
    from sapphire.data.generated import generated_instrument

    if plan.market.candles is not None:
        return candle_instruments(plan.market.candles, [symbol], start_ns)[symbol]
    return generated_instrument(symbol, seed=plan.market.seed, at_ns=start_ns)
