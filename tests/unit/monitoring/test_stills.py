"""A figure as a picture has every line, bar and point of it, in the page's own colours."""

import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from sapphire.domain.bars import Bars
from sapphire.domain.candles import candle_figure
from sapphire.domain.errors import StudyError
from sapphire.domain.intervals import Interval
from sapphire.domain.theme import BLUE, GREEN, INK, ORANGE
from sapphire.monitoring.reading.latency_traces import summarise_latency
from sapphire.monitoring.telling.figures import equity_figure, latency_figure, positions_figure, steps_figure
from sapphire.monitoring.telling.stills import Look, draw, still
from sapphire.research.results.plots import heatmap_figure, paired_figure, slopes_figure, waterfall_figure

HOURS = pd.date_range("2025-04-06T01:00Z", periods=24, freq="h")
WALK = pd.Series(np.linspace(1.0, 1.1, 24), index=HOURS)
LOOK = Look(ink=INK, width=6.0, px_per_inch=96.0, font=8.0, has_title=True)


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
        latency_figure("m", {hop.hop: [1.0, 20.0, 300.0] for hop in summarise_latency(())}, summarise_latency(()))
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


def test_a_figure_without_a_trace_says_so():
    assert "Nothing is drawn" in picture(go.Figure())
    with pytest.raises(StudyError, match="nothing"):
        draw(go.Figure(), LOOK)


def test_axes_are_written_as_the_live_figure_writes_them():
    closes = pd.DataFrame({"BTC/USDT": 80_000.0 * WALK})
    prices = picture(positions_figure("m", closes, closes * 0.0, {}))
    assert ">80,000<" in prices
    curves = picture(equity_figure("m", WALK, WALK, WALK))
    assert "br&gt;" not in curves, "an axis title on two lines has no tag in it"
    assert ">difference,<" in curves
    assert ">fees in what<" in picture(steps_figure("m", {"fees": -4.0, "fees in what is received": -1.0}))


def candles():
    opens = np.array([[100.0], [104.0], [101.0]])
    prices = {"open": opens, "high": opens + 6.0, "low": opens - 5.0, "close": opens + np.array([[4.0], [-3.0], [1.0]])}
    times = HOURS[:3].as_unit("ns").asi8
    shape = {"volume": np.ones((3, 1)), "listed": np.ones((3, 1), np.bool_)}
    return candle_figure(
        Bars(symbols=("BTC/USDT",), interval=Interval("1h"), open_time_ns=times, **prices, **shape), "m"
    )


def drawings():
    grid = pd.DataFrame([[1.0, -2.0], [0.5, 3.0]], index=pd.Index([40, 60], name="slow"), columns=[4, 8])
    grid.columns.name = "fast"
    growth = pd.DataFrame({"first": WALK, "second": 2.0 - WALK})
    return {
        "candlestick": (candles(), ("BTC in USDT", "open, UTC"), (GREEN, ORANGE)),
        "heatmap": (heatmap_figure("Sweep", "m", grid, "Sharpe"), ("slow", "fast", "Sharpe", "−2.00|-2.00"), ()),
        "waterfall": (
            waterfall_figure(
                "Costs", "m", ("screen", -12.0), {"fees in what is received": -3.0, "spread": 40.0}, "end"
            ),
            ("screen", "fees in what", "spread", "end", r"\+25.0"),
            (BLUE, GREEN, ORANGE),
        ),
        "band": (
            paired_figure("Paired", "m", growth, WALK.pct_change().dropna(), 1e-4),
            ("± 2 standard errors of no difference",),
            (INK,),
        ),
        "level": (slopes_figure("Slopes", "m", {"a": [(1, -2.0, 1.0)]}, "slope", 0.5), ("slope, ± 2 SE",), (ORANGE,)),
    }


@pytest.mark.parametrize("name", drawings())
def test_whatever_sapphire_draws_is_drawn_on_a_page_too(name):
    figure, words, colours = drawings()[name]
    drawn = picture(figure)
    assert drawn == still(figure), "a figure and its JSON are one picture"
    for word in words:
        assert re.search(f">({word})<", drawn), word
    assert all(colour.lower() in drawn for colour in colours)


def test_candles_reach_from_low_to_high_and_stand_where_they_open():
    prices, traded = draw(candles(), LOOK).axes
    ends = [np.array(line.get_segments()) for line in prices.collections]
    assert sorted((low, high) for side in ends for (_, low), (_, high) in side) == [(95, 106), (96, 107), (99, 110)]
    bodies = sorted((bar.get_y(), bar.get_y() + bar.get_height()) for bar in prices.patches)
    assert bodies == [(100, 104), (101, 102), (104, 101)]
    low, high = prices.get_ylim()
    assert (low < 95, high > 110) == (True, True)
    assert len(traded.patches) == 3


def test_a_time_of_another_zone_is_drawn_at_its_utc():
    spec = {"data": [{"type": "scatter", "x": ["2025-04-06T03:00:00+02:00", "2025-04-06T02:00:00Z"], "y": [1, 2]}]}
    (panel,) = draw(spec, LOOK).axes
    assert [str(at)[:16] for at in panel.lines[0].get_xdata()] == ["2025-04-06T01:00", "2025-04-06T02:00"]


def test_a_band_lies_between_its_edges_and_a_level_where_it_is():
    paired = drawings()["band"][0]
    lower, upper = (np.asarray(trace.y) for trace in paired.data if trace.line.width == 0)
    (band,) = draw(paired, LOOK).axes[1].collections
    corners = band.get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx((lower.min(), upper.max()))
    assert tuple(band.get_facecolor()[0]) == pytest.approx((122 / 255, 122 / 255, 122 / 255, 0.2))
    (panel,) = draw(drawings()["level"][0], LOOK).axes
    assert [line.get_ydata()[0] for line in panel.lines if line.get_linestyle() == "--"] == [0.5]
