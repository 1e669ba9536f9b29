"""What a submit measured: the numbers that gates are asked with, as one canonical record.

Every number comes from the compiled engine's replays, from the trial ledger or from a check that the platform made;
none from the author and none from a screen. Ratios are per bar, kurtosis is raw (3 for a normal distribution).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sapphire.agents.counterfactuals.measured import AgentCounterfactuals
from sapphire.data.series import AS_SPOT
from sapphire.domain.canonical import canonical_json, is_sha256, plain, sha256_of
from sapphire.domain.errors import ValueRefused
from sapphire.domain.protocols import Protocol
from sapphire.registry.calibrations import CalibrationEvidence
from sapphire.registry.integrity import IntegrityEvidence
from sapphire.registry.record_reading import read_record, unreadable

__all__ = [
    "REPLAYS",
    "ActiveEvidence",
    "CostEvidence",
    "Difference",
    "EvidenceBundle",
    "HoldoutEvidence",
    "Outcome",
    "WalkForwardEvidence",
]

BUNDLE_FORMAT = "EVIDENCE@4"
REPLAYS = ("walk_forward", "holdout", "doubled_costs")
"""The replays that evidence is made of."""
BASELINES = ("cash", "buy_and_hold")
"""What a hold-out is compared with. Buying and holding several symbols is holding them in equal parts."""

_NS_PER_DAY = 86_400_000_000_000
_NS_PER_YEAR = 365 * _NS_PER_DAY
_UNITS: dict[str, tuple[str, float | None]] = {
    "total_return": ("return_pct", 100.0),
    "sharpe": ("sharpe_annual", None),
    "information_ratio": ("information_ratio_annual", None),
    "alpha": ("alpha_bps_per_bar", 10_000.0),
    "mean": ("difference_bps_per_bar", 10_000.0),
    "standard_error": ("standard_error_bps_per_bar", 10_000.0),
    "mean_of_sharpe": ("difference_sharpe_annual", None),
    "standard_error_of_sharpe": ("standard_error_sharpe_annual", None),
    "length": ("bars_count", 1.0),
    "fills": ("fills_count", 1.0),
    "folds": ("folds_count", 1.0),
    "trials": ("trials_count", 1.0),
    "effective_trials": ("effective_trials_count", 1.0),
    "openings": ("openings_count", 1.0),
    "ledger_lines": ("ledger_lines_count", 1.0),
    "variance_of_trials": ("variance_of_trials_per_bar", 1.0),
    "variance_of_active": ("variance_of_active_per_bar", 1.0),
}
"""What a number is called on MLflow's pages, and its factor there; None makes a ratio per bar one per year."""
_SPAN = ("assets", "bar_ns", "end_ns", "market", "start_ns")


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
class ActiveEvidence:
    """What the walk-forward returns are beside the market's.

    Parameters
    ----------
    alpha, alpha_t : mean return per bar that the market does not explain, and over its error.
    beta : return per return of the market.
    information_ratio : alpha over the deviation of what the market does not explain, per bar.
    sharpe, skew, kurtosis : of the returns less beta times the market's, per bar.
    """

    alpha: float
    alpha_t: float
    beta: float
    information_ratio: float
    sharpe: float
    skew: float
    kurtosis: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForwardEvidence:
    """The walk-forward replay, and how many were tried.

    Parameters
    ----------
    sharpe, skew, kurtosis : of the returns per bar; None where they do not vary.
    length : number of returns.
    total_return : fraction over the whole window.
    active : the same beside the market; None where nothing is left beside it.
    folds, tested_days, fills : how much was tested, and how many fills there were.
    untraded : why it never traded; empty where it did.
    span : the tested data as the ledger names it: market, assets with their sketches, length of a bar, start and end.
    trials : N of the ledger: distinct trials that share data with the span.
    variance_of_trials, variance_of_active : variance of their Sharpe ratios per bar of the span, and of those beside
        the market.
    effective_trials : how many independent ones they amount to; None where that cannot be had.
    openings : trials that share data with the hold-out, the release's own among them.
    ledger_head, ledger_lines : how far the ledger reached when it was counted.
    """

    sharpe: float | None
    skew: float | None
    kurtosis: float | None
    length: int
    total_return: float
    active: ActiveEvidence | None
    folds: int
    tested_days: float
    fills: int
    span: Mapping[str, Any] = field(hash=False)
    trials: int
    variance_of_trials: float
    variance_of_active: float
    effective_trials: float | None
    openings: int
    ledger_head: str
    ledger_lines: int
    untraded: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", _span(self.span))
        counts = (self.length, self.folds, self.fills, self.ledger_lines)
        variances = (self.variance_of_trials, self.variance_of_active)
        sound = self.trials >= 1 and self.openings >= 1 and all(count >= 0 for count in counts)
        if not sound or not all(variance >= 0.0 for variance in variances):
            raise ValueRefused(
                "walk-forward evidence",
                expected="at least 1 trial and 1 opening (the agent itself), lengths and variances of zero or more",
                got=f"{self.trials} trials, {self.openings} openings, length {self.length}, variances {variances}",
            )
        if not is_sha256(self.ledger_head):
            raise ValueRefused(
                "ledger head of the walk-forward evidence", expected="64 hexadecimal digits", got=repr(self.ledger_head)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean difference of two accounts over the same bars, and how sure it is to be above zero.

    Parameters
    ----------
    mean, standard_error : per bar.
    p_value : one-sided: the probability of a mean this high where the truth is zero.
    length : number of bars.
    method : how the error was found, "bootstrap" or "hac".
    """

    mean: float
    standard_error: float
    p_value: float
    length: int
    method: str

    def __post_init__(self) -> None:
        if not (0.0 <= self.p_value <= 1.0 and self.standard_error > 0.0 and self.length > 0 and self.method):
            raise ValueRefused(
                "difference of two accounts",
                expected="a p-value from 0 to 1, an error above zero, a length and a method",
                got=repr(self),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutEvidence:
    """The hold-out replay beside its baselines.

    Parameters
    ----------
    start_ns, end_ns : the hold-out, closed at the start and open at the end; UTC nanoseconds.
    agent : how the release did.
    baselines : how "cash" and "buy_and_hold" did, by the same engine.
    over : return over cash, and Sharpe ratio over buy and hold, each with its error; None where an account did nothing.
    span : its data as the ledger names it.
    seen_by : studies that looked at these bars before.
    untraded : why the release never traded there; empty where it did.
    """

    start_ns: int
    end_ns: int
    agent: Outcome
    baselines: Mapping[str, Outcome] = field(hash=False)
    over: Mapping[str, Difference | None] = field(hash=False)
    span: Mapping[str, Any] = field(hash=False)
    seen_by: tuple[str, ...]
    untraded: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", _span(self.span))
        object.__setattr__(self, "seen_by", tuple(self.seen_by))
        names = sorted(BASELINES)
        if sorted(self.baselines) != names or sorted(self.over) != names or self.end_ns <= self.start_ns:
            raise ValueRefused(
                "hold-out evidence",
                expected=f"baselines {' and '.join(BASELINES)}, what the release is over them, an end after the start",
                got=f"baselines {', '.join(self.baselines) or 'none'}, over {', '.join(self.over) or 'none'}, "
                f"{self.start_ns} to {self.end_ns}",
            )

    @property
    def days(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / _NS_PER_DAY


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
    protocol : what it was measured under, whole.
    replays : name to digest of what the replay decided and earned; see `REPLAYS`.
    calibration : what its scores were worth, and what came of its beliefs.
    counterfactuals : of each agent that names a model, what it said where one thing of its input was changed.

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
    protocol: Protocol
    replays: Mapping[str, str] = field(hash=False)
    calibration: CalibrationEvidence = field(default_factory=CalibrationEvidence)
    counterfactuals: tuple[AgentCounterfactuals, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "replays", dict(self.replays))
        object.__setattr__(self, "counterfactuals", tuple(self.counterfactuals))
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

    @property
    def marks(self) -> tuple[str, ...]:
        """What has to be said of the release wherever it is shown."""
        notes = [("never traded", self.walk_forward.untraded), ("never traded in the hold-out", self.holdout.untraded)]
        models = [name.partition("#")[0] for name in self.integrity.models]
        notes.append(("perpetuals stand in for spot and never pass live", self.data if AS_SPOT in self.data else ""))
        notes.append(("asked models that the platform did not run", ", ".join(models)))
        return (*self.calibration.marks, *(f"{what}: {why}" for what, why in notes if why))

    @property
    def protocol_digest(self) -> str:
        """What it was measured under: another protocol is other evidence."""
        return self.protocol.digest

    def as_dict(self) -> dict[str, Any]:
        """Stable keys. Evidence of agents that ask no model reads as it did before there were counterfactuals."""
        own = {"calibration": self.calibration.as_dict(), "protocol": self.protocol.as_dict()}
        whole = {"format": BUNDLE_FORMAT, **dataclasses.asdict(self), **own}
        return whole if self.counterfactuals else {key: whole[key] for key in whole if key != "counterfactuals"}

    def metrics(self) -> dict[str, float]:
        """Every number by its path with its unit, "holdout/agent/return_pct", for tracking.

        Ratios are per year; times and truth values are not numbers.
        """
        per_year = _NS_PER_YEAR / self.walk_forward.span["bar_ns"]
        numbers: dict[str, float] = {}
        for part in ("walk_forward", "holdout", "costs"):
            _collect(part, dataclasses.asdict(getattr(self, part)), numbers, per_year)
        return numbers

    @classmethod
    def parse(cls, data: bytes) -> EvidenceBundle:
        """The bundle whose canonical JSON is `data`.

        Raises
        ------
        EvidenceRefused : not canonical, another format, or values that no bundle has.
        """
        entries = read_record(data, "evidence bundle", BUNDLE_FORMAT)
        try:
            holdout = dict(entries["holdout"])
            holdout["agent"] = Outcome(**holdout["agent"])
            holdout["baselines"] = {name: Outcome(**each) for name, each in holdout["baselines"].items()}
            holdout["over"] = {name: each and Difference(**each) for name, each in holdout["over"].items()}
            entries["holdout"] = HoldoutEvidence(**holdout)
            walk = dict(entries["walk_forward"])
            walk["active"] = walk["active"] and ActiveEvidence(**walk["active"])
            entries["walk_forward"] = WalkForwardEvidence(**walk)
            entries["protocol"] = Protocol.from_dict(entries["protocol"])
            costs = dict(entries["costs"])
            entries["costs"] = CostEvidence(times=costs.pop("times"), outcome=Outcome(**costs.pop("outcome")), **costs)
            entries["calibration"] = CalibrationEvidence.from_dict(entries["calibration"])
            entries["integrity"] = IntegrityEvidence.from_dict(entries["integrity"])
            changed = entries.get("counterfactuals", ())
            entries["counterfactuals"] = tuple(map(AgentCounterfactuals.from_dict, changed))
            return cls(**entries)
        except (KeyError, TypeError, AttributeError, ValueError, ValueRefused) as error:
            raise unreadable("evidence bundle", error) from None


def _span(value: object) -> dict[str, Any]:
    """The span of a replay as plain values."""
    if not isinstance(value, Mapping) or sorted(value) != sorted(_SPAN):
        raise ValueRefused("span of the evidence", expected=", ".join(_SPAN), got=f"{value!s:.80}")
    return dict(plain(value))


def _collect(path: str, value: Any, numbers: dict[str, float], per_year: float) -> None:
    if isinstance(value, Mapping):
        for key, each in plain(value).items():
            _collect(f"{path}/{key}", each, numbers, per_year)
    elif isinstance(value, int | float) and not isinstance(value, bool) and not path.endswith("_ns"):
        above, _, name = path.rpartition("/")
        # over buy and hold a difference is one of Sharpe ratios, over cash one of returns
        key = f"{name}_of_sharpe" if above == "holdout/over/buy_and_hold" else name
        unit, factor = _UNITS.get(key, (name, 1.0))
        numbers[f"{above}/{unit}"] = float(value) * (math.sqrt(per_year) if factor is None else factor)
