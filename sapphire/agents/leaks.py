"""Leak checks: an agent must say the same whatever the future is, and be what it says it is.

`truncation_test` changes what comes after several moments and compares what the agent answered until then.
`twin_test` compares views and vectorised twin.  `warmup_test` gives a longer history than the warm-up.  `fit_test`
changes what comes after the training window.  `feature_parity` compares features made in bulk with features made bar
by bar.  `order_test` hands over the symbols in another order, and bars twice and shuffled.  None of them raises for
what an agent does: an agent that breaks has failed the check.

Differences are relative (`differences.far_apart`). Two numbers on different sides of zero differ by 1 or more unless
both are zero but for rounding, so a twin within its tolerance is also on the same side.

Each check looks at 460 bars unless told otherwise: a leak that shows on one bar in a hundred is then met with a
probability of 99 % (1 - 0.99^460).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sapphire.agents.agent import Agent
from sapphire.agents.answers import fitted_by, views_by
from sapphire.agents.arrays import Arrays
from sapphire.agents.differences import Found, far_apart, numbers_of_panel, numbers_of_views
from sapphire.agents.futures import FUTURES, Future, replaced
from sapphire.agents.leak_report import Kind, LeakCheck, LeakReport
from sapphire.agents.panels import (
    features_of,
    horizon_bars,
    twin_panel,
    twin_tolerance_of,
    views_at,
    window_at,
)
from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError, BadBars, SapphireError
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.views import View
    from sapphire.domain.windows import Feature

    Rows = NDArray[np.int64]

__all__ = [
    "MOMENTS",
    "check_agent",
    "feature_parity",
    "fit_test",
    "order_test",
    "truncation_test",
    "twin_test",
    "warmup_test",
]

MOMENTS = 460
"""Bars that a check looks at unless told otherwise."""
_SLOW_MOMENTS = 16
_PAST_MARGIN = 32
_LEAST_FUTURE = 64
_TRAINING_SHARE = 0.6
_HISTORIES = 4
_LEAST_HISTORY = 256
_KINDS: Mapping[str, Kind] = {"removed": "truncation", "replaced": "future", "shuffled": "future"}


def check_agent(
    agent: Agent,
    bars: Bars,
    *,
    features: Mapping[str, Feature] | None = None,
    seed: int = 0,
    moments: int = MOMENTS,
    fit: bool = True,
) -> LeakReport:
    """Every check. An agent that learns and has not is fitted on the first 60 % of the bars first.

    Parameters
    ----------
    bars : of the interval the agent is meant for; its warm-up and a good deal more.
    features : others to check, beside those that the agent names.
    seed : of the moments that the checks look at, of the changed futures, and of the fit.
    moments : at how many bars the checks look.
    fit : whether to check the fit as well.
    """
    report = fit_test(agent, bars, seed=seed) if fit and agent.learns else LeakReport(agent.name, ())
    if not report.failed:
        if agent.learns and not agent.arrays():
            agent = fitted_by(agent, _training(bars), seed)
        known = _Known(agent, bars)
        report += truncation_test(agent, bars, seed=seed, moments=moments, known=known)
        report += warmup_test(agent, bars, seed=seed, moments=moments, known=known)
        report += twin_test(agent, bars, known=known)
        report += order_test(agent, bars, seed=seed, moments=moments, known=known)
    return report + feature_parity({**features_of(agent), **(features or {})}, bars, seed=seed, moments=moments)


def truncation_test(
    agent: Agent, bars: Bars, *, seed: int = 0, moments: int = MOMENTS, known: _Known | None = None
) -> LeakReport:
    """What comes after a moment is replaced, shuffled and removed; what the agent says until then must not move.

    Views must be equal to the last bit, and again when asked a second time, in another order. The twin must be within
    its tolerance in every row up to the moment, on the bars around it: the warm-up before, as many and at least 64
    after.
    """
    known = known or _Known(agent, bars)
    rows = _moments(agent.warmup, len(bars) - 2, moments, seed)
    few = _moments(agent.warmup, len(bars) - 2, min(moments, _SLOW_MOMENTS), seed)
    checks = []
    for name, future in FUTURES.items():
        compare = partial(_views_of_another_future, agent, bars, rows, future, seed, known)
        checks.append(_checked(_KINDS[name], f"views, future {name}", 0.0, compare))
    checks.append(_checked("asked_again", "views, asked again", 0.0, partial(_asked_again, agent, bars, rows, known)))
    for name, future in FUTURES.items():
        check = f"twin, future {name}"
        if not agent.has_twin:
            checks.append(_absent(_KINDS[name], check, "no twin"))
            continue
        compare = partial(_twin_of_another_future, agent, bars, few, future, seed)
        checks.append(_checked(_KINDS[name], check, twin_tolerance_of(agent), compare))
    return LeakReport(agent.name, tuple(checks))


def twin_test(agent: Agent, bars: Bars, *, known: _Known | None = None) -> LeakReport:
    """Views and vectorised twin say the same at every bar, within the agent's `twin_tolerance`."""
    known = known or _Known(agent, bars)
    check = "twin against views"
    if not agent.has_twin:
        return LeakReport(agent.name, (_absent("twin", check, "no twin: studies go window by window"),))
    compare = partial(_twin_against_views, agent, bars, np.arange(agent.warmup - 1, len(bars)), known)
    return LeakReport(agent.name, (_checked("twin", check, twin_tolerance_of(agent), compare),))


