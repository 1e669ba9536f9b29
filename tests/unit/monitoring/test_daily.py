"""A whole run, read from its folder, measured, and rendered."""

import json
from pathlib import Path

import pytest
import typer

from sapphire.domain.errors import ConfigError, DataError, MissingData
from sapphire.monitoring import daily_report, list_reports, read_run, render_report, showing
from sapphire.monitoring.commands import report as report_verbs
from sapphire.monitoring.reports import latest_run
from sapphire.registry import EvidenceStore

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(told, write_run):
    return write_run(told)


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


def test_one_unexplained_lot_or_one_atom_makes_a_run_unsound(told, write_run):
    for row in told.rows:
        if row["kind"] == "state":
            last = row
    held = last["positions"]["BTC/USDT"]
    held["lots"] = str(int(held["lots"]) + 1)
    assert not daily_report(write_run(told)).is_sound


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
    said = showing.fills_section(daily).caption
    fees = daily.fees
    assert f"fees paid: {fees.total_quote:,.2f} USDT (" in said
    for asset, atoms in fees.atoms.items():
        assert f"{atoms / 1e8:.8f} {asset}" in said
    assert set(fees.atoms) == {"BTC", "ETH", "USDT"}
    assert "at the price of each fill" in said


def test_refusals_are_shown_by_reason(told, write_run):
    taken = next(row for row in told.rows if row["kind"] == "signal")
    told.rows.insert(-1, {**taken, "refused": "REPEATED"})
    section = showing.refusals_section(daily_report(write_run(told)))
    assert ("signals refused", "REPEATED", "1") in [tuple(line) for line in section.lines]


def test_a_run_that_still_runs_is_measured_without_the_exchanges_books(run):
    (run.folder / "exchange_state.json").unlink()
    facts = daily_report(read_run(run.folder, run.home)).as_dict()
    assert facts["books"] is None
    assert facts["sound"] is True


def test_books_that_are_older_than_the_last_event_are_not_compared(told, write_run):
    told.exchange["now_ns"] = str(int(told.exchange["now_ns"]) - 600 * 10**9)
    late = next(row for row in reversed(told.rows) if row["kind"] == "fill")
    told.rows.insert(-1, {"kind": "adjusted", "step": "9999", "market_ns": str(int(told.exchange["now_ns"]) + 1),
                          "asset": "USDT", "atoms": "0"})  # fmt: skip
    assert int(late["market_ns"]) < int(told.exchange["now_ns"])
    assert write_run(told).exchange is None


def test_a_run_without_a_trade_is_told_without_numbers_that_are_not_there(told, write_run):
    told.rows = [row for row in told.rows if row["kind"] not in ("order", "fill", "signal")]
    for row in told.rows:
        if row["kind"] == "state":
            row["cash_quote_atoms"] = str(100_000 * 10**8)
            row["positions"] = {symbol: {"atoms": "0", "lots": "0"} for symbol in row["positions"]}
    daily = daily_report(write_run(told))
    assert (daily.traded_return, daily.signal_to_wire.n) == (0.0, 0)
    assert daily.parity.lots > 0
    assert showing.latency_section(daily).figure is None
    assert showing.fills_section(daily).lines == []
    assert "n = 0" in str(showing.summary_section(daily))
    showing.equity_section(daily)
    showing.positions_section(daily)


def test_rules_that_differ_between_sizing_and_trading_are_refused(told, write_run):
    for listing in told.rows[0]["config"]["instruments"]:
        listing["lot_atoms"] = str(int(listing["lot_atoms"]) * 10)
    with pytest.raises(DataError, match="sized and traded in different steps"):
        daily_report(write_run(told))


def test_a_release_can_only_tighten_the_limits_of_the_account():
    from sapphire.monitoring.run_folder import _limits

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


def test_the_report_is_one_page_that_needs_no_network(run, home, monkeypatch, capsys):
    monkeypatch.setenv("SAPPHIRE_HOME", str(home))
    monkeypatch.chdir(ROOT)
    typer.main.get_command(report_verbs)(["run", "daily", "--run", str(run.folder), "--json"], standalone_mode=False)
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["facts"]["sound"] is True
    assert "2 new days on paper" in said.err
    assert {day.day for day in EvidenceStore(home / "evidence").parity(run.facts.release)} == {
        "2025-04-06",
        "2025-04-07",
    }
    page = Path(told["html"]).read_text()
    assert Path(told["html"]) == home / "reports" / "daily.html"
    assert "Plotly" in page
    assert 'src="http' not in page
    assert "def daily_report" not in page
    assert run.day.fills[-1].order in page
    typer.main.get_command(report_verbs)(["list", "--json"], standalone_mode=False)
    kept = {each["name"]: each for each in json.loads(capsys.readouterr().out)["reports"]}
    assert kept["daily"]["html"] == told["html"]
    assert kept["daily"]["title"] == "The day's report"


def test_a_report_that_there_is_not_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match="no report 'weekly'") as refused:
        render_report("weekly", tmp_path, home=tmp_path, workspace=ROOT)
    assert "daily" in refused.value.expected
    assert [each.html for each in list_reports(tmp_path, ROOT)] == [None]
