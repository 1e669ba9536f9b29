"""`sapphire status` says whose views have stopped, since when, and what the rule does with the position."""

import json
import shutil
from datetime import timedelta
from io import StringIO

import typer
from typer.testing import CliRunner

from sapphire.coordination import Decision, Obstacle, Scope
from sapphire.coordination.decisions import remembered_facts, stopped_facts
from sapphire.domain.clocks import from_ns
from sapphire.domain.intervals import Interval
from sapphire.domain.stopped_views import LastBelief, WhenViewsStop, stopped_views
from sapphire.domain.views import Belief
from sapphire.stack.commands import status
from sapphire.stack.folders import RunFolder
from sapphire.stack.showing import permit_lines, show, views_parts
from sapphire.telemetry.streams import AccountStreams

CLOSE_NS = 1_709_298_000_000_000_000  # 2024-03-01T13:00Z
HOUR = Interval("1h")


def decided(*, ago, code=None):
    """A decision at the close, with a belief of an hour that was stated so many bars ago."""
    belief = Belief("BTC/USDT", from_ns(CLOSE_NS - ago * HOUR.ns), timedelta(hours=1), 10.0, 40.0)
    last = [LastBelief(belief, lots=7)]
    ended = stopped_views(last, from_ns(CLOSE_NS), rule=WhenViewsStop(), interval=HOUR)
    made = Decision.on(Scope(AccountStreams("embedded", "paper"), "f" * 64, "trend", "bars"), CLOSE_NS).knowing(
        remembered=[remembered_facts(each) for each in last], stopped=[stopped_facts(each) for each in ended]
    )
    return made if code is None else made.hindered(code, "its permit is closed")


def shown(decision):
    out = StringIO()
    show(views_parts(decision.standing), to=out)
    return out.getvalue()


def test_nothing_is_said_while_views_speak():
    assert shown(decided(ago=0)) == ""
    assert decided(ago=0).speaks


def test_a_stop_is_said_with_its_stage_and_since_when():
    text = shown(decided(ago=2, code=Obstacle.VIEWS_REFUSED))
    assert "views refused: its permit is closed" in text
    assert "BTC/USDT" in text
    assert "stopped since 2024-03-01T12:00Z" in text
    assert "holding" in text
    assert "reducing" in shown(decided(ago=5))
    assert "flat" in shown(decided(ago=9))
    assert not decided(ago=2).speaks


def test_a_closed_permit_is_said_with_the_rule_and_one_that_does_not_verify_without():
    def lines(permit):
        return list(permit_lines(permit))

    assert lines({"holds": True, "why": None, "rule": None}) == []
    assert lines({"holds": False, "why": "trend was revoked", "rule": WhenViewsStop().text}) == [
        "permit closed: trend was revoked",
        "no new exposure; positions follow the release's rule: hold for 3 bars, reduce over 3 bars, then flat",
    ]
    assert lines({"holds": False, "why": "cut back", "rule": None}) == ["permit closed: cut back"]


def test_status_reads_it_from_the_run(tmp_path, frozen, sign_permit):
    home, digest = tmp_path / "home", frozen[1]
    shutil.copytree(frozen[0], home)
    part = {"state": "READY", "since_ns": str(CLOSE_NS), "restarts": 0, "why": "", "address": None, "release": None,
            "pid": None}  # fmt: skip
    facts = {
        "state": "ready", "error": None, "parts": {"coordinator": part}, "symbols": ["BTC/USDT"], "interval": "1h",
        "release": {"label": "paper.trend@1", "stage": "paper", "marks": [], "digest": digest},
        "home": str(home), "clock": {"speed": 1.0}, "account": "paper", "run": str(tmp_path), "quote": "USDT",
        "written_ns": str(CLOSE_NS),
        "market": {"source": "generated", "seed": 7, "candles": None},
    }  # fmt: skip
    folder = RunFolder(tmp_path)
    folder.write(facts)
    folder.decisions.write_bytes(decided(ago=5).line)
    app = typer.Typer()
    app.command()(status.status)
    result = CliRunner().invoke(app, ["--run", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    views = json.loads(result.stdout)["views"]
    assert json.loads(result.stdout)["permit"] == {"holds": True, "why": None, "rule": None}
    assert views["speaks"] is False
    assert [(each["symbol"], each["stage"], each["bar"]) for each in views["stopped"]] == [("BTC/USDT", "reducing", 5)]
    result = CliRunner().invoke(app, ["--run", str(tmp_path)])
    assert "views that have stopped" in result.stdout
    assert "permit closed" not in result.stdout
    sign_permit(home, digest, passed=False)
    result = CliRunner().invoke(app, ["--run", str(tmp_path)])
    assert "permit closed: the gate report of trend does not permit paper" in result.stdout
    assert "no new exposure; positions follow the release's rule: hold for 3 bars" in result.stdout
