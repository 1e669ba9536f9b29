"""Canonical JSON: one spelling for one value, so that a digest or a signature is over what was meant.

Keys sorted, no spaces, UTF-8, numbers as they are (`1` and `1.0` are two values, as they are to a reader). Who checks a
digest or a signature uses the bytes that came and never writes them anew, so no other language has to spell numbers
as Python does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from sapphire.domain.errors import ValueRefused

__all__ = ["canonical_json", "is_sha256", "plain", "read_canonical", "sha256_of"]

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def canonical_json(value: Any) -> bytes:
    """The one spelling of `value`: mappings with text for keys, sequences, text, numbers, truth values, None.

    Raises
    ------
    ValueRefused : a number that is not finite, a key that is not text, or a type that JSON does not have.

    Examples
    --------
    >>> canonical_json({"b": (1, 2.5), "a": None})
    b'{"a":null,"b":[1,2.5]}'
    """
    text = json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueRefused("text that UTF-8 cannot spell", expected="whole characters", got=str(error)) from None


def plain(value: Any) -> Any:
    """`value` as it comes back from its canonical spelling: mappings as dicts, sequences as lists; a copy.

    Raises
    ------
    ValueRefused : as `canonical_json`.
    """
    return _plain(value, "value")


def read_canonical(data: bytes, *, what: str) -> Any:
    """The value whose canonical spelling is `data`.

    Parameters
    ----------
    what : what `data` should be, for the message.

    Raises
    ------
    ValueRefused : not JSON, or JSON in another spelling than the canonical one.
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ValueRefused(f"{what} is not JSON", expected="canonical JSON in UTF-8", got=str(error)) from None
    try:
        spelled = canonical_json(value)
    except ValueRefused:  # a number that is not finite, half a character
        spelled = b""
    if spelled != data:
        raise ValueRefused(
            f"{what} is not canonical",
            expected="keys sorted and once each, no spaces, UTF-8, finite numbers",
            got=f"{len(data):,} bytes in another spelling",
            next="use the bytes as they were written; an editor or a JSON tool changes them",
        )
    return value


def sha256_of(data: bytes) -> str:
    """sha256 in 64 hexadecimal digits; `sha256sum` shows the same.

    Examples
    --------
    >>> sha256_of(b"")[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(data).hexdigest()


def is_sha256(value: object) -> bool:
    """Whether `value` is 64 lower-case hexadecimal digits."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueRefused(f"{where} is not finite", expected="a finite number, or None for none", got=repr(value))
        return float(value)
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise ValueRefused(f"a key of {where} is not text", expected="text", got=repr(wrong[0]))
        return {key: _plain(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, f"{where}[{place}]") for place, each in enumerate(value)]
    raise ValueRefused(
        f"{where} cannot be written as JSON",
        expected="text, a number, a truth value, None, or a sequence or mapping of them",
        got=type(value).__name__,
    )
