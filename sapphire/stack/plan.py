"""What a stack is made of, before anything runs: the release, the market, the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sapphire.domain.errors import ConfigError
from sapphire.domain.evidence import Target
from sapphire.domain.limits import STANDARD
from sapphire.domain.money import to_atoms
from sapphire.stack.network import Network
from sapphire.telemetry.streams import require_name

__all__ = ["FIRST_ACCOUNT", "USUAL_FUNDS", "ChosenRelease", "Market", "Plan"]

FIRST_ACCOUNT = "paper"
"""What the account is called that a stack begins with."""

USUAL_FUNDS = MappingProxyType({"USDT": "100000"})
"""What the account begins with when nobody says: what the embedded exchange gives a development account."""

_LATENCY_MS = (5, 25)
"""Travel time of a request in lock-step when nobody says, as the embedded exchange has it: machines of one region."""


@dataclass(frozen=True, slots=True)
class ChosenRelease:
    """The release that a stack trades.

    Parameters
    ----------
    digest : of its manifest.
    label : what it is called, "paper.trend@1".
    name : "trend".
    skill_failed : whether it did not show an edge.
    marks : what has to be said of it wherever it is shown.
    """

    digest: str
    label: str
    name: str
    skill_failed: bool
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Market:
    """The market of the embedded exchange.

    Parameters
    ----------
    seed : of the generated market, of the synthetic liquidity's orders and of delays.
    candles : folder of recorded candles in the exchange's form (`BTCUSDT-5m.csv`, `rules.json`); None for the generated
        market.
    start : where market time begins, ISO 8601; None leaves it to the exchange.
    """

    seed: int = 7
    candles: Path | None = None
    start: str | None = None

    @property
    def source(self) -> str:
        """What its bars are: "generated" or "recorded"."""
        return "recorded" if self.candles is not None else "generated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A stack.

    Parameters
    ----------
    run : its run folder; absolute.
    home : the state folder with releases, evidence and keys; absolute.
    release : what it trades.
    symbols, interval : as the release's manifest says.
    market : what it trades on.
    speed : market seconds per second of wall time; None for lock-step.
    latency_ms : shortest and longest travel time of a request, in lock-step.
    funds : what the account begins with, by asset; decimal text.
    account, account_tag : name of the account, and its number in each of its order ids.
    joins : run folder of the stack whose bus and exchange it trades on; None has its own.
    stage : what the release's evidence has to permit.
    mlflow : whether MLflow's pages are served beside it.
    bento_url : a server of the release that runs already; None starts one.
    ports : those that are given, by the names of `Ports`.
    network : where its servers listen, and by what names they are reached.
    limits, execution : of the service, by the engine's names; the standard limits unless given.
    spin : whether the thread that trades never sleeps; for machines with a processor to spare.

    Raises
    ------
    ConfigError : settings that do not go together.
    """

    run: Path
    home: Path
    release: ChosenRelease
    symbols: tuple[str, ...]
    interval: str
    market: Market = field(default_factory=Market)
    speed: float | None = None
    latency_ms: tuple[int, int] | None = None
    funds: Mapping[str, str] = field(default_factory=lambda: dict(USUAL_FUNDS))
    account: str = FIRST_ACCOUNT
    account_tag: int = 1
    joins: Path | None = None
    stage: Target = "paper"
    mlflow: bool = False
    bento_url: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    network: Network = field(default_factory=Network)
    limits: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=dict)
    spin: bool = False

    def __post_init__(self) -> None:
        require_name(self.account, "name of an account")
        if self.latency_ms is not None and self.speed is not None:
            raise ConfigError("latency of a paced market", expected="none: it is real there", got=str(self.latency_ms))
        if self.latency_ms is None and self.speed is None:
            object.__setattr__(self, "latency_ms", _LATENCY_MS)
        for asset, amount in self.funds.items():
            to_atoms(amount)
            if not asset:
                raise ConfigError("funds of a stack", expected="amounts by asset", got=repr(dict(self.funds)))
        if len({symbol.split("/")[-1] for symbol in self.symbols}) != 1:
            raise ConfigError(
                "symbols of a stack", expected="one quote asset for all", got=", ".join(self.symbols) or "no symbol"
            )
        if not self.limits:
            object.__setattr__(self, "limits", STANDARD.settings(self.equity_atoms))

    @property
    def is_lockstep(self) -> bool:
        """Whether a conductor moves market time."""
        return self.speed is None

    @property
    def quote(self) -> str:
        """The asset that all symbols are priced in."""
        return self.symbols[0].split("/")[-1]

    @property
    def equity_atoms(self) -> int:
        """What the account begins with, atoms of the quote asset; the usual where it is funded in others alone."""
        return to_atoms(self.funds.get(self.quote, USUAL_FUNDS["USDT"]))

    @property
    def clock(self) -> dict[str, Any]:
        """The clock, as settings files name it."""
        return {"lockstep": True} if self.speed is None else {"speed": self.speed}

    def as_dict(self) -> dict[str, Any]:
        """Stable keys; what `stack.json` says beside its parts."""
        return {
            "run": str(self.run),
            "home": str(self.home),
            "release": {
                "digest": self.release.digest,
                "label": self.release.label,
                "name": self.release.name,
                "skill_failed": self.release.skill_failed,
                "marks": list(self.release.marks),
                "stage": self.stage,
            },
            "symbols": list(self.symbols),
            "quote": self.quote,
            "interval": self.interval,
            "market": {
                "source": self.market.source,
                "seed": self.market.seed,
                "candles": str(self.market.candles) if self.market.candles else None,
                "start": self.market.start,
            },
            "clock": self.clock,
            "latency_ms": list(self.latency_ms) if self.latency_ms else None,
            "funds": dict(self.funds),
            "account": self.account,
            "account_tag": self.account_tag,
            "joins": None if self.joins is None else str(self.joins),
            "mlflow": self.mlflow,
            "bento_url": self.bento_url,
            "ports": dict(self.ports),
            "network": self.network.as_dict(),
            "limits": dict(self.limits),
            "execution": dict(self.execution),
            "spin": self.spin,
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Plan:
        """The plan that `as_dict` was made of; other keys are left aside.

        Raises
        ------
        ConfigError : a key that is missing or bad.
        """
        try:
            release, market, clock = facts["release"], facts["market"], facts["clock"]
            candles, latency = market["candles"], facts["latency_ms"]
            return cls(
                run=Path(facts["run"]),
                home=Path(facts["home"]),
                release=ChosenRelease(
                    release["digest"],
                    release["label"],
                    release["name"],
                    release["skill_failed"],
                    tuple(release["marks"]),
                ),
                symbols=tuple(facts["symbols"]),
                interval=facts["interval"],
                market=Market(market["seed"], Path(candles) if candles else None, market["start"]),
                speed=None if clock.get("lockstep") else float(clock["speed"]),
                latency_ms=_pair(latency) if latency else None,
                funds=facts["funds"],
                account=facts["account"],
                account_tag=facts["account_tag"],
                joins=Path(facts["joins"]) if facts.get("joins") else None,
                stage=release["stage"],
                mlflow=facts["mlflow"],
                bento_url=facts["bento_url"],
                ports=facts["ports"],
                # Runs of before it was written were on this machine alone.
                network=Network.from_dict(facts["network"]) if "network" in facts else Network(),
                limits=facts["limits"],
                execution=facts["execution"],
                spin=bool(facts["spin"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(
                "the plan of a stack", expected="what sapphire up writes", got=f"{type(error).__name__}: {error}"
            ) from None


def _pair(numbers: Sequence[int]) -> tuple[int, int]:
    shortest, longest = numbers
    return int(shortest), int(longest)
