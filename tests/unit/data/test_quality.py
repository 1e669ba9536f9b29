"""What is wrong with rows is found and named; the repair orders and drops repeats, and makes nothing up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.data import check, repair
from sapphire.data.rows import Measure, Rows
from sapphire.domain import BadBars, Interval, to_ns

HOUR = Interval("1h")


def with_cell(rows, row, column, value):
    values = rows.values.copy()
    values[row, rows.columns.index(column)] = value
    return Rows(rows.measure, rows.open_time_ns, values)


def with_time(rows, row, time_ns):
    times = rows.open_time_ns.copy()
    times[row] = time_ns
    return Rows(rows.measure, times, rows.values)


def faults(rows, **how):
    return {finding.check: finding for finding in check(rows, HOUR, name="btc", **how).faults}


def test_sound_rows_have_no_fault(walk):
    report = check(walk(50), HOUR, name="btc")
    assert report.ok
    assert report.findings == ()


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("close", np.nan, "numbers"),
        ("open", np.inf, "numbers"),
        ("low", 0.0, "prices"),
        ("low", -1.0, "prices"),
        ("high", 1.0, "high"),
        ("low", 1e9, "low"),
        ("volume", -0.001, "volume"),
    ],
)
def test_a_bad_cell_is_named_by_row(walk, column, value, found):
    finding = faults(with_cell(walk(50), 17, column, value))[found]
    assert (finding.row, finding.count) == (17, 1)
    assert finding.got.endswith("at row 17")


def test_a_row_off_the_grid_is_a_fault(walk):
    rows = walk(5)
    assert faults(with_time(rows, 3, int(rows.open_time_ns[3]) + 1))["grid"].row == 3


def test_order_names_both_times_and_the_row(walk):
    rows = walk(2_000, start="2024-01-11T06:00Z").take(np.r_[0:1203, 1204, 1203, 1205:2000])
    with pytest.raises(BadBars) as refused:
        check(rows, HOUR, name="btc_1h.parquet").refuse(look="sapphire data check btc_1h.parquet")
    assert str(refused.value) == (
        "BadBars: bars out of order in btc_1h.parquet\n"
        "  expected: each open time after the one before\n"
        "  got:      2024-03-01T09:00Z after 2024-03-01T10:00Z at row 1,204\n"
        "  next:     sapphire data check btc_1h.parquet --repair"
    )


def test_repeats_and_conflicts_are_told_apart(walk):
    rows = walk(10)
    twice = Rows.joined(Measure.BARS, [rows, rows.take(slice(4, 6))])
    assert faults(twice)["repeats"].count == 2
    assert "conflicts" not in faults(twice)
    other = with_cell(rows, 4, "volume", 1.0).take(slice(4, 5))
    report = check(Rows.joined(Measure.BARS, [rows, other]), HOUR, name="btc")
    assert not report.repairable
    assert {finding.check for finding in report.faults} == {"order", "conflicts"}


def test_a_bar_is_from_the_future_until_it_has_closed(walk):
    rows = walk(5)
    closes = int(rows.open_time_ns[-1]) + HOUR.ns
    assert faults(rows, as_of_ns=closes - 1)["future"].row == 4
    assert not faults(rows, as_of_ns=closes)


def test_a_gap_is_told_and_is_no_fault(walk):
    rows = walk(10)
    report = check(rows.take(np.r_[0:3, 6:10]), HOUR, name="btc")
    assert report.ok
    assert [(finding.check, finding.count, finding.row) for finding in report.findings] == [("gaps", 3, 3)]
    assert report.gaps == ((int(rows.open_time_ns[3]), int(rows.open_time_ns[6])),)
    assert report.as_dict()["gaps"] == [{"from": "2024-01-30T03:00Z", "to": "2024-01-30T06:00Z"}]


def test_funding_may_settle_some_milliseconds_late():
    times = to_ns("2024-01-30") + np.arange(4) * Interval("8h").ns + np.array([0, 4_000_000, 0, 16_000_000])
    rows = Rows(Measure.FUNDING, times, np.array([[0.0001], [-0.0002], [0.0], [0.0075]]))
    assert check(rows, Interval("8h"), name="funding").findings == ()
    late = Rows(Measure.FUNDING, times + np.array([0, 120_000_000_000, 0, 0]), rows.values)
    assert [finding.check for finding in check(late, Interval("8h"), name="funding").faults] == ["grid"]


@given(st.data())
def test_any_permutation_and_repetition_repairs_to_the_same_content(walk, data):
    rows = walk(data.draw(st.integers(1, 40)), seed=data.draw(st.integers(0, 5)))
    picks = data.draw(st.permutations(range(len(rows))))
    again = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=20))
    muddled = rows.take(np.array([*picks, *again]))
    assert repair(muddled).content_sha256() == rows.content_sha256()


@given(st.sets(st.integers(0, 39), min_size=1, max_size=39))
def test_a_repair_never_makes_up_a_bar(walk, missing):
    kept = np.array(sorted(set(range(40)) - missing))
    rows = walk(40).take(kept)
    assert repair(rows).content_sha256() == rows.content_sha256()


def test_a_report_shows_itself(walk):
    shown = check(with_cell(walk(3), 1, "volume", -1.0), HOUR, name="<btc>")._repr_mimebundle_()
    assert "volume" in shown["text/plain"]
    assert "&lt;btc&gt;" in shown["text/html"]
    assert "<script" not in shown["text/html"]
    assert check(walk(3), HOUR, name="btc").table().empty
