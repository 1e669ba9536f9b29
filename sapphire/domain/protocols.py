"""Protocol: what evidence was made under, as one frozen object with a digest.

The same release under another protocol is other evidence: its numbers are measured again and kept beside the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sapphire.domain.canonical import canonical_json, plain, read_canonical, sha256_of
from sapphire.domain.errors import EvidenceRefused, ValueRefused

__all__ = ["PROTOCOL_FORMAT", "Protocol"]

PROTOCOL_FORMAT = "PROTOCOL@1"
"""Format of a protocol. Another one is refused, not guessed at."""

_COSTS = ("maker_bps", "taker_bps", "slippage_bps", "latency_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a study measures.

    Parameters
    ----------
    costs : what trading cost: venue, fee tier, fees and slippage in basis points, latency in ms (shortest, longest).
    published : what the venue itself publishes for that tier, by the same names.
    split : how time became folds: its kind and its lengths in nanoseconds.
    holdout_ns : length of the sealed end of the data.
    seeds : name to seed of everything that is random.
    sizing : name and parameters.
    limits : of the risk gate, as multiples of the equity at the start.
    execution : how the engine works towards a target, by its own names.
    when_views_stop : what positions do once nothing is believed any more.
    starting_cash : of the account, decimal text in the quote asset.

    Raises
    ------
    ValueRefused : a value that JSON cannot hold, costs without their numbers, a hold-out of less than nothing.

    Examples
    --------
    >>> costs = {"maker_bps": 10.0, "taker_bps": 10.0, "slippage_bps": 1.0, "latency_ms": (5.0, 50.0)}
    >>> one = Protocol(costs=costs, published=costs, split={"kind": "WalkForward"}, holdout_ns=0, seeds={"study": 7},
    ...                sizing={"name": "equal_weight", "parameters": {}}, limits={}, execution={},
    ...                when_views_stop={}, starting_cash="100000")
    >>> Protocol.parse(one.canonical) == one, len(one.digest)
    (True, 64)
    """

    costs: Mapping[str, Any] = field(hash=False)
    published: Mapping[str, Any] = field(hash=False)
    split: Mapping[str, Any] = field(hash=False)
    holdout_ns: int
    seeds: Mapping[str, int] = field(hash=False)
    sizing: Mapping[str, Any] = field(hash=False)
    limits: Mapping[str, Any] = field(hash=False)
    execution: Mapping[str, Any] = field(hash=False)
    when_views_stop: Mapping[str, Any] = field(hash=False)
    starting_cash: str

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Mapping):
                object.__setattr__(self, each.name, plain(value))
        for name in ("costs", "published"):
            missing = [key for key in _COSTS if key not in getattr(self, name)]
            if missing:
                raise ValueRefused(f"{name} of a protocol", expected=", ".join(_COSTS), got=f"no {', '.join(missing)}")
        if self.holdout_ns < 0:
            raise ValueRefused("hold-out of a protocol", expected="zero or more", got=f"{self.holdout_ns} ns")
        canonical_json(self.as_dict())

    @property
    def canonical(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.as_dict())

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON: the identity of the protocol."""
        return sha256_of(self.canonical)

    def as_dict(self) -> dict[str, Any]:
        """Stable keys."""
        return {"format": PROTOCOL_FORMAT, **{each.name: getattr(self, each.name) for each in fields(self)}}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Protocol:
        """The protocol that `as_dict` was made of.

        Raises
        ------
        ValueRefused : another format, a key that is missing or unknown, or a bad value.
        """
        names = {each.name for each in fields(cls)}
        if value.get("format") != PROTOCOL_FORMAT or set(value) - {"format"} != names:
            raise ValueRefused(
                "not a protocol",
                expected=f"format {PROTOCOL_FORMAT} and {', '.join(sorted(names))}",
                got=", ".join(sorted(map(str, value))) or "nothing",
            )
        return cls(**{name: value[name] for name in names})

    @classmethod
    def parse(cls, data: bytes) -> Protocol:
        """The protocol whose canonical JSON is `data`.

        Raises
        ------
        EvidenceRefused : not canonical, another format, or values that no protocol has.
        """
        try:
            value = read_canonical(data, what="protocol")
            if not isinstance(value, dict):
                raise ValueRefused("not a protocol", expected="an object", got=type(value).__name__)
            return cls.from_dict(value)
        except (ValueRefused, TypeError) as error:
            what = error.what if isinstance(error, ValueRefused) else "the protocol does not read"
            raise EvidenceRefused(what, expected=f"format {PROTOCOL_FORMAT}", got=str(error)) from None
