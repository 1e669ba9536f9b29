"""How results show themselves: in a notebook, in a terminal, as figures and as data; and that they are values."""

import io
import json
import operator
import pickle
import sys
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import plotly.io
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.utils.capture import capture_output
from joblib.externals.loky import get_reusable_executor
from rich.console import Console
from traitlets.config import Config

from sapphire.agents import Cash, MovingAverageCross
from sapphire.domain.errors import StatisticsError
from sapphire.registry import BeliefCheck
from sapphire.research.results.showing import RESULT_MIME, Shown
from sapphire.research.results.tear_sheet import TearSheet

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))
QUESTIONS = {
    "screen": lambda study: study.screen(AGENT),
    "sweep": lambda study: study.sweep(AGENT, fast=[2, 3, 12], slow=[12, 16]),
    "replay": lambda study: study.replay(AGENT),
    "compare": lambda study: study.compare(AGENT),
    "information": lambda study: study.information(AGENT),
    "paths": lambda study: study.paths(AGENT, groups=4),
    "counterfactuals": lambda study: study.counterfactuals(AGENT),
    "trials": lambda study: study.trials(),
    "study": lambda study: study,
}
FIGURES = {
    "screen": 1,
    "sweep": 1,
    "replay": 1,
    "compare": 1,
    "information": 2,
    "paths": 1,
    "counterfactuals": 0,
    "trials": 0,
    "study": 0,
}
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


@pytest.fixture(scope="module")
def values(results):
    """Those, and what is made of them."""
    replayed = results["replay"]
    return results | {
        "by fold": replayed.by_fold,
        "by symbol": replayed.by_symbol,
        "by regime": replayed.by_regime,
        "calibration": replayed.calibration,
        "tear sheet": replayed.tear_sheet(),
        "selection": results["trials"].selection,
    }


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
    growth, invested, drawdown = figure.data
    assert growth.y.tolist() == (replayed.worth / replayed.worth[0]).tolist()
    assert (growth.y[0], invested.y[0], drawdown.y[0]) == (1.0, 1.0, 0.0)
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
    assert swept.figure.layout.yaxis.title.text.replace("<br>", " ") == "Sharpe ratio per year, ± 2 standard errors"


def test_the_waterfall_ends_at_the_evidence(results):
    compared = results["compare"]
    fall = compared.figure.data[0]
    assert fall.measure == ("absolute", *["relative"] * 8, "total")
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


def test_what_is_asked_again_is_equal_and_what_is_not_the_same_is_not(studies_in, values):
    make = studies_in()
    study = make()
    assert study == values["study"]
    assert study is not values["study"]
    again = study.replay(AGENT)
    assert again == values["replay"]
    assert replace(again, trials=99) == again, "what is asked meanwhile changes no result"
    assert study.screen(AGENT) == values["screen"]
    assert study.paths(AGENT, groups=4) == values["paths"]
    assert hash(again) == hash(values["replay"])
    other = study.replay(AGENT.replace(fast=4))
    assert other != values["replay"]
    assert make(seed=8) != study
    assert make(seed=8).screen(AGENT) != values["screen"], "of another study"
    assert values["replay"] != values["screen"]
    assert values["replay"] != "replay"
    assert len({id(each) for each in {again, values["replay"], other}}) == 2


def test_every_result_is_what_it_was_after_pickling(values):
    for name, result in values.items():
        read = pickle.loads(pickle.dumps(result))
        assert read == result, name
        assert read.caption == result.caption, name
        assert list(read.table()[1]) == list(result.table()[1]), name
        assert read.as_dict() == result.as_dict(), name
    bars = pickle.loads(pickle.dumps(values["study"])).data.bars
    assert not bars.close.flags.writeable, "bars stay what they are"


def test_results_go_to_other_processes_and_come_back(values):
    replayed, trials = values["replay"], values["trials"]
    elsewhere = get_reusable_executor(max_workers=1)  # what joblib.Parallel works with
    frames = elsewhere.map(operator.attrgetter("frame"), (replayed, trials))
    for frame, result in zip(frames, (replayed, trials), strict=True):
        pd.testing.assert_frame_equal(frame, result.frame)
    assert elsewhere.submit(operator.attrgetter("study", "calibration"), replayed).result() == (
        replayed.study,
        replayed.calibration,
    )


def test_trials_take_their_returns_with_them(values, tmp_path, monkeypatch):
    packed = pickle.dumps(values["trials"])
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "another"))
    assert pickle.loads(packed).as_dict() == values["trials"].as_dict()


