"""00_start_here is stored with what it showed: tables, words and still pictures, small enough to be read anywhere."""

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io
import pytest
from PIL import Image
from still import picture
from store_start_here import MOST_BYTES, NOTEBOOK, output_bytes, stilled

from sapphire.domain.bars import Bars
from sapphire.domain.candles import candle_figure
from sapphire.domain.errors import StudyError
from sapphire.domain.intervals import Interval
from sapphire.domain.theme import INK
from sapphire.research.results.plots import (
    equity_figure,
    heatmap_figure,
    line_up_figure,
    paired_figure,
    slopes_figure,
    waterfall_figure,
)

STATIC = {"text/html", "text/plain", "image/png"}
STORED = json.loads(NOTEBOOK.read_text("utf-8"))


def outputs(notebook):
    return [each for cell in notebook["cells"] if cell["cell_type"] == "code" for each in cell["outputs"]]


def shown(notebook):
    return [each["data"] for each in outputs(notebook) if "data" in each]


def figures():
    times = pd.date_range("2024-01-01", periods=3_000, freq="h", tz="UTC")
    walk = pd.Series(np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 0.01, 3_000))), index=times)
    both = pd.DataFrame({"agent": walk, "buy and hold": 1.0 / walk})
    grid = pd.DataFrame([[1.0, -2.0], [0.5, 3.0]], index=pd.Index([40, 60], name="slow"), columns=[4, 8])
    grid.columns.name = "fast"
    errors = ["1 h", "2 h"], [0.01, -0.02], [0.01, 0.01]
    return {
        "equity": equity_figure("Replay", "generated", both, walk / walk.cummax() - 1.0, folds=[times[9]]),
        "heatmap": heatmap_figure("Sweep", "generated", grid, "Sharpe"),
        "waterfall": waterfall_figure("Compare", "generated", ("screen", -12.0), {"fees": -3.0, "spread": 40.0}, "end"),
        "slopes": slopes_figure("Slopes", "generated", {"a": [(1, -2.0, 1.0), (2, 3.0, 1.0)]}, "slope", 0.0),
        "paired": paired_figure("Paired", "generated", both, walk.pct_change().dropna() / 9.0, 1e-4),
        "candles": candle_figure(bars(), "generated"),
        "bars": line_up_figure("Decay", "generated", *errors, across="horizon", value="rank IC"),
    }


def bars():
    """A random walk of hourly bars."""
    closes = 100.0 * np.exp(np.cumsum(np.random.default_rng(2).normal(0.0, 0.01, (90, 1)), axis=0))
    opens = np.vstack([closes[:1], closes[:-1]])
    return Bars(
        symbols=("BTC/USDT",),
        interval=Interval("1h"),
        open_time_ns=np.arange(90) * Interval("1h").ns,
        open=opens,
        high=np.maximum(opens, closes),
        low=np.minimum(opens, closes),
        close=closes,
        volume=np.ones((90, 1)),
        listed=np.ones((90, 1), np.bool_),
    )


def ran(figure):
    """A notebook as it is after a run, with one figure."""
    mime = {"application/vnd.plotly.v1+json": json.loads(figure.to_json()), "text/html": "<div>a script</div>"}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["words"]},
        {
            "cell_type": "code",
            "metadata": {"papermill": {"duration": 3}},
            "execution_count": 4,
            "source": ["figure"],
            "outputs": [
                {"output_type": "stream", "name": "stderr", "text": ["progress"]},
                {"output_type": "stream", "name": "stdout", "text": ["in words"]},
                {"output_type": "display_data", "metadata": {}, "data": mime},
                {
                    "output_type": "display_data",
                    "metadata": {},
                    "data": {"application/vnd.sapphire.result+json": {}, "text/html": "<table>", "text/plain": "t"},
                },
            ],
        },
    ]
    return {"cells": cells, "metadata": {"kernelspec": {}, "language_info": {}, "papermill": {}}}


