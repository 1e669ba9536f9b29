"""Evidence is added to and never changed: whatever was changed or taken away is found and named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.evidence import GateReport
from sapphire.domain.permits import verify
from sapphire.registry import (
    Deployment,
    EvidenceBundle,
    EvidenceStore,
    Issue,
    evaluate_gates,
    load_policy,
    sign,
    signing_key,
)

POLICIES = Path(__file__).parents[3] / "mlflow" / "gates"
Filled = tuple[EvidenceStore, str, EvidenceBundle]


@pytest.fixture
def filled(tmp_path: Path, freeze: Callable[..., Path], small: SimpleNamespace) -> Filled:
    """A store with a bundle, a day and a signed report of one release."""
    folder = freeze()
    store, bundle = EvidenceStore(tmp_path / "evidence"), small.bundle_of(folder)
    store.add_bundle(bundle, at_ns=1)
    store.add_parity(bundle.manifest_digest, small.paper_days(1)[0], at_ns=2)
    key, policy = signing_key(), load_policy(POLICIES, "paper")
    issue = Issue(record_head=store.heads(bundle.manifest_digest)[-1])
    report = evaluate_gates(
        small.manifest_of(folder), bundle, policy, signer=key.id, authority=key.authority, issue=issue
    )
    store.add_report(report, sign(report, key), at_ns=3)
    return store, bundle.manifest_digest, bundle


def test_what_was_kept_comes_back(filled: Filled, tmp_path: Path, small: SimpleNamespace) -> None:
    store, digest, bundle = filled
    assert [record.kind for record in store.records(digest)] == ["bundle", "parity", "report"]
    assert [record.at_ns for record in store.records(digest)] == [1, 2, 3]
    assert store.bundle(digest) == bundle
    assert store.parity(digest) == (small.paper_days(1)[0],)
    signed = store.report(digest, "paper")
    assert signed is not None
    assert verify(signed, Deployment.read().trust(tmp_path), manifest_digest=digest).permits == "paper"
    assert store.reports(digest) == (signed,)
    assert store.report(digest, "live") is None
    assert store.digests() == (digest,)


def test_the_same_measurements_are_kept_once_and_new_ones_beside_them(filled: Filled, small: SimpleNamespace) -> None:
    store, digest, bundle = filled
    assert not store.add_bundle(bundle, at_ns=4)
    cleaner = small.replaced(bundle, integrity={"git_commit": "1" * 40})
    assert store.add_bundle(cleaner, at_ns=5)
    assert store.bundle(digest) == cleaner
    assert [record.kind for record in store.records(digest)] == ["bundle", "parity", "report", "bundle"]


@pytest.mark.parametrize("name", ["bundle", "parity", "report-paper", ".sig"])
@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_file_that_was_changed_or_taken_away_is_named(filled: Filled, name: str, harm: str) -> None:
    store, digest, _ = filled
    (path,) = (
        each
        for each in store.folder(digest).iterdir()
        if (each.suffix == ".sig" if name == ".sig" else each.name.startswith(name) and each.suffix == ".json")
    )
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(EvidenceRefused, match="is not what was recorded") as refused:
        store.records(digest)
    assert path.name in str(refused.value)
    for read in (store.bundle, store.parity, lambda each: store.report(each, "paper")):
        with pytest.raises(EvidenceRefused):
            read(digest)


@given(data=st.data())
@settings(max_examples=40)
def test_no_byte_of_the_record_can_be_changed(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = EvidenceStore(tmp_path_factory.mktemp("store"))
    digest = "0" * 64
    for number in range(3):
        store.append(digest, "registered", at_ns=number, facts={"version": number}, files={})
    path = store.folder(digest) / "records.jsonl"
    whole = bytearray(path.read_bytes())
    last = whole.rindex(b"\n", 0, len(whole) - 1)
    place = data.draw(st.integers(0, last))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(whole))
    with pytest.raises(EvidenceRefused, match="does not verify at line"):
        store.records(digest)


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (lambda lines: [lines[0], lines[2]], "at line 2"),
        (lambda lines: [lines[1], lines[0], lines[2]], "at line 1"),
        (lambda lines: [lines[0], lines[0], lines[1], lines[2]], "at line 2"),
        (lambda lines: [*lines, b"\n"], "at line 4"),
        (lambda lines: [*lines, b'{"kind":"report"}\n'], "at line 4"),
        (lambda lines: [lines[0], lines[1][:-1], lines[2]], "at line 2"),
    ],
)
def test_a_line_taken_out_put_in_or_cut_is_named(
    filled: Filled, harm: Callable[[list[bytes]], list[bytes]], named: str
) -> None:
    store, digest, _ = filled
    path = store.folder(digest) / "records.jsonl"
    path.write_bytes(b"".join(harm(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(EvidenceRefused, match=named):
        store.records(digest)
    before = path.read_bytes()
    with pytest.raises(EvidenceRefused, match=named):
        store.append(digest, "promoted", at_ns=9, files={})
    assert path.read_bytes() == before


def test_a_record_cannot_name_a_file_elsewhere(filled: Filled) -> None:
    store, digest, _ = filled
    store.append(digest, "bundle", at_ns=9, files={})
    path = store.folder(digest) / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b'"files":{}', b'"files":{"../key":"' + b"0" * 64 + b'"}')
    path.write_bytes(b"".join(lines))
    with pytest.raises(EvidenceRefused, match="at line 4"):
        store.records(digest)


def test_what_was_never_measured_has_no_evidence(tmp_path: Path, small: SimpleNamespace) -> None:
    store = EvidenceStore(tmp_path / "evidence")
    assert store.digests() == ()
    with pytest.raises(EvidenceRefused, match="no evidence of release") as refused:
        store.bundle("0" * 64)
    assert "study.submit" in str(refused.value)
    with pytest.raises(EvidenceRefused, match="no evidence of release"):
        store.add_parity("0" * 64, small.paper_days(1)[0], at_ns=1)
    assert not store.root.exists()


def test_writers_that_come_together_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from sapphire.registry import EvidenceStore\n"
        "store, number = EvidenceStore(pathlib.Path(sys.argv[1])), int(sys.argv[2])\n"
        "for each in range(10): store.append('0' * 64, 'registered', at_ns=number, facts={'of': each}, files={})"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(number)]) for number in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    records = EvidenceStore(tmp_path).records("0" * 64)
    assert {(record.at_ns, record.facts["of"]) for record in records} == {(a, b) for a in range(3) for b in range(10)}
    assert len(records) == 30


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_torn_last_line_was_not_written_and_the_next_writer_cuts_it(filled: Filled, cut: int) -> None:
    store, digest, _ = filled
    path = store.folder(digest) / "records.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    torn = path.read_bytes()
    assert [record.kind for record in store.records(digest)] == ["bundle", "parity"]
    assert path.read_bytes() == torn, "a reader changes nothing"
    store.append(digest, "promoted", at_ns=9, files={})
    assert [record.kind for record in store.records(digest)] == ["bundle", "parity", "promoted"]
    assert path.read_bytes().startswith(whole[: whole[:-1].rfind(b"\n") + 1])


def test_a_record_of_nothing_but_a_torn_line_is_empty(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path)
    store.append("0" * 64, "bundle", at_ns=1, files={})
    path = store.folder("0" * 64) / "records.jsonl"
    path.write_bytes(path.read_bytes()[:9])
    assert store.records("0" * 64) == ()
    store.append("0" * 64, "bundle", at_ns=2, files={})
    assert [record.at_ns for record in store.records("0" * 64)] == [2]


def test_a_report_is_kept_at_its_place_or_not_at_all(filled: Filled, small: SimpleNamespace) -> None:
    store, digest, _ = filled
    signed = store.report(digest, "paper")
    assert signed is not None
    before = store.heads(digest)
    with pytest.raises(EvidenceRefused, match="has gone on"):
        store.add_report(GateReport.parse(signed.data), signed.signature, at_ns=9)
    assert store.heads(digest) == before
