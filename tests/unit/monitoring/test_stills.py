"""A figure as a picture has every line, bar and point of it, in the page's own colours."""

import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sapphire.domain.theme import BLUE
from sapphire.monitoring.figures import equity_figure, latency_figure, positions_figure, steps_figure
from sapphire.monitoring.hops import summarise_hops
from sapphire.monitoring.stills import still

HOURS = pd.date_range("2025-04-06T01:00Z", periods=24, freq="h")
WALK = pd.Series(np.linspace(1.0, 1.1, 24), index=HOURS)


def picture(figure):
    """As the page gets it: from the JSON that a notebook keeps."""
    return still(json.loads(figure.to_json()))


def test_curves_are_drawn_with_their_names_and_axes():
    drawn = picture(equity_figure("generated market", WALK, WALK, WALK))
    for text in ("traded", "evidence of the same bars", "buy and hold, no costs", "growth of 1", "close, UTC", "06:00"):
        assert f">{text}<" in drawn
    assert "<strong>Equity, traded and by the evidence</strong> generated market" in drawn
    assert drawn.count(BLUE.lower()) >= 1
    assert "currentColor" in drawn
    assert "#010203" not in drawn


def test_fills_bars_and_spans_are_drawn():
    closes = pd.DataFrame({"BTC/USDT": WALK, "ETH/USDT": WALK})
    fills = {"BTC/USDT": [(HOURS[3], 1.01, "BUY"), (HOURS[9], 1.03, "SELL")]}
    assert ">bought<" in picture(positions_figure("m", closes, closes * 0.0, fills))
    steps = picture(steps_figure("m", {"fees": -44.12, "spread of the book": -4.67}))
    assert ">fees<" in steps
    assert re.search("[-−]44.12", steps)
    spans = picture(
        latency_figure("m", {hop.hop: [1.0, 20.0, 300.0] for hop in summarise_hops(())}, summarise_hops(()))
    )
    assert ">signal to wire, n = 0<" in spans
    assert ">microseconds, log scale<" in spans


def test_the_same_figure_is_the_same_picture_and_holds_no_address():
    figure = steps_figure("m", {"fees": -1.0})
    assert picture(figure) == picture(figure)
    assert "metadata" not in picture(figure)


def test_what_is_not_drawn_here_is_named():
    drawn = picture(go.Figure(go.Surface(z=[[1, 2], [3, 4]])))
    assert "surface: drawn in the notebook beside this page" in drawn
