"""Reading what is kept beside a release: canonical JSON of a named format, or it is refused."""

from __future__ import annotations

from typing import Any

from sapphire.domain.canonical import read_canonical
from sapphire.domain.errors import EvidenceRefused, ValueRefused

__all__ = ["read_record", "unreadable"]


def read_record(data: bytes, what: str, wanted: str) -> dict[str, Any]:
    """The entries of a record, but for its format.

    Parameters
    ----------
    what : its kind, for messages.
    wanted : the format that it has to name.

    Raises
    ------
    EvidenceRefused : not canonical, or of another format.
    """
    try:
        value = read_canonical(data, what=what)
    except ValueRefused as error:
        raise EvidenceRefused(error.what, expected=error.expected, got=error.got, next=error.next) from None
    if not isinstance(value, dict) or value.get("format") != wanted:
        raise EvidenceRefused(f"not the {what} that was expected", expected=f"format {wanted}", got=f"{value!s:.60}")
    return {key: each for key, each in value.items() if key != "format"}


def unreadable(what: str, error: Exception) -> EvidenceRefused:
    """Why a record has values that none of its kind has."""
    if isinstance(error, ValueRefused):
        return EvidenceRefused(error.what, expected=error.expected, got=error.got, next=error.next)
    return EvidenceRefused(f"the {what} does not read", expected="the fields that were written", got=str(error))
