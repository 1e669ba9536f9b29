"""Provenance: where data are from. Every plot, gate and report prints the label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ValueRefused

__all__ = ["Provenance", "Source", "generated_label"]

Source = Literal["embedded", "recorded"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a snapshot's data are from.

    Parameters
    ----------
    source : "embedded" for the generated market, "recorded" for what was collected or imported.
    venue : the venue and its market, "binance usdm"; for the generated market, the exchange that shows it.
    detail : what else identifies the data. The generated market names the version of its "generator" (1 where it does
        not: nobody wrote it then) and its "seed", and may name its "calibration". Bars that were made of shorter ones
        name these in "made_from".
    snapshot_hash : content hash of the snapshot.
    as_of : when the data were taken; later corrections are not in them.

    Raises
    ------
    ValueRefused : another source, an embedded one without a seed, or a time without a timezone.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2025, 1, 1, tzinfo=UTC)
    >>> Provenance("embedded", "sapphire", {"generator": "2", "seed": "7"}, "ab12", at).label
    'generated market v2, seed 7 (uncalibrated)'
    >>> Provenance("recorded", "binance usdm", {}, "cd34", at).label
    'recorded candles (binance usdm)'
    """

    source: Source
    venue: str
    detail: Mapping[str, str] = field(hash=False)
    snapshot_hash: str
    as_of: datetime

    def __post_init__(self) -> None:
        if self.source not in ("embedded", "recorded"):
            raise ValueRefused("unknown source of data", expected="embedded or recorded", got=repr(self.source))
        object.__setattr__(self, "detail", {str(key): str(value) for key, value in self.detail.items()})
        if self.source == "embedded" and "seed" not in self.detail:
            raise ValueRefused("generated data without a seed", expected="detail['seed']", got=repr(self.detail))
        to_ns(self.as_of)

    @property
    def label(self) -> str:
        """One line that says what the data are."""
        made = f", made from {self.detail['made_from']}" if "made_from" in self.detail else ""
        if self.source == "embedded":
            return generated_label(self.detail) + made
        return f"recorded candles ({self.venue}{made})"


def generated_label(detail: Mapping[str, str]) -> str:
    """One line for a generated market; bars of another version or seed are another market.

    Examples
    --------
    >>> generated_label({"seed": "7"})
    'generated market v1, seed 7 (uncalibrated)'
    """
    version, calibration = detail.get("generator", "1"), detail.get("calibration", "uncalibrated")
    return f"generated market v{version}, seed {detail['seed']} ({calibration})"
