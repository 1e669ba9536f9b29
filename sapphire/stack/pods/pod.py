"""From a deployment's plan to what a part of it finds around it, and so to the settings that a keeper would give it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ConfigError, Refused
from sapphire.domain.evidence import Target
from sapphire.domain.intervals import Interval
from sapphire.domain.workspace import home as state_folder
from sapphire.domain.workspace_settings import NOTICE_SHAPES
from sapphire.execution.bus_users import AGENT, NOTICES, TRIMMER, user_of
from sapphire.serving.settings import BARS_PASSWORD_VARIABLE, Settings
from sapphire.stack import from_plan
from sapphire.stack.configs import CollectorConfig, CoordinatorConfig
from sapphire.stack.folders import RunFolder
from sapphire.stack.from_plan import BusAddress, Surroundings
from sapphire.stack.notices.notice import About
from sapphire.stack.notices.process import NoticesConfig
from sapphire.stack.notices.receivers import receiver_sources
from sapphire.stack.part import history_of
from sapphire.stack.plan import ChosenRelease, Market, Plan
from sapphire.stack.pods.pod_plan import CHECK, CHECK_FUNDS
from sapphire.stack.pods.trimmer import TrimmerConfig
from sapphire.telemetry.streams import COLLECTOR, COORDINATOR, VenueStreams

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest
    from sapphire.execution.service import ServiceSettings
    from sapphire.stack.pods.pod_plan import AccountPlan, PodPlan

__all__ = ["SECRETS_VARIABLE", "Pod", "exchange_words"]

SECRETS_VARIABLE: Final = "SAPPHIRE_SECRETS"
"""Environment variable: folder of a part's files with secrets."""
SECRETS_FOLDER: Final = Path("/var/run/secrets/sapphire")
STATE_FOLDER: Final = Path("/var/lib/sapphire")
"""Where secrets and state lie in a container."""
_STAGE: Final[Target] = "paper"


