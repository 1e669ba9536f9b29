"""Another account beside the one that a stack began with: on the same bus, exchange and, where it fits, collector.

An account has a run folder and a keeper of its own, so nothing that happens to it touches the others. What it shares is
the market, which therefore has to be the one that it asks for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sapphire.domain.clocks import to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import Refused
from sapphire.execution.bus_users import CONDUCTOR, BusUsers
from sapphire.execution.control import Control, Credentials
from sapphire.execution.exchange import ExchangeAddress
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import Plan
from sapphire.stack.processes.run_lock import RunLock
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.secret_files import read_secret, write_secret

__all__ = [
    "ExchangeAccount",
    "Shared",
    "join",
    "keep_address",
    "next_tag",
    "require_history",
    "require_may_forget",
    "require_same_market",
]

_TAGS = "account_tags.json"
_FIRST_TAG = 1
_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Shared:
    """What the accounts of a stack share.

    Parameters
    ----------
    folder : the run folder of who keeps it.
    bus_url, exchange_url, exchange_ws_url, exchange_control_url : addresses, without passwords.
    """

    folder: RunFolder
    bus_url: str
    exchange_url: str
    exchange_ws_url: str
    exchange_control_url: str

    @classmethod
    def of(cls, folder: RunFolder) -> Shared:
        """Of a stack that runs.

        Raises
        ------
        Refused : no stack ran in that folder.
        """
        addresses = folder.read()["addresses"]
        names = ("bus_url", "exchange_url", "exchange_ws_url", "exchange_control_url")
        if any(addresses.get(name) is None for name in names):
            raise _not_up(folder)
        return cls(folder, *(addresses[name] for name in names))


@dataclass(frozen=True, slots=True)
class ExchangeAccount:
    """An account at the exchange.

    Parameters
    ----------
    index : its number there.
    address : the exchange, with the keys of this account.
    """

    index: int
    address: ExchangeAddress


def join(plan: Plan, shared: Shared, venue: str) -> ExchangeAccount:
    """Let an account onto the bus and the exchange of a stack; the one that it has there already where it came before.

    Raises
    ------
    Refused : another market, or bars of a market in lock-step were driven already.
    ExchangeError : the exchange does not open an account.
    NotReady : the bus or the exchange does not answer.
    """
    require_same_market(plan, shared.folder.read())
    own, (address, control) = RunFolder(plan.run), _address(shared.folder)
    is_known = own.exchange_account.exists()
    if plan.is_lockstep and not is_known:
        _require_unmoved(control)
    users = BusUsers.keep(shared.folder.bus, venue, plan.account)
    bus = Bus(users.url(CONDUCTOR, shared.bus_url), patience_s=_PATIENCE_S)
    try:
        bus.read_users()
    finally:
        bus.close()
    if is_known:
        kept = json.loads(read_secret(own.exchange_account, absent="this account has no keys"))
    else:
        kept = asdict(_opened(control, plan))
        write_secret(own.exchange_account, json.dumps(kept))
    keys = replace(address, api_key=kept["api_key"], api_secret=kept["api_secret"])
    return ExchangeAccount(int(kept["account"]), keys)


def _require_unmoved(control: Control) -> None:
    state = control.state()
    if state["now_ns"] != state["start_ns"]:
        raise Refused(
            "a market in lock-step takes no account once it moves",
            expected="an account that joins before the first bar is driven",
            got=f"a market that stands at {stamp(int(state['now_ns']))}",
            next="begin a run with all of its accounts",
        )


def keep_address(folder: RunFolder, address: ExchangeAddress) -> None:
    """Keep how the exchange is reached, for accounts that join; its tokens are in there."""
    write_secret(folder.exchange_address, json.dumps(asdict(address)))


def next_tag(first: RunFolder, account: str) -> int:
    """The number of an account in its order ids: one that no other has, and the same for ever."""
    from sapphire.data.durable import locked, write_text

    path = first.path / _TAGS
    with locked(first.path / "account_tags.lock"):
        tags = json.loads(path.read_bytes()) if path.exists() else {}
        if account not in tags:
            tags[account] = max(tags.values(), default=_FIRST_TAG) + 1
            write_text(path, json.dumps(tags, sort_keys=True) + "\n")
    return int(tags[account])


def require_same_market(plan: Plan, facts: Mapping[str, Any]) -> None:
    """Refuse an account that is to trade another market than a stack has.

    Parameters
    ----------
    facts : of the stack, as `stack.json` says them.

    Raises
    ------
    Refused : says what differs.
    """
    differs = _differs(plan, facts)
    if differs is None:
        return
    expected, got = differs
    raise Refused(
        f"account {plan.account} cannot join: the running stack's market is another one",
        expected=expected,
        got=got,
        next="leave that out to trade the running market, or begin a stack of its own: sapphire up --run FOLDER",
    )


def require_history(plan: Plan, needed: int, kept: int) -> None:
    """Refuse a release that looks further back than the running collector of its bars does.

    Raises
    ------
    Refused : too few bars.
    """
    if needed > kept:
        raise Refused(
            f"the running stack keeps too few bars for {plan.release.label}",
            expected=f"{needed:,} bars of {plan.interval}",
            got=f"{kept:,}, which is what the release needs that it began with",
            next=f"begin a stack with this release: sapphire up {plan.release.name} --run FOLDER",
        )


def require_may_forget(plan: Plan) -> None:
    """Refuse to forget what others go on with: the market that accounts trade on, or one account's part in it.

    Raises
    ------
    Refused : an account that joined, or a market that accounts trade on now.
    """
    if plan.joins is not None:
        raise Refused(
            f"account {plan.account} cannot be forgotten alone",
            expected="a market that is forgotten with all of its accounts",
            got="an account whose orders and messages are on record where others trade",
            next="give the account another name to begin anew",
        )
    joined = [folder.path for folder in RunFolder(plan.run).joined]
    running = [path.name for path in joined if RunLock(path).holder() is not None]
    if running:
        raise Refused(
            "other accounts trade on this market",
            expected="a market that nobody trades on, to begin anew",
            got=", ".join(running),
            next="sapphire down ends them all",
        )


def _differs(plan: Plan, facts: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a plan asks for otherwise: as the stack has it, and as it is asked for."""
    market, asked = facts["market"], plan.market
    if market["source"] != asked.source:
        return f"a {market['source']} market", f"a {asked.source} one"
    if market["seed"] != asked.seed:
        return f"seed {market['seed']}", f"seed {asked.seed}"
    if asked.candles is not None and not _same_candles(Path(market["candles"]), asked.candles, facts["symbols"]):
        return f"the candles in {market['candles']}", f"others, in {asked.candles}"
    if asked.start not in (None, market["start"]) and to_ns(str(asked.start)) != int(market["start_ns"]):
        return f"a market that began at {stamp(int(market['start_ns']))}", f"one that begins at {asked.start}"
    if facts["clock"] != plan.clock:
        return _pace(facts["clock"]), _pace(plan.clock)
    if plan.is_lockstep and facts["interval"] != plan.interval:
        return f"bars of {facts['interval']}: in lock-step every account decides at each close", plan.interval
    unlisted = [symbol for symbol in plan.symbols if symbol not in facts["symbols"]]
    if unlisted:
        return f"symbols that its exchange lists: {', '.join(facts['symbols'])}", ", ".join(unlisted)
    return None


def _same_candles(one: Path, other: Path, symbols: Sequence[str]) -> bool:
    from sapphire.execution.candle_folder import same_market

    return one == other or same_market(one, other, symbols)


def _pace(clock: Mapping[str, Any]) -> str:
    return "lock-step" if clock.get("lockstep") else f"{clock['speed']:g} market seconds per second"


def _opened(control: Control, plan: Plan) -> Credentials:
    """A new account; the one of this name where a start before was killed once it had it."""
    taken = {account.get("name") for account in control.state()["accounts"]}
    return control.account(plan.account) if plan.account in taken else control.add_account(plan.account, plan.funds)


def _address(folder: RunFolder) -> tuple[ExchangeAddress, Control]:
    text = read_secret(folder.exchange_address, absent="the running stack has not told how its exchange is reached")
    address = ExchangeAddress.read(text.encode())
    return address, Control(address.control_url, address.control_token)


def _not_up(folder: RunFolder) -> Refused:
    return Refused(
        f"the stack in {folder.path} is not up",
        expected="a stack that runs, for an account to join",
        got="one that is starting",
        next="sapphire status says how far it is",
    )
