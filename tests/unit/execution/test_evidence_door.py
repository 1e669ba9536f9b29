"""The engine's door asks of a release what Python's asks: same verdict, same reason, on the same bytes."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapphire.agents import Calibrated, MovingAverageCross
from sapphire.agents.release import freeze
from sapphire.agents.release.files import read_release_files, write_release_files
from sapphire.domain import Bars, EvidenceRefused, Interval
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.evidence import EDGE_GATES, GateReport, GateRow
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.revocations import Revocation, Revocations
from sapphire.execution import engine_binary
from sapphire.registry import Deployment, EvidenceStore, SigningKey, sign, signing_key
from sapphire.registry.anchors import Anchors
from sapphire.registry.policies import must_ask
from sapphire.registry.promotion import next_sequence
from sapphire.serving import Settings, admit

SYMBOLS = ("BTC/USDT", "ETH/USDT")
START_NS = 1_735_689_600_000_000_000  # 2025-01-01T00:00Z
QUARTER = timedelta(minutes=15)


def random_bars(length: int) -> Bars:
    dice = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(0.002 * dice.standard_t(5, (length, 2)), axis=0))
    interval = Interval("5m")
    return Bars(
        symbols=SYMBOLS,
        interval=interval,
        open_time_ns=START_NS + np.arange(length, dtype=np.int64) * interval.ns,
        open=close,
        high=close * 1.001,
        low=close * 0.999,
        close=close,
        volume=dice.gamma(2.0, 5.0, (length, 2)),
        listed=np.ones((length, 2), dtype=np.bool_),
    ).validate()


@dataclass(frozen=True)
class Place:
    """A state folder with one release, and what can be done to it."""

    home: Path
    digest: str

    @property
    def release(self) -> Path:
        return self.home / "releases" / self.digest

    @property
    def evidence(self) -> Path:
        return self.home / "evidence" / self.digest

    @property
    def records(self) -> Path:
        return self.evidence / "records.jsonl"

    @property
    def source(self) -> Path:
        return next(self.release.glob("agents/*/source.py"))

    def report(self, *, key: SigningKey | None = None, target: str = "paper", **how: Any) -> GateReport:
        """Sign a gate report and keep it beside the release."""
        passed, skill = how.pop("passed", True), how.pop("skill", False)
        rows = [
            GateRow(gate="parity", measure="slippage_bps", needs={"max": 1e-05}, value=-1.25e-07, note="N = 3 \u00e9\n")
        ]
        for gate, _, measure in (name.partition(".") for name in sorted(must_ask(target))):  # type: ignore[arg-type]
            edge = gate in EDGE_GATES
            needs, value = ({"min": 0.95}, 0.96 if skill else 0.2) if edge else (True, passed)
            rows.append(GateRow(gate=gate, measure=measure, needs=needs, value=value, refuses=not edge))
        key, store, now_ns = key or signing_key(), EvidenceStore(self.home / "evidence"), time.time_ns()
        if not self.records.exists() or not store.heads(self.digest):
            store.append(self.digest, "registered", at_ns=1, facts={"name": "trend", "version": 1}, files={})
        values: dict[str, Any] = {
            "name": "trend",
            "manifest_digest": self.digest,
            "policy_digest": Deployment.read().policies[target][0],  # type: ignore[index]
            "evidence_digest": "d" * 64,
            "record_head": store.heads(self.digest)[-1],
            "trials": 3,
            "data": "generated market, seed 7 (uncalibrated)",
            "target": target,
            "rows": tuple(rows),
            "ledger_head": "e" * 64,
            "engine_version": "0.1.0",
            "signer": key.id,
            "authority": key.authority,
            "sequence": next_sequence(store.reports(self.digest), target),  # type: ignore[arg-type]
            "issued_ns": now_ns,
            "valid_until_ns": now_ns + 86_400_000_000_000,
            "revocations": 0,
        }
        report = GateReport(**values | how)
        store.add_report(report, sign(report, key), at_ns=2)
        return report

    def odd_report(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Keep a report that was changed before it was signed by the right key, in a record of its own."""
        stated = json.loads(self.report().canonical)
        shutil.rmtree(self.evidence)
        store = EvidenceStore(self.home / "evidence")
        made = store.append(self.digest, "registered", at_ns=1, facts={"name": "trend", "version": 1}, files={})
        stated["record_head"] = made.head
        change(stated)
        data = canonical_json(stated)
        signature = signing_key().sign(data)
        name = f"report-paper-{sha256_of(data)[:12]}"
        store.append(
            self.digest,
            "report",
            at_ns=3,
            facts={"target": "paper", "permits": "paper", "report": sha256_of(data)},
            files={f"{name}.json": data, f"{name}.sig": f"{signature.hex()}\n".encode()},
        )

    def signed_json(self) -> Path:
        return next(self.evidence.glob("report-paper-*.json"))


