"""What `up` starts: what it was told, over what the run folder holds already, over what is usual.

A run that began goes on: the same release, market, clock and addresses, unless it is told otherwise. Its market cannot
be another one, because the account has traded on it: a word that asks for another is refused, not passed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import EvidenceRefused, Refused
from sapphire.domain.money import to_atoms
from sapphire.stack.folders import RunFolder
from sapphire.stack.network import Network
from sapphire.stack.plan import USUAL_FUNDS, ChosenRelease, Market, Plan

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest

__all__ = ["SEED", "SPEED", "Asked", "kept_plan", "plan_to_join", "plan_to_start"]

SPEED, SEED = 60.0, 7
"""Market seconds per second of wall time, and seed of the generated market, when nobody says."""

Say = Callable[[str], None]
"""Is told what the user should know of the choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `up` was told; None, or nothing, where it was told nothing.

    Parameters
    ----------
    release : name, version or digest.
    speed : market seconds per second of wall time.
    seed, candles, start : of the market.
    rules : file of the candles' trading rules.
    funds : what the account begins with, by asset; decimal text.
    ports : by the names of `Ports`.
    mlflow, spin : as in the plan.
    """

    release: str | None = None
    speed: float | None = None
    seed: int | None = None
    candles: Path | None = None
    rules: Path | None = None
    start: str | None = None
    funds: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    mlflow: bool | None = None
    spin: bool | None = None


def kept_plan(run: RunFolder) -> Plan | None:
    """The plan of the run whose market lies in a folder; None where none has begun there.

    Raises
    ------
    ConfigError : its facts are damaged.
    """
    if not (run.facts.exists() and run.exchange.is_dir()):
        return None
    facts = run.read()
    return None if facts["market"].get("start_ns") is None else Plan.from_dict(facts)


def plan_to_start(asked: Asked, run: RunFolder, home: Path, *, fresh: bool, now_ns: int, say: Say) -> Plan:
    """What is started in a run folder.

    Parameters
    ----------
    run : where it runs; what it holds goes on unless it is to be forgotten (`fresh`).
    home : the state folder.
    now_ns : wall time.

    Raises
    ------
    Refused : nothing to trade, or another market than the one that the run has.
    DataError : the candles are not those of the release's symbols.
    ConfigError : `[network]` of `sapphire.toml` names what cannot be bound or reached.
    """
    from sapphire.stack.account.limits import account_limits

    network = Network.read(os.environ)
    network.require()
    kept = None if fresh else kept_plan(run)
    say("looking up the release")
    chosen, manifest = _release(asked, kept, home, None if fresh else run, say)
    if kept is None:
        plan = _anew(asked, run, home, chosen, manifest, now_ns, say)
    else:
        plan = _again(asked, run, kept, chosen, manifest)
        say(f"going on where this run stood: {_what(plan)}")
    limits = account_limits(home, chosen.digest, plan.equity_atoms)
    return replace(plan, limits=limits, execution=manifest.execution, network=network)


def plan_to_join(asked: Asked, account: str, first: RunFolder, home: Path, *, say: Say) -> Plan:
    """What is started for another account beside a stack that runs: its market, and its own release, funds and limits.

    Parameters
    ----------
    account : its name.
    first : run folder of the stack that runs.
    home : the state folder.

    Raises
    ------
    Refused : nothing to trade, or another market than the stack has.
    DataError : the candles are not those of the release's symbols.
    ValueRefused : not the name of an account.
    """
    from sapphire.stack.account.limits import account_limits
    from sapphire.stack.joining import next_tag, require_same_market

    run, facts = first.of_account(account), first.read()
    running = Plan.from_dict(facts)
    kept = Plan.from_dict(run.read()) if run.facts.is_file() and run.exchange_account.exists() else None
    say("looking up the release")
    chosen, manifest = _release(asked, kept, home, None if kept is None else run, say)
    before = running.market if kept is None else kept.market
    candles = _exchange_candles(asked.candles, asked.rules, manifest) or before.candles
    seed = before.seed if asked.seed is None else asked.seed
    if kept is not None and asked.funds and _atoms(asked.funds) != _atoms(kept.funds):
        raise _other(f"began with {_amounts(kept.funds)}", f"--fund {_amounts(asked.funds)}", option="--fund")
    funds = dict(kept.funds) if kept else dict(asked.funds) or _funds(home, chosen.digest, manifest) or USUAL_FUNDS
    plan = Plan(
        run=run.path,
        home=home,
        release=chosen,
        symbols=manifest.universe,
        interval=manifest.interval,
        market=Market(seed, candles, asked.start or before.start),
        speed=running.speed if asked.speed is None else asked.speed,
        funds=dict(funds),
        account=account,
        joins=first.path,
        ports=asked.ports if kept is None else {**kept.ports, **asked.ports},
        network=running.network,
        execution=manifest.execution,
        spin=asked.spin is True or (asked.spin is None and kept is not None and kept.spin),
    )
    require_same_market(plan, facts)
    limits = account_limits(home, chosen.digest, plan.equity_atoms)
    return replace(plan, limits=limits, account_tag=next_tag(first, account))


def _release(
    asked: Asked, kept: Plan | None, home: Path, run: RunFolder | None, say: Say
) -> tuple[ChosenRelease, Manifest]:
    """The release that is named; else the one that the run traded, else the only champion."""
    from sapphire.stack.releases import champion_of, choose_release

    if asked.release is not None or kept is None:
        return choose_release(home, asked.release, run=run)
    before = kept.release
    try:
        chosen, manifest = choose_release(home, before.digest, run=run)
    except EvidenceRefused:
        raise
    except Refused as refusal:
        raise Refused(
            f"the release that this run traded, {before.label}, is not one to go on with",
            expected=refusal.expected,
            got=refusal.got or refusal.what,
            next=f"sapphire up {before.name} trades the champion of that name; {refusal.next}",
        ) from None
    champion = champion_of(home, chosen.name)
    if champion is not None and champion.digest != chosen.digest:
        say(f"{champion.label} is champion now, and this run trades {before.label}: sapphire up {chosen.name} changes")
    return replace(chosen, label=before.label), manifest


def _anew(
    asked: Asked, run: RunFolder, home: Path, chosen: ChosenRelease, manifest: Manifest, now_ns: int, say: Say
) -> Plan:
    candles = _exchange_candles(asked.candles, asked.rules, manifest)
    if candles is None:
        _require_listed(chosen, manifest)
    start = asked.start or _start(home, chosen.digest, manifest, candles, now_ns, say)
    funds = dict(asked.funds) or _funds(home, chosen.digest, manifest)
    more: dict[str, Any] = {"funds": funds} if funds else {}
    return Plan(
        run=run.path,
        home=home,
        release=chosen,
        symbols=manifest.universe,
        interval=manifest.interval,
        market=Market(SEED if asked.seed is None else asked.seed, candles, start),
        speed=SPEED if asked.speed is None else asked.speed,
        ports=asked.ports,
        mlflow=asked.mlflow is not False,
        spin=asked.spin is True,
        **more,
    )


def _again(asked: Asked, run: RunFolder, kept: Plan, chosen: ChosenRelease, manifest: Manifest) -> Plan:
    if kept.is_lockstep:
        raise _other("was driven bar by bar, by sapphire demo or a test", "a market that runs by itself", "lock-step")
    if manifest.universe != kept.symbols:
        names = ", ".join(manifest.universe)
        raise _other(f"trades {', '.join(kept.symbols)}", f"a release on these symbols, {chosen.label} is on {names}")
    candles = _same_candles(asked, kept, manifest)
    start_ns = int(run.read()["market"]["start_ns"])
    if asked.start is not None and to_ns(asked.start) != start_ns:
        raise _other(f"began at {from_ns(start_ns):%Y-%m-%dT%H:%M:%SZ}", f"--start {asked.start}", option="--start")
    if asked.seed is not None and asked.seed != kept.market.seed:
        raise _other(f"has seed {kept.market.seed}", f"--seed {asked.seed}", option="--seed")
    if asked.funds and _atoms(asked.funds) != _atoms(kept.funds):
        raise _other(f"began with {_amounts(kept.funds)}", f"--fund {_amounts(asked.funds)}", option="--fund")
    return replace(
        kept,
        run=run.path,
        release=chosen,
        interval=manifest.interval,
        market=replace(kept.market, candles=candles),
        speed=kept.speed if asked.speed is None else asked.speed,
        ports={**kept.ports, **asked.ports},
        mlflow=kept.mlflow if asked.mlflow is None else asked.mlflow,
        spin=kept.spin if asked.spin is None else asked.spin,
    )


def _same_candles(asked: Asked, kept: Plan, manifest: Manifest) -> Path | None:
    """The candles of the run; a folder that is named has to hold the same ones."""
    before = kept.market.candles
    if asked.candles is None:
        if asked.rules is not None and before is None:
            raise _other(f"is generated, of seed {kept.market.seed}", f"--rules {asked.rules}", option="--rules")
        if before is not None and not before.is_dir():
            raise Refused(
                "the candles that drive the market of this run are gone",
                expected=f"the folder {before}",
                got="none",
                next="name the folder that holds the same candles now: sapphire up --candles FOLDER",
            )
        if before is None or asked.rules is None:
            return before
    now = _exchange_candles(asked.candles or before, asked.rules, manifest)
    if before is None or now is None:
        raise _other(f"is generated, of seed {kept.market.seed}", f"--candles {asked.candles}", option="--candles")
    if not before.is_dir():
        return now
    from sapphire.execution.candle_folder import same_market

    if same_market(before, now, kept.symbols):
        return before
    option, got = (
        ("--candles", f"others, in {asked.candles}") if asked.candles else ("--rules", f"those in {asked.rules}")
    )
    raise _other(f"is made of the candles and rules in {before}", got, option=option)


def _exchange_candles(folder: Path | None, rules: Path | None, manifest: Manifest) -> Path | None:
    if folder is None:
        if rules is not None:
            raise Refused(
                "trading rules of a generated market",
                expected="--rules with --candles: the generated market has rules of its own",
                got=f"--rules {rules} alone",
                next="sapphire up --candles FOLDER --rules FILE",
            )
        return None
    from sapphire.execution.candle_folder import exchange_candles

    return exchange_candles(folder, manifest.universe, rules=rules)


def _require_listed(chosen: ChosenRelease, manifest: Manifest) -> None:
    """Refuse a generated market that does not have the release's symbols, before anything starts."""
    from sapphire.data.tradable import require_tradable

    next = f"trade it on its candles: sapphire up {chosen.name} --candles FOLDER"
    require_tradable(manifest.universe, generated=True, who=chosen.label, next=next)


