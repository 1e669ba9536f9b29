"""The run folder: where each thing of a run lies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sapphire.domain.errors import ConfigError, Refused

__all__ = ["RunFolder"]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder with everything that a stack writes, but for what belongs to the state folder.

    Parameters
    ----------
    path : of the folder; absolute.
    """

    path: Path

    @property
    def facts(self) -> Path:
        """What runs, where, and how it does: rewritten whenever that changes."""
        return self.path / "stack.json"

    @property
    def credentials(self) -> Path:
        """Keys and tokens; only the owner can read it."""
        return self.path / "credentials.json"

    @property
    def signal_key(self) -> Path:
        """What signs the account's signals; only the owner can read it."""
        return self.path / "signal-key"

    @property
    def exchange_address(self) -> Path:
        """How the exchange is reached, for accounts that join; only the owner can read it."""
        return self.path / "exchange-address.json"

    @property
    def exchange_account(self) -> Path:
        """The keys of an account that joined; only the owner can read it."""
        return self.path / "exchange-account.json"

    @property
    def accounts(self) -> Path:
        """Where the run folders of the accounts are that joined."""
        return self.path / "accounts"

    def of_account(self, account: str) -> Self:
        """The run folder of an account that joined this stack, or is to.

        Raises
        ------
        ValueRefused : not the name of an account.
        """
        from sapphire.telemetry.streams import require_name

        return type(self)(self.accounts / require_name(account, "name of an account"))

    @property
    def joined(self) -> list[Self]:
        """The run folders of the accounts that joined, by name."""
        found = sorted(self.accounts.iterdir()) if self.accounts.is_dir() else []
        return [type(self)(path) for path in found if type(self)(path).facts.is_file()]

    @property
    def bus(self) -> Path:
        """The bus's append-only file."""
        return self.path / "bus"

    @property
    def exchange(self) -> Path:
        """The exchange's journal and keys."""
        return self.path / "exchange"

    @property
    def account(self) -> Path:
        """The service's own folder."""
        return self.path / "account"

    @property
    def journal(self) -> Path:
        """The service's journal."""
        return self.account / "journal"

    @property
    def decisions(self) -> Path:
        """One line per bar: what the coordinator decided on what."""
        return self.path / "decisions.jsonl"

    @property
    def exchange_state(self) -> Path:
        """The exchange's full state when the run ended."""
        return self.path / "exchange_state.json"

    @property
    def account_state(self) -> Path:
        """The account as the service told it before it was ended last."""
        return self.path / "account_state.json"

    @property
    def notices_state(self) -> Path:
        """Notices that wait for their receivers, and how far the run was read for them."""
        return self.path / "notices_state.json"

    @property
    def scrape_targets(self) -> Path:
        """What Prometheus scrapes, in the form of its `file_sd_configs`."""
        return self.path / "prometheus.json"

    @property
    def reports_state(self) -> Path:
        """Up to when each scheduled report is rendered, in market time."""
        return self.path / "reports_state.json"

    def settings(self, part: str) -> Path:
        """A part's settings file."""
        return self.path / f"{part}.json"

    def log(self, part: str) -> Path:
        """What a part says."""
        return self.path / "logs" / f"{part}.log"

    def read(self) -> dict[str, Any]:
        """The facts.

        Raises
        ------
        Refused : nothing ran here yet.
        ConfigError : the file is damaged.
        """
        try:
            found = json.loads(self.facts.read_bytes())
        except FileNotFoundError:
            raise Refused(
                f"no stack ran in {self.path}",
                expected=f"the file {self.facts}",
                got="none",
                next="sapphire up starts one",
            ) from None
        except ValueError as error:
            raise ConfigError(f"damaged facts in {self.facts}", expected="a JSON object", got=str(error)) from None
        if not isinstance(found, dict):
            raise ConfigError(f"damaged facts in {self.facts}", expected="a JSON object", got=type(found).__name__)
        return found

    def write(self, facts: Mapping[str, Any]) -> None:
        """Put the facts in place in one step."""
        from sapphire.data.durable import write_text

        write_text(self.facts, json.dumps(facts, indent=1, sort_keys=True) + "\n")
