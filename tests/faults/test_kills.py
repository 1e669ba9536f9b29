"""`kill -9` of any process, at any time, loses nothing: the run ends as the one that nobody disturbed."""

from pathlib import Path

import pytest
from books import never_arrived, require_same_balances, require_same_fills, require_same_orders

from sapphire.monitoring.judging.daily import daily_report
from sapphire.monitoring.reading.run_folder import read_run
from sapphire.monitoring.reading.tracing import trace_order
from sapphire.monitoring.telling.reports import render_report

ROOT = Path(__file__).parents[2]


def as_the_exchange_has_it(outcome):
    """Orders with their fills, and balances, to the last digit; ids apart."""
    of_order = ("symbol", "side", "type", "time_in_force", "status", "price_ticks", "quantity_lots", "executed_lots",
                "executed_quote_atoms", "locked_atoms", "time_ns", "update_ns")  # fmt: skip
    of_fill = ("ticks", "lots", "quote_atoms", "commission_asset", "commission_atoms", "time_ns", "is_maker")
    orders = [
        {key: order[key] for key in of_order}
        | {"fills": [{key: fill[key] for key in of_fill} for fill in order["fills"]]}
        for order in outcome.account["history"]
    ]
    return {"orders": orders, "balances": outcome.account["balances"], "now_ns": outcome.exchange["now_ns"]}


def require_same_books(outcome):
    """The service's orders, fills and balances are the exchange's."""
    history = outcome.account["history"]
    require_same_orders(outcome.orders, history)
    require_same_fills(outcome.fills, history)
    require_same_fills([row for row in outcome.journal if row["kind"] == "fill"], history)
    require_same_balances(outcome.positions, outcome.account["balances"])


def decided(outcome):
    """What the coordinator wanted at each close."""
    return [
        (line["bar_close_ns"], line["reason"], line["targets"], line["views"], line["account"])
        for line in outcome.decisions
    ]


def test_the_run_that_nobody_disturbs_trades_and_adds_up(undisturbed):
    assert undisturbed.driven.bars == len(undisturbed.decisions) == 40
    assert len(undisturbed.account["history"]) >= 20
    assert {order["symbol"] for order in undisturbed.account["history"]} == {"BTCUSDT", "ETHUSDT"}
    assert {order["side"] for order in undisturbed.account["history"]} == {1, -1}
    assert not any(undisturbed.restarts.values())
    require_same_books(undisturbed)
    assert undisturbed.replay.identical


def test_the_same_seed_twice_gives_the_same_fills(prepared, undisturbed, quick_disk):
    again = prepared.run(quick_disk("again"))
    assert as_the_exchange_has_it(again) == as_the_exchange_has_it(undisturbed)
    assert decided(again) == decided(undisturbed)


def test_what_was_traded_is_the_engines_replay_of_the_same_bars_in_every_lot(prepared, undisturbed):
    run = read_run(undisturbed.folder, prepared.home)
    report = daily_report(run)
    assert (report.parity.bars, report.parity.equal_cash_bars, report.parity.lots) == (40, 40, 0)
    assert report.reconciliation is not None
    assert report.reconciliation.is_sound
    assert report.is_sound
    assert report.replay.identical
    assert report.signal_to_wire.n == len(undisturbed.account["history"])
    order = undisturbed.account["history"][-1]["client_order_id"]
    assert trace_order(run, order).order == order


def test_the_day_is_rendered_as_a_page_that_fetches_nothing(prepared, undisturbed):
    rendered = render_report("daily", undisturbed.folder, home=prepared.home, workspace=ROOT)
    page = rendered.html.read_text(encoding="utf-8")
    assert "0 lots differ" in page
    assert 'src="http' not in page


@pytest.mark.parametrize("victim", ["service", "exchange", "coordinator", "collector", "bento", "bus"])
def test_a_killed_part_comes_back_and_nothing_is_lost(prepared, undisturbed, blows_on, quick_disk, victim):
    blows = blows_on(victim)
    outcome = prepared.run(quick_disk("run"), blows)
    assert {name: count for name, count in outcome.restarts.items() if count} == {victim: len(blows)}
    assert outcome.travelling[-1] >= 1, "an order was on its way at the last blow"
    lost = [order for order in outcome.orders if never_arrived(order)]
    assert len(lost) <= 2 * len(blows), "what never arrived is sent again once, not in a loop"
    assert as_the_exchange_has_it(outcome) == as_the_exchange_has_it(undisturbed)
    assert decided(outcome) == decided(undisturbed)
    require_same_books(outcome)
    assert outcome.replay.identical, outcome.replay.facts


def test_parts_that_hang_are_restarted_and_the_run_says_the_same(prepared, undisturbed, hung_at, quick_disk):
    """Not dead: each of them is there, holds its port and its connections, and does nothing; all in the same bar."""
    victims = ("bento", "collector", "coordinator")
    outcome = prepared.run(quick_disk("run"), [hung_at(victim, 12) for victim in victims])
    assert {name: count for name, count in outcome.restarts.items() if count} == dict.fromkeys(victims, 1)
    assert as_the_exchange_has_it(outcome) == as_the_exchange_has_it(undisturbed)
    assert decided(outcome) == decided(undisturbed)
    require_same_books(outcome)
    assert outcome.replay.identical, outcome.replay.facts
