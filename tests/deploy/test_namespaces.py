"""Every part on a host of its own, reached by name, and its release from PostgreSQL and a bucket: one machine's run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lan import SUBNET, Lan

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
