"""The execution service seen from Python: its settings file, its credentials, and its control API.

The service is a binary of the engine; nothing here decides anything. Its control API wants a bearer token for all but
probes and metrics: one token reads, another acts too. Numbers of money come as text.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sapphire.domain.errors import NotReady, Refused
from sapphire.execution.exchange import ExchangeAddress
from sapphire.telemetry.http_client import Answer, HttpClient
from sapphire.telemetry.secret_files import read_secret, write_secret

__all__ = [
    "Service",
    "ServiceAddress",
    "ServiceSettings",
    "draw_token",
    "os_user",
    "read_credentials",
    "write_credentials",
]

_TOKEN_BYTES = 32
_LONGEST_USER = 40
_NEXT = "sapphire status says whether it runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What `service run` is told.

    Parameters
    ----------
    account : its name; `account_tag` is in each of its order ids.
    release : digest of the release that it trades: no signal of another one is taken.
    venue : name of the venue, as streams and metrics have it.
    stage : what a release's evidence has to permit.
    home : the state folder, with `releases/` and `evidence/`.
    trust : the key, the pinned policies and the required measures, as `sapphire.registry.Deployment.as_dict` says.
    folder : the account's own: lock, journal, stamps of each order.
    symbols : what it may trade, all in `quote`.
    interval : length of a bar, "5m".
    rest_url, ws_url : of the venue; `control_url` is the embedded exchange's control plane, in lock-step.
    credentials : file with the keys, as `write_credentials` makes it.
    service_tokens : file with the two tokens of the control API, where they are not among the credentials.
    bus_url : where signals come from and reports go to.
    bus_password : file with the password of the bus's user, where the address has none.
    signal_key : file with the key that signs the account's signals.
    clock : `{"lockstep": True}` or `{"speed": 60.0}`.
    port, bind : of the control API; "0.0.0.0" or "::" is all addresses of the machine.
    host : name or address by which others reach it; what is bound unless given.
    limits, execution : by the engine's names; what is not there is the engine's default.
    journal : size of a segment, and of what is kept for a full disk.
    spin : whether the thread that trades never sleeps; it takes a processor.
    """

    account: str
    account_tag: int
    release: str
    venue: str
    stage: str
    home: Path
    trust: Mapping[str, Any]
    folder: Path
    symbols: Sequence[str]
    quote: str
    interval: str
    rest_url: str
    ws_url: str
    credentials: Path
    bus_url: str
    signal_key: Path
    clock: Mapping[str, Any]
    port: int
    service_tokens: Path | None = None
    bus_password: Path | None = None
    control_url: str | None = None
    bind: str = "127.0.0.1"
    host: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=dict)
    journal: Mapping[str, int] = field(default_factory=lambda: {"segment_bytes": 4_194_304, "reserve_bytes": 1_048_576})
    spin: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The settings file's content."""
        return {
            "account": self.account,
            "account_tag": self.account_tag,
            "release": self.release,
            "stage": self.stage,
            "home": str(self.home),
            "trust": dict(self.trust),
            "folder": str(self.folder),
            "symbols": list(self.symbols),
            "quote": self.quote,
            "interval": self.interval,
            "venue": {
                "name": self.venue,
                "rest_url": self.rest_url,
                "ws_url": self.ws_url,
                "control_url": self.control_url,
            },
            "credentials": str(self.credentials),
            "service_tokens": None if self.service_tokens is None else str(self.service_tokens),
            "bus_url": self.bus_url,
            "bus_password": None if self.bus_password is None else str(self.bus_password),
            "signal_key": str(self.signal_key),
            "clock": dict(self.clock),
            "limits": dict(self.limits),
            "execution": dict(self.execution),
            "bind": self.bind,
            "host": self.host,
            "port": self.port,
            "journal": dict(self.journal),
            "spin": self.spin,
        }

    def write(self, path: Path) -> None:
        """Put the settings file in place in one step; the bus's password may be in it."""
        write_secret(path, json.dumps(self.as_dict(), indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """What the service's first line of output tells.

    Parameters
    ----------
    control_url : of its control API.
    account : whose orders it sends.
    epoch : how often that account was taken up, or the time if that is more; it is in each order id.
    pid : of the process.
    """

    control_url: str
    account: str
    epoch: int
    pid: int

    @classmethod
    def read(cls, line: bytes) -> ServiceAddress:
        """The address that a line holds.

        Raises
        ------
        NotReady : another line.
        """
        try:
            facts = json.loads(line)
            return cls(str(facts["control_url"]), str(facts["account"]), int(facts["epoch"]), int(facts["pid"]))
        except (ValueError, KeyError, TypeError):
            raise NotReady(
                "the service's first line is not what this version of Sapphire reads",
                expected="one JSON object with control_url, account, epoch, pid",
                got=line.decode(errors="replace").strip(),
                next="make engine",
            ) from None


def draw_token() -> str:
    """A token for a control API: 64 hexadecimal digits."""
    return secrets.token_hex(_TOKEN_BYTES)


def write_credentials(
    path: Path, venue: ExchangeAddress, *, service_token: str, service_read_token: str, lockstep: bool
) -> None:
    """Write the keys of an account to a file that only its owner can read.

    Parameters
    ----------
    service_token, service_read_token : of the service's control API: the one that acts, and the one that reads.
    lockstep : whether it asks the exchange's control plane, with the token that reads, if a connection is drained.
    """
    keys = {
        "api_key": venue.api_key,
        "api_secret": venue.api_secret,
        "venue_control_token": venue.control_read_token if lockstep else None,
        "service_token": service_token,
        "service_read_token": service_read_token,
    }
    write_secret(path, json.dumps(keys))


def read_credentials(path: Path) -> dict[str, str]:
    """The keys and tokens of an account.

    Raises
    ------
    Refused : no such file, or one that others can read.
    """
    found: dict[str, str] = json.loads(read_secret(path, absent="this run has no credentials"))
    return found


def os_user() -> str:
    """Who runs this process, as the system names them; its number where it has no name."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"user {os.getuid()}"
    return name.replace(":", " ")[:_LONGEST_USER]


class Service:
    """Client of the service's control API. A service that was restarted is simply asked.

    Parameters
    ----------
    url : of the control API, `http://127.0.0.1:port`.
    token : the `service_read_token` of the credentials; the `service_token` where it is to act.
    timeout_s : how long a call may take.

    Raises
    ------
    NotReady : by every call: nothing answers there.
    Refused : by every call: the service says no, and why.

    Notes
    -----
    What a command says of who acted (`by`) is kept in the journal with its reason. Where the caller says nothing it is
    the user of the operating system with the token's name, "ada (service_token)".
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = 10.0) -> None:
        self.url = url
        self._client = HttpClient(url, "the service", within_s=timeout_s, token=token)

    def state(self) -> dict[str, Any]:
        """Trading state, epoch, step, market time, connection, journal, cursor."""
        state: dict[str, Any] = self._get("state")
        return state

    def positions(self) -> dict[str, Any]:
        """Cash, equity, and what the account holds of each symbol."""
        positions: dict[str, Any] = self._get("positions")
        return positions

    def orders(self, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Its latest orders, oldest first, those that are over included; a thousand unless `limit` is given."""
        return self._rows("orders", limit)

    def fills(self, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Its latest fills, oldest first; a thousand unless `limit` is given."""
        return self._rows("fills", limit)

    def halt(self, reason: str, *, by: str | None = None) -> dict[str, Any]:
        """Stop trading until `resume`; what is open is cancelled. `by` is kept with the reason, here and below."""
        return self._post("halt", reason, by)

    def reduce(self, reason: str, *, by: str | None = None) -> dict[str, Any]:
        """Let positions only get smaller."""
        return self._post("reduce", reason, by)

    def resume(self, reason: str, *, by: str | None = None) -> dict[str, Any]:
        """Trade again: a deliberate act, whose reason is kept in the journal."""
        return self._post("resume", reason, by)

    def flatten(self, reason: str, *, by: str | None = None) -> dict[str, Any]:
        """Sell everything and take no signal until `resume`; from a halt too. It goes on over restarts."""
        return self._post("flatten", reason, by)

    def close(self, symbol: str, reason: str, *, by: str | None = None) -> dict[str, Any]:
        """Sell all of a symbol and take no signal of it until `resume`; the others go on."""
        return self._post("close", reason, by, symbol=symbol)

    def metrics(self) -> str:
        """Metrics in Prometheus's text form."""
        return self._granted("metrics", self._client.get("/metrics", next=_NEXT)).decode()

    def _rows(self, what: str, limit: int | None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._get(what if limit is None else f"{what}?limit={limit}")
        return rows

    def _post(self, command: str, reason: str, by: str | None, **more: str) -> dict[str, Any]:
        body = {"reason": reason, "by": by or f"{os_user()} (service_token)", **more}
        facts: dict[str, Any] = self._read(command, self._client.post(f"/{command}", body, next=_NEXT))
        return facts

    def _get(self, path: str) -> Any:
        return self._read(path, self._client.get(f"/{path}", next=_NEXT))

    def _read(self, path: str, answer: Answer) -> Any:
        body = self._granted(path, answer)
        return json.loads(body) if body else {}

    def _granted(self, path: str, answer: Answer) -> bytes:
        if not answer.is_ok:
            raise Refused(f"the service refused {path!r}", got=f"{answer.status}: {_reason(answer.body)}")
        return answer.body


def _reason(text: bytes) -> str:
    """What the service says to its refusal."""
    try:
        facts = json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
    return str(facts.get("error", facts)) if isinstance(facts, dict) else str(facts)
