"""Stamps become spans with their n, and no percentile without enough orders."""

import struct

import pytest

from sapphire.domain.errors import DataError
from sapphire.monitoring import read_latency_traces, summarise_latency
from sapphire.monitoring.reading.latency_traces import SIGNAL_TO_WIRE

RECORD = "<HHIQ10q"


def record(sequence, *, written_after=10_000, acknowledged=True, epoch=7):
    """Received at 1 s, each of the first hops 1 us, on the wire after `written_after` ns."""
    begin = 1_000_000_000
    stamps = [begin + 1_000 * step for step in range(6)]
    written = begin + written_after
    ends = [written, written + 500_000 if acknowledged else 0]
    return struct.pack(RECORD, 1, 0, epoch, sequence, 5, *stamps, *ends, 99)


def summaries(folder):
    return {summary.hop: summary for summary in summarise_latency(read_latency_traces(folder))}


def test_an_orders_stamps_are_read_under_its_client_order_id(tmp_path):
    (tmp_path / "1700000000.bin").write_bytes(record(26, epoch=1_700_000_000))
    (hops,) = read_latency_traces(tmp_path)
    assert hops.order == "sap-0001-6553f100-1a"
    assert (hops.market_ns, hops.bar_close_ns) == (5, 99)
    assert hops.span_ns("parse") == 1_000
    assert hops.span_ns(SIGNAL_TO_WIRE) == 10_000
    assert hops.span_ns("acknowledge") == 500_000


def test_median_and_maximum_are_those_of_the_orders_that_passed_the_hop(tmp_path):
    spans = (10_000, 30_000, 20_000)
    records = [record(n, written_after=span, acknowledged=n != 2) for n, span in enumerate(spans)]
    (tmp_path / "7.bin").write_bytes(b"".join(records))
    found = summaries(tmp_path)
    wire, answered = found[SIGNAL_TO_WIRE], found["acknowledge"]
    assert (wire.n, wire.median_us, wire.max_us) == (3, 20.0, 30.0)
    assert (answered.n, answered.median_us) == (2, 500.0)


@pytest.mark.parametrize(("n", "percents"), [(99, []), (100, [90.0]), (999, [90.0]), (1_000, [90.0, 99.0])])
def test_a_percentile_is_told_only_where_ten_orders_lie_beyond_it(tmp_path, n, percents):
    (tmp_path / "7.bin").write_bytes(b"".join(record(number, written_after=number + 1) for number in range(n)))
    assert list(summaries(tmp_path)[SIGNAL_TO_WIRE].percentiles) == percents


def test_without_orders_there_is_an_n_of_zero_and_no_number(tmp_path):
    wire = summaries(tmp_path / "nothing")[SIGNAL_TO_WIRE]
    assert (wire.n, wire.median_us, wire.max_us, dict(wire.percentiles)) == (0, None, None, {})


def test_starts_are_read_in_the_order_of_their_epochs_and_a_torn_record_is_passed_over(tmp_path):
    (tmp_path / "10.bin").write_bytes(record(1, epoch=10) + record(2, epoch=10)[:50])
    (tmp_path / "9.bin").write_bytes(record(5, epoch=9))
    assert [hops.order for hops in read_latency_traces(tmp_path)] == ["sap-0001-00000009-5", "sap-0001-0000000a-1"]


def test_a_file_that_is_no_start_is_refused(tmp_path):
    (tmp_path / "notes.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"notes\.bin is no file of stamps"):
        read_latency_traces(tmp_path)


def test_stamps_of_an_earlier_start_are_read_from_their_archive(recorded, write_run):
    import pyarrow

    run = write_run(recorded)
    (plain,) = (run.folder / "account" / "hops").glob("*.bin")
    before = read_latency_traces(plain.parent)
    archive = plain.with_name(f"{plain.name}.zst")
    with pyarrow.output_stream(archive, compression="zstd") as stream:
        stream.write(plain.read_bytes())
    assert read_latency_traces(plain.parent) == before  # both, as a kill between the two leaves them
    plain.unlink()
    assert read_latency_traces(plain.parent) == before
    middle = sorted(order.market_ns for order in before)[len(before) // 2]
    assert read_latency_traces(plain.parent, (middle, 2**63 - 1)) == tuple(
        each for each in before if each.market_ns >= middle
    )
