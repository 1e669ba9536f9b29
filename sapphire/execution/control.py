"""The control plane of the embedded exchange: move time, pay in, add accounts, look.

It is a separate address with a bearer token, so nothing here can be reached through the venue's own API. One connection
is kept open; a client may be used from several threads, one call after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sapphire.domain.errors import ExchangeError
from sapphire.telemetry.http_client import Answer, HttpClient

__all__ = ["Advanced", "Control", "Credentials"]

_NEXT = "see whether the exchange still runs, and its log"


@dataclass(frozen=True, slots=True)
class Advanced:
    """Where market time stands after an advance.

    Parameters
    ----------
    now_ns : market time, UTC nanoseconds; earlier than asked for when a client saw something or a wake-up came first.
    events : how many things clients saw at that time.
    sequences : per account, the number of its last event; a client that has read up to it has seen everything.
    """

    now_ns: int
    events: int
    sequences: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account and its key. The secret is not shown by `repr`."""

    account: int
    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return f"Credentials(account={self.account}, api_key={self.api_key[:6]!r}...)"


class Control:
    """Client of a control plane.

    Parameters
    ----------
    url : its address, `http://127.0.0.1:port`.
    token : of the exchange's first line of output.
    timeout : seconds a call may take.

    Raises
    ------
    NotReady : by every call: nothing answers there. Whether the command was carried out is then not known.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        self._client = HttpClient(url, "the control plane", within_s=timeout, token=token)

    def advance(self, to_ns: int, *, wake_at_ns: Iterable[int] = ()) -> Advanced:
        """Move market time to `to_ns`, or to the first thing that a client sees or the first wake-up before it.

        Raises
        ------
        ExchangeError : the time has passed already, or the exchange does not run in lock-step.
        """
        body = {"to_ns": str(to_ns), "wake_at_ns": [str(wake_ns) for wake_ns in wake_at_ns]}
        facts = self._post("advance", body)
        sequences = {int(account): int(sequence) for account, sequence in facts["sequences"].items()}
        return Advanced(now_ns=int(facts["now_ns"]), events=int(facts["events"]), sequences=sequences)

    def advance_fully(self, to_ns: int) -> int:
        """Move market time all the way to `to_ns`, past everything that clients see; how many things they saw."""
        seen = 0
        while True:
            advanced = self.advance(to_ns)
            seen += advanced.events
            if advanced.now_ns >= to_ns:
                return seen

    def deposit(self, account: int, asset: str, amount: str) -> Mapping[str, str]:
        """Pay `amount` (decimal text; negative takes out) into an account; its balance of that asset then."""
        facts = self._post("deposit", {"account": account, "asset": asset, "amount": amount})
        return {"free": facts["free"], "locked": facts["locked"]}

    def add_account(
        self, name: str, funds: Mapping[str, str], *, maker: str | None = None, taker: str | None = None
    ) -> Credentials:
        """Add an account with a key, delays and books of its own, for as long as the exchange's journal is kept.

        Its fills follow from seed, candles and its own requests: they are those that it would get alone, and no other
        account's fills change. The public depth, trades and prices show the development account's books.

        Parameters
        ----------
        name : 1 to 32 letters, digits, "-" and "_", no other account's. The development account has none.
        funds : what it begins with, by asset; amounts as decimal text.
        maker, taker : fee rates of 1 as decimal text ("0.001"); the venue's regular ones by default.

        Raises
        ------
        ExchangeError : there is an account of that name, the name does not fit, or the funds do not: an asset that is
            not traded here, an amount below zero or above what an account holds. No account was added then.
        """
        body: dict[str, Any] = {"name": name, "fund": dict(funds)}
        if maker is not None:
            body["maker"] = maker
        if taker is not None:
            body["taker"] = taker
        return _credentials(self._post("accounts", body))

    def account(self, name: str) -> Credentials:
        """The account of a name and its key, as `add_account` gave them.

        Raises
        ------
        ExchangeError : there is no account of that name.
        """
        command = f"accounts/{quote(name, safe='')}"
        return _credentials(self._facts(command, self._client.get(f"/control/{command}", next=_NEXT)))

    def state(self, *, full: bool = False) -> dict[str, Any]:
        """Market time, books and accounts as the exchange has them; with `full` every order and fill."""
        command = "state?full=true" if full else "state"
        return self._facts(command, self._client.get(f"/control/{command}", next=_NEXT))

    def now_ns(self) -> int:
        """Market time, UTC nanoseconds."""
        return int(self.state()["now_ns"])

    def drain(self, *, wait_ms: int = 2_000) -> bool:
        """Wait until closed connections have been read to their end; whether all of them have."""
        return bool(self._post("drain", {"wait_ms": wait_ms})["drained"])

    def shutdown(self) -> None:
        """Ask the exchange to end."""
        self._post("shutdown", {})

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._client.close()

    def _post(self, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        # A command may have been carried out where nothing was answered, so it is not sent again.
        return self._facts(command, self._client.post(f"/control/{command}", body, next=_NEXT))

    def _facts(self, command: str, answer: Answer) -> dict[str, Any]:
        facts = answer.facts()
        if not answer.is_ok:
            got = f"{answer.status}: {facts.get('error') or answer.body.decode(errors='replace')}"
            raise ExchangeError(f"the exchange refused {command!r}", got=got)
        return facts


def _credentials(facts: Mapping[str, Any]) -> Credentials:
    return Credentials(facts["account"], facts["api_key"], facts["api_secret"])
