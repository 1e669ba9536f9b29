"""A position that is not the replay's is found, in lots, and the first link that differs is named."""

import pytest

from sapphire.monitoring import Cause, compare


def changed(row, **fields):
    """A row with other values."""
    return {**row, **fields}


@pytest.fixture
def judged(write_run, evidence):
    """Writes what was told, reads it, and compares it with the evidence."""

    def judge(told):
        run = write_run(told)
        return compare(run.day, run.decisions, evidence)

    return judge


def first_trade(evidence):
    """(symbol, close of the bar that was decided on, close at which the position stands) of the first fill."""
    fill = evidence.fills[0]
    order = next(order for order in evidence.orders if order.order == fill.order)
    closes = [bar.bar_close_ns for bar in evidence.bars]
    return order.symbol, order.bar_close_ns, closes[closes.index(order.bar_close_ns) + 1]


def without_lots(told, symbol, close_ns, lots):
    """The same rows with `lots` less of a symbol in the state at one close."""
    rows = []
    for row in told.rows:
        if row["kind"] == "state" and row["bar_close_ns"] == str(close_ns):
            held = row["positions"][symbol]
            less = {"atoms": held["atoms"], "lots": str(int(held["lots"]) - lots)}
            row = changed(row, positions={**row["positions"], symbol: less})
        rows.append(row)
    told.rows = rows


def edit(told, kind, symbol, close_ns, **fields):
    """The same rows with other values in those of one kind, symbol and bar."""
    told.rows = [
        changed(row, **fields)
        if row["kind"] == kind and row.get("symbol") == symbol and row.get("bar_close_ns") == str(close_ns)
        else row
        for row in told.rows
    ]


def test_a_run_that_did_what_the_replay_does_differs_in_no_lot(told, judged, evidence):
    parity = judged(told)
    assert (parity.bars, parity.lots, parity.unexplained_lots) == (len(evidence.bars), 0, 0)
    assert parity.equal_cash_bars == parity.bars


def test_a_difference_without_a_cause_is_unexplained_and_counted_in_lots(told, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 3)
    parity = judged(told)
    (difference,) = parity.differences
    assert (difference.bar_close_ns, difference.symbol, difference.lots) == (seen_ns, symbol, 3)
    assert difference.traded_lots == difference.replay_lots - 3
    assert difference.cause is Cause.UNEXPLAINED
    assert (parity.lots, parity.unexplained_lots) == (3, 3)


@pytest.mark.parametrize(
    ("kind", "fields", "cause"),
    [
        ("signal", {"refused": "HALTED"}, Cause.SIGNAL_REFUSED),
        ("signal", {"refused": "LATE"}, Cause.SIGNAL_LATE),
        ("order", {"lots": "1"}, Cause.OTHER_ORDER),
    ],
)
def test_a_link_that_differs_is_the_cause(told, judged, evidence, kind, fields, cause):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    edit(told, kind, symbol, decided_ns, **fields)
    (difference,) = judged(told).differences
    assert difference.cause is cause
    assert difference.root is cause


