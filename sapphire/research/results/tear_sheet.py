"""Tear sheets: what people expect to see of a track record, by ffn, for reading only.

No gate reads a number of it: ffn has no errors, and annualises what is a few months. What a gate asks is measured by
`sapphire.statistics`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import StudyError
from sapphire.research.results.plots import heatmap_figure
from sapphire.research.results.showing import Shown

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["TearSheet", "tear_sheet"]

_DAYS_PER_YEAR = 365
_FEWEST_DAYS = 3  # two, and the start before them
_WORST = 5
_ROWS = {
    "total_return": ("total return", "percent"),
    "cagr": ("growth per year", "percent"),
    "daily_vol": ("volatility per year", "percent"),
    "daily_sharpe": ("Sharpe ratio, daily", "number"),
    "daily_sortino": ("Sortino ratio, daily", "number"),
    "daily_skew": ("skew, daily", "number"),
    "daily_kurt": ("excess kurtosis, daily", "number"),
    "max_drawdown": ("deepest drawdown", "percent"),
    "avg_drawdown": ("mean drawdown", "percent"),
    "avg_drawdown_days": ("mean drawdown, days", "number"),
    "calmar": ("Calmar ratio", "number"),
    "best_day": ("best day", "percent"),
    "worst_day": ("worst day", "percent"),
    "best_month": ("best month", "percent"),
    "worst_month": ("worst month", "percent"),
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TearSheet(Shown):
    """Statistics of an account beside its benchmark, its months and its worst drawdowns.

    `len` counts the statistics, and a loop goes through `(statistic, account to value)`.

    Parameters
    ----------
    title : of what.
    label : where the data are from.
    statistics : statistic by account, ffn's names.
    months : year by month, fractions; NaN where there is no day.
    drawdowns : start, end, length in days and depth of the account's worst.
    """

    title: str
    label: str
    statistics: pd.DataFrame
    months: pd.DataFrame
    drawdowns: pd.DataFrame

    @property
    def caption(self) -> str:
        """One line."""
        worst = "; ".join(
            f"{100 * row['drawdown']:.2f} % {row['Start']:%Y-%m-%d} to {row['End']:%Y-%m-%d}"
            for row in self.drawdowns.to_dict("records")
        )
        return (
            f"tear sheet of {self.title}, daily closes, by ffn, not evidence: {self.label}; drawdowns: {worst or '-'}"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per statistic, one column per account."""
        return ("statistic", *map(str, self.statistics.columns)), [
            (title, *(_text(value, form) for value in self.statistics.loc[name]))
            for name, (title, form) in _ROWS.items()
        ]

    @property
    def figure(self) -> go.Figure:
        """Returns of the account by month, in percent."""
        return heatmap_figure(f"Months: {self.title} (not evidence)", self.label, 100 * self.months, "return, %")

    @property
    def frame(self) -> pd.DataFrame:
        """Statistic by account, in the order of the table."""
        return self.statistics.loc[list(_ROWS)].rename(index={name: title for name, (title, _) in _ROWS.items()})

    def _parts(self) -> Sequence[tuple[str, dict[str, float]]]:
        return [
            (str(name), {str(of): float(value) for of, value in row.items()}) for name, row in self.frame.iterrows()
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        accounts = {str(name): {key: _plain(values[key]) for key in _ROWS} for name, values in self.statistics.items()}
        return {"method": "tear_sheet", "of": self.title, "accounts": accounts}


def tear_sheet(title: str, label: str, curves: pd.DataFrame) -> TearSheet:
    """The tear sheet of equity curves.

    Parameters
    ----------
    title : of what.
    label : where the data are from.
    curves : close time by account, any unit; the first is the one that is judged, the others are benchmarks. The last
        close of each UTC day counts.

    Raises
    ------
    StudyError : fewer than two days.
    """
    import ffn
    import pandas as pd
    from ffn.core import PerformanceStats

    days = curves.resample("1D").last().ffill()
    days.loc[days.index[0] - pd.Timedelta(days=1)] = curves.iloc[0]
    days = days.sort_index()
    if len(days) < _FEWEST_DAYS:
        raise StudyError(
            "too few days for a tear sheet",
            expected=f"at least {_FEWEST_DAYS - 1} days",
            got=str(len(days) - 1),
            next="replay a longer window",
        )
    stats = {name: PerformanceStats(values, annualization_factor=_DAYS_PER_YEAR) for name, values in days.items()}
    judged = days.iloc[:, 0]
    found = ffn.drawdown_details(ffn.to_drawdown_series(judged))
    drawdowns = pd.DataFrame(columns=["Start", "End", "Length", "drawdown"]) if found is None else found
    return TearSheet(
        title,
        label,
        pd.DataFrame({name: each.stats for name, each in stats.items()}),
        _months(judged),
        drawdowns.sort_values("drawdown").head(_WORST),
    )


def _months(days: pd.Series[float]) -> pd.DataFrame:
    """Return of each month, year by month; the first value is where the account starts."""
    import pandas as pd

    ends = days.iloc[1:].resample("ME").last()
    starts = ends.shift(1)
    starts.iloc[0] = days.iloc[0]
    returns = ends / starts - 1.0
    months = pd.DatetimeIndex(returns.index)
    frame = returns.to_frame("value").assign(year=months.year, month=months.month)
    table = frame.pivot(index="year", columns="month", values="value")
    return table.rename_axis(index="year", columns="month")


def _text(value: Any, form: str) -> str:
    number = float(value)
    if math.isnan(number) or math.isinf(number):
        return "-"
    return f"{100 * number:+.2f} %" if form == "percent" else f"{number:.2f}"


def _plain(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
