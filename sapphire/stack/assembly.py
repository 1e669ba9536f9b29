"""From a plan to parts: the command, the settings file and the sign of readiness of each process.

::

    bus          Valkey with an append-only file
    exchange     the embedded exchange with its journal; its first line gives the keys; paced, it waits for the bento
    mlflow       MLflow's pages on the state folder's database, where they are asked for
    bento        the release behind HTTP, on bars of the bus's cache, unless a server of it runs already
    bento-NAME   in its place, where the release is a pool: one for each member
    collector    closed bars from the exchange onto the bus: needs bus and exchange
    coordinator  views, sizing, signals: needs the bus
    service      the execution service with its journal: needs bus and exchange
    reports      scheduled reports, where the workspace has a reports.toml and market time runs by itself
    notices      messages to receivers that sapphire.toml names, where market time runs by itself: needs the bus
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.workspace import HOME_VARIABLE
from sapphire.execution.binaries import engine_binary
from sapphire.execution.bus_server import bus_command
from sapphire.execution.bus_users import BENTO, CONDUCTOR, NOTICES, BusUsers, user_of
from sapphire.execution.conductor import Led
from sapphire.execution.exchange import ExchangeAddress
from sapphire.execution.service import ServiceAddress, draw_token, write_credentials
from sapphire.registry.tracking import Tracking, models_page
from sapphire.registry.trust import Deployment
from sapphire.serving.settings import Settings
from sapphire.stack.addresses import Ports
from sapphire.stack.folders import RunFolder
from sapphire.stack.from_plan import (
    VENUE,
    BusAddress,
    Surroundings,
    collector_config,
    coordinator_config,
    exchange_words,
    service_settings,
)
from sapphire.stack.joining import Shared, join, keep_address, require_history
from sapphire.stack.market_start import market_start_ns
from sapphire.stack.members import member_part, members_served
from sapphire.stack.notices.process import notices_parts
from sapphire.stack.part import history_of, scope_of
from sapphire.stack.plan import Plan
from sapphire.stack.processes.answering import bus_answers
from sapphire.stack.processes.parts import Part, Probe
from sapphire.stack.processes.readiness import HttpChecks
from sapphire.stack.reports_part import reports_parts
from sapphire.stack.servers import bento_part, mlflow_part
from sapphire.telemetry.part_settings import PartSettings
from sapphire.telemetry.secret_files import write_secret
from sapphire.telemetry.signal_keys import SignalKey
from sapphire.telemetry.streams import COLLECTOR, COORDINATOR

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest

__all__ = ["VENUE", "Assembly"]


class Assembly:
    """The parts of a plan. Making them writes settings files into the run folder, so its lock is held by then.

    Parameters
    ----------
    plan : of the stack.
    ports : where its servers listen.
    manifest : of the release.
    probe : how parts are asked whether they are live and ready.
    """

    def __init__(self, plan: Plan, ports: Ports, manifest: Manifest, probe: Probe | None = None) -> None:
        self.plan, self.ports, self.probe = plan, ports, probe or Probe()
        self.folder = RunFolder(plan.run)
        self.venue: ExchangeAddress | None = None
        self.shared = self._own() if plan.joins is None else Shared.of(RunFolder(plan.joins))
        self.service_token, self.service_read_token = draw_token(), draw_token()
        self.history_bars = history_of(manifest)
        self._members = {name: manifest.members[name].digest for name in members_served(plan, manifest)}
        self._cache = VENUE if plan.joins is None else self._joined_cache(plan.joins)
        self.scope = scope_of(VENUE, plan.account, plan.release.digest, manifest, cache=self._cache)
        self.led = Led(self.scope.streams, self.scope.signals, self.scope.bars)
        if plan.joins is not None:
            self._join(plan.joins)
        self.tracking = Tracking.of(plan.home, os.environ)
        self.start_ns = market_start_ns(plan, self.folder)

    def _own(self) -> Shared:
        ports = self.ports
        urls = (ports.bus_url, ports.url("exchange"), ports.url("exchange", scheme="ws"), ports.url("exchange_control"))
        return Shared(self.folder, *urls)

    def _joined_cache(self, first: Path) -> str:
        """That of the stack that runs where it has the release's bars; else one of the account's own."""
        collected = Plan.from_dict(RunFolder(first).read())
        is_same = (collected.symbols, collected.interval) == (self.plan.symbols, self.plan.interval)
        return VENUE if is_same else f"{VENUE}:{self.plan.account}"

    def _join(self, first: Path) -> None:
        """Come onto the bus and the exchange of the stack that runs."""
        account = join(self.plan, self.shared, VENUE)
        self.venue, self.led = account.address, replace(self.led, index=account.index)
        if not self._collects:
            require_history(self.plan, self.history_bars, RunFolder(first).read()["history_bars"])

    @property
    def _collects(self) -> bool:
        """Whether a collector of its own is needed."""
        return self.plan.joins is None or self._cache != VENUE

    def _on_shared(self, *names: str) -> tuple[str, ...]:
        """These parts as needs, where they are this stack's own."""
        return names if self.plan.joins is None else ()

    @cached_property
    def _users(self) -> BusUsers:
        return BusUsers.keep(self.shared.folder.bus, VENUE, self.plan.account)

    def bus_url(self, user: str) -> str:
        """The address of the bus for a user, with its password in it: only files of the owner's have it."""
        return self._users.url(user, self.shared.bus_url)

    def _own_bus_url(self, part: str) -> str:
        return self.bus_url(user_of(part, self.plan.account))

    @cached_property
    def _around(self) -> Surroundings:
        ports, folder = self.ports, self.folder
        return Surroundings(
            bus=lambda user: BusAddress(self.bus_url(user)),
            exchange_url=self.shared.exchange_url,
            exchange_ws_url=self.shared.exchange_ws_url,
            exchange_control_url=self.shared.exchange_control_url,
            bento_url=self.bento_url or "",
            member_urls=self.member_urls,
            bind=ports.network.bind,
            ports=ports.by_name,
            hosts={server: ports.network.named(server) for server in ("exchange", "service")},
            exchange_journal=folder.exchange,
            account=folder.account,
            decisions=folder.decisions,
            credentials=folder.credentials,
            signal_key=folder.signal_key,
            cache=self._cache,
        )

    @property
    def bento_url(self) -> str | None:
        """Where the release answers; nowhere, where its members are served by themselves."""
        return None if self._members else self.plan.bento_url or self.ports.url("bento")

    @property
    def member_urls(self) -> dict[str, str]:
        """Where each member of a pool answers."""
        return {name: self.ports.member_url(name) for name in self._members}

    @property
    def mlflow_url(self) -> str | None:
        """Where MLflow shows models: on the server that the environment names, else on one of ours, else nowhere."""
        if self.tracking.uri.startswith("http"):
            return models_page(self.tracking.uri)
        return models_page(self.ports.url("mlflow")) if self.plan.mlflow else None

    @property
    def addresses(self) -> dict[str, str | None]:
        """Every address, by stable keys."""
        return {
            "bus_url": self.shared.bus_url,
            "exchange_url": self.shared.exchange_url,
            "exchange_ws_url": self.shared.exchange_ws_url,
            "exchange_control_url": self.shared.exchange_control_url,
            "bento_url": self.bento_url,
            **{f"bento_url.{name}": url for name, url in self.member_urls.items()},
            "service_url": self.ports.url("service"),
            "mlflow_url": self.mlflow_url,
        }

    def parts(
        self,
        *,
        before_exchange_ends: Callable[[], None] | None = None,
        before_service_ends: Callable[[], None] | None = None,
    ) -> list[Part]:
        """Every part, in the order in which they are shown; settings files are written.

        Parameters
        ----------
        before_exchange_ends : called when nobody trades any more and the exchange is about to be ended.
        before_service_ends : called when the service is about to be ended.

        Raises
        ------
        EngineMissing : a binary of the engine is not built.
        """
        plan = self.plan
        SignalKey.keep(self.folder.signal_key)
        made: list[Part] = []
        if plan.joins is None:
            made += [self._bus(), replace(self._exchange(), before_end=before_exchange_ends)]
        else:
            self._keep_keys()
        made += [self._mlflow()] if plan.mlflow and not self.tracking.uri.startswith("http") else []
        made += self._bentos() if plan.bento_url is None else []
        service = replace(self._service(), before_end=before_service_ends)
        return [
            *made,
            *([self._collector()] if self._collects else []),
            self._coordinator(),
            service,
            *notices_parts(
                plan, self.folder, self._own_bus_url(NOTICES), venue=VENUE, ports=self.ports, probe=self.probe
            ),
            *reports_parts(plan, self.folder, ports=self.ports, probe=self.probe),
        ]

    def _bus(self) -> Part:
        port, bus_url = self.ports.bus, self.bus_url(CONDUCTOR)
        return Part(
            name="bus",
            command=bus_command(port, self.folder.bus, bind=self.ports.network.bind),
            log=self.folder.log("bus"),
            ready=lambda _: bus_answers(bus_url),
            live=lambda: bus_answers(bus_url),
            probe=self.probe,
            address=self.ports.bus_url,
        )

    def _exchange(self) -> Part:
        plan, ports = self.plan, self.ports
        words = exchange_words(plan, self._around)
        checks = self._checks(ports.url("exchange_control"))
        return Part(
            name="exchange",
            command=(str(engine_binary("exchange")), *words),
            log=self.folder.log("exchange"),
            # A paced market runs from its first moment: bars that nobody can judge yet would only be late.
            needs=() if plan.is_lockstep else self._local_bento,
            first_line=self._hear_exchange,
            ready=lambda _: checks.ready(),
            live=checks.live,
            probe=self.probe,
            address=ports.url("exchange"),
            metrics=f"{ports.url('exchange_control')}/metrics",
        )

    def _hear_exchange(self, line: bytes) -> None:
        """Keep the keys that the exchange tells: they are the same at every start in this folder."""
        self.venue = ExchangeAddress.read(line)
        keep_address(self.folder, self.venue)
        self._keep_keys()

    def _keep_keys(self) -> None:
        if self.venue is None:
            return
        write_credentials(
            self.folder.credentials,
            self.venue,
            service_token=self.service_token,
            service_read_token=self.service_read_token,
            lockstep=self.plan.is_lockstep,
        )

    def _mlflow(self) -> Part:
        # Its start takes a processor for half a minute, which whoever trades needs more.
        network = self.ports.network
        part = mlflow_part(
            self.tracking,
            port=self.ports.mlflow,
            log=self.folder.log("mlflow"),
            bind=network.bind,
            host=network.host_of("mlflow"),
        )
        return replace(part, needs=self._local_bento, is_optional=True)

    @property
    def _local_bento(self) -> tuple[str, ...]:
        """The bentos as needs, where they are parts."""
        if self.plan.bento_url is not None:
            return ()
        return tuple(map(member_part, self._members)) or ("bento",)

    def _bentos(self) -> list[Part]:
        """One server of the release, or one of each member."""
        if not self._members:
            return [self._bento("bento", self.ports.bento)]
        return [
            replace(self._bento(member_part(name), self.ports.members[name], member=name), release=digest)
            for name, digest in self._members.items()
        ]

    def _bento(self, part: str, port: int, *, member: str = "") -> Part:
        plan = self.plan
        # The stack has asked the door by now: a server that is started again after it was closed goes on.
        bus_url = self._own_bus_url(BENTO)
        settings = Settings(plan.home, plan.release.digest, plan.stage, bus_url, running=True, member=member)
        return bento_part(
            settings,
            name=part,
            port=port,
            log=self.folder.log(part),
            bind=self.ports.network.bind,
            host=self.ports.network.host_of("bento"),
            probe=self.probe,
        )

    def _collector(self) -> Part:
        config = collector_config(self.plan, self._around, history_bars=self.history_bars)
        return self._python_part(COLLECTOR, config, needs=self._on_shared("bus", "exchange"))

    def _coordinator(self) -> Part:
        config = coordinator_config(self.plan, self._around, start_ns=self.start_ns)
        return self._python_part(COORDINATOR, config, needs=self._on_shared("bus"), release=self.plan.release.digest)

    def _checks(self, url: str, **paths: str) -> HttpChecks:
        return HttpChecks(url, within_s=self.probe.within_s, **paths)

    def _python_part(self, name: str, config: PartSettings, *, needs: tuple[str, ...], release: str = "") -> Part:
        path, config = self.folder.settings(name), config.configured(name)
        write_secret(path, json.dumps(config.as_dict(), indent=1) + "\n")
        checks = self._checks(self.ports.probes_url(name, config, os.environ))
        return Part(
            name=name,
            command=(sys.executable, "-m", "sapphire.stack.part", name, "--config", str(path)),
            log=self.folder.log(name),
            environment={HOME_VARIABLE: str(self.plan.home), **Deployment.read().variables},
            needs=needs,
            ready=lambda _: checks.started(),
            ready_still=checks.ready,
            live=checks.live,
            probe=self.probe,
            ready_within_s=120.0,
            address=checks.url,
            metrics=f"{checks.url}/metrics",
            release=release,
        )

    def _service(self) -> Part:
        plan, ports = self.plan, self.ports
        settings = service_settings(plan, self._around)
        path = self.folder.settings("service")
        settings.write(path)
        self.folder.account.mkdir(parents=True, exist_ok=True)
        checks = self._checks(ports.url("service"))
        return Part(
            name="service",
            command=(str(engine_binary("service")), "run", "--config", str(path)),
            log=self.folder.log("service"),
            needs=self._on_shared("bus", "exchange"),
            first_line=ServiceAddress.read,
            ready=lambda _: checks.ready(),
            live=checks.live,
            probe=self.probe,
            address=ports.url("service"),
            metrics=f"{ports.url('service')}/metrics",
            release=plan.release.digest,
        )
