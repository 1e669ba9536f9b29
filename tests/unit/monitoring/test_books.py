"""What the service and the exchange do not both have is named, and balances are compared to the last digit."""

import pytest

from sapphire.domain.errors import DataError
from sapphire.monitoring import ExchangeBooks, reconcile


@pytest.fixture
def judged(write_run):
    """Writes what was told, reads it, and compares the books."""

    def judge(recorded):
        run = write_run(recorded)
        return reconcile(run.day, run.exchange)

    return judge


def fills_of(recorded):
    return [place for place, row in enumerate(recorded.rows) if row["kind"] == "fill"]


def orders_of(recorded):
    return [place for place, row in enumerate(recorded.rows) if row["kind"] == "order"]


def test_books_that_agree_are_sound(recorded, judged, evidence):
    books = judged(recorded)
    assert books.is_sound
    assert (books.orders, books.fills) == (len(evidence.orders), len(evidence.fills))
    assert {balance.asset for balance in books.balances} == {"BTC", "ETH", "USDT"}


def test_one_atom_is_a_difference(recorded, judged):
    free = recorded.exchange["accounts"][0]["balances"]["USDT"]
    free["free"] = str(int(free["free"]) - 1)
    books = judged(recorded)
    (differing,) = [balance for balance in books.balances if not balance.is_equal]
    assert (differing.asset, differing.service_atoms - differing.exchange_atoms) == ("USDT", 1)
    assert not books.is_sound


def test_what_is_locked_is_held(recorded, judged):
    balance = recorded.exchange["accounts"][0]["balances"]["USDT"]
    balance["free"], balance["locked"] = str(int(balance["free"]) - 40), "40"
    assert judged(recorded).balances_equal


def test_a_fill_that_was_not_counted_is_lost(recorded, judged):
    trade = recorded.rows.pop(fills_of(recorded)[3])["trade"]
    books = judged(recorded)
    assert len(books.lost) == 1
    assert f"fill {trade} of" in books.lost[0]
    assert not books.balances_equal


def test_a_fill_that_was_counted_twice_is_doubled(recorded, judged):
    place = fills_of(recorded)[3]
    recorded.rows.insert(place, recorded.rows[place])
    books = judged(recorded)
    assert books.lost == ()
    assert len(books.doubled) == 1
    assert "counted 2 times" in books.doubled[0]


def test_an_order_that_the_exchange_does_not_know_is_lost(recorded, judged):
    gone = recorded.exchange["accounts"][0]["history"].pop(2)
    books = judged(recorded)
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
def test_an_order_that_never_came_is_lost_only_while_nobody_said_so(recorded, judged, report, lost):
    place = orders_of(recorded)[0]
    order = recorded.rows[place]
    recorded.rows.insert(
        place + 1, {"kind": "report", "step": order["step"], "market_ns": order["market_ns"], "order": order["order"],
                    "executed_lots": None, "venue_code": None, "conclusive": None, "state": None, "odd": False} | report
    )  # fmt: skip
    account = recorded.exchange["accounts"][0]
    account["history"] = [row for row in account["history"] if row["client_order_id"] != order["order"]]
    recorded.rows = [row for row in recorded.rows if not (row["kind"] == "fill" and row["order"] == order["order"])]
    assert len(judged(recorded).lost) == lost


def test_an_order_that_only_the_exchange_has_is_lost_here(recorded, judged):
    place = orders_of(recorded)[-1]
    order = recorded.rows.pop(place)["order"]
    assert f"order {order}: at the exchange, not in the journal" in judged(recorded).lost


def test_an_order_twice_at_the_exchange_is_doubled(recorded, judged):
    history = recorded.exchange["accounts"][0]["history"]
    history.append({**history[0], "order_id": 999, "fills": []})
    doubled = judged(recorded).doubled
    assert any("2 times at the exchange" in text for text in doubled)


def test_a_fill_with_another_price_is_changed(recorded, judged):
    fill = recorded.exchange["accounts"][0]["history"][0]["fills"][0]
    fill["ticks"] = str(int(fill["ticks"]) + 1)
    books = judged(recorded)
    assert len(books.changed) == 1
    assert not books.is_sound


def test_a_state_without_history_is_refused(recorded):
    del recorded.exchange["accounts"][0]["history"]
    with pytest.raises(DataError, match="saved state cannot be read") as refused:
        ExchangeBooks.of(recorded.exchange)
    assert "full=True" in refused.value.next
