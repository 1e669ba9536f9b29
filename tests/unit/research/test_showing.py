"""How results show themselves: in a notebook, in a terminal, as figures and as plain values."""

import json
import sys
from datetime import timedelta
from html.parser import HTMLParser

import plotly.io
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from sapphire.agents import Cash, MovingAverageCross
from sapphire.domain.errors import StatisticsError
from sapphire.research.results.showing import RESULT_MIME

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))
QUESTIONS = {
    "screen": lambda study: study.screen(AGENT),
    "sweep": lambda study: study.sweep(AGENT, fast=[2, 3, 12], slow=[12, 16]),
    "replay": lambda study: study.replay(AGENT),
    "compare": lambda study: study.compare(AGENT),
    "information": lambda study: study.information(AGENT),
    "paths": lambda study: study.paths(AGENT, groups=4),
    "trials": lambda study: study.trials(),
    "study": lambda study: study,
}
FIGURES = {"screen": 1, "sweep": 1, "replay": 1, "compare": 1, "information": 2, "paths": 1, "trials": 0, "study": 0}
LABEL = "recorded candles (binance spot)"


class Cells(HTMLParser):
    """Text of every cell of a table."""

    def __init__(self):
        super().__init__()
        self.open, self.cells = False, []

    def handle_starttag(self, tag, attrs):
        self.open = tag in ("td", "th")
        if self.open:
            self.cells.append("")

    def handle_endtag(self, tag):
        self.open = self.open and tag not in ("td", "th")

    def handle_data(self, data):
        if self.open:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def results(studies_in, tmp_path_factory):
    """One of each."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("results")))
        study = studies_in()()
        return {name: ask(study) for name, ask in QUESTIONS.items()}


@pytest.fixture
def shell(tmp_path, monkeypatch, request):
    """An IPython shell, as a kernel has one or as a terminal has one."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(plotly.io.renderers, "default", "plotly_mimetype")
    kind = getattr(request, "param", InteractiveShell)
    made = kind.instance(config=Config({"HistoryManager": {"enabled": False}, kind.__name__: {"colors": "nocolor"}}))
    yield made
    made.restore_sys_module_state()
    kind.clear_instance()


def displayed(shell, result):
    shell.user_ns["result"] = result
    with capture_output() as seen:
        done = shell.run_cell("result")
    done.raise_error()
    return seen


def test_in_a_notebook_the_table_comes_first_and_then_the_figures(results, shell):
    for name, result in results.items():
        first, *figures = displayed(shell, result).outputs
        assert set(first.data) == {"text/plain", "text/html", RESULT_MIME}
        parser = Cells()
        parser.feed(first.data["text/html"])
        tables = [each.table() for each in (result, *result.below)]
        assert parser.cells == [cell for header, lines in tables for line in (header, *lines) for cell in line]
        assert len(tables) == (2 if name == "trials" else 1)
        assert first.data["text/plain"] == repr(result)
        assert first.data[RESULT_MIME] == result.as_dict()
        assert len(figures) == FIGURES[name]
        assert all("application/vnd.plotly.v1+json" in figure.data for figure in figures)


@pytest.mark.parametrize("shell", [TerminalInteractiveShell], indirect=True)
def test_in_a_terminal_the_table_stands_alone(results, shell, monkeypatch):
    monkeypatch.setattr(plotly.io, "show", lambda *_, **__: pytest.fail("a terminal was about to open a browser"))
    seen = displayed(shell, results["replay"])
    assert [set(output.data) for output in seen.outputs] == [{"text/plain", "text/html", RESULT_MIME}]


def test_plain_values_are_json_and_name_their_method(results):
    for name, result in results.items():
        values = json.loads(json.dumps(result.as_dict(), allow_nan=False))
        assert values["method"] == name


def test_plain_values_of_an_idle_account_are_json_as_well(make_study):
    study, idle = make_study(), Cash(horizon=timedelta(hours=1))
    for result in (study.screen(idle), study.sweep(idle, horizon=[timedelta(hours=1)]), study.replay(idle)):
        json.dumps(result.as_dict(), allow_nan=False)
        assert " - " in repr(result)
        assert result.figure.to_dict()["data"]
    assert set(study.compare(idle).steps.values()) == {0.0}
    with pytest.raises(StatisticsError):
        study.information(idle)


