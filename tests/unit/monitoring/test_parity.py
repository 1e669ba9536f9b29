"""A position that is not the replay's is found, in lots, and the first link that differs is named."""

import pytest

from sapphire.monitoring import Cause, compare


def changed(row, **fields):
    """A row with other values."""
    return {**row, **fields}


@pytest.fixture
def judged(write_run, evidence):
    """Writes what was told, reads it, and compares it with the evidence."""

    def judge(recorded):
        run = write_run(recorded)
        return compare(run.day, run.decisions, evidence)

    return judge


def first_trade(evidence):
    """(symbol, close of the bar that was decided on, close at which the position stands) of the first fill."""
    fill = evidence.fills[0]
    order = next(order for order in evidence.orders if order.order == fill.order)
    closes = [bar.bar_close_ns for bar in evidence.bars]
    return order.symbol, order.bar_close_ns, closes[closes.index(order.bar_close_ns) + 1]


def without_lots(recorded, symbol, close_ns, lots):
    """The same rows with `lots` less of a symbol in the state at one close."""
    rows = []
    for row in recorded.rows:
        if row["kind"] == "state" and row["bar_close_ns"] == str(close_ns):
            position = row["positions"][symbol]
            less = {"atoms": position["atoms"], "lots": str(int(position["lots"]) - lots)}
            row = changed(row, positions={**row["positions"], symbol: less})
        rows.append(row)
    recorded.rows = rows


def edit(recorded, kind, symbol, close_ns, **fields):
    """The same rows with other values in those of one kind, symbol and bar."""
    recorded.rows = [
        changed(row, **fields)
        if row["kind"] == kind and row.get("symbol") == symbol and row.get("bar_close_ns") == str(close_ns)
        else row
        for row in recorded.rows
    ]


def test_a_run_that_did_what_the_replay_does_differs_in_no_lot(recorded, judged, evidence):
    parity = judged(recorded)
    assert (parity.bars, parity.lots, parity.unexplained_lots) == (len(evidence.bars), 0, 0)
    assert parity.equal_cash_bars == parity.bars


def test_a_difference_without_a_cause_is_unexplained_and_counted_in_lots(recorded, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 3)
    parity = judged(recorded)
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
def test_a_link_that_differs_is_the_cause(recorded, judged, evidence, kind, fields, cause):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    edit(recorded, kind, symbol, decided_ns, **fields)
    (difference,) = judged(recorded).differences
    assert difference.cause is cause
    assert difference.root is cause


