"""Every part on a host of its own, reached by name, and its release from PostgreSQL and a bucket: one machine's run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from lan import SUBNET, Lan
from typer.testing import CliRunner

from sapphire.cli import app
from sapphire.domain.errors import ConfigError, MissingData
from sapphire.monitoring.reading.run_folder import read_run
from sapphire.stack.pod_reports import Volumes, run_of_pods

PARTS = ("bus", "exchange", "bento", "collector", "coordinator", "service")
SERVERS = ("database", "bucket")
HOSTS = ("keeper", *PARTS, *SERVERS)
DRIVE = Path(__file__).parent / "drive.py"
BARS = 40


@pytest.fixture(scope="module")
def drive(restless, tmp_path_factory):
    """Drives the bars of one release; `lan` places the parts, else all are here."""
    home, digest = restless

    def run(lan=None):
        folder = tmp_path_factory.mktemp("run")
        settings = {
            "home": str(home),
            "run": str(folder / "stack"),
            "release": digest,
            "seed": 7,
            "start": "2025-03-07T00:00:00Z",
            "bars": BARS,
            "bind": "127.0.0.1" if lan is None else "0.0.0.0",
            "hosts": {} if lan is None else {part: part for part in PARTS},
            "words": {} if lan is None else {part: lan.words(part, ()) for part in PARTS},
            "servers": {} if lan is None else {host: (lan.address(host), lan.words(host, ())) for host in SERVERS},
        }
        path = folder / "settings.json"
        path.write_text(json.dumps(settings))
        words = (sys.executable, str(DRIVE), str(path))
        done = subprocess.run(
            words if lan is None else lan.words("keeper", words),
            capture_output=True,
            text=True,
            timeout=250,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) | {"folder": str(folder)}

    return run


@pytest.fixture(scope="module")
def at_home(drive):
    return drive()


@pytest.fixture(scope="module")
def apart(drive):
    with Lan(HOSTS) as lan:
        yield drive(lan)


def as_the_exchange_has_it(run):
    """Orders with their fills, and balances, to the last digit; ids apart."""
    of_order = ("symbol", "side", "type", "status", "price_ticks", "quantity_lots", "executed_lots",
                "executed_quote_atoms", "time_ns", "update_ns")  # fmt: skip
    of_fill = ("ticks", "lots", "quote_atoms", "commission_asset", "commission_atoms", "time_ns", "is_maker")
    return [
        {key: order[key] for key in of_order}
        | {"fills": [{key: fill[key] for key in of_fill} for fill in order["fills"]]}
        for order in run["account"]["history"]
    ]


def test_parts_on_hosts_of_their_own_give_the_fills_of_one_machine(at_home, apart):
    assert apart["bars"] == at_home["bars"] == BARS
    assert len(apart["account"]["history"]) >= 20
    assert as_the_exchange_has_it(apart) == as_the_exchange_has_it(at_home)
    assert apart["account"]["balances"] == at_home["account"]["balances"]
    assert apart["now_ns"] == at_home["now_ns"]
    assert apart["restarts"] == at_home["restarts"] == 0
    assert apart["replayed"]
    assert at_home["replayed"]


def test_they_decide_the_same(at_home, apart):
    def decided(run):
        return [(line["bar_close_ns"], line["targets"], line["views"]) for line in run["decisions"]]

    assert decided(apart) == decided(at_home)


def test_each_is_reached_by_its_name(apart):
    for part in PARTS:
        assert f"//{part}:" in apart["addresses"][part]
    assert not any("127.0.0.1" in address or SUBNET in address for address in apart["addresses"].values())


def test_what_decides_and_trades_has_its_release_from_the_place(restless, apart):
    home, digest = restless
    for part in ("bento", "coordinator", "service"):
        own = Path(apart["folder"]) / "homes" / part
        assert (own / "releases" / digest / "manifest.json").read_bytes() == (
            home / "releases" / digest / "manifest.json"
        ).read_bytes()
        assert (own / "evidence" / digest).is_dir()
    assert not list((Path(apart["folder"]) / "homes" / "bus").iterdir())


@pytest.fixture(scope="module")
def of_volumes(restless, at_home, tmp_path_factory):
    """The run folder of that run, put together from the volumes that its parts would have as pods."""
    home, digest = restless
    whole = Path(at_home["folder"]) / "stack"
    market = {"source": "generated", "seed": 7, "start": "2025-03-07T00:00:00Z", "speed": 60, "interval": "5m",
              "symbols": ["BTC/USDT", "ETH/USDT"]}  # fmt: skip
    plan = {
        "market": market,
        "agents": {"restless": {"release": digest}},
        "accounts": {"paper": {"tag": 1, "agent": "restless", "stage": "paper"}},
    }
    folder = tmp_path_factory.mktemp("pods")
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder / "plan.json", Volumes(whole, whole), whole, home


def test_the_volumes_of_an_accounts_pods_make_its_run_again(of_volumes, tmp_path):
    plan, volumes, whole, home = of_volumes
    for _ in range(2):
        made = run_of_pods(json.loads(plan.read_text()), "paper", volumes, home=home, run=tmp_path / "run")
    run, known = read_run(made, home), read_run(whole, home)
    assert len(run.states) >= BARS - 1
    assert run.states == known.states
    assert run.decisions == known.decisions
    assert [each.symbol for each in run.instruments] == ["BTC/USDT", "ETH/USDT"]
    assert run.facts.release == known.facts.release
    assert run.facts.marks == known.facts.marks
    assert run.start_ns == known.start_ns
    assert not run.facts.is_lockstep


def test_a_plan_without_the_account_and_a_volume_without_its_journal_are_named(of_volumes, tmp_path):
    plan, volumes, _, home = of_volumes
    facts = json.loads(plan.read_text())
    with pytest.raises(ConfigError, match="no account second in the plan"):
        run_of_pods(facts, "second", volumes, home=home, run=tmp_path / "run")
    with pytest.raises(MissingData, match="the volume of engine-paper has no account"):
        run_of_pods(facts, "paper", Volumes(tmp_path, volumes.coordinator), home=home, run=tmp_path / "run")


def small_report(desk):
    """A workspace with a report of its own that takes a moment."""
    path = desk / "notebooks/reports/small.ipynb"
    path.parent.mkdir(parents=True)
    (desk / "sapphire.toml").write_text('name = "desk"\n')
    given = nbformat.v4.new_code_cell("run = ''\nhome = ''\nday = ''", metadata={"tags": ["parameters"]})
    read = "from pathlib import Path\nfrom sapphire.monitoring.reading.run_folder import read_run\n"
    shown = nbformat.v4.new_code_cell(
        read + "print('traded', ', '.join(read_run(Path(run), Path(home)).facts.symbols))"
    )
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [nbformat.v4.new_markdown_cell("# A small report"), given, shown]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return desk


def test_a_report_on_pods_is_rendered_and_kept_in_the_place(of_volumes, tmp_path, monkeypatch):
    plan, volumes, _, home = of_volumes
    state, place = tmp_path / "state", tmp_path / "place"
    shutil.copytree(home, state)
    place.mkdir()
    monkeypatch.setenv("SAPPHIRE_HOME", str(state))
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(place))
    monkeypatch.chdir(small_report(tmp_path / "desk"))
    words = ["report", "pods", "small", "--account", "paper", "--plan", str(plan), "--engine", str(volumes.engine)]
    done = CliRunner().invoke(
        app, [*words, "--coordinator", str(volumes.coordinator), "--json"], catch_exceptions=False
    )
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    page = Path(facts["html"]).read_text()
    assert "traded BTC/USDT, ETH/USDT" in page
    fetched = tmp_path / "page.html"
    words = ["run", str(fetched), "--fetch", facts["sha256"], "--room", "reports"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    assert fetched.read_text() == page
