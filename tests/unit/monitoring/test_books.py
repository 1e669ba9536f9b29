"""What the service and the exchange do not both have is named, and balances are compared to the last digit."""

import pytest

from sapphire.domain.errors import DataError
from sapphire.monitoring import ExchangeBooks, reconcile


@pytest.fixture
def judged(write_run):
    """Writes what was told, reads it, and compares the books."""

    def judge(told):
        run = write_run(told)
        return reconcile(run.day, run.exchange)

    return judge


def fills_of(told):
    return [place for place, row in enumerate(told.rows) if row["kind"] == "fill"]


def orders_of(told):
    return [place for place, row in enumerate(told.rows) if row["kind"] == "order"]


def test_books_that_agree_are_sound(told, judged, evidence):
    books = judged(told)
    assert books.is_sound
    assert (books.orders, books.fills) == (len(evidence.orders), len(evidence.fills))
    assert {balance.asset for balance in books.balances} == {"BTC", "ETH", "USDT"}


def test_one_atom_is_a_difference(told, judged):
    free = told.exchange["accounts"][0]["balances"]["USDT"]
    free["free"] = str(int(free["free"]) - 1)
    books = judged(told)
    (differing,) = [balance for balance in books.balances if not balance.is_equal]
    assert (differing.asset, differing.service_atoms - differing.exchange_atoms) == ("USDT", 1)
    assert not books.is_sound


def test_what_is_locked_is_held(told, judged):
    held = told.exchange["accounts"][0]["balances"]["USDT"]
    held["free"], held["locked"] = str(int(held["free"]) - 40), "40"
    assert judged(told).balances_equal


def test_a_fill_that_was_not_counted_is_lost(told, judged):
    trade = told.rows.pop(fills_of(told)[3])["trade"]
    books = judged(told)
    assert len(books.lost) == 1
    assert f"fill {trade} of" in books.lost[0]
    assert not books.balances_equal


def test_a_fill_that_was_counted_twice_is_doubled(told, judged):
    place = fills_of(told)[3]
    told.rows.insert(place, told.rows[place])
    books = judged(told)
    assert books.lost == ()
    assert len(books.doubled) == 1
    assert "counted 2 times" in books.doubled[0]


def test_an_order_that_the_exchange_does_not_know_is_lost(told, judged):
    gone = told.exchange["accounts"][0]["history"].pop(2)
    books = judged(told)
    assert f"order {gone['client_order_id']}: sent, the exchange does not know it" in books.lost


@pytest.mark.parametrize(
    ("report", "lost"),
    [
        ({"report": "REJECTED", "venue_code": -2010}, 0),
        ({"report": "NOT_FOUND", "conclusive": True}, 0),
        ({"report": "NOT_FOUND", "conclusive": False}, 1),
        ({"report": "UNANSWERED"}, 1),
    ],
)
def test_an_order_that_never_came_is_lost_only_while_nobody_said_so(told, judged, report, lost):
    place = orders_of(told)[0]
    order = told.rows[place]
    told.rows.insert(
        place + 1, {"kind": "report", "step": order["step"], "market_ns": order["market_ns"], "order": order["order"],
                    "executed_lots": None, "venue_code": None, "conclusive": None, "state": None, "odd": False} | report
    )  # fmt: skip
    account = told.exchange["accounts"][0]
    account["history"] = [row for row in account["history"] if row["client_order_id"] != order["order"]]
    told.rows = [row for row in told.rows if not (row["kind"] == "fill" and row["order"] == order["order"])]
    assert len(judged(told).lost) == lost


def test_an_order_that_only_the_exchange_has_is_lost_here(told, judged):
    place = orders_of(told)[-1]
    order = told.rows.pop(place)["order"]
    assert f"order {order}: at the exchange, not in the journal" in judged(told).lost


def test_an_order_twice_at_the_exchange_is_doubled(told, judged):
    history = told.exchange["accounts"][0]["history"]
    history.append({**history[0], "order_id": 999, "fills": []})
    doubled = judged(told).doubled
    assert any("2 times at the exchange" in text for text in doubled)


def test_a_fill_with_another_price_is_changed(told, judged):
    fill = told.exchange["accounts"][0]["history"][0]["fills"][0]
    fill["ticks"] = str(int(fill["ticks"]) + 1)
    books = judged(told)
    assert len(books.changed) == 1
    assert not books.is_sound


def test_a_state_without_history_is_refused(told):
    del told.exchange["accounts"][0]["history"]
    with pytest.raises(DataError, match="saved state cannot be read") as refused:
        ExchangeBooks.of(told.exchange)
    assert "full=True" in refused.value.next
