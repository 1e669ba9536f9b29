"""The data verbs: one object on stdout with --json, and exit codes that scripts can rely on."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from sapphire.data.commands import app
from sapphire.domain import BadBars, ConfigError, MissingData

RUN = CliRunner()
REQUEST = ["--interval", "1h", "--start", "2024-01-30", "--end", "2024-01-31"]


def output_of(*words):
    """The one JSON object that a verb prints."""
    done = RUN.invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture
def imported(home, recording, walk):
    path = recording(walk(48), "BTCUSDT_1h_test.feather")
    return output_of("import", str(path))


def test_import_says_what_went_in(imported):
    assert imported == {
        "files": [
            {
                "added": 48,
                "end": "2024-02-01T00:00Z",
                "file": "BTCUSDT_1h_test.feather",
                "interval": "1h",
                "kind": "spot",
                "measure": "bars",
                "missing_rows": 0,
                "notes": [],
                "rows": 48,
                "start": "2024-01-30T00:00Z",
                "symbol": "BTC/USDT",
                "venue": "binance",
            }
        ],
        "left": [],
        "ok": True,
    }


def test_import_of_a_folder_ends_with_one_where_candles_were_left(home, recording, walk, tmp_path):
    recording(walk(48), "BTCUSDT_1h_test.feather")
    (tmp_path / "candles" / "notes.txt").write_text("mine")
    done = output_of("import", str(tmp_path / "candles"))
    assert [one["file"] for one in done["left"]] == ["notes.txt"]
    recording(walk(48), "DOTUSD-1h.feather")
    left = RUN.invoke(app, ["import", str(tmp_path / "candles"), "--json"])
    assert left.exit_code == 1
    assert [(one["file"], one["fault"]) for one in json.loads(left.stdout)["left"]] == [
        ("DOTUSD-1h.feather", True),
        ("notes.txt", False),
    ]
    shown = RUN.invoke(app, ["import", str(tmp_path / "candles")])
    assert shown.exit_code == 1
    assert "--symbol DO/TUSD or --symbol DOT/USD" in shown.stderr
    checked = RUN.invoke(app, ["check", str(tmp_path / "candles"), "--json"])
    assert checked.exit_code == 1
    assert json.loads(checked.stdout)["left"][0]["file"] == "DOTUSD-1h.feather"


def test_any_csv_goes_in_by_a_mapping(home, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("ts;o;h;l;c;amount\n1706572800;1;2;1;2;5\n1706576400;2;2;1;1;4\n")
    words = ["--symbol", "BTC/USDT", "--interval", "1h", "--columns", "open_time=ts,volume=amount"]
    assert output_of("check", str(path), *words)["ok"] is True
    done = output_of("import", str(path), *words)
    assert [(one["symbol"], one["rows"]) for one in done["files"]] == [("BTC/USDT", 2)]


def test_snapshot_list_show_and_check_agree(imported):
    taken = output_of("snapshot", "BTC/USDT", *REQUEST)
    assert taken["bars"] == 24
    assert taken["label"] == "recorded candles (binance spot)"
    listed = output_of("list")
    assert [one["hash"] for one in listed["snapshots"]] == [taken["hash"]]
    assert [(one["symbol"], one["rows"]) for one in listed["series"]] == [("BTC/USDT", 48)]
    assert output_of("show", taken["hash"][:10]) == taken
    assert output_of("check", taken["hash"])["ok"] is True
    assert [report["rows"] for report in output_of("check", "BTC/USDT")["reports"]] == [48]
    assert output_of("show", "BTC/USDT")["reports"][0]["name"] == "binance BTC/USDT bars 1h"


def test_without_json_the_table_is_on_stdout_and_the_next_step_on_stderr(imported):
    done = RUN.invoke(app, ["snapshot", "BTC/USDT", *REQUEST], catch_exceptions=False)
    assert done.stdout.startswith("snapshot ")
    assert "recorded candles (binance spot)" in done.stdout
    assert "sapphire data show" in done.stderr
    listed = RUN.invoke(app, ["list"], catch_exceptions=False).stdout
    assert "1 snapshot\n" in listed
    assert "1 recorded series" in listed


def test_check_ends_with_one_for_a_fault_and_mends_it_when_told(home, recording, walk):
    path = recording(walk(30).take(np.r_[10:30, 0:10]))
    found = RUN.invoke(app, ["check", str(path), "--json"])
    assert found.exit_code == 1
    assert json.loads(found.stdout)["reports"][0]["findings"][0]["check"] == "order"
    assert output_of("check", str(path), "--repair")["ok"] is True
    assert output_of("check", str(path))["ok"] is True


def test_refusals_are_errors_of_the_house(home, recording, walk):
    with pytest.raises(MissingData):
        RUN.invoke(app, ["snapshot", "BTC/USDT", *REQUEST], catch_exceptions=False)
    with pytest.raises(MissingData):
        RUN.invoke(app, ["show", "BTC/USDT"], catch_exceptions=False)
    with pytest.raises(BadBars):
        RUN.invoke(app, ["import", str(recording(walk(30).take(np.arange(30)[::-1])))], catch_exceptions=False)
    with pytest.raises(ConfigError, match="only files are repaired"):
        RUN.invoke(app, ["check", "BTC/USDT", "--repair"], catch_exceptions=False)


@pytest.mark.parametrize(
    "words", [["--url", "http://x"], ["--seed", "7"], ["--url", "http://x", "--seed", "7", "--recorded"]]
)
def test_collecting_from_the_embedded_exchange_needs_to_know_which(home, words):
    with pytest.raises(ConfigError, match="needs an address"):
        RUN.invoke(app, ["collect", "BTC/USDT", *REQUEST, *words], catch_exceptions=False)


def test_the_data_verbs_alone_do_not_reach_the_embedded_exchange(home):
    with pytest.raises(ConfigError, match="no way to the embedded exchange"):
        RUN.invoke(app, ["collect", "BTC/USDT", *REQUEST, "--url", "http://x", "--seed", "7"], catch_exceptions=False)


@pytest.mark.parametrize("words", [["snapshot"], ["collect", "BTC/USDT"], ["nothing"], ["check"]])
def test_wrong_usage_is_two(words):
    assert RUN.invoke(app, words).exit_code == 2


@pytest.mark.parametrize("verb", ["collect", "import", "snapshot", "list", "show", "check"])
def test_every_verb_has_an_example_in_its_help(verb):
    done = RUN.invoke(app, [verb, "--help"])
    assert done.exit_code == 0
    assert f"Example: sapphire data {verb}" in done.stdout


def test_the_help_loads_no_heavy_library(fresh_interpreter):
    loaded = fresh_interpreter.modules_after("import sapphire.data, sapphire.data.commands")
    assert not {"numpy", "pandas", "polars", "pyarrow", "duckdb", "ccxt", "plotly"} & loaded