def trusted(key: Path | None = None) -> Deployment:
    """What both doors go by: the user's key, unless another file is named."""
    return Deployment.read() if key is None else replace(Deployment.read(), key=key)


def python_says(place: Place, stage: str, key: Path | None = None) -> tuple[bool, str | None]:
    """Whether Python admits the release, or its reason; a crash is a refusal without one."""
    try:
        admit(Settings(place.home, place.digest, stage), deployment=trusted(key))  # type: ignore[arg-type]
    except EvidenceRefused as refused:
        return False, refused.what
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return False, None
    return True, None


def engine_says(place: Place, stage: str, key: Path | None = None) -> dict[str, Any]:
    trust = place.home.with_name(f"{place.home.name}-trust.json")
    trust.write_text(json.dumps(trusted(key).as_dict()))
    words = ["--home", place.home, "--release", place.digest, "--stage", stage, "--trust", trust]
    done = subprocess.run([engine_binary("service"), "evidence", *words], capture_output=True, text=True, check=False)
    (line,) = done.stdout.splitlines()
    verdict: dict[str, Any] = json.loads(line)
    assert sorted(verdict) == ["name", "ok", "reason"]
    assert done.returncode == (0 if verdict["ok"] else 1), done.stderr
    assert (verdict["reason"] is None) == verdict["ok"]
    return verdict


def agreed(place: Place, stage: str = "paper", key: Path | None = None) -> str | None:
    """None where both admit, their common reason where both refuse."""
    admitted, reason = python_says(place, stage, key)
    verdict = engine_says(place, stage, key)
    assert verdict["ok"] == admitted, (reason, verdict)
    if admitted:
        assert verdict["name"] == "trend"
        return None
    reason_given: str = verdict["reason"]
    if reason is not None:
        assert reason_given.splitlines()[0] == reason
    return reason_given


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A release as research freezes it, without evidence."""
    home = tmp_path_factory.mktemp("frozen")
    bars = random_bars(400)
    agent = Calibrated(MovingAverageCross(fast=3, slow=9, horizon=QUARTER)).fit(bars, seed=7)
    release = freeze(
        agent,
        name="trend",
        train_bars=bars,
        sizing=ReleasedSizing(class_name="volatility_target", parameters={"annual": 0.2}, source_sha256="a" * 64),
        limits={},
        execution={},
        lock_sha256="b" * 64,
        engine_version="0.1.0",
        universe=bars.symbols,
        folder=home / "releases",
    )
    return Place(home, release.digest)


@pytest.fixture
def place(frozen: Place, tmp_path: Path) -> Place:
    """A copy of the release, without evidence."""
    shutil.copytree(frozen.home, tmp_path / "home")
    return Place(tmp_path / "home", frozen.digest)


@pytest.fixture(scope="session")
def good(frozen: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The release with a report that permits paper; nobody changes it."""
    home = tmp_path_factory.mktemp("good") / "home"
    shutil.copytree(frozen.home, home)
    place = Place(home, frozen.digest)
    place.report()
    return place


def test_a_good_release_is_admitted(good: Place) -> None:
    assert agreed(good) is None


def test_no_release_no_evidence_no_report_and_no_permission_are_refused(place: Place) -> None:
    assert "no release here" in str(agreed(replace(place, digest="0" * 64)))
    assert "no evidence of release" in str(agreed(place))
    place.records.parent.mkdir(parents=True)
    place.records.touch()
    assert "has no gate report for paper" in str(agreed(place))
    place.report(passed=False)
    assert "does not permit paper" in str(agreed(place))


def test_paper_does_not_open_live_and_live_opens_paper(place: Place) -> None:
    place.report()
    assert "no gate report for live" in str(agreed(place, "live"))
    place.report(target="live", skill=True)
    assert "no authority to open live" in str(agreed(place, "live"))
    assert agreed(place) is None
    place.report(passed=False)
    assert "does not permit paper" in str(agreed(place))