def test_every_caption_says_where_the_data_are_from(results):
    for result in results.values():
        assert LABEL in result.caption
        assert result.caption in repr(result)


def test_every_figure_says_where_the_data_are_from_and_in_which_units(results):
    for name, result in results.items():
        assert (result.figure is not None) is bool(FIGURES[name])
        for figure in result.figures:
            layout = figure.to_dict()["layout"]
            assert layout["title"]["text"].endswith(f"<br><sup>{LABEL}</sup>")
            axes = {key: axis.get("title", {}).get("text") for key, axis in layout.items() if "axis" in key}
            shared = {"xaxis"} if "xaxis2" in axes else set()  # the upper panel's is the lower one's
            assert {key for key, text in axes.items() if not text} == shared


def test_the_screen_s_title_says_that_it_is_no_evidence(results):
    for name in ("screen", "sweep"):
        assert "not evidence" in results[name].caption + results[name].figure.layout.title.text


def test_the_equity_figure_shows_growth_drawdown_and_folds(results):
    replayed = results["replay"]
    figure = replayed.figure
    growth, held, drawdown = figure.data
    assert growth.y.tolist() == (replayed.worth / replayed.worth[0]).tolist()
    assert (growth.y[0], held.y[0], drawdown.y[0]) == (1.0, 1.0, 0.0)
    assert min(drawdown.y) == pytest.approx(-100 * replayed.performance.drawdown)
    assert max(drawdown.y) == 0.0
    assert [str(shape.x0) for shape in figure.layout.shapes] == [str(fold.test_start) for fold in replayed.study.folds]
    assert (figure.layout.yaxis.title.text, figure.layout.yaxis2.title.text) == ("growth of 1", "drawdown, %")
    assert figure.layout.xaxis2.title.text == "close, UTC"


def test_the_heatmap_has_a_cell_for_every_combination(results):
    swept = results["sweep"]
    heat = swept.figure.data[0]
    assert (heat.x, heat.y) == (("2", "3", "12"), ("12", "16"))
    by_values = dict(zip(swept.values, swept.performances, strict=True))
    for row, slow in enumerate((12, 16)):
        for column, fast in enumerate((2, 3, 12)):
            known = by_values.get((fast, slow))
            expected = float("nan") if known is None else known.sharpe * 8_760**0.5
            assert heat.z[row][column] == pytest.approx(expected, nan_ok=True)
    assert swept.refused == ((12, 12),)


def test_a_heatmap_of_more_than_two_parameters_says_that_it_shows_the_best(make_study):
    swept = make_study().sweep(AGENT, fast=[2, 3], slow=[12, 16], horizon=[timedelta(hours=1), timedelta(hours=2)])
    assert "the best over horizon" in swept.figure.layout.title.text
    assert len(swept.figure.data[0].z) == 2


def test_one_parameter_is_bars_with_their_errors(make_study):
    swept = make_study().sweep(AGENT, fast=[2, 3, 4])
    bars = swept.figure.data[0]
    assert bars.x == ("2", "3", "4")
    assert bars.error_y.array == pytest.approx([2 * row.sharpe_error * 8_760**0.5 for row in swept.performances])
    assert swept.figure.layout.yaxis.title.text == "Sharpe ratio per year, ± 2 standard errors"


def test_the_waterfall_ends_at_the_evidence(results):
    compared = results["compare"]
    fall = compared.figure.data[0]
    assert fall.measure == ("absolute", *["relative"] * 6, "total")
    assert sum(fall.y[:-1]) == pytest.approx(1e4 * compared.runs[-1].performance.total_return)
    assert float(fall.text[-1]) == pytest.approx(sum(fall.y[:-1]), abs=0.051)


def test_decay_and_quantiles_carry_two_standard_errors(results):
    report = results["information"]
    decay, quantiles = report.figures
    assert decay.data[0].x == ("1 x 1h", "2 x 1h", "4 x 1h", "8 x 1h")
    assert decay.data[0].error_y.array == pytest.approx([2 * row.standard_error for row in report.decay])
    assert quantiles.data[0].x == ("Q1", "Q2", "Q3", "Q4", "Q5")
    assert quantiles.data[0].y == pytest.approx([1e4 * row.mean for row in report.quantiles])
    assert sum(row["outcomes"] for row in report.as_dict()["quantiles"]) == 2 * (155 - 2)
