"""What a team's MLflow server is told: `mlflow/server/server.toml`, the environment over it, and secrets apart."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sapphire.domain.errors import ConfigError
from sapphire.registry.mlflow_folder import mlflow_file
from sapphire.telemetry.secret_files import read_secret

__all__ = ["ADMIN_VARIABLE", "DATABASE_VARIABLE", "KEY_VARIABLE", "SHORTEST_PASSWORD", "TeamServer"]

DATABASE_VARIABLE: Final = "MLFLOW_BACKEND_STORE_URI"
"""Environment variable of MLflow's own: the database, "postgresql://user:password@host/database"."""
ADMIN_VARIABLE: Final = "MLFLOW_AUTH_ADMIN_PASSWORD"
"""Environment variable of MLflow's own: the password of the user admin, who is made at the first start."""
KEY_VARIABLE: Final = "MLFLOW_FLASK_SERVER_SECRET_KEY"
"""Environment variable of MLflow's own: signs the forms of its pages; the same at each start."""
_ARTIFACTS_VARIABLE: Final = "MLFLOW_ARTIFACTS_DESTINATION"
_HOSTS_VARIABLE: Final = "MLFLOW_SERVER_ALLOWED_HOSTS"
_FILE: Final = "_FILE"
_SCHEME: Final = "postgresql"
_WITHIN_S: Final = 10
SHORTEST_PASSWORD: Final = 12
"""What MLflow takes for a password has so many characters."""
_KEYS: Final[Mapping[str, type]] = {"artifacts": str, "allowed_hosts": list}


@dataclass(frozen=True, slots=True)
class TeamServer:
    """A team's server.

    Parameters
    ----------
    database : with its password.
    admin_password : of the user admin; matters at the first start alone.
    secret_key : signs forms.
    artifacts : where the bytes of models lie; a folder, or an address that MLflow knows.
    allowed_hosts : names that it answers to besides localhost and private addresses.
    """

    database: str = field(repr=False)
    admin_password: str = field(repr=False)
    secret_key: str = field(repr=False)
    artifacts: str
    allowed_hosts: tuple[str, ...] = ()

    @classmethod
    def read(cls, home: Path, environment: Mapping[str, str] | None = None) -> TeamServer | None:
        """The server that environment and file describe; None where no database is named.

        Parameters
        ----------
        home : the state folder, which keeps artifacts where nothing else is said.
        environment : the process's own unless given.

        Raises
        ------
        ConfigError : no PostgreSQL, no password or key, or a file that says what nobody reads. No secret is repeated.
        Refused : a file with a secret that is not there, or that others can read.
        """
        variables = os.environ if environment is None else environment
        database = _secret(variables, DATABASE_VARIABLE)
        if not database:
            return None
        scheme, found, rest = database.partition("://")
        if not found or scheme.partition("+")[0] not in (_SCHEME, "postgres"):
            raise ConfigError(
                f"{DATABASE_VARIABLE} names no PostgreSQL",
                expected=f"{_SCHEME}://USER:PASSWORD@HOST/DATABASE",
                got="another address, not shown",
                next="name the database of the team; at home none is named, and SQLite serves",
            )
        settings = _read(mlflow_file("server/server.toml"))
        named = [each.strip() for each in variables.get(_HOSTS_VARIABLE, "").split(",") if each.strip()]
        return cls(
            database=f"{_SCHEME}://{rest}",
            admin_password=_required(variables, ADMIN_VARIABLE, shortest=SHORTEST_PASSWORD),
            secret_key=_required(variables, KEY_VARIABLE, shortest=1),
            artifacts=variables.get(_ARTIFACTS_VARIABLE)
            or settings.get("artifacts")
            or str(home / "mlflow" / "artifacts"),
            allowed_hosts=tuple(named or settings.get("allowed_hosts", ())),
        )

    @property
    def place(self) -> str:
        """Where the database is, without user and password."""
        from sqlalchemy.engine import make_url

        url = make_url(self.database)
        return f"{url.host or 'this machine'}{f':{url.port}' if url.port else ''}, database {url.database}"

    def require_database(self) -> None:
        """Connect once, before anything is loaded that would ask again for minutes.

        Raises
        ------
        ConfigError : it does not answer, or does not take the password, which is not repeated.
        """
        from sqlalchemy import create_engine
        from sqlalchemy.exc import ArgumentError, SQLAlchemyError

        try:
            engine = create_engine(self.database, connect_args={"connect_timeout": _WITHIN_S})
            try:
                engine.connect().close()
            finally:
                engine.dispose()
        except (ArgumentError, ValueError):
            raise ConfigError(
                f"{DATABASE_VARIABLE} is no address",
                expected=f"{_SCHEME}://USER:PASSWORD@HOST/DATABASE",
                got="something else, not shown",
            ) from None
        except SQLAlchemyError as error:
            raise ConfigError(
                "the database of MLflow does not answer",
                expected=f"PostgreSQL at {self.place}",
                got=self._without_password(str(getattr(error, "orig", None) or error)).splitlines()[0],
                next=f"see whether it runs and what {DATABASE_VARIABLE} says",
            ) from None

    def _without_password(self, text: str) -> str:
        from sqlalchemy.engine import make_url

        password = make_url(self.database).password
        return text.replace(str(password), "***") if password else text


def _read(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML", expected="key = value", got=str(error)) from None
    for key, value in found.items():
        wanted = _KEYS.get(key)
        if wanted is None or not isinstance(value, wanted):
            raise ConfigError(
                f"{key} in {path}",
                expected="artifacts, a text, or allowed_hosts, a list of texts",
                got=f"{type(value).__name__}, not shown",
                next=f"take it out; passwords and addresses with one belong into {DATABASE_VARIABLE} and its sisters",
            )
    return found


def _secret(variables: Mapping[str, str], variable: str) -> str:
    """What a variable holds, or the file that its sister names; empty where neither is set."""
    if variables.get(variable):
        return variables[variable]
    named = variables.get(f"{variable}{_FILE}", "")
    if not named:
        return ""
    path = Path(named).expanduser()
    absent = f"{variable}{_FILE} names no file"
    return read_secret(path, absent=absent, next=f"write it, then chmod 600 {path}").strip()


def _required(variables: Mapping[str, str], variable: str, *, shortest: int) -> str:
    value = _secret(variables, variable)
    if len(value) < shortest:
        raise ConfigError(
            f"a team's MLflow needs {variable}",
            expected=f"{shortest} characters or more, in {variable} or in the file that {variable}{_FILE} names",
            got=f"{len(value)} characters" if value else "nothing",
            next="python -c 'import secrets; print(secrets.token_urlsafe(24))' makes one",
        )
    return value