def test_what_is_stored_is_small_and_still():
    assert 0 < output_bytes(STORED) <= MOST_BYTES
    assert all(set(data) <= STATIC for data in shown(STORED))
    assert sum("image/png" in data for data in shown(STORED)) >= 6
    assert not [each for data in shown(STORED) if "<script" in str(data.get("text/html", "")).lower() for each in data]
    assert "papermill" not in STORED["metadata"]


def test_what_is_stored_names_no_folder_of_a_machine():
    html = "".join("".join(data.get("text/html", "")) for data in shown(STORED))
    assert "agents/first_idea.py" in html
    assert not re.search(r"[ >\"']/[a-z]+/", html)


def test_every_cell_that_shows_something_is_stored_with_it():
    shows = [cell for cell in STORED["cells"] if cell["cell_type"] == "code" and not cell["outputs"]]
    quiet = [cell for cell in shows if "import" not in "".join(cell["source"]) and not cell["metadata"].get("tags")]
    assert quiet == []


def test_it_says_in_words_which_way_its_score_was_traded():
    words = "".join("".join(each["text"]) for each in outputs(STORED) if each["output_type"] == "stream")
    assert "have a negative slope" in words
    assert "standard errors away from zero" in words
    tables = "".join("".join(data.get("text/html", "")) for data in shown(STORED))
    turned = "score is traded reversed" in tables
    assert ("The score is traded reversed in some folds." in words) == turned


@pytest.mark.parametrize("name", figures())
def test_a_figure_is_a_picture_of_its_own_data(name):
    figure = plotly.io.from_json(figures()[name].to_json())
    drawn = Image.open(io.BytesIO(picture(figure)))
    assert drawn.format == "PNG"
    assert min(drawn.size) >= 300
    assert len(set(drawn.convert("L").tobytes())) > 5, "something is drawn"
    trace = figure.data[0]
    changed = go.Figure(figure)
    others = {"heatmap": {"z": [[3.0, 1.0], [-2.0, 0.1]]}, "candlestick": {"close": np.full(90, 100.0)}}
    changed.data[0].update(others.get(trace.type) or {"y": [2.0 * value for value in y_of(name)]})
    assert picture(changed) != picture(figure)


def y_of(name):
    return np.arange(len(figures()[name].data[0].y)) % 7 + 1.0


def test_a_heatmap_keeps_both_ends_of_its_scale():
    drawn = Image.open(io.BytesIO(picture(plotly.io.from_json(figures()["heatmap"].to_json()))))
    drawn = drawn.convert("RGBA").convert("RGB")
    colours = np.array(drawn.getcolors(100_000), dtype=object)[:, 1]
    assert any(blue > red + 60 for red, _, blue in colours)
    assert any(red > blue + 60 for red, _, blue in colours)


@pytest.mark.parametrize("name", figures())
def test_a_picture_is_read_on_a_light_page_and_on_a_dark_one(name):
    """The page shows through, and nothing that is drawn is as light as one of them or as dark as the other."""
    drawn = np.asarray(Image.open(io.BytesIO(picture(figures()[name]))).convert("RGBA"))
    seen = drawn[drawn[..., 3] > 200][:, :3].astype(int)
    assert (drawn[..., 3] == 0).mean() > 0.2
    ink = np.array([int(INK[place : place + 2], 16) for place in (1, 3, 5)])
    assert (np.abs(seen - ink).max(axis=1) < 12).sum() > 150, "words and lines are in the theme's ink"
    dark = seen[seen.max(axis=1) < 60]
    assert len(dark) < 0.002 * seen.shape[0]


def test_a_kind_that_is_not_drawn_is_refused():
    with pytest.raises(StudyError, match="unknown kind"):
        picture(go.Figure(go.Pie(values=[1, 2])))


def test_a_run_is_stored_without_what_runs():
    notebook = stilled(ran(figures()["slopes"]))
    words, still, table = notebook["cells"][1]["outputs"]
    assert words["text"] == ["in words"]
    assert set(still["data"]) == {"image/png", "text/plain"}
    assert base64.b64decode(still["data"]["image/png"])[:4] == b"\x89PNG"
    assert set(table["data"]) == {"text/html"}
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["cells"][1]["metadata"] == {}
