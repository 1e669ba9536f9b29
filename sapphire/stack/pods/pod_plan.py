"""The plan file of a deployment: what runs where, the same file for every part. No secret stands in it.

::

    {
      "format": "POD_PLAN@1",
      "venue": "embedded",
      "bind": "0.0.0.0",
      "market": {"source": "generated", "seed": 7, "start": "2025-03-07T00:00:00Z", "speed": 60,
                 "symbols": ["BTC/USDT", "ETH/USDT"], "interval": "5m"},
      "bus": {"host": "valkey", "port": 6379},
      "exchange": {"host": "exchange", "port": 8080, "control_port": 8081},
      "collector": {"host": "collector", "port": 9101},
      "postgresql": {"host": "postgresql", "port": 5432},
      "agents": {"trend": {"release": "9f86...", "host": "agent-trend", "port": 3000}},
      "accounts": {
        "paper": {"tag": 1, "agent": "trend", "stage": "paper", "funds": {"USDT": "100000"},
                  "coordinator": {"host": "coordinator-paper", "port": 9102},
                  "engine": {"host": "engine-paper", "port": 8090},
                  "trimmer": {"host": "trimmer-paper", "port": 9103}}
      }
    }
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sapphire.domain.canonical import is_sha256
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ConfigError, SapphireError
from sapphire.domain.intervals import Interval
from sapphire.domain.money import to_atoms
from sapphire.telemetry.streams import require_name

__all__ = [
    "CHECK",
    "CHECK_FUNDS",
    "FORMAT",
    "AccountPlan",
    "Address",
    "AgentPlan",
    "ExchangePlan",
    "MarketPlan",
    "PodPlan",
]

FORMAT = "POD_PLAN@1"

CHECK, CHECK_FUNDS = "check", "10000"
"""An account at the exchange besides those that trade, and what it begins with of the quote asset: on it `helm test`
sends an order there and back."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_WARM_UP = 2_048
"""Bars that are kept besides those that sizing looks back on: more than an agent needs before it speaks."""
_LAST_PORT, _LAST_TAG, _LAST_SEED, _FASTEST = 65_535, 65_535, 2**64 - 1, 1e6


def _paper_alone(stage: str) -> str:
    if stage == "live":
        raise ValueError('"paper": no venue with real money is built yet, so every environment trades on paper')
    if stage != "paper":
        raise ValueError('"paper"')
    return stage


def _generated_alone(source: str) -> str:
    if source == "live":
        raise ValueError('"generated": no venue with real money is built yet, so every environment trades on paper')
    if source != "generated":
        raise ValueError('"generated"')
    return source


def _label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ValueError("a label of small letters, digits and - inside, of at most 20 characters")
    return require_name(name, "name")


def _host(host: str) -> str:
    if not host or any(letter in host for letter in "/@ ?#") or host in ("0.0.0.0", "::"):
        raise ValueError("a name or an address by which others reach it, without a port")
    return host


def _digest(text: str) -> str:
    if not is_sha256(text):
        raise ValueError("a release's digest, 64 hexadecimal digits")
    return text


def _moment(text: str) -> str:
    to_ns(text)
    return text


def _interval(text: str) -> str:
    return Interval(text).text


def _amount(text: str) -> str:
    if to_atoms(text) < 0:
        raise ValueError("an amount in plain digits, zero or more")
    return text


_Port = Annotated[int, Field(ge=1, le=_LAST_PORT)]
_Name = Annotated[str, AfterValidator(_label)]
_Host = Annotated[str, AfterValidator(_host)]
_Amount = Annotated[str, AfterValidator(_amount)]


class _Table(BaseModel):
    """A table of the plan: nothing is converted, and nothing is left aside."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Address(_Table):
    """By what name a part is reached, and on which port it listens."""

    host: _Host
    port: _Port

    def url(self, scheme: str = "http") -> str:
        """The address under a scheme."""
        return f"{scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """HOST:PORT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ExchangePlan(Address):
    """The exchange: the venue's API, and the control plane on a port of its own."""

    control_port: _Port

    @property
    def control_url(self) -> str:
        """Of the control plane."""
        return Address(host=self.host, port=self.control_port).url()


class MarketPlan(_Table):
    """The market of the exchange.

    Parameters
    ----------
    seed, start, speed : of the generated market; market seconds per second of wall time.
    symbols, interval : what all releases here decide on, in the order of their universe.
    history_bars : how many bars the collector keeps at least; what sizing looks back on and some thousand unless given.
    """

    source: Annotated[str, AfterValidator(_generated_alone)]
    seed: Annotated[int, Field(ge=0, le=_LAST_SEED)]
    start: Annotated[str, AfterValidator(_moment)]
    speed: Annotated[float, Field(gt=0, le=_FASTEST)]
    symbols: Annotated[tuple[str, ...], Field(min_length=1)]
    interval: Annotated[str, AfterValidator(_interval)]
    history_bars: Annotated[int, Field(gt=0)] | None = None

    @property
    def quote(self) -> str:
        """The asset that all symbols are priced in."""
        return self.symbols[0].split("/")[-1]

    @property
    def kept_bars(self) -> int:
        """How many bars the collector keeps at least."""
        if self.history_bars is not None:
            return self.history_bars
        from sapphire.portfolio import volatility_window

        return volatility_window(Interval(self.interval)) + _WARM_UP

    @model_validator(mode="after")
    def _one_quote(self) -> Self:
        halves = [symbol.split("/") for symbol in self.symbols]
        if any(len(each) != 2 or not all(each) for each in halves) or len({quote for _, quote in halves}) != 1:
            raise ValueError("symbols BASE/QUOTE with one quote asset for all")
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("symbols that stand there once each")
        return self