def test_a_signal_that_never_came_in_is_named(told, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    told.rows = [
        row
        for row in told.rows
        if not (row["kind"] == "signal" and (row["symbol"], row["bar_close_ns"]) == (symbol, str(decided_ns)))
    ]
    assert [each.cause for each in judged(told).differences] == [Cause.SIGNAL_MISSING]


def test_an_order_that_was_sent_later_is_late_and_not_another_order(told, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    edit(told, "order", symbol, decided_ns, lots="1", market_ns=str(decided_ns + 7))
    (difference,) = judged(told).differences
    assert difference.cause is Cause.ORDER_LATE
    assert "7 ns later" in difference.detail


def test_another_fill_of_the_same_order_is_named(told, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    number = next(place for place, row in enumerate(told.rows) if row["kind"] == "fill")
    told.rows[number] = changed(told.rows[number], ticks=str(int(told.rows[number]["ticks"]) + 1))
    assert [each.cause for each in judged(told).differences] == [Cause.DIFFERENT_FILL]


def test_a_denied_order_is_named_with_its_code(told, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    number, order = next(
        (place, row) for place, row in enumerate(told.rows) if row["kind"] == "order" and row["symbol"] == symbol
    )
    refusal = {"code": "EXPOSURE", "level": "account", "value": "2", "limit": "1"}
    told.rows[number] = changed(order, kind="denied", **refusal)
    (difference,) = judged(told).differences
    assert difference.cause is Cause.ORDER_DENIED
    assert "EXPOSURE" in difference.detail


def test_a_bar_without_a_decision_is_missing(told, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    told.decisions = [made for made in told.decisions if made.bar_close_ns != decided_ns]
    assert [each.cause for each in judged(told).differences] == [Cause.MISSING_BAR]


def test_a_bar_that_was_passed_over_says_why(told, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    told.decisions = [
        made.without_signals("late", "the next bar had closed") if made.bar_close_ns == decided_ns else made
        for made in told.decisions
    ]
    (difference,) = judged(told).differences
    assert difference.cause is Cause.NOT_DECIDED
    assert difference.detail == "late: the next bar had closed"


def test_views_that_differ_in_the_last_bit_are_other_views(told, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    for place, made in enumerate(told.decisions):
        if made.bar_close_ns == decided_ns:
            views = [
                changed(view, mean_bps=repr(float(view["mean_bps"]) * (1 + 2**-52))) for view in made.facts["views"]
            ]
            told.decisions[place] = made.knowing(views=views)
    assert [each.cause for each in judged(told).differences] == [Cause.OTHER_VIEWS]


def test_a_balance_that_no_fill_explains_is_an_adjusted_one(told, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    row = {"kind": "adjusted", "step": "100000", "market_ns": str(decided_ns), "asset": symbol.split("/")[0],
           "atoms": "-2"}  # fmt: skip
    told.rows.insert(-1, row)
    assert [each.cause for each in judged(told).differences] == [Cause.ADJUSTED_BALANCE]


def test_what_follows_from_a_difference_counts_under_its_cause(told, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    closes = [bar.bar_close_ns for bar in evidence.bars]
    after_ns = closes[closes.index(seen_ns) + 1]
    without_lots(told, symbol, seen_ns, 2)
    without_lots(told, symbol, after_ns, 5)
    edit(told, "signal", symbol, decided_ns, refused="LATE")
    parity = judged(told)
    assert [each.cause for each in parity.differences] == [Cause.SIGNAL_LATE, Cause.FOLLOWS]
    assert parity.lots_by_cause == {Cause.SIGNAL_LATE: 7}
    assert parity.unexplained_lots == 0


def test_what_follows_from_something_unexplained_stays_unexplained(told, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    closes = [bar.bar_close_ns for bar in evidence.bars]
    without_lots(told, symbol, seen_ns, 2)
    without_lots(told, symbol, closes[closes.index(seen_ns) + 1], 5)
    assert judged(told).unexplained_lots == 7


def test_a_later_adjustment_does_not_explain_an_earlier_difference(told, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    without_lots(told, symbol, seen_ns, 2)
    row = {"kind": "adjusted", "step": "100000", "market_ns": str(seen_ns + 1), "asset": symbol.split("/")[0],
           "atoms": "-2"}  # fmt: skip
    told.rows.insert(-1, row)
    assert judged(told).unexplained_lots == 2


def test_cash_that_differed_first_is_what_another_target_follows_from(told, judged, evidence):
    """One fill cost more on one side; a later target is another one because of it."""
    place = next(place for place, row in enumerate(told.rows) if row["kind"] == "fill")
    told.rows[place] = changed(told.rows[place], quote_atoms=str(int(told.rows[place]["quote_atoms"]) + 10**6))
    after = int(told.rows[place]["market_ns"])
    told.rows = [
        changed(row, cash_quote_atoms=str(int(row["cash_quote_atoms"]) - 10**6))
        if row["kind"] == "state" and int(row["bar_close_ns"]) > after
        else row
        for row in told.rows
    ]
    order = evidence.orders[-1]
    closes = [bar.bar_close_ns for bar in evidence.bars]
    without_lots(told, order.symbol, closes[closes.index(order.bar_close_ns) + 1], 4)
    for at, made in enumerate(told.decisions):
        if made.bar_close_ns == order.bar_close_ns:
            targets = [changed(target, lots=str(int(target["lots"]) + 4)) for target in made.facts["targets"]]
            told.decisions[at] = made.knowing(targets=targets)
    parity = judged(told)
    assert [(each.cause, each.root) for each in parity.differences] == [(Cause.FOLLOWS, Cause.DIFFERENT_FILL)]
    assert 0 < parity.equal_cash_bars < parity.bars