def test_the_last_report_counts(place: Place) -> None:
    place.report()
    place.report(passed=False)
    assert "does not permit" in str(agreed(place))
    place.report()
    assert agreed(place) is None


def test_another_key_no_key_and_a_broken_key_are_refused(place: Place, tmp_path: Path) -> None:
    place.report(key=signing_key(tmp_path / "stranger"))
    assert "signature" in str(agreed(place))
    place.report()
    public = tmp_path / "key.pub"
    text = trusted().key.read_text()
    public.write_text(" " + text.upper())
    assert agreed(place, key=public) is None
    for broken in ("", text[:-2], text + "00", "g" * 64, "\u00e9" * 32, "00" * 32):
        public.write_text(broken)
        assert agreed(place, key=public) is not None
    public.unlink()
    assert "no promoter key" in str(agreed(place, key=public))


def test_a_key_in_the_state_folder_is_refused(place: Place, tmp_path: Path) -> None:
    place.report()
    inside, link = place.home / "promoter.ed25519.pub", tmp_path / "link.pub"
    inside.write_text(trusted().key.read_text())
    link.symlink_to(inside)
    for key in (inside, link):
        assert "lies in the state folder that it judges" in str(agreed(place, key=key))
    (place.home / "keys").mkdir()
    inside.rename(place.home / "keys" / inside.name)
    assert "keeps the key that judges it" in str(agreed(place))


