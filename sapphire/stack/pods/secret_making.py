"""The secrets of a deployment: every file that its containers read, drawn into a folder for each workload.

What is drawn is drawn once: asked again, everything that is there stays, and what an account or an agent that came
later needs is added. Files that follow from others (the users of the bus, the keys of the exchange) are written anew
where they say less than they have to.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sapphire.domain.errors import Refused
from sapphire.execution.bus_users import AGENT, NOTICES, PROBE, SERVICE, TRIMMER, BusUsers, user_of
from sapphire.execution.service import draw_token
from sapphire.stack.pods.pod_plan import CHECK
from sapphire.telemetry.secret_files import read_secret, write_secret
from sapphire.telemetry.streams import COLLECTOR, COORDINATOR

if TYPE_CHECKING:
    from sapphire.stack.pods.pod_plan import PodPlan

__all__ = ["Made", "make_secrets"]

_KEY_BYTES: Final = 32
_AGAIN = "restore it, or remove it and make it anew with everything that follows from it"


@dataclass(slots=True)
class Made:
    """What came of making the secrets of a deployment.

    Parameters
    ----------
    drawn : files that were not there.
    rewritten : files that follow from others, and say more now.
    kept : files that stay as they were.
    """

    drawn: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def make_secrets(folder: Path, plan: PodPlan, *, bucket: bool = False) -> Made:
    """Draw the secrets of a deployment into a folder: `FOLDER/WORKLOAD/NAME`, for their owner alone.

    Parameters
    ----------
    bucket : whether the bucket of places wants keys; else it is reached by the machine's identity.

    Raises
    ------
    Refused : a file that is there holds something else than it must, or others can read it. Nothing was written then.
    """
    making = _Making(folder)
    _bus(making, plan)
    _exchange(making, plan)
    for account in plan.accounts:
        making.text(f"coordinator-{account}", "signal-key", _drawn)
        making.copy(f"engine-{account}", "signal-key", of=f"coordinator-{account}/signal-key")
        tokens = making.table(f"engine-{account}", "service-tokens.json", ("service_token", "service_read_token"))
        making.derived(f"trimmer-{account}", "service-read-token", tokens["service_read_token"] + "\n")
    _databases(making, plan)
    _places(making, plan, bucket=bucket)
    return making.write()


def _bus(making: _Making, plan: PodPlan) -> None:
    """A password for each user of the bus, and the users as its server reads them."""
    users = {COLLECTOR: ("collector", "bus-password"), PROBE: ("valkey", "probe-password")}
    for account, account_plan in plan.accounts.items():
        users[user_of(COORDINATOR, account)] = (f"coordinator-{account}", "bus-password")
        users[user_of(SERVICE, account)] = (f"engine-{account}", "bus-password")
        users[user_of(TRIMMER, account)] = (f"trimmer-{account}", "bus-password")
        if account_plan.notices is not None:
            users[user_of(NOTICES, account)] = (f"notices-{account}", "bus-password")
    for agent in plan.agents:
        users[user_of(AGENT, agent)] = (f"agent-{agent}", "bus-password")
    passwords = {user: making.text(*workload_and_name, _drawn) for user, workload_and_name in users.items()}
    making.derived("valkey", "bus-users.acl", BusUsers(plan.venue, passwords).acl())


def _exchange(making: _Making, plan: PodPlan) -> None:
    """Keys at the exchange, for each account's engine and for the exchange itself."""
    pairs = {
        account: making.table(f"engine-{account}", "venue-keys.json", ("api_key", "api_secret"))
        for account in plan.accounts
    }
    tokens = making.part_of("exchange", "exchange-keys.json", ("control_token", "control_read_token"))
    later = {account: pairs[account] for account in sorted(plan.later)}
    later[CHECK] = making.table(CHECK, "venue-keys.json", ("api_key", "api_secret"))
    keys = {**tokens, "development": pairs[plan.first], "accounts": later}
    making.derived("exchange", "exchange-keys.json", _json(keys))


