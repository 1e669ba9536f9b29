"""A gate report is what was signed to the last digit, and permits what its numbers bear out and no more."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.canonical import canonical_json
from sapphire.domain.errors import EvidenceRefused, Refused, ValueRefused
from sapphire.domain.evidence import GateReport, GateRow, key_id, verify
from sapphire.domain.needs import meets

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def signed(report: GateReport) -> tuple[bytes, bytes]:
    mine = dataclasses.replace(report, signer=key_id(PUBLIC))
    return mine.canonical, KEY.sign(mine.canonical)


def test_a_signed_report_verifies(report: GateReport) -> None:
    data, signature = signed(report)
    made = verify(data, signature, PUBLIC, manifest_digest=report.manifest_digest, policy_digest=report.policy_digest)
    assert made.canonical == data
    assert verify(data, signature, PUBLIC, permits="paper").permits == "paper"


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
        verify(canonical_json(whole), signature, PUBLIC)


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), part=st.sampled_from(["report", "signature"]))
def test_no_bit_can_be_flipped(place: int, bit: int, part: str) -> None:
    row = GateRow(gate="integrity", measure="captured_source", needs=True, value=True)
    digest = "0" * 64
    report = GateReport(
        **dict.fromkeys(("manifest_digest", "policy_digest", "evidence_digest", "ledger_head", "signer"), digest),
        **{"name": "trend", "data": "generated", "engine_version": "1"},
        target="live",
        rows=(row,),
        authority="promoter identity",
    )
    data, signature = signed(report)
    flipped = bytearray(data if part == "report" else signature)
    flipped[place % len(flipped)] ^= 1 << bit
    pair = (bytes(flipped), signature) if part == "report" else (data, bytes(flipped))
    with pytest.raises(EvidenceRefused):
        verify(*pair, PUBLIC)


def test_another_key_does_not_count(report: GateReport) -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    data, _ = signed(report)
    with pytest.raises(EvidenceRefused, match="signature"):
        verify(data, other.sign(data), PUBLIC)
    with pytest.raises(EvidenceRefused, match="signature"):
        verify(data, b"short", PUBLIC)
    with pytest.raises(EvidenceRefused, match="the key that signs differs"):
        verify(report.canonical, KEY.sign(report.canonical), PUBLIC)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"manifest_digest": "0" * 64}, "the release differs"),
        ({"policy_digest": "0" * 64}, "the policy differs"),
        ({"permits": "live"}, "does not permit live"),
    ],
)
def test_a_report_of_something_else_is_refused(report: GateReport, asked: dict[str, Any], named: str) -> None:
    with pytest.raises(EvidenceRefused, match=named) as refused:
        verify(*signed(report), PUBLIC, **asked)
    assert isinstance(refused.value, Refused)
    assert refused.value.next


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
        verify(lie, KEY.sign(lie), PUBLIC)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("rows", [], "could refuse nothing"),
        ("rows", [1], "row of a gate report"),
        ("format", "GATES@2", "format GATES@1"),
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
        verify(data, KEY.sign(data), PUBLIC)
    assert named in str(refused.value)


def test_a_failure_refuses_or_marks(report: GateReport) -> None:
    assert (report.permits, report.skill_failed) == ("paper", True)
    assert [row.measure for row in report.marks] == ["deflated_sharpe"]
    strict = dataclasses.replace(report, rows=[dataclasses.replace(row, refuses=True) for row in report.rows])
    assert (strict.permits, strict.skill_failed) == (None, True)
    assert [row.measure for row in strict.failed] == ["deflated_sharpe"]


def test_the_table_says_what_was_asked_and_what_came(report: GateReport) -> None:
    text = str(report)
    assert "permits paper; MARKED: skill not shown; generated market, seed 7 (uncalibrated)" in text
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