def _funds(home: Path, digest: str, manifest: Manifest) -> dict[str, str]:
    """What the account begins with when nobody says: the usual dollars; in another asset, what the evidence had."""
    from sapphire.registry import EvidenceStore

    quote = manifest.universe[0].partition("/")[2]
    if quote in USUAL_FUNDS:
        return {}
    try:
        return {quote: EvidenceStore(home / "evidence").bundle(digest).protocol.starting_cash}
    except EvidenceRefused:  # whether it may trade without is for the door to say
        return {quote: next(iter(USUAL_FUNDS.values()))}


def _start(home: Path, digest: str, manifest: Manifest, candles: Path | None, now_ns: int, say: Say) -> str | None:
    """Where a generated market begins when nobody says: now, unless the release is too old for that."""
    from sapphire.stack.releases import trained_until_ns

    ended_ns, expires_ns = trained_until_ns(home, digest, manifest)
    if candles is not None or now_ns < expires_ns:
        return None
    say(f"the release may be used up to {from_ns(expires_ns):%Y-%m-%d}: the market begins where its training ended")
    return f"{from_ns(ended_ns):%Y-%m-%dT%H:%M:%S}Z"


def _other(has: str, got: str, option: str = "") -> Refused:
    leave = f"leave {option} out to go on; " if option else ""
    return Refused(
        f"the market of this run {has}: its account has traded there",
        expected="the same market, or a run that begins anew",
        got=got,
        next=f"{leave}--fresh forgets account and market and begins anew; --run FOLDER begins beside it",
    )


def _atoms(funds: Mapping[str, str]) -> dict[str, int]:
    return {asset: to_atoms(amount) for asset, amount in funds.items()}


def _amounts(funds: Mapping[str, str]) -> str:
    return ", ".join(f"{asset}={amount}" for asset, amount in funds.items())


def _what(plan: Plan) -> str:
    """A plan in one line."""
    of = f"generated market, seed {plan.market.seed}" if plan.market.candles is None else f"{plan.market.candles}"
    return f"{plan.release.label} on {', '.join(plan.symbols)}, {of}, {plan.speed:g} times as fast"