@dataclass(frozen=True, slots=True)
class Pod:
    """A container that runs a part.

    Parameters
    ----------
    plan : of the deployment.
    home : its state folder; its own volume, where it has one, is `run` in it.
    secrets : folder of its secrets.
    """

    plan: PodPlan
    home: Path = STATE_FOLDER
    secrets: Path = SECRETS_FOLDER

    @classmethod
    def of(cls, plan: PodPlan, environment: Mapping[str, str] | None = None) -> Self:
        """The one that this process is in, by its environment.

        Raises
        ------
        ConfigError : no state folder.
        """
        variables = os.environ if environment is None else environment
        return cls(plan, state_folder(), Path(variables.get(SECRETS_VARIABLE) or SECRETS_FOLDER))

    @property
    def run(self) -> RunFolder:
        """What the part itself writes."""
        return RunFolder(self.home / "run")

    @property
    def start_ns(self) -> int:
        """Where the market begins, UTC ns."""
        return to_ns(self.plan.market.start)

    def stack_plan(self, account: str) -> Plan:
        """The plan that a stack of this account alone would have.

        Raises
        ------
        ConfigError : no such account.
        """
        account_plan = self.plan.account(account)
        market, agent = self.plan.market, self.plan.agents[account_plan.agent]
        return Plan(
            run=self.run.path,
            home=self.home,
            release=ChosenRelease(
                agent.release, f"{account_plan.agent} {agent.release[:12]}", account_plan.agent, False, ()
            ),
            symbols=market.symbols,
            interval=market.interval,
            market=Market(market.seed, None, market.start),
            speed=market.speed,
            funds=dict(sorted(account_plan.funds.items())),
            account=account,
            account_tag=account_plan.tag,
            stage=_STAGE,
            bento_url=agent.url(),
            limits=account_plan.limits,
            execution=account_plan.execution,
            spin=account_plan.spin,
        )

    def bus(self, user: str) -> BusAddress:
        """The bus for a user: the password is a file of this container's."""
        return BusAddress(f"valkey://{quote(user, safe='')}@{self.plan.bus.authority}/0", self.secrets / "bus-password")

    def around(self, account: str) -> Surroundings:
        """What the parts of an account find around them."""
        account_plan = self.plan.account(account)
        exchange, run, agent = self.plan.exchange, self.run, self.plan.agents[account_plan.agent]
        members = self.plan.members(agent.release)
        return Surroundings(
            bus=self.bus,
            exchange_url=exchange.url(),
            exchange_ws_url=exchange.url("ws"),
            exchange_control_url=exchange.control_url,
            bento_url="" if members else agent.url(),
            member_urls={name: each.url() for name, each in members.items()},
            bind=self.plan.bind,
            ports={
                "exchange": exchange.port,
                "exchange_control": exchange.control_port,
                "service": account_plan.engine.port,
                COLLECTOR: self.plan.collector.port,
                COORDINATOR: account_plan.coordinator.port,
            },
            hosts={"exchange": exchange.host, "service": account_plan.engine.host},
            exchange_journal=run.exchange,
            account=run.account,
            decisions=run.decisions,
            credentials=self.secrets / "venue-keys.json",
            service_tokens=self.secrets / "service-tokens.json",
            signal_key=self.secrets / "signal-key",
        )

    def collector(self) -> CollectorConfig:
        """Settings of the collector, before those of the environment."""
        first, bars = self.plan.first, self.plan.market.kept_bars
        return from_plan.collector_config(self.stack_plan(first), self.around(first), history_bars=bars)

    def coordinator(self, account: str) -> CoordinatorConfig:
        """Settings of an account's coordinator, before those of the environment."""
        plan, around = self.stack_plan(account), self.around(account)
        return from_plan.coordinator_config(plan, around, start_ns=self.start_ns)

    def service(self, account: str, manifest: Manifest) -> ServiceSettings:
        """Settings of an account's service; `manifest` is of the release that it trades."""
        plan = from_plan.with_execution(self.stack_plan(account), manifest)
        return from_plan.service_settings(plan, self.around(account))

    def trimmer(self, account: str) -> TrimmerConfig:
        """Settings of who trims an account's streams, before those of the environment."""
        plan, account_plan, market = self.plan, self.plan.account(account), self.plan.market
        bus = self.bus(user_of(TRIMMER, account))
        return TrimmerConfig(
            bus_url=bus.url,
            bus_password=bus.password,
            venue=plan.venue,
            account=account,
            release=plan.agents[account_plan.agent].release,
            bars=VenueStreams(plan.venue).bars(market.interval, market.symbols),
            coordinator_url=account_plan.coordinator.url(),
            beside=tuple(each.coordinator.url() for name, each in plan.accounts.items() if name != account),
            service_url=account_plan.engine.url(),
            service_token=self.secrets / "service-read-token",
            notices_url=None if account_plan.notices is None else account_plan.notices.url(),
            host=plan.bind,
            port=account_plan.trimmer.port,
        )

    def notices(self, account: str) -> NoticesConfig:
        """Settings of who tells an account's notices, before those of the environment.

        Raises
        ------
        ConfigError : the plan has nobody who tells them, or `sapphire.toml` names nobody to tell.
        """
        address, plan = self.plan.account(account).notices, self.stack_plan(account)
        if address is None:
            raise ConfigError(
                f"nobody tells notices of account {account}", expected="notices of the account in the plan", got="none"
            )
        sources = receiver_sources()
        if not sources.keys() & set(NOTICE_SHAPES):
            raise ConfigError(
                "nobody is told notices",
                expected="a receiver: [notify.slack] or a sister in sapphire.toml, in the working directory",
                got="none",
            )
        bus = self.bus(user_of(NOTICES, account))
        return NoticesConfig(
            bus_url=bus.url,
            bus_password=bus.password,
            venue=self.plan.venue,
            account=account,
            run=str(plan.run),
            about=About.of(plan.as_dict()).line,
            quote=plan.quote,
            interval_ns=Interval(plan.interval).ns,
            anew=False,
            sources=sources,
            instruments=self.coordinator(account).instruments,
            host=self.plan.bind,
            port=address.port,
        )

    def serving(self, agent: str) -> Settings:
        """What the server of an agent's release is told, but for the password of the bus.

        As in a stack, one that is started again after its permit was closed stands up and refuses.
        """
        served = self.plan.agent(agent)
        bus_url, member = self.bus(user_of(AGENT, agent)).url, served.member or ""
        return Settings(self.home, served.release, _STAGE, bus_url, running=True, member=member)

    def serving_variables(self, agent: str) -> dict[str, str]:
        """The environment of the server of an agent's release; its password is in a file."""
        password = {BARS_PASSWORD_VARIABLE: str(self.secrets / "bus-password")}
        return self.serving(agent).variables | password

    def require_fits(self, account: str, manifest: Manifest) -> None:
        """Refuse a release that decides on other bars than the collector has.

        Raises
        ------
        Refused : other symbols, another interval, or more bars than are kept; says which.
        """
        market = self.plan.market
        what = f"release {self.stack_plan(account).release.label} of account {account} does not fit the plan's market"
        if manifest.universe != market.symbols or manifest.interval != market.interval:
            raise Refused(
                what,
                expected=f"{', '.join(market.symbols)} in this order, bars of {market.interval}",
                got=f"{', '.join(manifest.universe)}, bars of {manifest.interval}",
                next="another release, or symbols and interval of market in the plan",
            )
        needed = history_of(manifest)
        if needed > market.kept_bars:
            raise Refused(
                what,
                expected=f"at most {market.kept_bars:,} bars to look back on",
                got=f"{needed:,}",
                next=f"history_bars of market in the plan: {needed}",
            )


def exchange_words(plan: PodPlan, *, home: Path = STATE_FOLDER, secrets: Path = SECRETS_FOLDER) -> list[str]:
    """Words behind `exchange` on its command line. Its image has no Python, so a chart says them itself.

    Parameters
    ----------
    home, secrets : where state and secrets lie in its container.
    """
    pod = Pod(plan, home, secrets)
    later = {name: _sorted_funds(account) for name, account in plan.later.items()}
    return from_plan.exchange_words(
        pod.stack_plan(plan.first),
        pod.around(plan.first),
        keys=secrets / "exchange-keys.json",
        accounts=later | {CHECK: {plan.market.quote: CHECK_FUNDS}},
    )


def _sorted_funds(account: AccountPlan) -> dict[str, str]:
    return dict(sorted(account.funds.items()))
