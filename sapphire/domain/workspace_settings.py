"""What a `sapphire.toml` may say: the one list of its keys, and the check of a file against it.

A key that is not in the list is refused: a limit that is misspelt would be a limit that is not there. The file is
shared and committed, so an address or a token of somebody's account is refused too, and no error repeats one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args

from sapphire.domain.errors import ConfigError
from sapphire.domain.evidence import Target

__all__ = [
    "LAST_PORT",
    "NETWORK_HOSTS",
    "NOTICE_KINDS",
    "NOTICE_SHAPES",
    "PART_SETTINGS",
    "PORTS",
    "RECORDER_MODES",
    "SETTINGS",
    "Kind",
    "check_settings",
    "is_like_a_secret",
]

Kind = tuple[tuple[type, ...], str]
"""Types that a value may have, and what they are called."""

_TEXT: Final[Kind] = ((str,), "text")
_DIGESTS: Final[Kind] = ((str, list), "a digest, or a list of them")
_COUNT: Final[Kind] = ((int,), "a whole number above zero")
_PORT: Final[Kind] = ((int,), "a port, from 0 to 65535; 0 takes a free one")
_SECONDS: Final[Kind] = ((int, float), "seconds, above zero")
_SERVERS: Final[Kind] = (
    (dict,),
    'repository of a model to the address of its server, {"Qwen/Qwen3-8B" = "http://..."}',
)
_CHAT: Final[Kind] = ((int, str), "a chat's number, or @name of a channel")

NOTICE_SHAPES: Final = ("json", "slack", "discord", "telegram")
"""Whose messages a receiver of notices takes."""
RECORDER_MODES: Final = ("live", "record", "replay")
"""What a recorder of model calls does: ask every time, ask what is not recorded, ask nothing."""
NOTICE_KINDS: Final = ("halt", "denials", "undecided", "restarts", "fills", "report")
"""What a receiver gets notices of."""
_NOTICES: Final[Kind] = ((list,), "a list of some of " + ", ".join(NOTICE_KINDS))

NETWORK_HOSTS: Final = (
    *("exchange", "bus", "bento", "service", "mlflow"),
    *("collector", "coordinator", "notices", "reports"),
)
"""Servers of a stack that may have a host of their own."""

LAST_PORT: Final = 65_535
PORTS: Final = (
    *("exchange", "exchange_control", "bus", "bento", "service", "mlflow"),
    *("collector", "coordinator", "notices", "reports", "keeper"),
)
"""Who listens on a port of its own."""

_OF_EVERY_PART: Final[Mapping[str, Kind]] = {"hung_after_s": _SECONDS}
PART_SETTINGS: Final[Mapping[str, Mapping[str, Kind]]] = {
    **dict.fromkeys(("collector", "coordinator", "notices", "reports"), _OF_EVERY_PART),
    "keeper": {**_OF_EVERY_PART, "probe_every_s": _SECONDS, "probe_within_s": _SECONDS, "probe_failures": _COUNT},
}
"""Settings that a Python part may have besides what follows from the run."""

SETTINGS: Final[Mapping[str, Kind]] = {
    "name": _TEXT,
    "network.bind": _TEXT,
    "network.host": _TEXT,
    **{f"network.hosts.{server}": _TEXT for server in NETWORK_HOSTS},
    **{f"ports.{server}": _PORT for server in PORTS},
    **{f"parts.{part}.{key}": kind for part, kinds in PART_SETTINGS.items() for key, kind in kinds.items()},
    "trust.authority": _TEXT,
    "trust.key": _TEXT,
    **{f"trust.policies.{target}": _DIGESTS for target in get_args(Target)},
    **{f"places.{key}": _TEXT for key in ("folder", "database", "bucket", "bucket_url", "region", "credentials")},
    "models.mode": _TEXT,
    "models.recordings": _TEXT,
    "models.servers": _SERVERS,
    "notify.denials_in_a_bar": _COUNT,
    **{
        f"notify.{shape}.{key}": kind
        for shape in NOTICE_SHAPES
        for key, kind in {"address_env": _TEXT, "address_file": _TEXT, "kinds": _NOTICES}.items()
    },
    "notify.telegram.chat": _CHAT,
}
"""Every key by its place, sections joined by dots. Whoever reads a new one adds it here."""

_SECRET = re.compile(r"://|hooks\.slack\.com|/api/webhooks/|\b[0-9]{6,}:[A-Za-z0-9_-]{20,}")
"""What an address or a bot's token looks like."""
_ADDRESSES = ("places.", "models.servers")
"""Settings that are addresses of one's own servers, which may stand in the file without a password."""
_PASSWORD = re.compile(r"://[^/?#]*:[^/?#]*@|(password|passfile|secret|token)\s*=", re.IGNORECASE)
"""A password in the address of a database or a bucket."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
"""In capitals, as the custom is: a token that was put there by mistake is none."""
_HIDDEN = "an address or a token, not shown"


def check_settings(found: Mapping[str, Any], path: str) -> None:
    """Refuse keys that nobody reads, and values of another kind.

    Parameters
    ----------
    found : the file as it was read.
    path : what the file is called in the error.

    Raises
    ------
    ConfigError : names every unknown key with the nearest known one, and lists all that there are.

    Examples
    --------
    >>> check_settings({"name": "desk", "trust": {"key": "desk.pub"}}, "sapphire.toml")
    >>> check_settings({"trust": {"kee": "desk.pub"}}, "sapphire.toml")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    sapphire.domain.errors.ConfigError: ConfigError: unknown setting in sapphire.toml
      expected: name, network.bind, network.host, ...
      got:      trust.kee = 'desk.pub'
      next:     trust.kee: did you mean trust.key?
    """
    given = dict(_leaves(found))
    unknown = {key: value for key, value in given.items() if key not in SETTINGS and not _is_empty_section(key, value)}
    if unknown:
        raise ConfigError(
            f"unknown setting{'s' if len(unknown) > 1 else ''} in {path}",
            expected=", ".join(SETTINGS),
            got="\n".join(f"{key} = {_shown(key, value)}" for key, value in unknown.items()),
            next="\n".join(_advice(key, value) for key, value in unknown.items()),
        )
    for key, value in given.items():
        types, called = SETTINGS.get(key, ((dict,), ""))
        if not isinstance(value, types) or not _is_meant(key, value):
            raise ConfigError(
                f"{key} in {path}",
                expected=_MEANT.get(key.rpartition(".")[2], called),
                got=_shown(key, value),
                next=_advice_on_secrets(key) if _holds_a_secret(key, value) else f"change it in {path}, or take it out",
            )


def is_like_a_secret(value: object) -> bool:
    """Whether a value looks like an address or a token, which a file that is shared must not hold."""
    return _SECRET.search(str(value)) is not None


def _holds_a_secret(key: str, value: object) -> bool:
    """Whether a setting holds what the file must not; an address of one's own may stand there, a password not."""
    if key.startswith(_ADDRESSES) and key in SETTINGS:
        return _PASSWORD.search(str(value)) is not None
    return is_like_a_secret(value)


