"""Receivers: who is told, of what, and where the address is kept.

::

    [notify.slack]
    address_env = "SLACK_WEBHOOK"        # or address_file = "slack.address", which only you can read
    kinds = ["halt", "restarts"]         # all of them unless it is said

An address is a secret: whoever has it writes into somebody's channel. It stands in an environment variable or in a
file, never in `sapphire.toml`, and no log, error or file of a run repeats it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace import settings
from sapphire.domain.workspace_settings import NOTICE_KINDS, NOTICE_SHAPES
from sapphire.telemetry.secret_files import PRIVATE, what_is_open

__all__ = ["DENIALS_IN_A_BAR", "SECTION", "Receiver", "read_receivers", "receiver_sources"]

SECTION: Final = "notify"
"""Section of `sapphire.toml`."""
DENIALS_IN_A_BAR: Final = 10
"""So many orders refused within a bar are a storm, unless `notify.denials_in_a_bar` says another number."""

_TOKEN = re.compile(r"[0-9]{6,}:[A-Za-z0-9_-]{20,}")
"""A bot's token as Telegram gives it."""
_TELEGRAM = "https://api.telegram.org"
_LONGEST = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who is told.

    Parameters
    ----------
    shape : whose messages it takes: "json", "slack", "discord", "telegram".
    kinds : what it is told of.
    kept_in : where its address is kept, for people.
    address : the secret.
    chat : of Telegram.
    """

    shape: str
    kinds: frozenset[str]
    kept_in: str
    address: str = field(repr=False)
    chat: str = ""


def receiver_sources() -> dict[str, Any]:
    """The section of the workspace's `sapphire.toml`, with files by their whole paths; it holds no secret.

    Raises
    ------
    ConfigError : a setting that cannot be meant, or a receiver that does not say where its address is.
    """
    section, folder = settings(SECTION)
    found: dict[str, Any] = {"denials_in_a_bar": section.get("denials_in_a_bar", DENIALS_IN_A_BAR)}
    for shape in NOTICE_SHAPES:
        if shape not in section:
            continue
        entry = dict(section[shape])
        if ("address_env" in entry) == ("address_file" in entry):
            raise ConfigError(
                f"where the address of notify.{shape} is",
                expected="address_env or address_file, one of them",
                got="both" if "address_env" in entry else "neither",
                next=f"name the variable or the file in [notify.{shape}] of sapphire.toml",
            )
        if shape == "telegram" and not str(entry.get("chat", "")):
            raise ConfigError(
                "which chat notify.telegram writes to",
                expected="the chat's number, or @name of a channel",
                got="none",
                next="write to the bot, and look up the chat's number by its getUpdates",
            )
        if "address_file" in entry:
            entry["address_file"] = str((folder / Path(entry["address_file"]).expanduser()).absolute())
        found[shape] = entry
    return found


def read_receivers(sources: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> tuple[Receiver, ...]:
    """The receivers with their addresses.

    Parameters
    ----------
    sources : `receiver_sources`.
    environment : the process's own unless given.

    Raises
    ------
    ConfigError : an address that is not there, that others can read, or that is none. It is not repeated.
    """
    variables = os.environ if environment is None else environment
    return tuple(_receiver(shape, sources[shape], variables) for shape in NOTICE_SHAPES if shape in sources)


def _receiver(shape: str, entry: Mapping[str, Any], variables: Mapping[str, str]) -> Receiver:
    if "address_env" in entry:
        kept_in = f"the environment variable {entry['address_env']}"
        text = variables.get(entry["address_env"], "").strip()
        if not text:
            raise ConfigError(
                f"the address of notify.{shape}",
                expected=f"{kept_in}, set where the stack is started",
                got="nothing",
                next=f"export {entry['address_env']}=..., or take [notify.{shape}] out of sapphire.toml",
            )
    else:
        path = Path(entry["address_file"])
        kept_in, text = f"the file {path}", _file(shape, path)
    return Receiver(
        shape=shape,
        kinds=frozenset(entry.get("kinds", NOTICE_KINDS)),
        kept_in=kept_in,
        address=_address(shape, text, kept_in),
        chat=str(entry.get("chat", "")),
    )


def _file(shape: str, path: Path) -> str:
    """What stands in a file that only its owner can read."""
    try:
        with path.open("rb") as file:
            is_open = what_is_open(os.fstat(file.fileno()))
            if is_open is not None:
                raise ConfigError(
                    f"others can read the address of notify.{shape}",
                    expected=PRIVATE,
                    got=f"{is_open}: {path}",
                    next=f"chmod 600 {path}",
                )
            text = file.read(_LONGEST + 1)
        return text.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "bytes that are no text"
        raise ConfigError(
            f"the address of notify.{shape}",
            expected=f"the file {path} with nothing but the address",
            got=str(why),
            next=f"put the address into it, and chmod 600 {path}",
        ) from None


def _address(shape: str, text: str, kept_in: str) -> str:
    """The address to post to; a refusal does not repeat it."""
    import httpx

    if shape == "telegram" and _TOKEN.fullmatch(text):
        text = f"{_TELEGRAM}/bot{text}"
    if shape == "telegram" and not text.endswith("/sendMessage"):
        text = f"{text.rstrip('/')}/sendMessage"
    try:
        url = httpx.URL(text)
        is_one = url.scheme in ("https", "http") and bool(url.host) and not any(map(str.isspace, text))
    except (httpx.InvalidURL, UnicodeError):
        is_one = False
    if not is_one or len(text) > _LONGEST:
        also = ", or a bot's token" if shape == "telegram" else ""
        raise ConfigError(
            f"the address of notify.{shape}",
            expected=f"https://HOST/...{also}",
            got=f"{len(text)} characters in {kept_in} that are none",
            next="put the address there as the service gave it",
        )
    if url.scheme == "http" and shape != "json" and not _is_here(url.host):
        raise ConfigError(
            f"the address of notify.{shape} goes over the net in the open",
            expected="https://",
            got=f"http:// in {kept_in}",
            next="put the address there as the service gave it",
        )
    return text


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
