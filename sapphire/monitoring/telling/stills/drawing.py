"""A plotly figure as one of matplotlib's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import StudyError
from sapphire.monitoring.telling.stills.reading import (
    Plotted,
    colour_of,
    kind_of,
    loaded,
    plain,
    row_of,
    text_of,
    values_of,
)
from sapphire.monitoring.telling.stills.traces import DASHES, DRAWN, FAINT, GRID, LINE, ink

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Look", "draw", "undrawn"]

_HEIGHT_PX = 420
_THOUSANDS = "{x:,.6g}"


@dataclass(frozen=True, slots=True)
class Look:
    """What one place's pictures have of their own.

    Parameters
    ----------
    ink : colour of words and marks.
    width : inches.
    px_per_inch : of the figure's own height, in its pixels.
    font : points.
    has_title : whether the figure's title is drawn above it.
    """

    ink: str
    width: float
    px_per_inch: float
    font: float
    has_title: bool


def undrawn(figure: Plotted | Mapping[str, Any]) -> list[str]:
    """The kinds of its traces that are not drawn here."""
    return sorted({kind_of(trace) for trace in loaded(figure).get("data", ())} - DRAWN.keys())


def draw(figure: Plotted | Mapping[str, Any], look: Look) -> Figure:
    """A plotly figure as one of matplotlib's, one panel below the other, on paper that the page shows through.

    Parameters
    ----------
    figure : itself, or its JSON as a notebook keeps it.

    Raises
    ------
    StudyError : a kind of trace that is not drawn here, or no trace.
    """
    import matplotlib as mpl
    from matplotlib import figure as mpl_figure

    given = loaded(figure)
    traces, layout = list(given.get("data", ())), given.get("layout", {})
    if unknown := undrawn(given):
        raise StudyError("a picture of an unknown kind", expected=", ".join(DRAWN), got=", ".join(unknown))
    if not traces:
        raise StudyError("a picture of nothing", expected="a figure with at least one trace", got="none")
    names = sorted({row_of(trace) for trace in traces}, key=lambda name: int(name[1:] or 1))
    with mpl.rc_context(_settings(look)):
        size = (look.width, float(layout.get("height") or _HEIGHT_PX) / look.px_per_inch)
        drawn = mpl_figure.Figure(figsize=size, layout="constrained", facecolor="none")
        heights = [_share(layout, name) for name in names]
        places = drawn.subplots(len(names), 1, sharex=True, squeeze=False, height_ratios=heights)
        panels = dict(zip(names, places[:, 0], strict=True))
        for number, trace in enumerate(traces):
            DRAWN[kind_of(trace)](panels[row_of(trace)], trace, traces[:number])
        if all(kind_of(trace) == "box" for trace in traces):
            panels[names[0]].set_yticks(range(len(traces)), [str(trace.get("name", "")) for trace in traces])
        _lines(layout, panels)
        times = any(values_of(trace.get("x")).dtype.kind == "M" for trace in traces)
        for name, panel in panels.items():
            _dress(layout, name, panel, is_last=name == names[-1], times=times)
        if look.has_title:
            drawn.suptitle(plain(text_of(layout.get("title"))), x=0.01, ha="left", fontsize=look.font + 3)
    return drawn


def _settings(look: Look) -> dict[Any, Any]:
    inked = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")
    return dict.fromkeys(inked, look.ink) | {"font.size": look.font, "axes.edgecolor": GRID, "axes.facecolor": "none"}


def _share(layout: Mapping[str, Any], name: str) -> float:
    low, high = layout.get(f"yaxis{name[1:]}", {}).get("domain") or (0.0, 1.0)
    return float(high - low)


def _lines(layout: Mapping[str, Any], panels: Mapping[str, Axes]) -> None:
    """Upright lines where a fold begins, level ones where something is held against."""
    for shape in layout.get("shapes", ()):
        line = shape.get("line", {})
        style = {"color": colour_of(line.get("color")), "lw": LINE * line.get("width", 2)}
        style["ls"] = DASHES.get(str(line.get("dash")), "-")
        named = str(shape.get("yref", "y")).partition(" ")[0]
        for panel in [panels[named]] if named in panels else panels.values():
            if shape["x0"] == shape["x1"]:
                panel.axvline(values_of([shape["x0"]])[0], **style)
            elif shape["y0"] == shape["y1"]:
                panel.axhline(shape["y0"], **style)


def _dress(layout: Mapping[str, Any], name: str, panel: Axes, *, is_last: bool, times: bool) -> None:
    across, up = layout.get(f"xaxis{name[1:]}", {}), layout.get(f"yaxis{name[1:]}", {})
    if not panel.images:
        panel.grid(visible=True, color=GRID, alpha=FAINT, lw=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    for which in ("x", "y"):  # said again: ticks that are made while it is saved would have the colours of that moment
        panel.tick_params(which, which="both", color=ink(), labelcolor=ink())
    panel.set_ylabel(plain(text_of(up.get("title"))))
    if is_last:
        panel.set_xlabel(plain(text_of(across.get("title"))))
    _dress_across(across, panel, times=times)
    _dress_up(up, panel)
    if panel.get_legend_handles_labels()[1]:
        panel.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=6, frameon=False, borderaxespad=0.2)


def _dress_across(across: Mapping[str, Any], panel: Axes, *, times: bool) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if across.get("type") == "log":
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    elif across.get("ticktext") is not None:
        panel.set_xticks(range(len(across["ticktext"])), [plain(str(text)) for text in across["ticktext"]])
    elif across.get("dtick") == 1:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if times:
        locator = AutoDateLocator(minticks=5, maxticks=10)  # type: ignore[no-untyped-call]
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _dress_up(up: Mapping[str, Any], panel: Axes) -> None:
    from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

    limits, is_log = up.get("range"), up.get("type") == "log"
    if is_log:
        panel.set_yscale("log")
        low, high = panel.get_ylim()
        if high < 10.0 * low:
            panel.yaxis.set_major_locator(MaxNLocator(6))
        panel.yaxis.set_minor_formatter(NullFormatter())
    if up.get("autorange") == "reversed":
        panel.invert_yaxis()
    if isinstance(limits, Sequence):
        panel.set_ylim(*(10.0 ** float(end) if is_log else float(end) for end in limits))
    if is_log or up.get("tickformat") or max(map(abs, panel.get_ylim())) >= 1_000.0:
        panel.yaxis.set_major_formatter(StrMethodFormatter(_THOUSANDS))