def warmup_test(
    agent: Agent, bars: Bars, *, seed: int = 0, moments: int = MOMENTS, known: _Known | None = None
) -> LeakReport:
    """A window of exactly the warm-up says what a longer history says, within the agent's `twin_tolerance`.

    An agent whose numbers hang on where its history begins (an exponential average, a score over the whole window)
    says something else with every bar that is kept: its warm-up is not what it needs. The longer history is four times
    the warm-up, and at least 256 bars longer.
    """
    known = known or _Known(agent, bars)
    rows = _moments(agent.warmup, len(bars) - 2, moments, seed)
    compare = partial(_short_memory, agent, bars, rows, known)
    check = _checked("warm_up", "warm-up against longer history", twin_tolerance_of(agent), compare)
    return LeakReport(agent.name, (check,))


def order_test(
    agent: Agent, bars: Bars, *, seed: int = 0, moments: int = MOMENTS, known: _Known | None = None
) -> LeakReport:
    """Symbols in another order make the same views by symbol; bars twice or shuffled make none, or the same.

    An agent that learned keeps its universe in the order that it learned it in, and a release puts windows into that
    order: nothing is compared there.
    """
    known = known or _Known(agent, bars)
    rows = _moments(agent.warmup, len(bars) - 2, moments, seed)
    few = rows[:: max(1, rows.size // _SLOW_MOMENTS)]
    check = "symbols in another order"
    if agent.learns or len(bars.symbols) < 2:
        symbols = _absent("symbol_order", check, "learned in its order" if agent.learns else "one symbol")
    else:
        compare = partial(_other_order, agent, bars, rows, known)
        symbols = _checked("symbol_order", check, twin_tolerance_of(agent), compare)
    twice = _checked("duplicate_rows", "bars twice", 0.0, partial(_disturbed_rows, agent, bars, few, _twice))
    mixed = _checked("shuffled_rows", "bars shuffled", 0.0, partial(_disturbed_rows, agent, bars, few, _mixed))
    return LeakReport(agent.name, (symbols, twice, mixed))


def fit_test(agent: Agent, bars: Bars, *, seed: int = 0) -> LeakReport:
    """What comes after the training window, the first 60 % of the bars, changes nothing that is learned.

    It also says whether a fit can be repeated: the same seed must give the same arrays, to the last bit.
    """
    check = "fit, future replaced"
    if not agent.learns:
        return LeakReport(agent.name, (_absent("fit", check, "nothing to fit"),))
    return LeakReport(agent.name, (_checked("fit", check, 0.0, partial(_fitted_twice, agent, bars, seed)),))


def feature_parity(features: Mapping[str, Feature], bars: Bars, *, seed: int = 0, moments: int = MOMENTS) -> LeakReport:
    """Each feature made on all bars at once equals, in every row, the one made on the bars up to a moment (1e-9)."""
    if not features:
        return LeakReport("features", (_absent("features", "features, in bulk against bar by bar", "no features"),))
    rows = _moments(0, len(bars) - 2, min(moments, _SLOW_MOMENTS), seed)
    checks = [
        _checked(
            "features", f"feature {name}, in bulk against bar by bar", 1e-9, partial(_in_bulk, feature, bars, rows)
        )
        for name, feature in features.items()
    ]
    return LeakReport("features", tuple(checks))


def _views_of_another_future(agent: Agent, bars: Bars, rows: Rows, future: Future, seed: int, known: _Known) -> Found:
    others = ((row, future(bars, row, _dice(seed, row))) for row in map(int, rows))
    changed = numbers_of_views((views_at(agent, other, row) for row, other in others), bars.symbols)
    return far_apart(known.at(rows), changed, bars, rows)


def _asked_again(agent: Agent, bars: Bars, rows: Rows, known: _Known) -> Found:
    backwards = _numbers_at(agent, bars, rows[::-1])
    again = {name: values[::-1] for name, values in backwards.items()}
    return far_apart(known.at(rows), again, bars, rows)


def _twin_of_another_future(agent: Agent, bars: Bars, rows: Rows, future: Future, seed: int) -> Found:
    found, compared = Found(0, 0.0), 0
    for around, row in _surroundings(agent, bars, rows):
        before = _numbers_of_twin(agent, around, row + 1)
        after = _numbers_of_twin(agent, future(around, row, _dice(seed, row)), row + 1)
        this = far_apart(before, after, around, np.arange(row + 1))
        compared += row + 1
        found = max(found, this, key=lambda one: (one.worst, one.bars))
    return found._replace(bars=compared)


def _numbers_of_twin(agent: Agent, bars: Bars, rows: int) -> Mapping[str, NDArray[np.float64]]:
    panel = twin_panel(agent, bars)
    return {} if panel is None else numbers_of_panel(panel, rows)


def _twin_against_views(agent: Agent, bars: Bars, rows: Rows, known: _Known) -> Found:
    panel = twin_panel(agent, bars)
    if panel is None:
        return Found(len(bars), 0.0, "it has no twin for these bars: studies go window by window")
    if panel.horizon != agent.horizon:
        return Found(len(bars), math.inf, f"the twin looks {panel.horizon} ahead, the views {agent.horizon}")
    twin = {name: values[rows] for name, values in numbers_of_panel(panel).items()}
    return far_apart(known.at(rows), twin, bars, rows)


def _short_memory(agent: Agent, bars: Bars, rows: Rows, known: _Known) -> Found:
    longer = max(_HISTORIES * agent.warmup, agent.warmup + _LEAST_HISTORY)

    def long(row: int) -> list[View]:
        return views_by(agent, window_at(agent, bars, row, length=longer))

    return far_apart(numbers_of_views(map(long, map(int, rows)), bars.symbols), known.at(rows), bars, rows)


def _other_order(agent: Agent, bars: Bars, rows: Rows, known: _Known) -> Found:
    other = bars.symbols_only(bars.symbols[::-1])
    turned = numbers_of_views((views_at(agent, other, int(row)) for row in rows), bars.symbols)
    return far_apart(known.at(rows), turned, bars, rows)


def _disturbed_rows(agent: Agent, bars: Bars, rows: Rows, disturb: Callable[[Bars], Bars]) -> Found:
    """Windows with disturbed rows are refused, or answered as if they were not disturbed."""
    answered: list[int] = []
    for row in map(int, rows):
        plain = window_at(agent, bars, row)
        try:
            window = Window(disturb(plain.bars), plain.as_of, plain.features)
        except BadBars:
            continue
        answered += [row] if views_by(agent, window) != views_by(agent, plain) else []
    at = f"answered at {from_ns(int(bars.close_time_ns[answered[0]])):%Y-%m-%dT%H:%MZ}" if answered else ""
    return Found(rows.size, math.inf if answered else 0.0, at)


def _twice(bars: Bars) -> Bars:
    return _rows_of(bars, np.append(np.arange(len(bars)), len(bars) - 1))


def _mixed(bars: Bars) -> Bars:
    return _rows_of(bars, np.arange(len(bars) + (len(bars) == 1))[::-1] % len(bars))


def _rows_of(bars: Bars, rows: NDArray[np.int64]) -> Bars:
    arrays = {name: getattr(bars, name)[rows] for name in ("open_time_ns", *FIELDS, "listed")}
    return Bars(symbols=bars.symbols, interval=bars.interval, documents=bars.documents, **arrays)


def _fitted_twice(agent: Agent, bars: Bars, seed: int) -> Found:
    train = _training(bars)
    other = _training(replaced(bars, len(train) - 1, _dice(seed, len(train))))
    first, second = (Arrays(fitted_by(agent, of, seed).arrays()) for of in (train, other))
    differ = sorted(name for name in {*first, *second} if first.get(name) is None or second.get(name) is None)
    differ = differ or sorted(name for name in first if first[name].tobytes() != second[name].tobytes())
    return Found(len(train), math.inf if differ else 0.0, f"differs: {', '.join(differ[:3])}" if differ else "")


def _in_bulk(feature: Feature, bars: Bars, rows: Rows) -> Found:
    def made(row: int) -> Window:
        return Window(bars.rows(0, row + 1), from_ns(int(bars.close_time_ns[row])))

    whole = feature(made(len(bars) - 1))
    found, compared = Found(0, 0.0), 0
    for row in map(int, rows):
        part = feature(made(row)).reindex(index=bars.times[: row + 1], columns=list(bars.symbols))
        bulk = whole.reindex(index=part.index, columns=part.columns)
        this = far_apart({"value": part.to_numpy()}, {"value": bulk.to_numpy()}, bars, np.arange(row + 1))
        compared += row + 1
        found = max(found, this, key=lambda one: (one.worst, one.bars))
    return found._replace(bars=compared)


class _Known:
    """What an agent answered at rows of bars, each asked once for all checks.

    Parameters
    ----------
    agent, bars : who is asked about what.
    """

    def __init__(self, agent: Agent, bars: Bars) -> None:
        self._agent, self._bars = agent, bars
        self._views: dict[int, list[View]] = {}

    def at(self, rows: Rows) -> Mapping[str, NDArray[np.float64]]:
        """The numbers at these rows."""
        for row in map(int, rows):
            if row not in self._views:
                self._views[row] = views_at(self._agent, self._bars, row)
        return numbers_of_views((self._views[row] for row in map(int, rows)), self._bars.symbols)


def _numbers_at(agent: Agent, bars: Bars, rows: Rows) -> Mapping[str, NDArray[np.float64]]:
    return numbers_of_views((views_at(agent, bars, int(row)) for row in rows), bars.symbols)


def _surroundings(agent: Agent, bars: Bars, rows: Rows) -> Iterator[tuple[Bars, int]]:
    """The bars around each row, and the row's place among them."""
    after = max(_LEAST_FUTURE, agent.warmup, 2 * horizon_bars(agent.horizon, bars.interval))
    for row in map(int, rows):
        start = max(0, row + 1 - agent.warmup - _PAST_MARGIN)
        yield bars.rows(start, min(len(bars), row + 1 + after)), row - start


def _moments(first: int, last: int, count: int, seed: int) -> Rows:
    """Up to `count` rows from `first` to `last`, one drawn out of each of as many equal parts; none where none are."""
    rows, dice = np.arange(first, last + 1), np.random.default_rng(seed)
    parts = np.array_split(rows, min(count, rows.size)) if rows.size else []
    return np.array([dice.choice(part) for part in parts], dtype=np.int64)


def _training(bars: Bars) -> Bars:
    return bars.rows(0, round(_TRAINING_SHARE * len(bars)))


def _dice(seed: int, row: int) -> np.random.Generator:
    return np.random.default_rng([seed, row])


def _absent(kind: Kind, check: str, note: str) -> LeakCheck:
    return LeakCheck(kind, check, bars=0, worst=0.0, allowed=0.0, verdict="absent", note=note)


def _checked(kind: Kind, check: str, allowed: float, compare: Callable[[], Found]) -> LeakCheck:
    try:
        found = compare()
    except SapphireError as error:
        of_its_own = type(error) is AgentError and not isinstance(error.__cause__, SapphireError | None)
        found = Found(0, math.inf, error.got if of_its_own else f"{type(error).__name__}: {error.what}")
    except Exception as error:  # noqa: BLE001  (whatever an agent raises, its check has failed and says why)
        found = Found(0, math.inf, f"{type(error).__name__}: {error}")
    if not found.bars and not found.worst:
        found = Found(0, math.inf, "too few bars to look at")
    passed = found.worst <= allowed
    note = "" if passed and found.worst else found.note
    return LeakCheck(kind, check, found.bars, found.worst, allowed, "pass" if passed else "fail", note)