def test_len_counts_what_a_loop_goes_through(values):
    lengths = {name: len(result) for name, result in values.items()}
    assert all(lengths[name] == len(list(result)) for name, result in values.items())
    tested = len(values["study"].tested)
    assert lengths == {
        "study": 3,
        "screen": tested,
        "sweep": 5,
        "replay": tested,
        "by fold": 3,
        "by symbol": 2,
        "by regime": len(values["by regime"].parts),
        "calibration": 3,
        "tear sheet": 15,
        "compare": 9,
        "information": 4,
        "paths": 3,
        "counterfactuals": 5,
        "trials": values["trials"].count,
        "selection": len(values["selection"].rows),
    }
    assert all(values.values())


def test_a_loop_goes_through_what_the_result_is_made_of(values):
    assert list(values["study"]) == list(values["study"].folds)
    assert dict(values["replay"]) == values["replay"].equity.to_dict()
    assert list(values["paths"]) == list(values["paths"].runs)
    parameters, performance = next(iter(values["sweep"]))
    assert parameters == {"fast": 2, "slow": 12}
    assert performance == values["sweep"].performances[0]
    assert [name for name, _ in values["compare"]] == [name for name, _ in values["compare"].rungs]
    assert all(isinstance(each, BeliefCheck) for each in values["calibration"])
    assert {row.agent for row in values["trials"]} == {AGENT.name}


def test_every_result_is_a_frame_with_numbers(values):
    for name, result in values.items():
        assert isinstance(result.frame, pd.DataFrame), name
        if not isinstance(result, TearSheet) and name not in ("study", "selection", "calibration"):
            assert len(result.frame) == len(result), name
    assert values["replay"].frame["equity"].tolist() == values["replay"].worth.tolist()
    assert values["replay"].frame["drawdown"].min() == -values["replay"].performance.drawdown
    swept = values["sweep"].frame
    assert list(swept.columns[:3]) == ["fast", "slow", "total_return"]
    assert swept["total_return"].tolist() == [each.total_return for each in values["sweep"].performances]
    assert values["compare"].frame["change_bps"].iloc[1:].tolist() == list(values["compare"].steps.values())
    assert values["information"].frame["rank_ic"].tolist() == list(values["information"].mean_ic)
    assert values["by symbol"].frame.index.tolist() == ["BTC/USDT", "ETH/USDT"]
    assert values["calibration"].frame["slope_bps"].notna().all()


def test_trials_are_a_table_for_pandas_and_for_a_terminal(values):
    trials = values["trials"]
    frame = trials.frame
    assert frame["as_trials"].sum() == trials.count
    assert set(frame["method"]) == {"replay", "screen", "sweep", "information", "paths"}
    replayed = frame[frame["method"] == "replay"].iloc[0]
    performance = values["replay"].performance
    assert replayed["sharpe_per_year"] == pytest.approx(performance.sharpe * performance.per_year**0.5, nan_ok=True)
    assert replayed["last_close"].floor("s") == values["study"].tested.times[-1]
    assert replayed["parameters"]["fast"] == 3
    console = Console(file=io.StringIO(), width=90)
    console.print(trials)
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= 90
    for word in ("agent", "last evaluated by", AGENT.name, "PBO by CSCV"):
        assert word in shown


def test_a_result_has_its_tables_for_whoever_asks(values):
    for result in values.values():
        everything = result._repr_mimebundle_()
        assert set(everything) == {"text/plain", "text/html", RESULT_MIME}
        assert everything["text/plain"] == repr(result)
        assert set(result._repr_mimebundle_(include=["text/html"])) == {"text/html"}
        assert set(result._repr_mimebundle_(exclude=[RESULT_MIME])) == {"text/plain", "text/html"}


def test_every_kind_of_result_was_asked(values):
    """So that a new one is not forgotten here; the others are asked where they are made."""
    elsewhere = {"ModelCost", "Paired", "ProbabilityTable", "Proof", "Release", "Section"}
    kinds = {kind.__name__ for kind in Shown.__subclasses__() if kind.__module__.startswith("sapphire.")}
    assert kinds - elsewhere == {type(result).__name__ for result in values.values()}
    assert all(np.isfinite(hash(result)) for result in values.values())


def test_error_bars_end_inside_the_axes(values):
    bars = 0
    for name in ("information", "paths", "calibration"):
        for figure in values[name].figures:
            low, high = figure.layout.yaxis.range
            for trace in figure.data:
                middle = np.asarray(trace.y, dtype=float)
                reach = np.nan_to_num(np.asarray(trace.error_y.array, dtype=float))
                assert low < np.nanmin(middle - reach)
                assert np.nanmax(middle + reach) < high
                bars += 1
    assert bars >= 4