@pytest.fixture
def nothing_revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys without the list beside them, in which other tests of this process may have revoked something."""
    config = tmp_path / "config"
    shutil.copytree(os.environ["XDG_CONFIG_HOME"], config, ignore=shutil.ignore_patterns("revocations*"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))


@pytest.mark.usefixtures("nothing_revoked")
def test_a_permit_ends_and_a_refusal_or_a_revocation_closes_it(place: Place) -> None:
    now_ns = time.time_ns()
    place.report(issued_ns=now_ns - 2, valid_until_ns=now_ns)
    assert "has ended" in str(agreed(place))
    place.report(policy_digest="9" * 64)
    assert "the policy differs" in str(agreed(place)) or "has ended" in str(agreed(place))
    place.report()
    assert agreed(place) is None
    place.report(revocations=1)
    assert "the list of revocations goes back" in str(agreed(place))
    key, entry = signing_key(), {"name": "trend@1", "why": "wrong", "who": "a@b", "at_ns": 0}
    lists = place.home / "evidence" / "revocations.signed"
    for digest, reason in (("9" * 64, None), (place.digest, "was revoked")):
        made = Revocations((Revocation(manifest_digest=digest, **entry),))  # type: ignore[arg-type]
        lists.write_bytes(made.signed(key.sign(made.canonical)))
        refusal = agreed(place)
        assert refusal is None if reason is None else reason in str(refusal)
    lists.write_bytes(lists.read_bytes().replace(b"wrong", b"right"))
    assert "the signature of the list of revocations" in str(agreed(place))


def test_a_record_that_was_cut_back_is_refused(place: Place) -> None:
    place.report()
    place.report(passed=False)
    anchors = Anchors(trusted().key.parent, place.home)
    anchors.note(place.digest, EvidenceStore(place.home / "evidence").heads(place.digest))
    whole = place.records.read_bytes()
    place.records.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert "was cut back" in str(agreed(place))
    place.records.write_bytes(whole)
    assert "does not permit paper" in str(agreed(place))
    place.report()
    assert agreed(place) is None
    for broken in (b"", b"[]", b'{"a":1}', b'{ "a": [1, "x"]}'):
        anchors.path.write_bytes(broken)
        assert "anchors of this state folder do not read" in str(agreed(place))
    anchors.path.unlink()


def append_to_source(place: Place) -> None:
    place.source.write_text(place.source.read_text() + "\n")


def change_a_number(place: Place) -> None:
    place.signed_json().write_text(place.signed_json().read_text().replace("0.95", "0.15"))


def change_a_number_and_its_record(place: Place) -> None:
    before = place.signed_json().read_bytes()
    after = before.replace(b"0.95", b"0.15")
    place.signed_json().write_bytes(after)
    place.records.write_text(place.records.read_text().replace(sha256_of(before), sha256_of(after)))


def change_the_manifest(place: Place) -> None:
    path = place.release / "manifest.json"
    path.write_text(path.read_text().replace("volatility_target", "equal_weight"))


def link_the_source(place: Place) -> None:
    source, other = place.source, place.home / "source.py"
    source.rename(other)
    source.symlink_to(other)


def link_the_manifest(place: Place) -> None:
    path = place.release / "manifest.json"
    path.rename(place.home / "manifest.json")
    path.symlink_to(place.home / "manifest.json")


def cut_the_record(place: Place) -> None:
    lines = place.records.read_bytes().splitlines(keepends=True)
    place.records.write_bytes(b"".join(lines[1:]))


def cut_within_a_line(place: Place) -> None:
    place.records.write_bytes(place.records.read_bytes()[:-7])


def swap_lines(place: Place) -> None:
    lines = place.records.read_bytes().splitlines(keepends=True)
    place.records.write_bytes(b"".join(reversed(lines)))


def another_name_in_the_record(place: Place) -> None:
    name = place.signed_json().name
    place.records.write_text(place.records.read_text().replace(name, f"../{place.digest}/{name}"))


DAMAGES = {
    "a changed source": (append_to_source, "not those of its manifest"),
    "a missing file": (lambda place: place.source.unlink(), "source.py is missing"),
    "a foreign file": (
        lambda place: (place.release / "agents" / "x").touch(),
        "agents/x (file) is not in the manifest",
    ),
    "a foreign link": (lambda place: (place.release / "x").symlink_to("/"), "x (link) is not in the manifest"),
    "a source that is a link": (link_the_source, "source.py is missing"),
    "a manifest that is a link": (link_the_manifest, "no release here"),
    "a changed manifest": (change_the_manifest, "another release than the one that was asked for"),
    "no manifest": (lambda place: (place.release / "manifest.json").unlink(), "no release here"),
    "one number changed": (change_a_number, "is not what was recorded"),
    "one number changed, and its record": (change_a_number_and_its_record, "signature"),
    "a missing report": (lambda place: place.signed_json().unlink(), "no file that can be read"),
    "a cut record": (cut_the_record, "does not verify at line 1"),
    "a cut line": (cut_within_a_line, "no gate report for paper"),
    "lines in another order": (swap_lines, "does not verify at line 1"),
    "a name outside the folder": (another_name_in_the_record, "names of files beside it"),
    "an empty line": (lambda place: place.records.write_bytes(place.records.read_bytes() + b"\n"), "at line 3"),
    "no records": (lambda place: place.records.unlink(), "no evidence"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_for_the_same_reason(place: Place, damage: str) -> None:
    place.report()
    assert agreed(place) is None
    change, reason = DAMAGES[damage]
    change(place)
    assert reason in str(agreed(place))


HARMLESS: dict[str, Callable[[Place], object]] = {
    "an empty folder": lambda place: (place.release / "empty" / "er").mkdir(parents=True),
    "a stranger's file beside the record": lambda place: (place.evidence / "notes.txt").touch(),
    "other line ends": lambda place: place.records.write_bytes(place.records.read_bytes().replace(b"\n", b"\r\n")),
    "older line ends": lambda place: place.records.write_bytes(place.records.read_bytes().replace(b"}\n{", b"}\r{")),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_what_python_overlooks_the_engine_overlooks(place: Place, change: str) -> None:
    place.report()
    HARMLESS[change](place)
    assert agreed(place) is None


def row(stated: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = stated["rows"][0]
    return first


def measured(needs: object, value: object, *, passed: bool = True) -> Callable[[dict[str, Any]], object]:
    """Another need and value in the first row."""
    return lambda stated: row(stated).update(needs=needs, value=value, passed=passed)


ODD_REPORTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "nothing": lambda stated: None,
    "a verdict that the numbers do not bear out": lambda stated: row(stated).update(value=False),
    "a permission that the rows do not bear out": lambda stated: row(stated).update(value=False, passed=False),
    "an honest refusal": lambda stated: (row(stated).update(value=False, passed=False), stated.update(permits=None)),
    "a mark taken off": lambda stated: stated.update(skill_failed=False),
    "another key": lambda stated: stated.update(more=1),
    "another key in a row": lambda stated: row(stated).update(more=1),
    "no name": lambda stated: stated.pop("name"),
    "no permission": lambda stated: stated.pop("permits"),
    "no rows": lambda stated: stated.update(rows=[]),
    "rows that are none": lambda stated: stated.update(rows="x"),
    "a row that is none": lambda stated: stated["rows"].append(1),
    "no row that refuses": lambda stated: stated.update(rows=[stated["rows"][1]]),
    "a row without a need": lambda stated: row(stated).pop("needs"),
    "a row without a verdict": lambda stated: row(stated).pop("passed"),
    "a row without a gate": lambda stated: row(stated).update(gate=""),
    "a note that is none": lambda stated: row(stated).update(note=None),
    "refuses maybe": lambda stated: row(stated).update(refuses=1),
    "another release": lambda stated: stated.update(manifest_digest="9" * 64),
    "another signer": lambda stated: stated.update(signer="9" * 64),
    "a digest in capitals": lambda stated: stated.update(ledger_head="E" * 64),
    "another target": lambda stated: stated.update(target="test", permits="test"),
    "live in the place of paper": lambda stated: stated.update(target="live", permits="live"),
    "another authority": lambda stated: stated.update(authority="root"),
    "the promoter's authority": lambda stated: stated.update(authority="promoter identity"),
    "another format": lambda stated: stated.update(format="GATES@1"),
    "no sequence": lambda stated: stated.pop("sequence"),
    "no trials": lambda stated: stated.update(trials=0),
    "another place": lambda stated: stated.update(record_head="9" * 64),
    "another policy": lambda stated: stated.update(policy_digest="9" * 64),
    "a measure of its stage left out": lambda stated: stated["rows"].pop(2),
    "no data": lambda stated: stated.update(data=""),
    "a version that is a number": lambda stated: stated.update(engine_version=1),
    "exactly enough": measured({"min": 1}, 1.0),
    "not above": measured({"above": 0.0}, 0, passed=False),
    "not above, said to be": measured({"above": 0.0}, 0),
    "beyond doubles": measured({"min": 2**53 + 1}, float(2**53), passed=False),
    "beyond doubles, said to be": measured({"min": 2**53 + 1}, float(2**53)),
    "a large number": measured({"max": 1e300}, 10**299),
    "a larger number": measured({"max": 1e300}, 10**301),
    "a small number": measured({"max": 5e-324}, 0.0),
    "below zero": measured({"max": -0.5}, -1),
    "a word": measured("pass", "pass"),
    "another word": measured("pass", "fail"),
    "one for true": measured(True, 1),
    "true for one": measured({"min": 1}, True),
    "nothing measured": measured({"min": 0}, None),
    "two bounds": measured({"min": 0, "max": 1}, 0.5),
    "another bound": measured({"least": 0}, 0.5),
    "a bound that is true": measured({"min": True}, 2),
    "no bound": measured({}, 0.5),
    "a need that is a list": measured([1], 1),
    "a value that is a list": measured(True, [True]),
}


@pytest.mark.parametrize("change", ODD_REPORTS)
def test_a_signed_report_is_not_believed_but_judged(place: Place, change: str) -> None:
    place.odd_report(ODD_REPORTS[change])
    agreed(place)


def test_odd_reports_are_of_both_kinds(place: Place) -> None:
    """The cases above would prove little if all were refused."""
    admitted = []
    for change, apply in ODD_REPORTS.items():
        shutil.rmtree(place.evidence, ignore_errors=True)
        place.odd_report(apply)
        admitted += [change] if python_says(place, "paper")[0] else []
    assert admitted == [
        "nothing",
        "exactly enough",
        "a large number",
        "a small number",
        "below zero",
        "a word",
    ]


ODD_MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "nothing": lambda stated: None,
    "a name in capitals": lambda stated: stated.update(name="Trend"),
    "a name with two marks": lambda stated: stated.update(name="a--b"),
    "a long name": lambda stated: stated.update(name="a" * 64),
    "another format": lambda stated: stated.update(format="RELEASE@2"),
    "an unknown key": lambda stated: stated.update(more=1),
    "a missing key": lambda stated: stated.pop("interval"),
    "no symbols": lambda stated: stated.update(universe=[]),
    "a symbol twice": lambda stated: stated.update(universe=["BTC/USDT"] * 2),
    "no agents": lambda stated: stated.update(agents=[], pooling={}),
    "pooling of one": lambda stated: stated.update(pooling={}),
    "limits that are none": lambda stated: stated.update(limits=[]),
    "a lock that is none": lambda stated: stated.update(lock_sha256="b"),
    "a class that is none": lambda stated: stated["agents"][0].update({"class": "a b"}),
    "a class in another alphabet": lambda stated: stated["agents"][0].update({"class": "\u00c9tat_\u03b2"}),
    "a horizon of zero": lambda stated: stated["agents"][0].update(horizon_ns=0),
    "a horizon of true": lambda stated: stated["agents"][0].update(horizon_ns=True),
    "a horizon with a fraction": lambda stated: stated["agents"][0].update(horizon_ns=1.5),
    "a long horizon": lambda stated: stated["agents"][0].update(horizon_ns=10**30),
    "a prompt that is none": lambda stated: stated["agents"][0].update(prompt_version=""),
    "an agent with another key": lambda stated: stated["agents"][0].update(more=1),
    "parameters of every kind": lambda stated: stated["agents"][0].update(
        parameters={
            "a": [1, -0.0, 1e16, 1e-07, 12345678.9, None, '\u2028\x7f\x1f"\\/\b\f\n\r\t\U0001f600'],
            "\ue000": {},
        }
    ),
    "a sizing without a class": lambda stated: stated["sizing"].update({"class": ""}),
    "an interval that is none": lambda stated: stated.update(interval=""),
}


def renamed(place: Place, change: Callable[[dict[str, Any]], object]) -> Place:
    """The release with another manifest, under its digest, and with a good report."""
    _, files = read_release_files(place.release, place.digest)
    stated = json.loads((place.release / "manifest.json").read_bytes())
    change(stated)
    data = canonical_json(stated)
    other = Place(place.home, sha256_of(data))
    for path, content in {"manifest.json": data, **files}.items():
        target = other.release / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    other.report()
    return other


@pytest.mark.parametrize("change", ODD_MANIFESTS)
def test_a_manifest_is_read_as_python_reads_it(place: Place, change: str) -> None:
    agreed(renamed(place, ODD_MANIFESTS[change]))


def test_the_limits_of_a_release_are_those_of_the_gate(place: Place) -> None:
    """Python keeps them; the engine is who holds them, so it alone refuses what it would not hold."""
    known = {"max_order_atoms": 2**64 - 1, "max_exposure_atoms": 0, "max_open_atoms": None, "max_orders_per_second": 5}
    assert agreed(renamed(place, lambda stated: stated.update(limits=known))) is None
    for limits in (
        {"max_orders": 1},
        {"max_order_atoms": -1},
        {"max_order_atoms": 2**64},
        {"max_order_atoms": 2**200},
        {"max_order_atoms": 1.0},
        {"max_order_atoms": "1"},
        {"max_orders_per_minute": 10**9},
        {"max_orders_per_second": True},
    ):
        other = renamed(place, lambda stated, limits=limits: stated.update(limits=limits))  # type: ignore[misc]
        verdict = engine_says(other, "paper")
        assert not verdict["ok"]
        assert next(iter(limits)) in verdict["reason"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_byte_anywhere_gives_the_same_verdict(good: Place, tmp_path: Path, data: st.DataObject) -> None:
    home = tmp_path / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(good.home, home)
    place = Place(home, good.digest)
    read = sorted(path for path in home.rglob("*.*") if path.is_file() and path.name != ".lock")
    path = data.draw(st.sampled_from(read))
    content = bytearray(path.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    content[where] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    agreed(place)


def test_wrong_usage_is_told_apart_from_a_refusal(good: Place, tmp_path: Path) -> None:
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps(trusted().as_dict()))
    base = [str(engine_binary("service")), "evidence", "--home", str(good.home)]
    for arguments in (
        ["--release", "trend@1", "--stage", "paper", "--trust", str(trust)],
        ["--release", good.digest, "--stage", "test", "--trust", str(trust)],
        ["--release", good.digest, "--stage", "paper", "--trust", str(tmp_path / "none.json")],
        ["--release", good.digest, "--stage", "paper"],
    ):
        command = base + arguments
        assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_the_copy_that_is_judged_is_the_registry_s(good: Place, tmp_path: Path) -> None:
    """The fixtures write releases as the registry does."""
    manifest, files = read_release_files(good.release, good.digest)
    write_release_files(tmp_path / "releases" / good.digest, manifest, files)
    shutil.copytree(good.home / "evidence", tmp_path / "evidence")
    assert agreed(Place(tmp_path, good.digest)) is None
