"""What a submit measured: the numbers that gates are asked with, as one canonical record.

Every number comes from the compiled engine's replays, from the trial ledger or from a check that the platform made;
none from the author and none from a screen. Ratios are per bar, kurtosis is raw (3 for a normal distribution).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, get_args

from sapphire.domain.canonical import canonical_json, is_sha256, plain, read_canonical, sha256_of
from sapphire.domain.errors import EvidenceRefused, ValueRefused
from sapphire.registry.integrity import IntegrityEvidence

__all__ = [
    "REPLAYS",
    "CostEvidence",
    "EvidenceBundle",
    "HoldoutEvidence",
    "Outcome",
    "ParityDay",
    "WalkForwardEvidence",
]

BUNDLE_FORMAT = "EVIDENCE@1"
PARITY_FORMAT = "PARITY@1"
REPLAYS = ("walk_forward", "holdout", "doubled_costs")
"""The replays that evidence is made of."""
BASELINES = ("cash", "buy_and_hold")
"""What a hold-out is compared with. Buying and holding several symbols is holding them in equal parts."""

Market = Literal["real", "recorded", "generated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An account over a window.

    Parameters
    ----------
    total_return : fraction over the whole window.
    sharpe : per bar; None where the returns do not vary, as those of cash.
    """

    total_return: float
    sharpe: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForwardEvidence:
    """The walk-forward replay, and how many were tried.

    Parameters
    ----------
    sharpe, skew, kurtosis : of the returns per bar; None where they do not vary.
    length : number of returns.
    total_return : fraction over the whole window.
    trials : N of the ledger: distinct trials whose data overlap the window.
    variance_of_trials : variance of their Sharpe ratios per bar.
    effective_trials : how many independent ones they amount to; None where that cannot be had.
    ledger_head : head of the ledger when N was counted.
    """

    sharpe: float | None
    skew: float | None
    kurtosis: float | None
    length: int
    total_return: float
    trials: int
    variance_of_trials: float
    effective_trials: float | None
    ledger_head: str

    def __post_init__(self) -> None:
        if self.trials < 1 or self.length < 0 or not self.variance_of_trials >= 0.0:
            raise ValueRefused(
                "walk-forward evidence",
                expected="at least 1 trial (the agent itself), a length and a variance of zero or more",
                got=f"{self.trials} trials, length {self.length}, variance {self.variance_of_trials}",
            )
        if not is_sha256(self.ledger_head):
            raise ValueRefused(
                "ledger head of the walk-forward evidence", expected="64 hexadecimal digits", got=repr(self.ledger_head)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutEvidence:
    """The hold-out replay beside its baselines.

    Parameters
    ----------
    start_ns, end_ns : the hold-out, closed at the start and open at the end; UTC nanoseconds.
    agent : how the release did.
    baselines : how "cash" and "buy_and_hold" did, by the same engine.
    """

    start_ns: int
    end_ns: int
    agent: Outcome
    baselines: Mapping[str, Outcome] = field(hash=False)

    def __post_init__(self) -> None:
        if sorted(self.baselines) != sorted(BASELINES) or self.end_ns <= self.start_ns:
            raise ValueRefused(
                "hold-out evidence",
                expected=f"baselines {' and '.join(BASELINES)}, an end after the start",
                got=f"baselines {', '.join(self.baselines) or 'none'}, {self.start_ns} to {self.end_ns}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEvidence:
    """The walk-forward replay at costs several times the real ones.

    Parameters
    ----------
    times : by how much fees, spread and latency were multiplied.
    outcome : what was left.
    """

    times: float
    outcome: Outcome

    def __post_init__(self) -> None:
        if not self.times > 1.0:
            raise ValueRefused("cost evidence", expected="costs multiplied by more than 1", got=f"{self.times:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceBundle:
    """What a submit measured of one release.

    Parameters
    ----------
    manifest_digest : the release.
    source : "recorded" or "embedded" (generated) data.
    data : the label of their provenance.
    engine_version : the engine that replayed.
    replays : name to digest of what the replay decided and earned; see `REPLAYS`.

    Raises
    ------
    ValueRefused : a number that is not finite, a digest that is none, an unknown source or replay.
    """

    manifest_digest: str
    source: Literal["recorded", "embedded"]
    data: str
    engine_version: str
    walk_forward: WalkForwardEvidence
    holdout: HoldoutEvidence
    costs: CostEvidence
    integrity: IntegrityEvidence
    replays: Mapping[str, str] = field(hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "replays", dict(self.replays))
        unknown = sorted(self.replays.keys() - set(REPLAYS))
        if unknown or not all(is_sha256(digest) for digest in self.replays.values()):
            raise ValueRefused(
                "replays of the evidence", expected=f"digests of {', '.join(REPLAYS)}", got=repr(dict(self.replays))
            )
        if self.source not in ("recorded", "embedded") or not is_sha256(self.manifest_digest):
            raise ValueRefused(
                "evidence bundle",
                expected="source recorded or embedded, and the digest of a manifest",
                got=f"{self.source!r}, {self.manifest_digest!r}",
            )
        canonical_json(self.as_dict())

    @property
    def canonical(self) -> bytes:
        """Canonical JSON, as it is kept beside the release."""
        return canonical_json(self.as_dict())

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON; a gate report names it."""
        return sha256_of(self.canonical)

    def as_dict(self) -> dict[str, Any]:
        """Stable keys."""
        return {"format": BUNDLE_FORMAT, **dataclasses.asdict(self)}

    def metrics(self) -> dict[str, float]:
        """Every number by its path, "holdout.agent.sharpe", for tracking; times and truth values are not numbers."""
        numbers: dict[str, float] = {}
        for part in ("walk_forward", "holdout", "costs"):
            _collect(part, dataclasses.asdict(getattr(self, part)), numbers)
        return numbers

    @classmethod
    def parse(cls, data: bytes) -> EvidenceBundle:
        """The bundle whose canonical JSON is `data`.

        Raises
        ------
        EvidenceRefused : not canonical, another format, or values that no bundle has.
        """
        entries = _read(data, "evidence bundle", BUNDLE_FORMAT)
        try:
            holdout = dict(entries["holdout"])
            holdout["agent"] = Outcome(**holdout["agent"])
            holdout["baselines"] = {name: Outcome(**each) for name, each in holdout["baselines"].items()}
            entries["holdout"] = HoldoutEvidence(**holdout)
            entries["walk_forward"] = WalkForwardEvidence(**entries["walk_forward"])
            costs = dict(entries["costs"])
            entries["costs"] = CostEvidence(times=costs.pop("times"), outcome=Outcome(**costs.pop("outcome")), **costs)
            entries["integrity"] = IntegrityEvidence.from_dict(entries["integrity"])
            return cls(**entries)
        except (KeyError, TypeError, AttributeError, ValueError, ValueRefused) as error:
            raise _unreadable("evidence bundle", error) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityDay:
    """One day of a paper account, replayed from its journal.

    Parameters
    ----------
    day : "2026-03-01", UTC.
    market : what the account traded on; only days on the real one count as paper days.
    unexplained_lots : lots by which the account and the evidence differ without a cause that was found.
    journal_digest : head of the journal that was replayed.

    Raises
    ------
    ValueRefused : no such day or market, a negative number, a digest that is none.
    """

    day: str
    market: Market
    unexplained_lots: int
    journal_digest: str

    def __post_init__(self) -> None:
        try:
            sound = date.fromisoformat(self.day).isoformat() == self.day
        except ValueError:
            sound = False
        if not sound or self.market not in get_args(Market) or self.unexplained_lots < 0:
            raise ValueRefused(
                "parity of a day",
                expected=f"a day such as 2026-03-01, a market of {', '.join(get_args(Market))}, lots of zero or more",
                got=f"{self.day!r}, {self.market!r}, {self.unexplained_lots}",
            )
        if not is_sha256(self.journal_digest):
            raise ValueRefused("journal of a day", expected="64 hexadecimal digits", got=repr(self.journal_digest))

    @property
    def canonical(self) -> bytes:
        """Canonical JSON, as it is kept beside the release."""
        return canonical_json({"format": PARITY_FORMAT, **dataclasses.asdict(self)})

    @classmethod
    def parse(cls, data: bytes) -> ParityDay:
        """The day whose canonical JSON is `data`.

        Raises
        ------
        EvidenceRefused : not canonical, another format, or values that no day has.
        """
        entries = _read(data, "parity of a day", PARITY_FORMAT)
        try:
            return cls(**entries)
        except (TypeError, ValueRefused) as error:
            raise _unreadable("parity of a day", error) from None


def _read(data: bytes, what: str, wanted: str) -> dict[str, Any]:
    try:
        value = read_canonical(data, what=what)
    except ValueRefused as error:
        raise EvidenceRefused(error.what, expected=error.expected, got=error.got, next=error.next) from None
    if not isinstance(value, dict) or value.get("format") != wanted:
        raise EvidenceRefused(f"not the {what} that was expected", expected=f"format {wanted}", got=f"{value!s:.60}")
    return {key: each for key, each in value.items() if key != "format"}


def _unreadable(what: str, error: Exception) -> EvidenceRefused:
    if isinstance(error, ValueRefused):
        return EvidenceRefused(error.what, expected=error.expected, got=error.got, next=error.next)
    return EvidenceRefused(f"the {what} does not read", expected="the fields that were written", got=str(error))


def _collect(path: str, value: Any, numbers: dict[str, float]) -> None:
    if isinstance(value, Mapping):
        for key, each in plain(value).items():
            _collect(f"{path}.{key}", each, numbers)
    elif isinstance(value, int | float) and not isinstance(value, bool) and not path.endswith("_ns"):
        numbers[path] = float(value)