def test_a_signal_that_never_came_in_is_named(recorded, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    recorded.rows = [
        row
        for row in recorded.rows
        if not (row["kind"] == "signal" and (row["symbol"], row["bar_close_ns"]) == (symbol, str(decided_ns)))
    ]
    assert [each.cause for each in judged(recorded).differences] == [Cause.SIGNAL_MISSING]


def test_an_order_that_was_sent_later_is_late_and_not_another_order(recorded, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    edit(recorded, "order", symbol, decided_ns, lots="1", market_ns=str(decided_ns + 7))
    (difference,) = judged(recorded).differences
    assert difference.cause is Cause.ORDER_LATE
    assert "7 ns later" in difference.detail


def test_another_fill_of_the_same_order_is_named(recorded, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    number = next(place for place, row in enumerate(recorded.rows) if row["kind"] == "fill")
    recorded.rows[number] = changed(recorded.rows[number], ticks=str(int(recorded.rows[number]["ticks"]) + 1))
    assert [each.cause for each in judged(recorded).differences] == [Cause.DIFFERENT_FILL]


def test_a_denied_order_is_named_with_its_code(recorded, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    number, order = next(
        (place, row) for place, row in enumerate(recorded.rows) if row["kind"] == "order" and row["symbol"] == symbol
    )
    refusal = {"code": "EXPOSURE", "level": "account", "value": "2", "limit": "1"}
    recorded.rows[number] = changed(order, kind="denied", **refusal)
    (difference,) = judged(recorded).differences
    assert difference.cause is Cause.ORDER_DENIED
    assert "EXPOSURE" in difference.detail


def test_a_bar_without_a_decision_is_missing(recorded, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    recorded.decisions = [made for made in recorded.decisions if made.bar_close_ns != decided_ns]
    assert [each.cause for each in judged(recorded).differences] == [Cause.MISSING_BAR]


def test_a_bar_that_was_passed_over_says_why(recorded, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    recorded.decisions = [
        made.without_signals("late", "the next bar had closed") if made.bar_close_ns == decided_ns else made
        for made in recorded.decisions
    ]
    (difference,) = judged(recorded).differences
    assert difference.cause is Cause.NOT_DECIDED
    assert difference.detail == "late: the next bar had closed"


def test_views_that_differ_in_the_last_bit_are_other_views(recorded, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    for place, made in enumerate(recorded.decisions):
        if made.bar_close_ns == decided_ns:
            views = [
                changed(view, mean_bps=repr(float(view["mean_bps"]) * (1 + 2**-52))) for view in made.facts["views"]
            ]
            recorded.decisions[place] = made.knowing(views=views)
    assert [each.cause for each in judged(recorded).differences] == [Cause.OTHER_VIEWS]


def test_a_balance_that_no_fill_explains_is_an_adjusted_one(recorded, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    row = {"kind": "adjusted", "step": "100000", "market_ns": str(decided_ns), "asset": symbol.split("/")[0],
           "atoms": "-2"}  # fmt: skip
    recorded.rows.insert(-1, row)
    assert [each.cause for each in judged(recorded).differences] == [Cause.ADJUSTED_BALANCE]


def test_what_follows_from_a_difference_counts_under_its_cause(recorded, judged, evidence):
    symbol, decided_ns, seen_ns = first_trade(evidence)
    closes = [bar.bar_close_ns for bar in evidence.bars]
    after_ns = closes[closes.index(seen_ns) + 1]
    without_lots(recorded, symbol, seen_ns, 2)
    without_lots(recorded, symbol, after_ns, 5)
    edit(recorded, "signal", symbol, decided_ns, refused="LATE")
    parity = judged(recorded)
    assert [each.cause for each in parity.differences] == [Cause.SIGNAL_LATE, Cause.FOLLOWS]
    assert parity.lots_by_cause == {Cause.SIGNAL_LATE: 7}
    assert parity.unexplained_lots == 0


def test_what_follows_from_something_unexplained_stays_unexplained(recorded, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    closes = [bar.bar_close_ns for bar in evidence.bars]
    without_lots(recorded, symbol, seen_ns, 2)
    without_lots(recorded, symbol, closes[closes.index(seen_ns) + 1], 5)
    assert judged(recorded).unexplained_lots == 7


def test_a_later_adjustment_does_not_explain_an_earlier_difference(recorded, judged, evidence):
    symbol, _, seen_ns = first_trade(evidence)
    without_lots(recorded, symbol, seen_ns, 2)
    row = {"kind": "adjusted", "step": "100000", "market_ns": str(seen_ns + 1), "asset": symbol.split("/")[0],
           "atoms": "-2"}  # fmt: skip
    recorded.rows.insert(-1, row)
    assert judged(recorded).unexplained_lots == 2


def test_cash_that_differed_first_is_what_another_target_follows_from(recorded, judged, evidence):
    """One fill cost more on one side; a later target is another one because of it."""
    place = next(place for place, row in enumerate(recorded.rows) if row["kind"] == "fill")
    recorded.rows[place] = changed(
        recorded.rows[place], quote_atoms=str(int(recorded.rows[place]["quote_atoms"]) + 10**6)
    )
    after = int(recorded.rows[place]["market_ns"])
    recorded.rows = [
        changed(row, cash_quote_atoms=str(int(row["cash_quote_atoms"]) - 10**6))
        if row["kind"] == "state" and int(row["bar_close_ns"]) > after
        else row
        for row in recorded.rows
    ]
    order = evidence.orders[-1]
    closes = [bar.bar_close_ns for bar in evidence.bars]
    without_lots(recorded, order.symbol, closes[closes.index(order.bar_close_ns) + 1], 4)
    for at, made in enumerate(recorded.decisions):
        if made.bar_close_ns == order.bar_close_ns:
            targets = [changed(target, lots=str(int(target["lots"]) + 4)) for target in made.facts["targets"]]
            recorded.decisions[at] = made.knowing(targets=targets)
    parity = judged(recorded)
    assert [(each.cause, each.root) for each in parity.differences] == [(Cause.FOLLOWS, Cause.DIFFERENT_FILL)]
    assert 0 < parity.equal_cash_bars < parity.bars
