"""Access: the credentials that an MLflow is asked with, and what it means when it does not take them or has no room.

MLflow's client takes `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD` from the environment. The password may
lie in a file that only its owner can read instead, which `MLFLOW_TRACKING_PASSWORD_FILE` names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sapphire.domain.errors import AccessDenied, ConfigError, PlaceFull, SapphireError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.entities import PagedList

__all__ = [
    "PASSWORD_FILE_VARIABLE",
    "PASSWORD_VARIABLE",
    "USER_VARIABLE",
    "AccessChecked",
    "access_checked",
    "every",
    "read_password",
    "shown_uri",
    "without_password",
]

USER_VARIABLE = "MLFLOW_TRACKING_USERNAME"
"""Environment variable of MLflow's own: who asks."""
PASSWORD_VARIABLE = "MLFLOW_TRACKING_PASSWORD"
"""Environment variable of MLflow's own: the user's password."""
PASSWORD_FILE_VARIABLE = "MLFLOW_TRACKING_PASSWORD_FILE"
"""Environment variable: a file that only its owner can read, with the password."""

_UNKNOWN = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")
_FORBIDDEN = "PERMISSION_DENIED"
_STATUSES = {401: _UNKNOWN[0], 403: _FORBIDDEN}
_OTHER_NAME = "Invalid Host"
_NO_ROOM = ("database or disk is full", "No space left on device", "Disk quota exceeded")
"""How SQLite and the system say so; MLflow passes it on in a text."""
_SHOWN = 200
_PAGE = 200


def shown_uri(uri: str) -> str:
    """An address as a message may show it: without user and password, and without what follows the path.

    Examples
    --------
    >>> shown_uri("https://anna:secret@mlflow.example.org/team?token=1")
    'https://mlflow.example.org/team'
    >>> shown_uri("sqlite:////desk/.sapphire/mlflow/mlflow.db")
    'sqlite:////desk/.sapphire/mlflow/mlflow.db'
    """
    parts = urlsplit(uri)
    if not parts.netloc:
        return uri
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_password(text: str, uri: str) -> str:
    """A text in which somebody else may have repeated an address, without the user and password that are in it.

    Examples
    --------
    >>> without_password("no answer from https://anna:secret@mlflow.lan/api", "https://anna:secret@mlflow.lan")
    'no answer from https://mlflow.lan/api'
    """
    user, found, _ = urlsplit(uri).netloc.rpartition("@")
    return text.replace(f"{user}@", "").replace(user, "***") if found else text


def read_password() -> None:
    """Let MLflow's client in this process find the password that a file holds; one in the environment comes first.

    Raises
    ------
    Refused : no such file, or others can read it.
    """
    from sapphire.telemetry.secret_files import read_secret

    named = os.environ.get(PASSWORD_FILE_VARIABLE, "")
    if named and not os.environ.get(PASSWORD_VARIABLE):
        path = Path(named).expanduser()
        absent = f"{PASSWORD_FILE_VARIABLE} names no file with a password"
        os.environ[PASSWORD_VARIABLE] = read_secret(
            path, absent=absent, next=f"write it, then chmod 600 {path}"
        ).strip()


@contextmanager
def access_checked(uri: str) -> Iterator[None]:
    """Say in our own words that a server does not take the credentials, does not permit what it was asked, or is full.

    Raises
    ------
    AccessDenied : it does not take or permit it.
    PlaceFull : it has no room.
    ConfigError : the server does not answer to the name that it was asked by.
    """
    from mlflow.exceptions import MlflowException
    from requests import HTTPError

    try:
        yield
    except MlflowException as error:
        refusal = _refusal(uri, str(error.error_code), str(error.message))
        if refusal is None:
            raise
        raise refusal from error
    except HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        refusal = _refusal(uri, _STATUSES.get(status, ""), str(error))
        if refusal is None:
            raise
        raise refusal from error
    except OSError as error:
        full = _full(uri, str(error))
        if full is None:
            raise
        raise full from error


class AccessChecked:
    """A client of MLflow whose every method says so in our own words where it is not permitted.

    Parameters
    ----------
    client : MLflow's own.
    uri : of the server.
    """

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self._client = client
        self._uri = uri

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return self._checked(found) if callable(found) else found

    def _checked(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def asked(*words: Any, **named: Any) -> Any:
            with access_checked(self._uri):
                return method(*words, **named)

        return asked


def every(search: Callable[..., PagedList[Any]]) -> list[Any]:
    """Every page of a search."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = search(max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _refusal(uri: str, code: str, message: str) -> SapphireError | None:
    """What a server's refusal comes to; None where it is none of access."""
    place, user = shown_uri(uri), os.environ.get(USER_VARIABLE, "")
    if code in _UNKNOWN:
        return AccessDenied(
            f"MLflow at {place} does not take these credentials",
            expected=f"a user of it in {USER_VARIABLE}, and the password in {PASSWORD_VARIABLE} or in the file that "
            f"{PASSWORD_FILE_VARIABLE} names",
            got=f"user {user}, whose password it does not take" if user else "no user",
            next="whoever administers it gives them: sapphire mlflow users",
        )
    if code != _FORBIDDEN:
        return _full(uri, message)
    if _OTHER_NAME in message:
        return ConfigError(
            "MLflow does not answer to this name",
            expected="a name of its own",
            got=place,
            next="at the server, name it in allowed_hosts of mlflow/server/server.toml",
        )
    reason = without_password(message, uri).splitlines()[0].removeprefix(f"{_FORBIDDEN}: ") if message else ""
    return AccessDenied(
        f"MLflow at {place} does not permit this{f' to {user}' if user else ''}",
        expected="a role that may: promoter for paper.* and live.*, quant for the others",
        got=reason[:_SHOWN],
        next="whoever administers it gives roles: sapphire mlflow users",
    )


def _full(uri: str, message: str) -> PlaceFull | None:
    """What a text comes to in which somebody says that a disk or a database is full; None where nobody does."""
    found = next((words for words in _NO_ROOM if words in message), None)
    if found is None:
        return None
    return PlaceFull(
        f"MLflow at {shown_uri(uri)} has no room",
        expected="room in its database and for its files",
        got=found,
        next="free some, then again: what was done goes on from there",
    )
