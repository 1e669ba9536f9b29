"""Scoring: a release asked by a table of bars, as MLflow's servers ask. The answer is the bento's, as a table.

The door is the bento's: the release's bytes and its gate report are verified in the state folder that `SAPPHIRE_HOME`
names, its golden outputs are made again, and the permit is asked at each answer.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.clocks import WallClock, from_ns
from sapphire.domain.errors import AgentError, BadBars, DataError, Refused, SapphireError
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import ViewMessage, decode
from sapphire.domain.view_requests import encode_window
from sapphire.domain.windows import Window
from sapphire.domain.workspace import home
from sapphire.serving.admission import admit
from sapphire.serving.cached_windows import BarCache
from sapphire.serving.runner import Runner
from sapphire.serving.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from sapphire.domain.evidence import Target

__all__ = ["ScoredRelease"]

_KEYS = ("open_time", "symbol")
_OK, _BAD, _REFUSED = 200, 400, 403


class ScoredRelease:
    """An admitted release that answers tables.

    Parameters
    ----------
    folder : its bytes.
    digest : which release they must be.
    stage : what its gate report must permit.

    Raises
    ------
    EvidenceRefused : bytes, evidence or gate report do not verify, or do not permit the stage; it was revoked.
    Refused : it does not stand up here.
    ConfigError : no state folder.
    """

    def __init__(self, folder: Path, digest: str, *, stage: Target) -> None:
        admitted = admit(Settings(home(), digest, stage), folder=folder)
        self._interval = Interval(admitted.manifest.interval)
        self._runner = Runner(admitted, BarCache(""), WallClock())
        # The release's worker ends with the thread that started it, and the runner is asked in an event loop: one of
        # its own, that whoever calls does not have to share.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scored-release")
        self._thread.submit(self._runner.stand_up).result()
        if self._runner.refusal is not None:
            self.close()
            raise self._runner.refusal

    def views(self, bars: pd.DataFrame) -> pd.DataFrame:
        """What the release thinks of each symbol when the latest of these bars has closed.

        Parameters
        ----------
        bars : a row per time and symbol, in any order: `open_time` (UTC), `symbol`, `open`, `high`, `low`, `close`,
            `volume` (base). A symbol that had no bar has no row. The whole universe, at least the warm-up.

        Returns
        -------
        A row per view: `as_of` (UTC), `symbol`, `agent`, `horizon_s`, and one of `score`; `mean_bps` with `std_bps`;
        `quantiles_bps` (JSON, probability to return). A symbol that the release is silent about has no row.

        Raises
        ------
        BadBars, DataError : the table is none of bars, or not the window that the release decides on.
        Refused : the permit is no more, or the release is too old for these bars.
        AgentError : an agent failed.
        """
        window = self._window(bars)
        answer = self._thread.submit(asyncio.run, self._runner.views(encode_window(window))).result()
        facts: dict[str, Any] = json.loads(answer.body)
        if answer.status != _OK:
            raise _refusal(answer.status, facts)
        return _table([decode(json.dumps(each).encode()) for each in facts["views"]])

    def close(self) -> None:
        """End the release's worker."""
        self._runner.close()
        self._thread.shutdown()

    def _window(self, table: pd.DataFrame) -> Window:
        import pandas as pd

        missing = [name for name in (*_KEYS, *FIELDS) if name not in table.columns]
        if missing or table.empty:
            raise BadBars(
                "this is no table of bars",
                expected=", ".join((*_KEYS, *FIELDS)),
                got=f"no {', '.join(missing)}" if missing else "no rows",
            )
        rows = table.assign(open_time=_times(table["open_time"]), symbol=table["symbol"].astype(str))
        repeated = rows[rows.duplicated([*_KEYS])]
        if not repeated.empty:
            first = repeated.iloc[0]
            raise BadBars(
                "a bar comes twice", expected="one row per time and symbol", got=f"{first.symbol} at {first.open_time}"
            )
        panels = rows.pivot(index="open_time", columns="symbol", values=[*FIELDS])
        symbols = tuple(map(str, dict.fromkeys(rows["symbol"])))
        arrays: dict[str, Any] = {name: panels[name][[*symbols]].to_numpy("float64") for name in FIELDS}
        opens = panels.index.as_unit("ns").asi8 if isinstance(panels.index, pd.DatetimeIndex) else None
        if opens is None:
            raise BadBars("open_time", expected="times", got=str(panels.index.dtype))
        made = Bars(
            symbols=symbols,
            interval=self._interval,
            open_time_ns=opens,
            listed=~pd.isna(arrays["close"]),
            **arrays,
        ).validate()
        return Window(made, from_ns(int(made.close_time_ns[-1])))


def _times(column: pd.Series[Any]) -> pd.Series[Any]:
    """Times in UTC; those without a zone are meant so."""
    import pandas as pd

    try:
        return pd.to_datetime(column, utc=True).dt.tz_localize(None)
    except (ValueError, TypeError) as error:
        raise BadBars("open_time", expected="times in UTC, such as 2026-01-31T12:00:00Z", got=str(error)) from None


def _table(messages: list[Any]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for message in messages:
        assert isinstance(message, ViewMessage)
        view = message.view()
        quantiles = None
        if view.quantiles_bps is not None:
            quantiles = json.dumps({str(level): value for level, value in view.quantiles_bps.items()})
        as_of = pd.Timestamp(view.as_of).tz_localize(None)
        horizon_s = view.horizon.total_seconds()
        rows.append((as_of, view.symbol, view.agent, horizon_s, view.score, view.mean_bps, view.std_bps, quantiles))
    names = ["as_of", "symbol", "agent", "horizon_s", "score", "mean_bps", "std_bps", "quantiles_bps"]
    return pd.DataFrame(rows, columns=names).astype(dict.fromkeys(("score", "mean_bps", "std_bps"), "float64"))


def _refusal(status: int, facts: dict[str, Any]) -> SapphireError:
    """What the runner refused, as the error that it was."""
    lines = {name: str(facts.get(name) or "") for name in ("expected", "got", "next")}
    kind = {_BAD: DataError, _REFUSED: Refused}.get(status, AgentError)
    return kind(str(facts["what"]), **lines)