def _databases(making: _Making, plan: PodPlan) -> None:
    """Users of PostgreSQL, and of MLflow."""
    making.text("mlflow", "mlflow-admin-password", _drawn)
    making.text("mlflow", "mlflow-secret-key", _drawn)
    for user in ("prometheus", "retrain"):
        making.text(user, "mlflow-password", _drawn)
    if plan.postgresql is not None:
        passwords = making.table("postgresql", "postgres-passwords.json", ("postgres", "mlflow", "sapphire"))
        dsn = f"postgresql://mlflow:{quote(passwords['mlflow'], safe='')}@{plan.postgresql.authority}/mlflow"
        making.derived("mlflow", "mlflow-database.dsn", dsn + "\n")


def _places(making: _Making, plan: PodPlan, *, bucket: bool) -> None:
    """What those who bring releases reach the places with."""
    credentials: dict[str, str] = {}
    if plan.postgresql is not None:
        passwords = making.table("postgresql", "postgres-passwords.json", ("postgres", "mlflow", "sapphire"))
        credentials["database_password"] = passwords["sapphire"]
    if bucket or making.has("bucket", "bucket-keys.json"):
        credentials |= making.table("bucket", "bucket-keys.json", ("bucket_key", "bucket_secret"))
    if not credentials:
        return
    workloads = [f"{part}-{account}" for account in plan.accounts for part in ("coordinator", "engine")]
    for workload in (*workloads, *(f"agent-{agent}" for agent in plan.agents), "jobs", "retrain"):
        making.derived(workload, "places.json", _json(credentials))


class _Making:
    """Files to be: what is there is read, what is missing is drawn, and all are written at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts: dict[str, str] = {}
        self._before: dict[str, str] = {}

    def text(self, workload: str, name: str, draw: Any) -> str:
        """A drawn text, without white space around it."""
        found = self._read(workload, name)
        if found is not None and not found.strip():
            raise self._no(workload, name, "one drawn text", "nothing")
        text = found if found is not None else f"{draw()}\n"
        self._texts[f"{workload}/{name}"] = text
        return text.strip()

    def table(self, workload: str, name: str, keys: tuple[str, ...]) -> dict[str, str]:
        """A JSON object of drawn texts."""
        made = self.part_of(workload, name, keys)
        found = self._read(workload, name)
        if found is not None and set(json.loads(found)) != set(keys):
            raise self._no(workload, name, "exactly " + ", ".join(keys), ", ".join(sorted(json.loads(found))))
        self._texts[f"{workload}/{name}"] = found if found is not None else _json(made)
        return made

    def part_of(self, workload: str, name: str, keys: tuple[str, ...]) -> dict[str, str]:
        """Drawn texts of a JSON object that holds more."""
        found = self._read(workload, name)
        try:
            values: Mapping[str, Any] = {key: draw_token() for key in keys} if found is None else json.loads(found)
            made = {key: values[key] for key in keys}
        except (ValueError, TypeError, KeyError):
            raise self._no(
                workload, name, "a JSON object with " + ", ".join(keys), "something else, not shown"
            ) from None
        if not all(isinstance(text, str) and text for text in made.values()):
            raise self._no(workload, name, "texts", "something else, not shown")
        return made

    def copy(self, workload: str, name: str, *, of: str) -> None:
        """The same text for another workload."""
        self.derived(workload, name, self._texts[of])

    def derived(self, workload: str, name: str, text: str) -> None:
        """A text that follows from others."""
        self._read(workload, name)
        self._texts[f"{workload}/{name}"] = text

    def has(self, workload: str, name: str) -> bool:
        """Whether the file is there by now."""
        return self._read(workload, name) is not None

    def write(self) -> Made:
        """Put everything in place that differs from what is there."""
        made = Made()
        for name, text in sorted(self._texts.items()):
            before = self._before.get(name)
            if before == text:
                made.kept.append(name)
                continue
            (made.drawn if before is None else made.rewritten).append(name)
            write_secret(self._folder / name, text)
        return made

    def _read(self, workload: str, name: str) -> str | None:
        key, path = f"{workload}/{name}", self._folder / workload / name
        if key not in self._before and path.exists():
            self._before[key] = read_secret(path, absent=f"no {name} of {workload}", next=_AGAIN)
        return self._before.get(key, self._texts.get(key))

    def _no(self, workload: str, name: str, expected: str, got: str) -> Refused:
        path = self._folder / workload / name
        return Refused(f"{path} is not what was drawn", expected=expected, got=got, next=_AGAIN)


def _drawn() -> str:
    return secrets.token_hex(_KEY_BYTES)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1) + "\n"
