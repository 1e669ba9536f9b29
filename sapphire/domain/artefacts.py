"""Artefacts: what decides in a release and is too large to be copied into it, named to the last byte.

A model knows what was written before its training ended. What it says of bars before that moment may be memory, so the
moment is part of its name: its stated cutoff, or, where nobody states one, the day its revision was published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sapphire.domain.canonical import is_sha256
from sapphire.domain.display import kind_of_value
from sapphire.domain.errors import ValueRefused

__all__ = ["Artefact"]

_NAME = re.compile(r"[^\s@#]{1,200}")
_ADAPTER = re.compile(r"[^\s@#]{1,200}@[^\s@#]{1,200}#[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One model, or other weights, of an agent.

    Parameters
    ----------
    repository : where it is from, "Qwen/Qwen3-8B".
    revision : of it: a commit, or the version of a package.
    sha256 : of its weights.
    dtype : that it is run in, "bfloat16", "fp8".
    runtime : what runs it, "transformers", "vllm".
    licence : under what it may be used, "Apache-2.0".
    published : when the revision was published.
    knowledge_cutoff : when what it was trained on ends; None where nobody states it.
    adapter : weights on top of it, "repository@revision#sha256"; None for none.

    Raises
    ------
    ValueRefused : a value that is not what it should be; names it.

    Examples
    --------
    >>> small = Artefact(repository="desk/small", revision="1", sha256="0" * 64, dtype="bfloat16",
    ...                  runtime="transformers", licence="MIT", published=date(2025, 2, 7))
    >>> Artefact.of(small.as_dict()) == small, small.knows_until.isoformat()
    (True, '2025-02-08T00:00:00+00:00')
    """

    repository: str
    revision: str
    sha256: str
    dtype: str
    runtime: str
    licence: str
    published: date
    knowledge_cutoff: date | None = None
    adapter: str | None = None

    def __post_init__(self) -> None:
        named = (self.repository, self.revision)
        if not all(isinstance(each, str) and _NAME.fullmatch(each) for each in named) or not is_sha256(self.sha256):
            raise ValueRefused(
                "name of an artefact",
                expected="repository, revision and the sha256 of its weights",
                got=f"{self.repository!r}, {self.revision!r}, {self.sha256!r}",
            )
        for name in ("dtype", "runtime", "licence"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ValueRefused(f"{name} of {self.repository}", expected="text", got=repr(value))
        for name, of in (("published", self.published), ("knowledge_cutoff", self.knowledge_cutoff)):
            if not (type(of) is date or (of is None and name == "knowledge_cutoff")):
                raise ValueRefused(f"{name} of {self.repository}", expected="a date", got=kind_of_value(of))
        if self.adapter is not None and not (isinstance(self.adapter, str) and _ADAPTER.fullmatch(self.adapter)):
            raise ValueRefused(
                f"adapter of {self.repository}", expected="repository@revision#sha256", got=repr(self.adapter)
            )

    @property
    def knows_until(self) -> datetime:
        """The end of the last day that it may have read of."""
        last = self.knowledge_cutoff or self.published
        return datetime.combine(last + timedelta(days=1), time(), UTC)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; days as "2025-02-07"."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def of(cls, plain: object) -> Artefact:
        """The artefact of plain values.

        Raises
        ------
        ValueRefused : a key that is missing or unknown, or a bad value.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(plain, Mapping) or set(plain) != names:
            got = ", ".join(map(str, plain)) if isinstance(plain, Mapping) else kind_of_value(plain)
            raise ValueRefused("an artefact", expected=", ".join(sorted(names)), got=got)
        days = {name: _day(name, plain[name]) for name in ("published", "knowledge_cutoff") if plain[name] is not None}
        return cls(**{**plain, **days})


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _day(name: str, text: object) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise ValueRefused(f"{name} of an artefact", expected="a day, 2025-02-07", got=repr(text)) from None
