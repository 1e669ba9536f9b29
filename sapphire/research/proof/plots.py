"""The figure of a proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sapphire.domain.theme import INK, PALETTE, dress, span
from sapphire.research.proof.expected import TOGETHER
from sapphire.research.proof.measured import MEASURES
from sapphire.research.proof.settings import Group

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sapphire.research.proof.verdicts import Proof

__all__ = ["proof_figure"]

_COLOURS = dict(zip((*MEASURES, TOGETHER), PALETTE, strict=False))


def proof_figure(proof: Proof) -> go.Figure:
    """P-values of noise on the hold-out beside uniform ones, its deflated Sharpe ratios, and power."""
    from plotly.subplots import make_subplots

    titles = ("noise: p-values of the hold-out", "noise: deflated Sharpe ratios", "planted: power")
    figure = make_subplots(rows=1, cols=3, subplot_titles=titles)
    noise = proof.of(Group("coin", "none"))
    for name in MEASURES:
        values = np.sort([value for each in noise if (value := each.values[name]) is not None])
        share = (np.arange(len(values)) + 0.5) / max(len(values), 1)
        column = 1 if "p_value" in name else 2
        style = {"color": _COLOURS[name], "width": 2}
        figure.add_scatter(x=values, y=share, name=name, mode="lines", line=style, legendgroup=name, row=1, col=column)
    for column in (1, 2):
        dotted = {"color": INK, "dash": "dot"}
        first = column == 1
        figure.add_scatter(
            x=[0, 1], y=[0, 1], name="uniform", mode="lines", line=dotted, showlegend=first, row=1, col=column
        )
    _add_power(figure, proof)
    figure.update_xaxes(title="p-value", row=1, col=1)
    figure.update_xaxes(title="deflated Sharpe ratio", row=1, col=2)
    figure.update_xaxes(title="true Sharpe ratio per year", row=1, col=3)
    figure.update_yaxes(title="share of strategies below", row=1, col=1)
    figure.update_yaxes(title="share that passes", range=_whiskers(figure), row=1, col=3)
    dress(figure, "What the gates let through", proof.caption, height=500)
    figure.update_layout(margin={"t": 112})
    return figure


def _add_power(figure: go.Figure, proof: Proof) -> None:
    """Computed power as lines; what was observed as points, with the error of a share."""
    group = Group("planted", "none")
    rates, found = proof.rates(group), proof.of(group)
    levels = list(rates)
    for name, colour in _COLOURS.items():
        computed = [rates[level][0][name].rate for level in levels]
        style = {"color": colour, "width": 1.5}
        figure.add_scatter(
            x=levels,
            y=computed,
            mode="lines",
            line=style,
            name=f"{name}, computed",
            legendgroup=name,
            row=1,
            col=3,
            showlegend=name == TOGETHER,
        )
        of_level = [[each for each in found if each.per_year == level] for level in levels]
        shares = [np.mean([each.together if name == TOGETHER else each.passed[name] for each in of]) for of in of_level]
        errors = [np.sqrt(share * (1 - share) / len(of)) for share, of in zip(shares, of_level, strict=True)]
        figure.add_scatter(
            x=levels,
            y=shares,
            mode="markers",
            marker={"color": colour},
            error_y={"array": errors},
            name=name,
            legendgroup=name,
            showlegend=False,
            row=1,
            col=3,
        )


def _whiskers(figure: go.Figure) -> list[float] | None:
    """A range that holds shares from 0 to 1 and the error bars of those observed."""
    points = [trace for trace in figure.data if trace.error_y.array is not None]
    ends = [np.asarray(each.y) + sign * np.asarray(each.error_y.array) for each in points for sign in (-1.0, 1.0)]
    return span(*ends, holds=(0.0, 1.0))
