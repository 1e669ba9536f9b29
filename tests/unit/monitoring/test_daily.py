"""A whole run, read from its folder, measured, and rendered."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from sapphire.domain.clocks import to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import ConfigError, DataError, MissingData, ValueRefused
from sapphire.lab.workspaces import make_workspace
from sapphire.monitoring import daily_report, days_of, list_reports, read_run, render_report
from sapphire.monitoring.commands import report as report_verbs
from sapphire.monitoring.reading.day_of_run import DayOfRun
from sapphire.monitoring.reading.finding import latest_run, run_folders, run_of
from sapphire.monitoring.telling import showing
from sapphire.registry import EvidenceStore

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(recorded, write_run):
    return write_run(recorded)


@pytest.fixture
def daily(run):
    return daily_report(run)


def test_a_sound_run_is_told_with_every_number(daily, evidence):
    facts = daily.as_dict()
    assert facts["sound"] is True
    assert (facts["orders"], facts["fills"], facts["bars"]) == (len(evidence.orders), len(evidence.fills), 48)
    assert facts["traded_return"] == facts["evidence_return"] == pytest.approx(evidence.total_return, abs=0)
    assert facts["parity"]["lots"] == facts["parity"]["unexplained_lots"] == 0
    assert facts["books"]["balances_equal"]
    wire = next(hop for hop in facts["latency"] if hop["hop"] == "signal to wire")
    count = len(evidence.orders)
    # order k is on the wire k + 5 microseconds after the word that triggered it
    assert (wire["n"], wire["median_us"], wire["max_us"]) == (count, 5 + (count + 1) / 2, 5.0 + count)
    assert json.loads(json.dumps(facts)) == facts


def test_one_unexplained_lot_or_one_atom_makes_a_run_unsound(recorded, write_run):
    for row in recorded.rows:
        if row["kind"] == "state":
            last = row
    position = last["positions"]["BTC/USDT"]
    position["lots"] = str(int(position["lots"]) + 1)
    assert not daily_report(write_run(recorded)).is_sound


def test_equity_is_that_of_the_engine_at_every_close(daily, evidence):
    assert [atoms for _, atoms in daily.equity_atoms] == [bar.equity_quote_atoms for bar in evidence.bars]


def test_every_section_names_the_market_and_its_numbers(daily, evidence):
    label = "generated market v2, seed 7 (uncalibrated)"
    fills = showing.fills_section(daily)
    assert len(fills.lines) == len(evidence.fills)
    assert label in fills.caption
    assert label in showing.equity_section(daily).caption
    figures = [showing.equity_section(daily), showing.positions_section(daily), showing.costs_section(daily),
               showing.latency_section(daily)]  # fmt: skip
    for section in figures:
        assert label in section.figure.layout.title.text
    bought = [trace for trace in figures[1].figure.data if trace.name == "bought"]
    assert sum(len(trace.x) for trace in bought) == sum(fill.side == "BUY" for fill in evidence.fills)
    latency = showing.latency_section(daily)
    assert all(line[-1] == f"not at n = {len(evidence.orders):,}" for line in latency.lines)


def test_the_costs_begin_without_any_and_end_at_what_was_traded(daily, evidence):
    costs = showing.costs_section(daily)
    first, *rungs = costs.lines
    assert (first[0], first[3]) == ("no costs, no limits", f"{100 * daily.ladder.costless_return:+.3f} %")
    assert [rung[0] for rung in rungs] == [*daily.ladder.steps_bps, "traded less evidence"]
    steps = [float(rung[1].removesuffix(" bps")) for rung in rungs]
    assert steps[-1] == 0.0
    assert sum(steps) == pytest.approx(1e4 * (daily.traded_return - daily.ladder.costless_return), abs=0.03)
    assert rungs[-1][3] == f"{100 * daily.traded_return:+.3f} %"
    assert costs.header == ("cost made real", "change", "in USDT", "return so far")
    in_quote = [float(rung[2].replace(",", "")) for rung in rungs]
    assert in_quote == pytest.approx([step * 100_000 / 1e4 for step in steps], abs=0.06)
    paid = sum(
        fill.fee_atoms * (1 if fill.fee_asset == "USDT" else fill.quote_atoms / (fill.lots * lot))
        for fill in evidence.fills
        for lot in [daily.run.instruments[fill.symbol].lot_atoms]
    )
    assert float(daily.as_dict()["fees"]["quote_atoms"]) == pytest.approx(paid, rel=1e-9)
    assert in_quote[1] == pytest.approx(-paid / 1e8, rel=0.1)  # the fees are the fees


def test_fees_are_summed_in_the_quote_asset_with_each_asset_beside(daily):
    caption = showing.fills_section(daily).caption
    fees = daily.fees
    assert f"fees paid: {fees.total_quote:,.2f} USDT (" in caption
    for asset, atoms in fees.atoms.items():
        assert f"{atoms / 1e8:.8f} {asset}" in caption
    assert set(fees.atoms) == {"BTC", "ETH", "USDT"}
    assert "at the price of each fill" in caption


def test_refusals_are_shown_by_reason(recorded, write_run):
    taken = next(row for row in recorded.rows if row["kind"] == "signal")
    recorded.rows.insert(-1, {**taken, "refused": "REPEATED"})
    section = showing.refusals_section(daily_report(write_run(recorded)))
    assert ("signals refused", "REPEATED", "1") in [tuple(line) for line in section.lines]


def test_a_run_that_still_runs_is_measured_without_the_exchanges_books(run):
    (run.folder / "exchange_state.json").unlink()
    facts = daily_report(read_run(run.folder, run.home)).as_dict()
    assert facts["books"] is None
    assert facts["sound"] is True


def test_books_that_are_older_than_the_last_event_are_not_compared(recorded, write_run):
    recorded.exchange["now_ns"] = str(int(recorded.exchange["now_ns"]) - 600 * 10**9)
    late = next(row for row in reversed(recorded.rows) if row["kind"] == "fill")
    after = str(int(recorded.exchange["now_ns"]) + 1)
    adjusted = {"kind": "adjusted", "step": "9999", "market_ns": after, "asset": "USDT", "atoms": "0"}
    recorded.rows.insert(-1, adjusted)
    assert int(late["market_ns"]) < int(recorded.exchange["now_ns"])
    assert write_run(recorded).exchange is None


def test_a_run_without_a_trade_is_told_without_numbers_that_are_not_there(recorded, write_run):
    recorded.rows = [row for row in recorded.rows if row["kind"] not in ("order", "fill", "signal")]
    for row in recorded.rows:
        if row["kind"] == "state":
            row["cash_quote_atoms"] = str(100_000 * 10**8)
            row["positions"] = {symbol: {"atoms": "0", "lots": "0"} for symbol in row["positions"]}
    daily = daily_report(write_run(recorded))
    assert (daily.traded_return, daily.signal_to_wire.n) == (0.0, 0)
    assert daily.parity.lots > 0
    assert showing.latency_section(daily).figure is None
    assert showing.fills_section(daily).lines == []
    summary = dict(showing.summary_section(daily).lines)
    assert "n = 0" in summary["signal to wire"]
    assert summary["NEVER TRADED"] == daily.untraded
    assert "mean " in daily.untraded
    assert " of 96 decisions" in daily.untraded
    assert dict(showing.summary_section(daily_report(daily.run, "2025-04-07")).lines)["NO TRADE TODAY"]
    showing.equity_section(daily)
    showing.positions_section(daily)


def test_the_page_names_the_kinds_of_models_behind_the_views_where_there_are_any(daily, home, recorded, note_views):
    assert daily.as_dict()["model_kinds"] == {}
    assert "models" not in dict(showing.summary_section(daily).lines)
    note_views(thesis="", read=[], model_kind="[bold]<script>", elicitation="one token")
    views = [view for decision in recorded.decisions for view in decision.facts["views"]]
    views[0]["model_kind"] = ""
    (daily.run.folder / "decisions.jsonl").write_bytes(b"".join(decision.line for decision in recorded.decisions))
    noted = replace(daily, run=read_run(daily.run.folder, home))
    assert noted.as_dict()["model_kinds"] == {"[bold]<script>": len(views) - 1}
    section = showing.summary_section(noted)
    assert dict(section.lines)["models"] == f"[bold]<script> made {len(views) - 1} of {len(views)} views"
    page = section._repr_mimebundle_()["text/html"]
    assert "[bold]&lt;script&gt; made" in page
    assert "<script" not in page


def test_rules_that_differ_between_sizing_and_trading_are_refused(recorded, write_run):
    for listing in recorded.rows[0]["config"]["instruments"]:
        listing["lot_atoms"] = str(int(listing["lot_atoms"]) * 10)
    with pytest.raises(DataError, match="sized and traded in different steps"):
        daily_report(write_run(recorded))


def test_a_release_can_only_tighten_the_limits_of_the_account():
    from sapphire.monitoring.reading.run_folder import _limits

    account = {"collar_bps": 1_000, "strategy": {"max_order_atoms": 100, "max_open_atoms": None}}
    tightened = _limits(account, {"max_order_atoms": 500, "max_open_atoms": 7})
    assert tightened == {"collar_bps": 1_000, "strategy": {"max_order_atoms": 100, "max_open_atoms": 7}}


def test_no_run_is_missing_data(tmp_path):
    with pytest.raises(MissingData, match="no run in"):
        read_run(tmp_path, tmp_path)
    with pytest.raises(MissingData, match="nothing ran here yet"):
        latest_run(tmp_path)


def test_facts_of_another_form_are_refused(tmp_path):
    (tmp_path / "stack.json").write_text('{"release": {}}')
    with pytest.raises(DataError, match="is not what this version of Sapphire reads"):
        read_run(tmp_path, tmp_path)


def test_a_day_has_its_own_part_of_everything(daily, evidence):
    first, second = (daily_report(daily.run, day) for day in ("2025-04-06", "2025-04-07"))
    assert days_of(daily.run) == (first.utc_day, second.utc_day)
    assert [len(day.run.closes_ns) for day in (first, second)] == [24, 24]
    assert len(first.run.day.fills) + len(second.run.day.fills) == len(evidence.fills)
    assert len(first.run.latency_traces) + len(second.run.latency_traces) == len(evidence.orders)
    midnight = first.run.closes_ns[-1]
    assert (midnight, midnight + 3_600 * 10**9) == (first.run.end_ns, second.run.closes_ns[0])
    # the second day begins at the equity that the first ended with
    assert second.equity_atoms[0] == first.equity_atoms[-1] == (midnight, dict(daily.equity_atoms)[midnight])
    assert (1 + first.traded_return) * (1 + second.traded_return) == pytest.approx(1 + daily.traded_return)
    fees = sum(day.fees.total_quote for day in (first, second))
    assert fees == pytest.approx(daily.fees.total_quote)
    for day in (first, second):
        steps = sum(day.ladder.steps_bps.values()) / 1e4
        assert day.ladder.costless_return + steps == pytest.approx(day.traded_return, abs=1e-12)
        assert (day.parity.bars, day.parity.equal_cash_bars) == (24, 24)
        assert [each["day"] for each in day.as_dict()["paper_days"]] == [day.utc_day.isoformat()]
        assert f"{day.utc_day.isoformat()} from 00:00 to 24:00 UTC, the whole day" in day.run.title


def test_a_day_that_is_not_whole_says_from_when_to_when(recorded, write_run):
    ended = to_ns("2025-04-07T05:00Z")
    recorded.rows = [row for row in recorded.rows if int(row.get("market_ns", 0)) <= ended]
    recorded.decisions = [made for made in recorded.decisions if made.bar_close_ns <= ended]
    report = daily_report(write_run(recorded), "2025-04-07")
    assert "2025-04-07 from 00:00 to 05:00 UTC, 5 of the day's 24 bars" in report.run.title


@pytest.mark.parametrize(
    ("day", "error", "message"),
    [("2025-04-08", MissingData, "from 2025-04-06 to 2025-04-07"), ("yesterday", ValueRefused, "such as 2025-03-07")],
)
def test_a_day_that_the_run_does_not_have_is_refused(daily, day, error, message):
    with pytest.raises(error) as refused:
        daily_report(daily.run, day)
    assert message in str(refused.value)


def test_each_day_has_a_small_page_without_network_or_script(run, home, monkeypatch, capsys, tmp_path):
    """In a workspace that was made for it, whose own notebook it is."""
    monkeypatch.setenv("SAPPHIRE_HOME", str(home))
    monkeypatch.chdir(make_workspace(tmp_path / "desk").folder)
    earlier = home / "reports" / "daily.html"
    earlier.parent.mkdir(exist_ok=True)
    earlier.write_text("what an earlier version rendered")
    verbs = typer.main.get_command(report_verbs)
    verbs(["run", "daily", "--run", str(run.folder), "--json"], standalone_mode=False)
    captured = capsys.readouterr()
    shown = json.loads(captured.out)
    assert shown["facts"]["sound"] is True
    assert (shown["day"], shown["facts"]["day"], shown["facts"]["bars"]) == ("2025-04-07", "2025-04-07", 24)
    assert shown["facts"]["run_bars"] == 48
    assert "2 new days on paper" in captured.err
    assert {day.day for day in EvidenceStore(home / "evidence").parity(run.facts.release)} == {
        "2025-04-06",
        "2025-04-07",
    }
    path = Path(shown["html"])
    assert shown["pages"] == [str(path)]
    assert path.name == "daily-2025-04-07.html"
    assert path.parent.parent == home / "reports"
    assert path.parent.name.startswith("run-")
    assert path.with_suffix(".ipynb").is_file()
    page = path.read_text()
    assert len(page) < 2_000_000
    assert "<title>The daily report, 2025-04-07</title>" in page
    assert ">The daily report, 2025-04-07</h1>" in page
    assert "from 00:00 to 24:00 UTC, the whole day" in page
    assert page.count("<svg") == 4
    assert "<script" not in page
    assert not re.search(r"(src|href)=.http", page.replace('xlink:href="#', ""))
    assert "prefers-color-scheme: dark" in page
    assert "def daily_report" not in page
    assert run.day.fills[-1].order in page
    assert len(path.with_suffix(".ipynb").read_bytes()) < 2_000_000
    verbs(["list", "--json"], standalone_mode=False)
    kept = {each["name"]: each for each in json.loads(capsys.readouterr().out)["reports"]}
    assert kept["daily"]["html"] == shown["html"]
    assert set(kept["daily"]["pages"]) == {str(path), str(earlier)}
    assert kept["daily"]["title"] == "The daily report"
    assert earlier.read_text() == "what an earlier version rendered"


def test_a_report_that_there_is_not_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match="no report 'weekly'") as refused:
        render_report("weekly", tmp_path, home=tmp_path, workspace=ROOT)
    assert "daily" in refused.value.expected
    assert [each.html for each in list_reports(tmp_path, ROOT)] == [None]


def test_a_run_that_changed_its_release_mid_way_shows_both_with_their_times(recorded, write_run, release):
    start_ns, other = to_ns("2025-04-06T00:00Z"), "cd" * 32
    half_ns = start_ns + 24 * 3_600 * 10**9
    place = next(place for place, row in enumerate(recorded.rows) if int(row.get("market_ns", 0)) >= half_ns)
    recorded.rows[place:place] = [
        {"kind": "start", "epoch": 1_700_000_001, "release": release.digest, "wall_ns": "2"},
        {"kind": "epoch", "epoch": 1_700_000_001, "step": "7", "market_ns": str(half_ns)},
    ]
    recorded.rows.insert(1, {"kind": "start", "epoch": 1_700_000_000, "release": other, "wall_ns": "1"})
    made = daily_report(write_run(recorded))
    traded = made.as_dict()["releases_traded"]
    assert [(row["digest"], row["since_market_ns"], row["since_wall_ns"]) for row in traded] == [
        (other, str(start_ns), "1"),
        (release.digest, str(half_ns), "2"),
    ]
    (line,) = [text for name, text in showing.summary_section(made).lines if name == "releases traded"]
    assert (
        line == f"no evidence {other[:12]} since {stamp(start_ns)}; trend {release.digest[:12]} since {stamp(half_ns)}"
    )
    days = [DayOfRun.of_run(made.run, day) for day in days_of(made.run)]
    assert [[each.release for each in day.day.traded] for day in days] == [[other], [release.digest]]


def test_runs_of_accounts_that_joined_are_found_by_name(tmp_path):
    for folder, account in (("stack", "paper"), ("stack/accounts/second", "second"), ("demo/run", "paper")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "stack.json").write_text(json.dumps({"account": account}))
    assert [str(run.relative_to(tmp_path)) for run in run_folders(tmp_path)] == [
        "stack",
        "stack/accounts/second",
        "demo/run",
    ]
    assert run_of(tmp_path, "second") == run_of(tmp_path / "stack", "second") == tmp_path / "stack/accounts/second"
    assert run_of(tmp_path, "paper") == tmp_path / "stack"
    with pytest.raises(MissingData, match="no account third") as missing:
        run_of(tmp_path, "third")
    assert missing.value.expected == "one of paper, second"
