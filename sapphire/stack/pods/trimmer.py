"""The trimmer: who trims an account's streams where nobody keeps the whole stack.

It asks each consumer how far its own record is, as a keeper looks it up in the run folder: the coordinators by their
`/readyz`, the service by its control API, notices by their `/readyz`. What does not answer holds its streams back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sapphire.coordination.decisions import Scope
from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import NotReady, SapphireError, ValueRefused
from sapphire.execution.service import Service
from sapphire.stack.bus_trimming import EVERY_S, Progress, consumed_streams
from sapphire.stack.configs import BusConfig, is_name
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.http_client import HttpClient
from sapphire.telemetry.logs import log_to_stderr
from sapphire.telemetry.part_runtime import PartRuntime, run_part
from sapphire.telemetry.part_settings import is_number
from sapphire.telemetry.secret_files import read_secret
from sapphire.telemetry.streams import AccountStreams, EntryId, end_of_bar
from sapphire.telemetry.trimming import trim

__all__ = ["Consumers", "TrimmerConfig", "trim_as_a_part"]

_ANSWER_S, _BUS_S, _TURN_S = 5.0, 5.0, 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimmerConfig(BusConfig):
    """Settings of the trimmer.

    Parameters
    ----------
    bus_url, bus_password, venue : as `BusConfig`.
    account, release : whose streams it trims: of this account, and of the release that it trades.
    bars : the stream of bars that its coordinator decides on.
    coordinator_url, service_url, notices_url : of its consumers; notices where a part tells them.
    beside : coordinators of the other accounts that decide on the same bars.
    service_token : file with the token of the service's control API that reads.
    every_s : seconds between two turns.
    """

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "account": "a name of letters, digits, - and _",
        "release": "a release's digest, 64 hexadecimal digits",
        "bars": "the name of a stream of bars",
        "coordinator_url": "http://HOST:PORT",
        "beside": "addresses http://HOST:PORT",
        "service_url": "http://HOST:PORT",
        "notices_url": "http://HOST:PORT, or null where nobody tells notices",
        "service_token": "path of a file with the token",
        "every_s": "seconds, above zero",
    }

    account: str
    release: str
    bars: str
    coordinator_url: str
    beside: tuple[str, ...]
    service_url: str
    service_token: Path
    notices_url: str | None = None
    every_s: float = EVERY_S

    def __post_init__(self) -> None:
        self._check(
            account=is_name(self.account),
            release=is_sha256(self.release),
            bars=isinstance(self.bars, str) and self.bars.startswith("bars:"),
            coordinator_url=isinstance(self.coordinator_url, str),
            beside=all(isinstance(url, str) for url in self.beside),
            service_url=isinstance(self.service_url, str),
            notices_url=self.notices_url is None or isinstance(self.notices_url, str),
            service_token=isinstance(self.service_token, str | Path),
            every_s=is_number(self.every_s),
        )
        object.__setattr__(self, "service_token", Path(self.service_token))


class Consumers:
    """The consumers of an account's streams, asked over HTTP.

    Parameters
    ----------
    config : who they are.

    Raises
    ------
    Refused : the service's token is not there, or others can read it.
    """

    def __init__(self, config: TrimmerConfig) -> None:
        self._config = config
        self._coordinator = _client(config.coordinator_url, "the coordinator")
        self._beside = [_client(url, "a coordinator") for url in config.beside]
        self._notices = None if config.notices_url is None else _client(config.notices_url, "notices")
        token = read_secret(
            config.service_token, absent="no token of the service's control API", next="sapphire secrets make draws it"
        ).strip()
        self._service = Service(config.service_url, token, timeout_s=_ANSWER_S)

    def scope(self) -> Scope:
        """For whom the account's coordinator decides: it knows who believes.

        Raises
        ------
        NotReady : it does not answer, is not up yet, or is one of another release.
        """
        facts, wanted = self._told(self._coordinator), self._config.release
        if facts.get("release") != wanted or not isinstance(facts.get("agent"), str):
            raise NotReady(
                f"the coordinator at {self._coordinator.url} does not say who believes",
                expected=f"one of release {wanted[:12]} that came up",
                got=str(facts.get("release") or "one that is starting")[:12],
                next="it is asked again",
            )
        streams = AccountStreams(self._config.venue, self._config.account)
        return Scope(streams, wanted, facts["agent"], self._config.bars)

    def progress(self) -> Progress:
        """How far each is, by its own record.

        Raises
        ------
        NotReady : one of them does not answer: what it has not read is not known.
        Refused : the service does not take the token.
        """
        taken = self._service.state()["last_bar_close_ns"]
        return Progress(
            decided=_decided(self._told(self._coordinator)),
            beside=tuple(_decided(self._told(each)) for each in self._beside),
            taken=None if taken is None else end_of_bar(int(taken)),
            noticed=() if self._notices is None else (_noticed(self._told(self._notices)),),
        )

    def _told(self, part: HttpClient) -> dict[str, Any]:
        """What a part says of itself, whether it is ready or not."""
        return part.get("/readyz", next="it is asked again").facts()


def trim_as_a_part(config: TrimmerConfig) -> int:
    """Be the trimmer until told to end; its exit code."""
    identity = {"venue": config.venue, "account": config.account, "release": config.release}
    log_to_stderr("trimmer", identity=identity)
    runtime = PartRuntime("trimmer", config, identity=identity)
    return run_part(runtime, lambda runtime: _run(config, runtime), goodbye=lambda: None)


def _run(config: TrimmerConfig, runtime: PartRuntime) -> None:
    runtime.serve()
    consumers, last_failure = Consumers(config), None
    bus = runtime.bus(config.bus_address, patience_s=_BUS_S)
    while True:
        try:
            trimmed, failure = _turn(consumers, bus), None
        except SapphireError as error:
            trimmed, failure = {}, str(error)
        if failure != last_failure:
            _log.warning("the bus was not trimmed: %s", failure) if failure else _log.info("the bus is trimmed again")
        last_failure = failure
        runtime.readiness.tell(ready=failure is None, trimmed=trimmed, why=failure)
        until = time.monotonic() + config.every_s
        while time.monotonic() < until:
            runtime.turned()
            time.sleep(min(_TURN_S, config.every_s))


def _turn(consumers: Consumers, bus: Bus) -> dict[str, int]:
    """Trim every stream once. The scope is asked each time: a coordinator may be another one by now."""
    scope, progress = consumers.scope(), consumers.progress()
    return trim(bus, consumed_streams(progress, scope, bus, has_venue=False))


def _client(url: str, name: str) -> HttpClient:
    return HttpClient(url, name, within_s=_ANSWER_S)


def _decided(facts: Mapping[str, Any]) -> EntryId | None:
    """Up to where a coordinator has decided; None where it does not say, or is starting."""
    try:
        return end_of_bar(int(facts["decided_close_ns"]))
    except (KeyError, TypeError, ValueError):
        return None


def _noticed(facts: Mapping[str, Any]) -> EntryId | None:
    """Up to where notices have the executions."""
    try:
        return EntryId.parse(facts["executions"])
    except (KeyError, TypeError, ValueRefused):
        return None
