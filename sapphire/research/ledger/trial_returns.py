"""Returns of trials, kept beside the ledger, so that it can be said how many independent trials they amount to.

One Parquet file per entry into the ledger, named after what is in it: the same again is the same file. The ledger's own
chain vouches for them, because each of its lines holds the digest of the returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.data.durable import replace_file
from sapphire.research.results.performance import digest_of_returns
from sapphire.statistics import MINIMUM_RETURNS, effective_number_of_trials

_FLAT = 1e-12
"""Share of its length below which what varies is rounding."""

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ReturnSeries", "TrialReturns", "correlations", "effective_trials"]


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

    def keep(self, series: Mapping[str, ReturnSeries]) -> Path | None:
        """Keep the returns of trials, all or none, by the trials' identities. Their file; None for no returns."""
        if not series:
            return None
        import polars as pl

        identity = hashlib.sha256("\n".join(f"{trial} {each.digest}" for trial, each in series.items()).encode())
        path = self.folder / f"{identity.hexdigest()}.parquet"
        if path.exists():
            return path
        tables = [
            pl.select(
                trial=pl.repeat(trial, len(each.values)),
                close_time_ns=pl.Series(each.close_time_ns),
                value=pl.Series(np.asarray(each.values, dtype=np.float64)),
            )
            for trial, each in series.items()
        ]
        table = pl.concat(tables)
        replace_file(path, table.write_parquet)
        return path

    def of(self, digests: Mapping[str, str]) -> dict[str, ReturnSeries]:
        """The kept returns of trials, by their identities; those whose digest is not the ledger's are left out.

        Parameters
        ----------
        digests : identity of the trial to the digest of its returns.
        """
        import polars as pl

        found: dict[str, ReturnSeries] = {}
        paths = sorted(self.folder.glob("*.parquet"))
        if not paths or not digests:
            return found
        wanted = pl.col("trial").is_in(list(digests))
        rows = pl.scan_parquet(paths, include_file_paths="file").filter(wanted).collect()
        for (trial, _), group in rows.group_by("trial", "file", maintain_order=True):
            series = ReturnSeries(group["close_time_ns"].to_numpy(), group["value"].to_numpy())
            if series.digest == digests[str(trial)]:
                found[str(trial)] = series
        return found


def correlations(series: Sequence[ReturnSeries]) -> NDArray[np.float64]:
    """Correlation of each two of N series on the closes that both have, [N, N].

    0 for two that have fewer than 30 closes in common or of which one does not vary there.
    """
    windows = _windows(series)
    grid = np.unique(np.concatenate(windows))
    rows = {closes.tobytes(): np.searchsorted(grid, closes) for closes in windows}
    values = np.zeros((len(series), len(grid)))
    for number, each in enumerate(series):
        values[number, rows[each.close_time_ns.tobytes()]] = _scaled(each.values)
    if len(windows) == 1:
        return _matrix(values @ values.T)
    known = np.zeros((len(windows), len(grid)))
    for number, where in enumerate(rows.values()):
        known[number, where] = 1.0
    place = {key: number for number, key in enumerate(rows)}
    of = np.array([place[each.close_time_ns.tobytes()] for each in series], dtype=np.int64)
    count = (known @ known.T)[np.ix_(of, of)]
    sums, squares = (values @ known.T)[:, of], (values**2 @ known.T)[:, of]
    enough = np.where(count >= MINIMUM_RETURNS, count, np.nan)
    variance = squares - sums**2 / enough
    varies = np.where(variance > _FLAT, variance, np.nan)
    return _matrix((values @ values.T - sums * sums.T / enough) / np.sqrt(varies * varies.T))


def effective_trials(series: Sequence[ReturnSeries]) -> float | None:
    """How many independent trials these amount to, on the closes that all of them have.

    An account that never traded has returns that correlate with nothing, and is left out.

    Returns
    -------
    None where that cannot be had: no account traded, or fewer than 30 closes are common to all.
    """
    windows = _windows(series)
    closes = reduce(np.intersect1d, windows) if windows else np.empty(0, dtype=np.int64)
    if len(closes) < MINIMUM_RETURNS:
        return None
    rows = {each.tobytes(): np.flatnonzero(np.isin(each, closes)) for each in windows}
    columns = [each.values[rows[each.close_time_ns.tobytes()]] for each in series]
    varying = [column for column in columns if np.ptp(column) > 0.0]
    if not varying:
        return None
    return effective_number_of_trials(np.atleast_2d(np.corrcoef(np.stack(varying))))


def _windows(series: Sequence[ReturnSeries]) -> list[NDArray[np.int64]]:
    """The different closes among them: trials of one study have the same."""
    return list({each.close_time_ns.tobytes(): each.close_time_ns for each in series}.values())


def _scaled(values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Returns about their mean, of length 1; zeros where they do not vary."""
    centred = values - values.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > _FLAT * float(np.linalg.norm(values)) else np.zeros_like(centred)


def _matrix(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """A correlation matrix to the last digit: 0 where there is none, ones on the diagonal, symmetric."""
    np.nan_to_num(found, copy=False)
    np.clip(found, -1.0, 1.0, out=found)
    np.fill_diagonal(found, 1.0)
    return found