class AgentPlan(Address):
    """A release behind HTTP.

    Parameters
    ----------
    member : the agent of a pool that is served there by itself; the pool's release is asked for through all of them.
    """

    release: Annotated[str, AfterValidator(_digest)]
    member: Annotated[str, Field(min_length=1)] | None = None


class AccountPlan(_Table):
    """An account and its parts.

    Parameters
    ----------
    tag : its number in its order ids, for ever; the one with tag 1 is the exchange's development account.
    agent : whose release it trades.
    funds : what it begins with, by asset.
    notices : where they are told; nobody tells them unless given.
    limits, execution, spin : of the service, as a stack's plan has them.
    """

    tag: Annotated[int, Field(ge=1, le=_LAST_TAG)]
    agent: str
    stage: Annotated[str, AfterValidator(_paper_alone)]
    funds: Annotated[dict[str, _Amount], Field(min_length=1)]
    coordinator: Address
    engine: Address
    trimmer: Address
    notices: Address | None = None
    limits: dict[str, Any] = Field(default_factory=dict)
    execution: dict[str, Any] = Field(default_factory=dict)
    spin: bool = False


class PodPlan(_Table):
    """A deployment. `read` refuses what cannot be meant.

    Parameters
    ----------
    bind : where servers listen in their containers.
    postgresql : database of MLflow and of places, where it is one of the pods.
    agents, accounts : by name.
    """

    format: Literal["POD_PLAN@1"]
    venue: Literal["embedded"]
    bind: Annotated[str, Field(min_length=1)] = "0.0.0.0"
    market: MarketPlan
    bus: Address
    exchange: ExchangePlan
    collector: Address
    postgresql: Address | None = None
    agents: Annotated[dict[_Name, AgentPlan], Field(min_length=1)]
    accounts: Annotated[dict[_Name, AccountPlan], Field(min_length=1)]

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        for name, account in self.accounts.items():
            if account.agent not in self.agents:
                known = ", ".join(sorted(self.agents))
                raise ValueError(f"an agent for account {name} that there is: {known}; got {account.agent}")
        named = [(each.release, each.member) for each in self.agents.values() if each.member is not None]
        twice = sorted({member for release, member in named if named.count((release, member)) > 1})
        if twice:
            raise ValueError(f"members of a release that stand there once each; got {', '.join(twice)} again")
        if CHECK in self.accounts:
            raise ValueError(f"names of accounts but {CHECK}, on which a deployment is tried out")
        tags = sorted(account.tag for account in self.accounts.values())
        if tags[0] != 1 or len(set(tags)) != len(tags):
            raise ValueError(f"tags of accounts that differ, one of them 1; got {', '.join(map(str, tags))}")
        return self

    @classmethod
    def read(cls, path: Path) -> PodPlan:
        """The plan in a file.

        Raises
        ------
        ConfigError : no such file, or one that cannot be meant: says where, what was expected, and what stands there.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError("no plan of the pods", expected=f"the file {path}", got=str(error.strerror)) from None
        except ValidationError as error:
            raise _refusal(path, error) from None
        except SapphireError as error:
            what = f"the plan {path} cannot be meant: {error.what}"
            raise ConfigError(what, expected=error.expected, got=error.got, next=error.next) from None

    def account(self, name: str) -> AccountPlan:
        """An account.

        Raises
        ------
        ConfigError : no such account.
        """
        if name not in self.accounts:
            known = ", ".join(sorted(self.accounts))
            raise ConfigError("no such account in the plan", expected=f"one of {known}", got=name)
        return self.accounts[name]

    def agent(self, name: str) -> AgentPlan:
        """An agent.

        Raises
        ------
        ConfigError : no such agent.
        """
        if name not in self.agents:
            known = ", ".join(sorted(self.agents))
            raise ConfigError("no such agent in the plan", expected=f"one of {known}", got=name)
        return self.agents[name]

    def members(self, release: str) -> dict[str, AgentPlan]:
        """Of a pool, where each member is served by itself; empty where one server has the whole release."""
        return {each.member: each for each in self.agents.values() if each.release == release and each.member}

    @property
    def first(self) -> str:
        """The account that is the exchange's development account."""
        return next(name for name, account in self.accounts.items() if account.tag == 1)

    @property
    def later(self) -> dict[str, AccountPlan]:
        """The other accounts, by their tags."""
        rest = [(name, account) for name, account in self.accounts.items() if account.tag != 1]
        return dict(sorted(rest, key=lambda row: row[1].tag))


def _refusal(path: Path, error: ValidationError) -> ConfigError:
    """The first thing that is wrong, in a sentence."""
    first = error.errors(include_url=False)[0]
    place = [str(each) for each in first["loc"] if each != "[key]"]
    where, kind, given = ".".join(place) or "the plan", first["type"], first["input"]
    if kind == "extra_forbidden":
        return ConfigError(
            f"{where} of the plan {path} is read by nobody",
            expected="the keys that POD_PLAN@1 has",
            got=place[-1],
            next="take it out, or correct its name",
        )
    if kind == "missing":
        return ConfigError(f"{where} is missing in the plan {path}", expected="a value", got="none")
    if kind == "json_invalid":
        return ConfigError(f"{path} is no plan", expected="a JSON object of POD_PLAN@1", got=first["msg"])
    expected = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    expected, _, got = expected.partition("; got ")
    shown = got or (json.dumps(given) if isinstance(given, str | int | float | bool | None) else type(given).__name__)
    return ConfigError(f"{where} of the plan {path} cannot be meant", expected=expected, got=shown)