def _leaves(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its place; a section without keys is a value of its own, and so is one where none belongs."""
    for name, value in found.items():
        key = before + name
        if isinstance(value, dict) and value and key not in SETTINGS:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _is_empty_section(key: str, value: object) -> bool:
    """A section that there is, with nothing in it."""
    return value == {} and any(known.startswith(f"{key}.") for known in SETTINGS)


def _is_meant(key: str, value: object) -> bool:
    """Whether a value of the right kind is one that can be meant."""
    if _holds_a_secret(key, value) or isinstance(value, bool):
        return False
    match key.rpartition(".")[2]:
        case "address_env":
            return _VARIABLE.fullmatch(str(value)) is not None
        case "mode":
            return value in RECORDER_MODES
        case "servers":
            return isinstance(value, dict) and all(isinstance(each, str) and each for each in value.values())
        case "kinds":
            return isinstance(value, list) and set(map(str, value)) <= set(NOTICE_KINDS)
        case "denials_in_a_bar" | "hung_after_s" | "probe_every_s" | "probe_within_s" | "probe_failures":
            return isinstance(value, int | float) and 0 < value < math.inf
    if key.startswith("ports."):
        return isinstance(value, int) and 0 <= value <= LAST_PORT
    return True


_MEANT: Final = {
    "address_env": "the name of an environment variable, in capitals",
    "address_file": "a file that only you can read (0600)",
    "mode": " or ".join(RECORDER_MODES),
}
_SECRET_ADVICE: Final = (
    "this file is shared, and an address is a secret: put it into an environment variable (address_env names it) "
    "or into a file that only you can read (address_file); if it was ever committed, make a new one"
)


_PASSWORD_ADVICE: Final = (
    "this file is shared: put the password or the key into SAPPHIRE_PLACES_... or into a file that only you can read "
    "(places.credentials names it); if it was ever committed, make a new one"
)


def _advice_on_secrets(key: str) -> str:
    return _PASSWORD_ADVICE if key.startswith(_ADDRESSES) else _SECRET_ADVICE


def _shown(key: str, value: object) -> str:
    """A value as an error may repeat it; no text of somebody's that stands where addresses are set."""
    is_theirs = key.startswith("notify.") and isinstance(value, str) and not key.endswith(".address_file")
    return _HIDDEN if is_theirs or _holds_a_secret(key, value) else repr(value)


def _advice(key: str, value: object) -> str:
    """The known key that is nearest: by its place, else by its last word, which may stand in another section."""
    if _holds_a_secret(key, value):
        return f"{key}: {_advice_on_secrets(key)}"
    by_word: dict[str, str] = {}
    of_settings = [known for known in SETTINGS if not known.startswith(("network.hosts.", "ports."))]
    for known in of_settings:  # names of servers are no names of settings
        by_word.setdefault(known.rpartition(".")[2], known)
    near = get_close_matches(key, SETTINGS if "." in key else of_settings, n=1)
    words = get_close_matches(key.rpartition(".")[2], by_word, n=1)
    nearest = near[0] if near else by_word[words[0]] if words else None
    if nearest is not None:
        return f"{key}: did you mean {nearest}?"
    return f"{key}: take it out; nothing reads it, and no setting has a name like it"
