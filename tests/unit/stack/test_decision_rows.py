"""`sapphire decisions`: why each target is what it is, from the log that the coordinator writes."""

import json
import os

import pytest
import typer
from typer.testing import CliRunner

from sapphire.coordination import Decision, Obstacle, Scope
from sapphire.coordination.decisions import belief_facts
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import DataError, Refused
from sapphire.domain.intervals import Interval
from sapphire.domain.views import Belief
from sapphire.portfolio import Target
from sapphire.portfolio.targets import Reason
from sapphire.stack.account.standing import untraded_so_far
from sapphire.stack.commands.decisions import decisions
from sapphire.stack.commands.up_and_down import _say_untraded
from sapphire.stack.folders import RunFolder
from sapphire.telemetry.streams import AccountStreams

HOUR = Interval("1h")
CLOSE_NS = 1_709_298_000_000_000_000  # 2024-03-01T13:00Z
PLACES = {"BTC/USDT": 1, "ETH/USDT": 2}
KEPT = "kept: a change would not earn its cost"


def account(close_ns, **lots):
    positions = [{"symbol": f"{asset}/USDT", "lots": str(amount), "atoms": str(amount * 1_000)} for asset, amount in
                 lots.items()]  # fmt: skip
    return {"account": "paper", "cash_quote_atoms": "0", "quote": "USDT", "state": "ACTIVE", "positions": positions,
            "entry": f"{close_ns // 1_000_000}-1"}  # fmt: skip


def decided(bar, targets, **means):
    close_ns = CLOSE_NS + bar * HOUR.ns
    beliefs = [Belief(f"{asset}/USDT", from_ns(close_ns), HOUR.timedelta, mean, 40.0) for asset, mean in means.items()]
    made = Decision.on(Scope(AccountStreams("embedded", "paper"), "f" * 64, "trend", "bars"), close_ns).knowing(
        account=account(close_ns, BTC=30, ETH=0), beliefs=[belief_facts(each) for each in beliefs]
    )
    return made.signalling(targets, dict.fromkeys(PLACES, 100), PLACES, HOUR.ns)


@pytest.fixture
def run(tmp_path):
    """A run folder with three bars: one kept, one sized, one that came too late."""
    folder = RunFolder(tmp_path)
    folder.write({"symbols": list(PLACES), "release": {"label": "paper.trend@1"}})
    instruments = [{"symbol": symbol, "tick": "0.01", "lot": "0.001", "min_notional": "5"} for symbol in PLACES]
    folder.settings("coordinator").write_text(json.dumps({"instruments": instruments}))
    kept = [Target("BTC/USDT", 30, 0.03, Reason.KEPT_WITHIN_COSTS), Target("ETH/USDT", 0, 0.0, Reason.ZERO_NO_BELIEF)]
    sized = [Target("BTC/USDT", 50, 0.05, Reason.SIZED), Target("ETH/USDT", 7, 0.01, Reason.SIZED)]
    late = Decision.on(
        Scope(AccountStreams("embedded", "paper"), "f" * 64, "trend", "bars"), CLOSE_NS + 2 * HOUR.ns
    ).without_signals(Obstacle.LATE, "the next bar has closed")
    made = [decided(0, kept, BTC=-0.1512), decided(1, sized, BTC=2.0, ETH=3.0), late]
    folder.decisions.write_bytes(b"".join(each.line for each in made))
    return folder


@pytest.fixture
def decisions_verb(run):
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(decisions)

    def call(*words, columns="100", code=0):
        environment = os.environ | {"COLUMNS": columns}
        done = CliRunner().invoke(
            app, ["--run", str(run.path), *words], env=environment, catch_exceptions=code != "raises"
        )
        assert code == "raises" or done.exit_code == code, done.output
        return done

    return call


def test_each_target_says_why_with_what_was_believed(decisions_verb):
    rows = json.loads(decisions_verb("--json").stdout)["decisions"]
    assert [(row["symbol"], row["target_lots"], row["why"]) for row in rows] == [
        ("BTC/USDT", "30", f"{KEPT}, mean -0.15 bps"),
        ("ETH/USDT", "0", "zero: no belief"),
        ("BTC/USDT", "50", "sized, mean +2.00 bps"),
        ("ETH/USDT", "7", "sized, mean +3.00 bps"),
        (None, None, "late: the next bar has closed"),
    ]
    assert (rows[2]["held_lots"], rows[2]["held_quantity"], rows[2]["target_quantity"]) == ("30", "0.03", "0.05")
    assert rows[2]["std_bps"] == 40.0


def test_the_kind_of_model_behind_a_view_stands_there_as_text(decisions_verb, run):
    kind = "[bold]<script>"
    view = {"symbol": "BTC/USDT", "as_of_ns": str(CLOSE_NS), "horizon_ns": "1000", "score": "1", "mean_bps": None,
            "std_bps": None, "quantiles": [], "entry": "1-1", "agent": "qwen",
            "thesis": "", "read": [], "model_kind": kind, "elicitation": "one token"}  # fmt: skip
    targets = [Target("BTC/USDT", 50, 0.05, Reason.SIZED), Target("ETH/USDT", 7, 0.01, Reason.SIZED)]
    noted = decided(0, targets, BTC=2.0, ETH=3.0).knowing(views=[view], format="DECISION@3")
    run.decisions.write_bytes(noted.line)
    rows = json.loads(decisions_verb("--json").stdout)["decisions"]
    assert [(row["model_kind"], row["why"]) for row in rows] == [
        (kind, f"sized, mean +2.00 bps, {kind}"),
        (None, "sized, mean +3.00 bps"),
    ]
    assert f"mean +2.00 bps, {kind}" in " ".join(decisions_verb(columns="160").stdout.split())


