"""Asking an agent in words: what it raises and what it answers wrongly is said once, with its own lines and the bar.

Everything that asks an agent asks it here: studies, leak checks, workers, served releases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sapphire.agents.agent import documents_of
from sapphire.agents.own_lines import lines_of_error, lines_of_returns, place_in
from sapphire.agents.view_panels import ViewPanel
from sapphire.domain.clocks import to_ns
from sapphire.domain.display import kind_of_value, stamp
from sapphire.domain.errors import AgentError, SapphireError
from sapphire.domain.views import View
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from sapphire.agents.agent import Agent
    from sapphire.domain.bars import Bars

__all__ = ["batch_by", "fitted_by", "panel_by", "require_answerable", "shown_to", "views_by"]

_MADE = "return window.views(score=..., horizon=self.horizon)"
_ALONE = "agent.views(sp.Window(bars.head_until(at), at)) asks about that bar alone"
_Agent = TypeVar("_Agent", bound="Agent")


def views_by(agent: Agent, window: Window) -> list[View]:
    """The views of `agent` at a window.

    Raises
    ------
    AgentError : it raised, or its answer is not a list of views of the window's symbols, one of each at most, as of the
        window's moment. Names the bar.
    SapphireError : one of these that it raised itself, of the same type, with the bar.
    """
    moment = stamp(to_ns(window.as_of))
    at = f" at {moment}"
    expected = f"a list of views of {', '.join(window.symbols)} as of {moment}, one of each at most"
    shown = shown_to(agent, window.bars)
    if shown is not window.bars:
        window = Window(shown, window.as_of, window.features)
    with _asking(agent, "views", at, expected):
        answer: Any = agent.views(window)
        views = list(answer) if isinstance(answer, Iterator) else answer
    fault = _fault(views, window)
    if fault is None:
        return list(views)
    raise _wrong(agent, "views", at, expected=expected, got=fault, step=_MADE)


def batch_by(agent: Agent, windows: Sequence[Window]) -> list[list[View]]:
    """The views of `agent` at many windows: asked together where it answers together, else one after the other.

    Raises
    ------
    AgentError, SapphireError : as `views_by`.
    """
    if not agent.has_batch or len(windows) < 2:
        return [views_by(agent, window) for window in windows]
    first, last = (stamp(to_ns(window.as_of)) for window in (windows[0], windows[-1]))
    span = f" at {first} to {last}"
    expected = f"a list of views for each of {len(windows):,} windows"
    shown = [Window(shown_to(agent, window.bars), window.as_of, window.features) for window in windows]
    with _asking(agent, "views_batch", span, expected):
        answer: Any = agent.views_batch(shown)
        batch = list(answer)
    if len(batch) != len(windows):
        raise _wrong(agent, "views_batch", span, expected=expected, got=f"{len(batch):,}", step="")
    for views, window in zip(batch, windows, strict=True):
        if fault := _fault(views, window):
            moment = stamp(to_ns(window.as_of))
            wanted = f"a list of views of {', '.join(window.symbols)} as of {moment}, one of each at most"
            raise _wrong(agent, "views_batch", f" at {moment}", expected=wanted, got=fault, step=_MADE)
    return [list(views) for views in batch]


def panel_by(agent: Agent, bars: Bars) -> ViewPanel | None:
    """What the vectorised twin of `agent` says of `bars`; None where it has none.

    Raises
    ------
    AgentError : it raised, or its answer is no panel, or one of other rows or columns.
    SapphireError : one of these that it raised itself, of the same type.
    """
    over = f" over the {len(bars):,} bars" + (f" up to {stamp(int(bars.close_time_ns[-1]))}" if len(bars) else "")
    expected = "a ViewPanel with a row for each bar, or None where there is no twin"
    with _asking(agent, "views_panel", over, expected):
        panel: Any = agent.views_panel(shown_to(agent, bars))
    if panel is None:
        return None
    if isinstance(panel, ViewPanel):
        try:
            panel.require_rows_of(bars, agent.name)
        except AgentError as error:
            error.lines = lines_of_returns(type(agent).views_panel)
            raise
        return panel
    step = 'return ViewPanel(horizon=self.horizon, score=...), of frames made from bars.frame("close")'
    raise _wrong(agent, "views_panel", over, expected=expected, got=kind_of_value(panel), step=step)


def fitted_by(agent: _Agent, train: Bars, seed: int) -> _Agent:
    """A copy of `agent` that has learned from `train`.

    Raises
    ------
    AgentError : it raised, or gave something else than an agent of its class.
    SapphireError : one of these that it raised itself, of the same type.
    """
    until = (
        f" when it is fitted on bars up to {stamp(int(train.close_time_ns[-1]))}"
        if len(train)
        else " when it is fitted on no bars"
    )
    expected = f"a {type(agent).__name__} that has learned"
    with _asking(agent, "", until, expected):
        learned: Any = agent.fit(shown_to(agent, train), seed)
    if isinstance(learned, type(agent)):
        return learned
    step = "return dataclasses.replace(self, ...) with what was learned; self stays as it is"
    raise _wrong(agent, "", until, expected=expected, got=kind_of_value(learned), step=step)


def require_answerable(agent: Agent) -> None:
    """Refuse an agent that cannot say how many bars it needs and how far it looks.

    Raises
    ------
    AgentError : a warm-up that is no number of bars, or a horizon that is no length of time.
    """
    asked: tuple[tuple[str, Any, str], ...] = (
        ("warmup", 1, "a whole number of bars, at least 1"),
        ("horizon", timedelta(microseconds=1), "a timedelta above zero, such as timedelta(hours=12)"),
    )
    for name, least, expected in asked:
        with _asking(agent, name, "", expected):
            value: Any = getattr(agent, name)
        if isinstance(value, bool) or not isinstance(value, type(least)) or value < least:
            raise _wrong(agent, name, "", expected=expected, got=f"{value!r:.40}", step="")


def shown_to(agent: Agent, bars: Bars) -> Bars:
    """The bars with the documents that the agent names, and no others."""
    if bars.documents is None:
        return bars
    return bars.with_documents(bars.documents.only(documents_of(agent)))


def _fault(answer: Any, window: Window) -> str | None:
    """What is wrong with an answer; None where nothing is."""
    if not isinstance(answer, list | tuple):
        return kind_of_value(answer)
    seen: set[str] = set()
    for place, view in enumerate(answer):
        if not isinstance(view, View):
            return f"{kind_of_value(view)} in place {place} of its answer"
        if view.symbol not in window.symbols:
            return f"a view of {view.symbol}, which is not in the window"
        if view.as_of != window.as_of:
            return f"a view of {view.symbol} as of {stamp(to_ns(view.as_of))}"
        if view.symbol in seen:
            return f"two views of {view.symbol}"
        seen.add(view.symbol)
    return None


def _wrong(agent: Agent, method: str, at: str, *, expected: str, got: str, step: str) -> AgentError:
    error = AgentError(f"{agent.name} answers wrongly{_in(method)}{at}", expected=expected, got=got, next=step)
    error.lines = lines_of_returns(getattr(type(agent), method or "fit", None))
    return error


@contextmanager
def _asking(agent: Agent, method: str, at: str, expected: str) -> Iterator[None]:
    """Say what an agent's code raises with its lines and the bar; what is said so already stays as it is."""
    try:
        yield
    except Exception as error:
        if isinstance(error, SapphireError) and at and at in error.what:  # of an agent inside this one
            raise
        raise _raised(agent, error, method, at, expected) from error


def _in(method: str) -> str:
    return f" in {method}" if method else ""


def _raised(agent: Agent, error: Exception, method: str, at: str, expected: str) -> SapphireError:
    lines = lines_of_error(error)
    if isinstance(error, SapphireError):
        what = f"{error.what} ({agent.name}{_in(method)}{at})"
        failed = type(error)(what, expected=error.expected, got=error.got, next=error.next)
    else:
        where = place_in(lines)
        failed = AgentError(
            f"{agent.name} fails{_in(method)}{at}",
            expected=expected,
            got=f"{type(error).__name__}: {error}" + (f" ({where})" if where else ""),
            next=_ALONE if method == "views" else "",
        )
    failed.lines = lines
    return failed
