"""The part that sends notices, as the supervisor keeps it, and the settings that it is told."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sapphire.domain.intervals import Interval
from sapphire.domain.workspace_settings import NOTICE_SHAPES
from sapphire.execution.bus_users import NOTICES
from sapphire.stack.addresses import Ports
from sapphire.stack.folders import RunFolder
from sapphire.stack.notices.notice import About
from sapphire.stack.notices.receivers import receiver_sources
from sapphire.stack.plan import Plan
from sapphire.stack.processes.parts import Part, Probe
from sapphire.stack.processes.readiness import HttpChecks
from sapphire.telemetry.bus import without_password
from sapphire.telemetry.part_settings import PartSettings
from sapphire.telemetry.secret_files import write_secret

__all__ = ["NoticesConfig", "notices_parts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticesConfig(PartSettings):
    """Settings of the part that sends notices.

    Parameters
    ----------
    bus_url, bus_password : with the password of its user, or the file that it is in.
    venue, account : whose executions it tells of.
    run : run folder that it tells of.
    about : what stands in each message.
    quote, interval_ns : asset and length of a bar.
    anew : whether the run begins now, so that its first events are news.
    sources : receivers and where their addresses are, as `receiver_sources` has them.
    instruments : rows of what the account trades, where nobody keeps a stack in the run folder; then it tells of what
        the bus says alone.
    """

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "bus_url": "valkey://USER:PASSWORD@HOST:PORT/DATABASE",
        "venue": "a name",
        "account": "a name",
        "run": "path of the run folder",
        "about": "text",
        "quote": "an asset",
        "interval_ns": "a whole number above zero",
        "anew": "true or false",
        "sources": "receivers, as sapphire up writes them",
        "bus_password": "path of a file with the password, for an address that has none",
        "instruments": "rows of the instruments, or null",
    }

    bus_url: str
    venue: str
    account: str
    run: str
    about: str
    quote: str
    interval_ns: int
    anew: bool
    sources: Mapping[str, Any]
    bus_password: Path | None = None
    instruments: tuple[Mapping[str, str], ...] | None = None

    def __post_init__(self) -> None:
        self._check(
            **{
                key: isinstance(getattr(self, key), str)
                for key in ("bus_url", "venue", "account", "run", "about", "quote")
            },
            interval_ns=type(self.interval_ns) is int and self.interval_ns > 0,
            anew=isinstance(self.anew, bool),
            sources=isinstance(self.sources, Mapping),
            bus_password=self.bus_password is None or isinstance(self.bus_password, str | Path),
            instruments=self.instruments is None or isinstance(self.instruments, tuple),
        )
        if self.bus_password is not None:
            object.__setattr__(self, "bus_password", Path(self.bus_password))

    def _shown(self, key: str) -> object:
        given = getattr(self, key)
        return without_password(given) if key == "bus_url" and isinstance(given, str) else given


def notices_parts(plan: Plan, folder: RunFolder, bus_url: str, *, venue: str, ports: Ports, probe: Probe) -> list[Part]:
    """The part, where `sapphire.toml` names somebody to tell.

    Its settings are written; the bus's password is in them, and no address of a receiver.

    None in lock-step: a run that is driven bar by bar has somebody who looks on.

    Parameters
    ----------
    venue : where the account trades.
    ports : where it answers probes.
    probe : how it is asked.

    Raises
    ------
    ConfigError : settings that cannot be meant.
    """
    sources = {} if plan.is_lockstep else receiver_sources()
    if not sources.keys() & set(NOTICE_SHAPES):
        return []
    path = folder.settings(NOTICES)
    config = NoticesConfig(
        bus_url=bus_url,
        venue=venue,
        account=plan.account,
        run=str(plan.run),
        about=About.of(plan.as_dict()).line,
        quote=plan.quote,
        interval_ns=Interval(plan.interval).ns,
        anew=not folder.journal.exists(),
        sources=sources,
        host=ports.network.bind,
        port=ports.notices,
    ).configured(NOTICES)
    write_secret(path, json.dumps(config.as_dict(), indent=1) + "\n")
    checks = HttpChecks(ports.probes_url(NOTICES, config, os.environ), within_s=probe.within_s)
    command = (sys.executable, "-m", "sapphire.stack.notices.part", "--config", str(path))
    return [
        Part(
            name=NOTICES,
            command=command,
            log=folder.log(NOTICES),
            needs=("bus",) if plan.joins is None else (),
            ready=lambda _: checks.ready(),
            live=checks.live,
            probe=probe,
            address=checks.url,
            metrics=f"{checks.url}/metrics",
            is_optional=True,
        )
    ]
