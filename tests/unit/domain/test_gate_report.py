"""A gate report is what was signed to the last digit, and permits what its numbers bear out and no more."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.canonical import canonical_json
from sapphire.domain.errors import EvidenceRefused, Refused, ValueRefused
from sapphire.domain.evidence import LAPTOP_KEY, GateReport, GateRow, key_id
from sapphire.domain.needs import meets
from sapphire.domain.permits import RecordedReport, Trust
from sapphire.domain.permits import verify as verify_recorded

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


TRUST = Trust(
    public_key=PUBLIC,
    authority=LAPTOP_KEY,
    policies={"paper": frozenset({"0" * 64}), "live": frozenset({"0" * 64})},
    required={"paper": frozenset({"a.b"}), "live": frozenset({"a.b"})},
)


def verify(data: bytes, signature: bytes, **asked: Any) -> GateReport:
    """At the place of the record that the report says."""
    head = json.loads(data).get("record_head", "") if data.isascii() and data[:1] == b"{" else ""
    return verify_recorded(RecordedReport(data, signature, head), TRUST, **asked)


def signed(report: GateReport) -> tuple[bytes, bytes]:
    mine = dataclasses.replace(report, signer=key_id(PUBLIC))
    return mine.canonical, KEY.sign(mine.canonical)


def test_a_signed_report_verifies(report: GateReport) -> None:
    data, signature = signed(report)
    made = verify(data, signature, manifest_digest=report.manifest_digest)
    assert made.canonical == data
    assert made.permits == "paper"


def test_a_report_is_a_value_made_of_its_rows(report: GateReport) -> None:
    assert len(report) == len(report.rows)
    assert list(report) == list(report.rows)
    assert pickle.loads(pickle.dumps(report)) == report
    frame = report.frame
    assert frame["measure"].tolist() == [row.measure for row in report.rows]
    assert frame["passed"].tolist() == [row.passed for row in report.rows]
    assert {"text/plain", "text/html"} == set(report._repr_mimebundle_())


@pytest.mark.parametrize("path", ["rows.2.value", "rows.2.needs.min", "permits", "skill_failed", "ledger_head", "data"])
def test_a_report_with_one_value_changed_does_not_verify(report: GateReport, path: str) -> None:
    data, signature = signed(report)
    whole = json.loads(data)
    *way, last = path.split(".")
    inner = whole
    for key in way:
        inner = inner[int(key)] if key.isdigit() else inner[key]
    inner[last] = {"value": 0.96, "min": 0.4, "permits": "live", "skill_failed": False}.get(last, "0" * 64)
    with pytest.raises(EvidenceRefused, match="signature"):
        verify(canonical_json(whole), signature)


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), part=st.sampled_from(["report", "signature"]))
def test_no_bit_can_be_flipped(place: int, bit: int, part: str) -> None:
    row = GateRow(gate="integrity", measure="captured_source", needs=True, value=True)
    digests = ("manifest_digest", "policy_digest", "evidence_digest", "record_head", "ledger_head", "signer")
    report = GateReport(
        **dict.fromkeys(digests, "0" * 64),
        **{"name": "trend", "data": "generated", "engine_version": "1"},
        **{"trials": 1, "sequence": 1, "issued_ns": 1, "valid_until_ns": 2, "revocations": 0},
        target="live",
        rows=(row,),
        authority=LAPTOP_KEY,
    )
    data, signature = signed(report)
    flipped = bytearray(data if part == "report" else signature)
    flipped[place % len(flipped)] ^= 1 << bit
    data, signature = (bytes(flipped), signature) if part == "report" else (data, bytes(flipped))
    with pytest.raises(EvidenceRefused):
        verify_recorded(RecordedReport(data, signature, "0" * 64), TRUST)


def test_another_key_does_not_count(report: GateReport) -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    data, _ = signed(report)
    with pytest.raises(EvidenceRefused, match="signature"):
        verify(data, other.sign(data))
    with pytest.raises(EvidenceRefused, match="signature"):
        verify(data, b"short")
    with pytest.raises(EvidenceRefused, match="the key that signs differs"):
        verify(report.canonical, KEY.sign(report.canonical))


def test_a_report_of_something_else_is_refused(report: GateReport) -> None:
    data, signature = signed(report)
    with pytest.raises(EvidenceRefused, match="the release differs") as refused:
        verify(data, signature, manifest_digest="0" * 64)
    assert isinstance(refused.value, Refused)
    assert refused.value.next
    with pytest.raises(EvidenceRefused, match="its place in the record differs"):
        verify_recorded(RecordedReport(data, signature, "0" * 64), TRUST)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("permits", "live", "permits live"),
        ("skill_failed", False, "skill_failed False"),
        ("rows", [{"passed": True}], "row 2 (deflated_sharpe): passed True"),
        ("rows", [{"extra": 1}], "row 2 (deflated_sharpe): extra 1"),
        ("run_id", "m-1", "run_id m-1"),
    ],
)
def test_even_a_signed_report_cannot_say_what_its_numbers_do_not(
    report: GateReport, key: str, value: Any, named: str
) -> None:
    whole = json.loads(signed(report)[0])
    if key == "rows":
        whole["rows"][2] |= value[0]
    else:
        whole[key] = value
    lie = canonical_json(whole)
    with pytest.raises(EvidenceRefused) as refused:
        verify(lie, KEY.sign(lie))
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("rows", [], "could refuse nothing"),
        ("rows", [1], "row of a gate report"),
        ("format", "GATES@1", "format GATES@2"),
        ("trials", 0, "trials of a gate report"),
        ("sequence", 1.0, "sequence of a gate report"),
        ("valid_until_ns", 1, "valid_until_ns of a gate report"),
        ("target", "moon", "target of a gate report"),
        ("authority", "trust me", "authority of a gate report"),
        ("ledger_head", "none", "ledger_head of a gate report"),
        ("signer", None, "lacks signer"),
    ],
)
def test_what_is_no_report_is_refused_by_name(report: GateReport, path: str, value: Any, named: str) -> None:
    whole = json.loads(signed(report)[0])
    whole[path] = value
    if value is None:
        del whole[path]
    data = canonical_json(whole)
    with pytest.raises(EvidenceRefused) as refused:
        verify(data, KEY.sign(data))
    assert named in str(refused.value)


def test_a_failure_refuses_or_marks(report: GateReport) -> None:
    assert (report.permits, report.skill_failed) == ("paper", True)
    assert [row.measure for row in report.marks] == ["deflated_sharpe"]
    strict = dataclasses.replace(report, rows=[dataclasses.replace(row, refuses=True) for row in report.rows])
    assert (strict.permits, strict.skill_failed) == (None, True)
    assert [row.measure for row in strict.failed] == ["deflated_sharpe"]


def test_the_table_says_what_was_asked_and_what_came(report: GateReport) -> None:
    text = str(report)
    assert (
        "permits paper until 2026-03-08T00:00Z; MARKED: skill not shown; generated market, seed 7 (uncalibrated)"
        in text
    )
    assert "skill      deflated_sharpe  >= 0.95  0.41  fail, marked  N = 312 trials in the ledger" in text
    assert "<table" in report._repr_mimebundle_()["text/html"]


@given(st.floats(0.94, 0.96), st.sampled_from(["min", "max", "above"]))
def test_a_shown_number_is_on_the_side_of_the_threshold_that_it_is(value: float, bound: str) -> None:
    row = GateRow(gate="skill", measure="deflated_sharpe", needs={bound: 0.95}, value=value)
    assert meets(row.needs, float(row.has)) == row.passed


@pytest.mark.parametrize("needs", [{"min": 1.0, "max": 2.0}, {}, {"about": 1.0}, {"min": True}, {"min": "1"}, 3, None])
def test_a_need_has_one_form(needs: Any) -> None:
    with pytest.raises(ValueRefused, match=r"need of row skill\.x"):
        GateRow(gate="skill", measure="x", needs=needs, value=1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0]])
def test_a_value_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ValueRefused, match=r"skill\.x"):
        GateRow(gate="skill", measure="x", needs={"min": 1.0}, value=value)