def test_the_kind_of_model_is_named_as_long_as_its_view_is_believed(decisions_verb, run):
    def row(bar, mean, kind=None, as_of=None):
        close_ns = CLOSE_NS + bar * HOUR.ns
        means = {} if kind is None else {"BTC": mean}
        made = decided(bar, [Target("BTC/USDT", 50, 0.05, Reason.SIZED)], **means)
        if kind is None:
            belief = belief_facts(Belief("BTC/USDT", from_ns(close_ns), 3 * HOUR.timedelta, mean, 40.0))
            return made.knowing(remembered=[belief | {"as_of_ns": str(CLOSE_NS + as_of * HOUR.ns), "lots": None}])
        view = {"symbol": "BTC/USDT", "as_of_ns": str(close_ns), "horizon_ns": "1000", "score": "1", "mean_bps": None,
                "std_bps": None, "quantiles": [], "entry": "1-1", "agent": "qwen", "thesis": "", "read": [],
                "model_kind": kind, "elicitation": "one token"}  # fmt: skip
        return made.knowing(views=[view], format="DECISION@3")

    bars = [row(0, 2.0, "embedded-default"), row(1, 2.0, as_of=0), row(2, 1.0, ""), row(3, 1.0, as_of=2),
            row(4, 2.0, "embedded-default"), row(5, 1.0, as_of=2)]  # fmt: skip
    run.decisions.write_bytes(b"".join(each.line for each in bars))
    rows = json.loads(decisions_verb("--json").stdout)["decisions"]
    assert [each["model_kind"] for each in rows] == ["embedded-default"] * 2 + [None, None, "embedded-default", None]
    (alone,) = json.loads(decisions_verb("--limit", "5", "--json").stdout)["decisions"][:1]
    assert (alone["mean_bps"], alone["model_kind"]) == (2.0, None), "the bar of its view is not among these"


def test_one_symbol_and_the_latest_bars(decisions_verb):
    rows = json.loads(decisions_verb("--symbol", "ETH/USDT", "--limit", "2", "--json").stdout)["decisions"]
    assert [(row["symbol"], row["reason"]) for row in rows] == [("ETH/USDT", "sized"), (None, None)]
    assert "this run trades BTC/USDT, ETH/USDT" in decisions_verb("--symbol", "DOGE/USDT", code=2).output


@pytest.mark.parametrize("columns", ["100", "80"])
def test_the_table_fits_and_sums_up(decisions_verb, columns):
    done = decisions_verb(columns=columns)
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
    assert "mean -0.15 bps" in " ".join(done.stdout.split())
    assert "2 of 5: sized" in done.stderr


def test_a_run_that_decided_nothing_says_so(decisions_verb, run):
    run.decisions.unlink()
    assert json.loads(decisions_verb("--json").stdout) == {"decisions": []}
    assert "nothing was decided yet" in decisions_verb().stderr


def test_a_torn_last_line_is_left_to_its_writer_and_a_damaged_one_is_named(decisions_verb, run):
    whole = run.decisions.read_bytes()
    run.decisions.write_bytes(whole + b'{"account":')
    assert len(json.loads(decisions_verb("--json").stdout)["decisions"]) == 5
    run.decisions.write_bytes(whole + b'{"account":1}\n')
    with pytest.raises(DataError, match="is no decision"):
        decisions_verb(code="raises")


def test_where_no_stack_ran_it_says_so(decisions_verb, run):
    run.facts.unlink()
    with pytest.raises(Refused, match="no stack ran in"):
        decisions_verb(code="raises")


def test_an_account_that_never_traded_says_why_in_its_first_lines(run):
    idle = [
        decided(bar, [Target("BTC/USDT", 0, 0.0, Reason.KEPT_WITHIN_COSTS)], BTC=mean)
        for bar, mean in enumerate((-0.1, -0.2))
    ]
    run.decisions.write_bytes(b"".join(made.line for made in idle))
    why = untraded_so_far(run, [])
    assert why == (
        "kept, a change would not earn its cost, mean -0.15 bps in 2 of 4 decisions; "
        "zero, no belief in 2 of 4 decisions"
    )
    denied = untraded_so_far(run, [{"denied": "ORDER_NOTIONAL"}, {"denied": "ORDER_NOTIONAL"}, {"denied": None}])
    assert denied == f"{why}; 2 orders denied for ORDER_NOTIONAL"


def test_bars_that_could_not_be_decided_are_a_reason(run):
    late = Decision.on(Scope(AccountStreams("embedded", "paper"), "f" * 64, "trend", "bars"), CLOSE_NS).without_signals(
        Obstacle.LATE, "the next bar has closed"
    )
    run.decisions.write_bytes(late.line)
    assert untraded_so_far(run, []) == "not decided, late in 2 of 2 decisions"


def test_down_says_it_too_from_what_the_account_was(run, capsys):
    run.account_state.write_text(json.dumps({"untraded": "zero, no belief in 9 of 9 decisions"}))
    _say_untraded(run)
    assert "it NEVER TRADED: zero, no belief in 9 of 9 decisions" in capsys.readouterr().err
    run.account_state.write_text(json.dumps({"untraded": None}))
    _say_untraded(run)
    assert capsys.readouterr().err == ""
