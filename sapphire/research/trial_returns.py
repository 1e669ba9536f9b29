"""Returns of trials, kept beside the ledger, so that it can be said how many independent trials they amount to.

One Parquet file per entry into the ledger, named after what is in it: the same again is the same file. The ledger's own
chain vouches for them, because each of its lines holds the digest of the returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.data.durable import replace_file
from sapphire.research.performance import digest_of_returns
from sapphire.statistics import MINIMUM_RETURNS, effective_number_of_trials

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ReturnSeries", "TrialReturns", "effective_trials"]


@dataclass(frozen=True, slots=True, eq=False)
class ReturnSeries:
    """Returns of one account.

    Parameters
    ----------
    close_time_ns : int64 [T], the closes that they end at, rising.
    values : float64 [T], fractions.
    """

    close_time_ns: NDArray[np.int64]
    values: NDArray[np.floating[Any]]

    @property
    def digest(self) -> str:
        """What the ledger's line says of them."""
        return digest_of_returns(self.values)


@dataclass(frozen=True, slots=True)
class TrialReturns:
    """The returns in a folder; made with the first."""

    folder: Path

    def keep(self, series: Mapping[str, ReturnSeries]) -> None:
        """Keep the returns of trials, all or none, by the trials' identities."""
        if not series:
            return
        import polars as pl

        identity = hashlib.sha256("\n".join(f"{trial} {each.digest}" for trial, each in series.items()).encode())
        path = self.folder / f"{identity.hexdigest()}.parquet"
        if path.exists():
            return
        table = pl.DataFrame(
            {
                "trial": np.repeat(list(series), [len(each.values) for each in series.values()]),
                "close_time_ns": np.concatenate([each.close_time_ns for each in series.values()]),
                "value": np.concatenate([np.asarray(each.values, dtype=np.float64) for each in series.values()]),
            }
        )
        replace_file(path, table.write_parquet)

    def of(self, digests: Mapping[str, str]) -> dict[str, ReturnSeries]:
        """The kept returns of trials, by their identities; those whose digest is not the ledger's are left out.

        Parameters
        ----------
        digests : identity of the trial to the digest of its returns.
        """
        import polars as pl

        found: dict[str, ReturnSeries] = {}
        for path in sorted(self.folder.glob("*.parquet")):
            wanted = [trial for trial in digests if trial not in found]
            if not wanted:
                break
            rows = pl.scan_parquet(path).filter(pl.col("trial").is_in(wanted)).collect()
            for (trial,), group in rows.group_by("trial", maintain_order=True):
                series = ReturnSeries(group["close_time_ns"].to_numpy(), group["value"].to_numpy())
                if series.digest == digests[str(trial)]:
                    found[str(trial)] = series
        return found


def effective_trials(series: Sequence[ReturnSeries]) -> float | None:
    """How many independent trials these amount to, on the closes that all of them have.

    An account that never traded has returns that correlate with nothing, and is left out.

    Returns
    -------
    None where that cannot be had: no account traded, or fewer than 30 closes are common to all.
    """
    closes = _common(each.close_time_ns for each in series)
    if len(closes) < MINIMUM_RETURNS:
        return None
    columns = [each.values[np.isin(each.close_time_ns, closes)] for each in series]
    varying = [column for column in columns if np.ptp(column) > 0.0]
    if not varying:
        return None
    correlation = np.atleast_2d(np.corrcoef(np.column_stack(varying), rowvar=False))
    return effective_number_of_trials(correlation)


def _common(times: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    common: NDArray[np.int64] | None = None
    for each in times:
        common = each if common is None else np.intersect1d(common, each)
    return np.empty(0, dtype=np.int64) if common is None else common
