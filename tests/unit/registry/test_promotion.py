"""From research to paper to live: by bytes, on a signed report, one at a time, and back.

Everything here is a real MLflow on SQLite. Each test has a release name of its own.
"""

from __future__ import annotations

import dataclasses
import getpass
import itertools
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sapphire.domain.clocks import FixedClock
from sapphire.domain.errors import EvidenceRefused, PermitClosed, Refused
from sapphire.domain.evidence import LAPTOP_KEY, PROMOTER_IDENTITY
from sapphire.domain.releases import MANIFEST_FILE
from sapphire.registry import Deployment, EvidenceBundle, EvidenceStore, Registry, WalkForwardEvidence, signing_key
from sapphire.registry.anchors import Anchors
from sapphire.registry.signing import PUBLIC_FILE
from sapphire.registry.tracking import Tracking
from sapphire.registry.versions import Versions

ROOT = Path(__file__).parents[3]


@pytest.fixture
def promoter(
    registry: Registry, tmp_path: Path, with_mlflow: Callable[[Path], Path], wire: Callable[..., Registry]
) -> Registry:
    """A registry of its own where a promoter identity signs, and the deployment says so.

    What the user's key signed in the other's state folder would not verify here: a list of revocations, for one.
    """
    key = dataclasses.replace(signing_key(tmp_path / "promoter"), authority=PROMOTER_IDENTITY)
    pinned = registry.admission.deployment.policies
    deployment = Deployment(key=tmp_path / "promoter" / PUBLIC_FILE, authority=PROMOTER_IDENTITY, policies=pinned)
    home = with_mlflow(tmp_path / "home")
    return wire(registry, home=home, key=key, trusted=deployment)


@pytest.fixture
def enter(
    registry: Registry, freeze: Callable[..., Path], small: SimpleNamespace, request: pytest.FixtureRequest
) -> Callable[..., str]:
    """Registers a release under the test's own name, in the shared registry unless another is given; its digest."""
    name = f"r{abs(hash(request.node.name)):x}"

    def submit(*, good: bool = True, fast: int = 12, parity: int = 0, into: Registry = registry, **changed: Any) -> str:
        folder = freeze(name=name, fast=fast)
        made = into.register(folder, small.bundle_of(folder, good=good, **changed))
        for day in small.paper_days(parity):
            into.store.add_parity(made.digest, day, at_ns=1)
        return made.digest

    return submit


def name_of(registry: Registry, digest: str) -> str:
    return registry.label(digest).split("@")[0]


def versions_of(registry: Registry) -> Versions:
    return Versions.of(Tracking.of(registry.home, {}))


def artifacts(registry: Registry, model: str, number: int = 1) -> Path:
    """Folder in which MLflow keeps the bytes of a version."""
    uri = versions_of(registry).client.get_model_version_download_uri(model, str(number))
    run_folder = registry.home / "mlflow" / "artifacts" / uri.removeprefix("mlflow-artifacts:/")
    return run_folder / "artifacts" / "release"


def evidence(registry: Registry, digest: str, start: str, end: str) -> Path:
    (path,) = (
        each for each in registry.store.folder(digest).iterdir() if each.name.startswith(start) and each.suffix == end
    )
    return path


def to_paper(registry: Registry, digest: str) -> str:
    registry.gates(digest, to="paper")
    return registry.promote(digest, to="paper").label


# registering


def test_a_release_is_registered_once(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter()
    assert enter() == digest
    name = name_of(registry, digest)
    assert registry.label(digest) == f"{name}@1"
    assert [record.kind for record in registry.store.records(digest)] == ["bundle", "registered"]
    other = enter(fast=9)
    assert other != digest
    assert registry.label(other) == f"{name}@2"
    challenger = versions_of(registry).at(f"research.{name}", "challenger")
    assert challenger is not None
    assert challenger.digest == other


def test_new_measurements_are_a_run_and_a_record_of_the_same_version(
    registry: Registry, enter: Callable[..., str]
) -> None:
    digest = enter(integrity={"dirty": True})
    assert enter(integrity={"dirty": False}) == digest
    name = name_of(registry, digest)
    assert registry.label(digest) == f"{name}@1"
    assert [each.kind for each in registry.store.records(digest)] == ["bundle", "registered"] * 2
    client = versions_of(registry).client
    experiment = client.get_experiment_by_name(f"research.{name}")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert {run.data.tags["git.dirty"] for run in runs} == {"true", "false"}


def test_every_run_says_where_it_came_from(registry: Registry, freeze: Callable[..., Path], small: Any) -> None:
    folder = freeze(name="lineage")
    bundle = small.bundle_of(folder)
    own = {"desk": "majors", "git.commit": "what the author says"}
    made = registry.register(folder, bundle, tags=own, params={"fast": 12}, metrics={"turnover": 3.5})
    registry.gates(made.digest, to="paper")
    registry.promote(made.digest, to="paper")
    client = versions_of(registry).client
    for model in ("research.lineage", "paper.lineage"):
        version = versions_of(registry).with_digest(model, made.digest)
        assert version is not None
        run = client.get_run(version.run_id)
        assert run.info.status == "FINISHED"
        for tags in (run.data.tags, version.tags):
            assert tags["mlflow.source.name"] == tags["notebook"] == "00_start_here.ipynb"
            assert tags["mlflow.source.type"] == "NOTEBOOK"
            assert tags["mlflow.source.git.commit"] == tags["git.commit"] == bundle.integrity.git_commit
            assert tags["git.dirty"] == "false"
            assert tags["snapshot.hash"] == bundle.integrity.snapshot_hash
            assert tags["engine.version"] == "0.1.0"
            assert tags["data"] == "recorded candles (binance spot)"
    run = client.get_run(made.run_id)
    assert run.data.tags["desk"] == "majors"
    assert run.data.params == {"fast": "12"}
    assert run.data.metrics["turnover"] == 3.5
    assert run.data.metrics["walk_forward/trials_count"] == 74.0
    kept = client.download_artifacts(made.run_id, "evidence.json", str(folder.parent))
    assert Path(kept).read_bytes() == bundle.canonical


def test_a_version_s_model_can_be_searched_by_its_numbers(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter(fast=21)
    name = name_of(registry, digest)
    client = versions_of(registry).client
    experiment = client.get_experiment_by_name(f"research.{name}")
    assert experiment is not None
    query = "metrics.`holdout/agent/sharpe_annual` > 2 AND params.`cross.fast` = '21'"
    (found,) = client.search_logged_models([experiment.experiment_id], query)
    assert found.tags["manifest.sha256"] == digest
    assert found.status == "READY"


@pytest.mark.parametrize("path", ["agents/cross/source.py", "agents/cross/arrays.safetensors", MANIFEST_FILE])
def test_a_folder_that_is_not_its_manifest_s_is_not_registered(
    registry: Registry, freeze: Callable[..., Path], small: SimpleNamespace, path: str
) -> None:
    folder = freeze(name="tampered")
    bundle = small.bundle_of(folder)
    data = (folder / path).read_bytes()
    (folder / path).write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    with pytest.raises(EvidenceRefused) as refused:
        registry.register(folder, bundle)
    assert path in str(refused.value)
    assert bundle.manifest_digest not in registry.store.digests()


def test_measurements_of_another_release_are_not_registered(
    registry: Registry, freeze: Callable[..., Path], small: SimpleNamespace
) -> None:
    with pytest.raises(EvidenceRefused, match="measurements are of another release"):
        registry.register(freeze(name="one"), small.bundle_of(freeze(name="two")))


def test_a_failed_registration_says_so_and_can_be_done_again(
    registry: Registry, freeze: Callable[..., Path], small: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = freeze(name="broken-off")
    bundle = small.bundle_of(folder)
    with monkeypatch.context() as patch:
        patch.setattr(Versions, "point", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            registry.register(folder, bundle)
    client = versions_of(registry).client
    experiment = client.get_experiment_by_name("research.broken-off")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    assert registry.register(folder, bundle).label == "broken-off@1"


# finding


def test_a_release_is_found_by_label_and_by_digest(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter()
    label = registry.label(digest)
    assert registry.find(label) == registry.find(f"research.{label}") == digest
    assert registry.find(digest) == registry.find(digest[:12]) == digest


@pytest.mark.parametrize("wrong", ["trend", "trend@99", "trend@0", "ffffffff", "abc", "../x", "", "paper.trend@1"])
def test_what_is_not_there_is_not_found(registry: Registry, enter: Callable[..., str], wrong: str) -> None:
    enter()
    with pytest.raises(Refused, match="no release") as refused:
        registry.find(wrong)
    assert "sapphire releases" in str(refused.value)


def test_damaged_evidence_of_another_release_is_said_and_stops_nothing(
    registry: Registry, enter: Callable[..., str]
) -> None:
    first, second = enter(), enter(fast=9)
    record = registry.store.folder(first) / "records.jsonl"
    whole = record.read_bytes()
    record.write_bytes(whole.replace(b'"bundle"', b'"Bundle"'))
    try:
        assert registry.find(registry.label(second)) == second
        with pytest.raises(Refused, match=f"evidence of {first[:12]} that does not verify"):
            registry.find(f"{name_of(registry, second)}@1")
        marks = {each.digest: registry.releases().standings[each.digest].mark for each in registry.releases()}
        assert marks[first] == "evidence does not verify"
        assert marks[second] == ""
    finally:
        record.write_bytes(whole)


# gates and promotion


def test_nothing_is_promoted_without_a_report(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter()
    with pytest.raises(Refused) as refused:
        registry.promote(digest, to="paper")
    label = registry.label(digest)
    assert str(refused.value) == (
        f"Refused: release {label} is not promoted to paper\n"
        "  expected: a signed gate report\n"
        "  got:      none\n"
        f"  next:     sapphire gates {label} --to paper "
        "measures it against mlflow/gates/paper.yaml and signs the report"
    )
    with pytest.raises(EvidenceRefused, match="has no gate report for paper"):
        registry.report(digest, to="paper")


def test_a_release_without_an_edge_goes_to_paper_and_is_marked_everywhere(
    registry: Registry, enter: Callable[..., str]
) -> None:
    digest = enter(good=False, integrity={"git_commit": "", "dirty": True})
    report = registry.gates(digest, to="paper")
    assert (report.permits, report.skill_failed) == ("paper", True)
    assert "MARKED: skill not shown" in str(report)
    done = registry.promote(digest, to="paper")
    assert done.skill_failed
    assert "MARKED: skill not shown" in str(done)
    table = registry.releases()
    assert {table.standings[each.digest].mark for each in table if each.digest == digest} == {"skill not shown"}
    assert str(table).count("skill not shown") >= 2
    version = versions_of(registry).with_digest(f"paper.{report.name}", digest)
    assert version is not None
    assert version.tags["skill_failed"] == "true"


def test_a_refusal_shows_each_gate_its_need_its_number_and_what_is_open(
    registry: Registry, enter: Callable[..., str]
) -> None:
    digest = enter(parity=20, walk_forward={"sharpe": 0.028, "trials": 312})
    registry.gates(digest, to="live")
    with pytest.raises(Refused) as refused:
        registry.promote(digest, to="live")
    label = registry.label(digest)
    lines = str(refused.value).splitlines()
    assert lines[0] == f"Refused: release {label} is not promoted to live"
    assert lines[1].startswith("  gate deflated_sharpe   needs >= 0.95   has 0.")
    assert lines[1].endswith("   (N = 312 trials in the ledger, 21.5 effective)")
    assert lines[2] == (
        f"  next:     paper is open to it (sapphire promote {label} --to paper); "
        "the gates are in mlflow/gates/live.yaml"
    )
    assert len(lines) == 3
    assert versions_of(registry).with_digest(f"live.{name_of(registry, digest)}", digest) is None


def test_paper_is_not_said_to_be_open_where_it_is_not(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter(integrity={"golden_ok": False})
    for to in ("paper", "live"):
        registry.gates(digest, to=to)
        with pytest.raises(Refused, match="gate golden_vectors") as refused:
            registry.promote(digest, to=to)
        assert "paper is open" not in str(refused.value)


def test_live_is_earned_by_days_on_paper(
    promoter: Registry, enter: Callable[..., str], small: SimpleNamespace, wire: Callable[..., Registry]
) -> None:
    registry, digest = promoter, enter(parity=19, into=promoter)
    name = name_of(registry, digest)
    to_paper(registry, digest)
    assert registry.gates(digest, to="live").permits is None
    with pytest.raises(Refused, match=r"gate paper_days   needs >= 20   has 19"):
        registry.promote(digest, to="live")
    registry.store.add_parity(digest, small.paper_days(20)[-1], at_ns=1)
    unseen = wire(registry, witness=None)
    assert unseen.gates(digest, to="live").permits is None, "nobody compared the days with their journals"
    assert registry.gates(digest, to="live").permits == "live"
    assert registry.promote(digest, to="live").label == f"live.{name}@1"
    kinds = [record.kind for record in registry.store.records(digest)]
    assert kinds.count("promoted") == 2


def test_a_laptop_s_key_opens_paper_and_not_live(
    registry: Registry, promoter: Registry, enter: Callable[..., str], wire: Callable[..., Registry]
) -> None:
    digest = enter(parity=20)
    assert registry.gates(digest, to="live").permits == "live"
    for verb in (registry.promote, registry.report):
        with pytest.raises(EvidenceRefused, match="has no authority to open live"):
            verb(digest, to="live")
    assert registry.report(digest, to="paper")[1].target == "live"
    claimed = wire(registry, key=dataclasses.replace(signing_key(), authority=PROMOTER_IDENTITY))
    with pytest.raises(EvidenceRefused, match="is not the one that is trusted"):
        claimed.gates(digest, to="live")
    elsewhere = wire(promoter, home=registry.home)
    with pytest.raises(EvidenceRefused, match="the signature of a gate report"):
        elsewhere.promote(digest, to="live")


def test_a_report_for_paper_does_not_open_live(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter(parity=20)
    registry.gates(digest, to="paper")
    with pytest.raises(Refused, match="is not promoted to live"):
        registry.promote(digest, to="live")
    folder = registry.store.folder(digest)
    record = registry.store.last(digest, "report")
    assert record is not None
    registry.store.append(
        digest,
        "report",
        at_ns=9,
        facts={**record.facts, "target": "live", "permits": "live"},
        files={name: (folder / name).read_bytes() for name in record.files},
    )
    for verb in (registry.promote, registry.report):
        with pytest.raises(EvidenceRefused, match="its place in the record differs"):
            verb(digest, to="live")


def test_a_report_under_another_policy_is_refused(
    registry: Registry, enter: Callable[..., str], tmp_path: Path, wire: Callable[..., Registry]
) -> None:
    digest = enter()
    registry.gates(digest, to="paper")
    shutil.copytree(ROOT / "mlflow" / "gates", tmp_path / "gates")
    policy = tmp_path / "gates" / "paper.yaml"
    policy.write_text("# read on Monday\n" + policy.read_text("utf-8"), "utf-8")
    stricter = wire(registry, policies=tmp_path / "gates")
    assert stricter.promote(digest, to="paper").moved
    policy.write_text(policy.read_text("utf-8").replace("0.95", "0.99"), "utf-8")
    with pytest.raises(EvidenceRefused, match="the policy differs"):
        stricter.promote(digest, to="paper")
    stricter.gates(digest, to="paper")
    stricter.promote(digest, to="paper")


def test_a_report_of_another_release_is_refused(registry: Registry, enter: Callable[..., str]) -> None:
    good, other = enter(), enter(good=False, fast=9)
    registry.gates(good, to="paper")
    record = registry.store.last(good, "report")
    assert record is not None
    files = {name: (registry.store.folder(good) / name).read_bytes() for name in record.files}
    registry.store.append(other, "report", at_ns=9, facts=record.facts, files=files)
    for verb in (registry.promote, registry.report):
        with pytest.raises(EvidenceRefused, match="the release differs"):
            verb(other, to="paper")


def test_a_report_that_is_older_than_the_measurements_is_refused(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter()
    registry.gates(digest, to="paper")
    enter(walk_forward={"trials": 500})
    with pytest.raises(EvidenceRefused, match="is not of the head of its evidence"):
        registry.promote(digest, to="paper")


@pytest.mark.parametrize(
    ("start", "end", "old", "new"),
    [("report-paper", ".json", b'"value":0.', b'"value":1.'), ("report-paper", ".sig", b"a", b"b")],
)
@pytest.mark.parametrize("recorded", [False, True])
def test_a_report_with_one_number_changed_opens_no_door(
    registry: Registry,
    enter: Callable[..., str],
    start: str,
    end: str,
    old: bytes,
    new: bytes,
    recorded: bool,  # noqa: FBT001
) -> None:
    digest = enter(good=False)
    registry.gates(digest, to="paper")
    path = evidence(registry, digest, start, end)
    data = path.read_bytes()
    assert old in data
    forged = data.replace(old, new, 1)
    if recorded:  # the record is written anew as well, so that only the signature can tell
        record = registry.store.last(digest, "report")
        assert record is not None
        files = {name: (registry.store.folder(digest) / name).read_bytes() for name in record.files}
        files = {f"forged-{name}": forged if name == path.name else each for name, each in files.items()}
        registry.store.append(digest, "report", at_ns=9, facts=record.facts, files=files)
    else:
        path.write_bytes(forged)
    message = "signature of a gate report does not verify" if recorded else f"{path.name} of the evidence"
    for verb in (registry.promote, registry.report):
        with pytest.raises(EvidenceRefused, match=message):
            verb(digest, to="paper")


@pytest.mark.parametrize("start", ["bundle", "report-paper"])
def test_a_missing_evidence_file_opens_no_door(registry: Registry, enter: Callable[..., str], start: str) -> None:
    digest = enter()
    registry.gates(digest, to="paper")
    path = evidence(registry, digest, start, ".json")
    path.unlink()
    for verb in (registry.promote, registry.report, registry.gates):
        with pytest.raises(EvidenceRefused, match=path.name) as refused:
            verb(digest, to="paper")
        assert "no file" in str(refused.value)


def test_a_report_by_another_key_opens_no_door(
    registry: Registry, enter: Callable[..., str], tmp_path: Path, wire: Callable[..., Registry]
) -> None:
    digest = enter()
    stranger = signing_key(tmp_path / "stranger")
    with pytest.raises(EvidenceRefused, match="is not the one that is trusted"):
        wire(registry, key=stranger).gates(digest, to="paper")
    deployment = Deployment(
        key=tmp_path / "stranger" / PUBLIC_FILE, authority=LAPTOP_KEY, policies=registry.admission.deployment.policies
    )
    wire(registry, key=stranger, trusted=deployment).gates(digest, to="paper")
    for verb in (registry.promote, registry.report):
        with pytest.raises(EvidenceRefused, match="signature of a gate report does not verify"):
            verb(digest, to="paper")
    assert to_paper(registry, digest)


@pytest.mark.parametrize("where", ["kept", "research", "paper"])
@pytest.mark.parametrize("path", ["agents/cross/source.py", "agents/cross/arrays.safetensors", MANIFEST_FILE])
def test_bytes_that_were_changed_are_refused_at_every_door(
    registry: Registry, enter: Callable[..., str], where: str, path: str
) -> None:
    digest = enter()
    name = name_of(registry, digest)
    registry.gates(digest, to="paper")
    if where == "paper":
        registry.promote(digest, to="paper")
    folder = registry.folder(digest) if where == "kept" else artifacts(registry, f"{where}.{name}")
    data = (folder / path).read_bytes()
    (folder / path).write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    with pytest.raises(EvidenceRefused) as refused:
        registry.promote(digest, to="paper")
    assert path in str(refused.value)
    if where == "kept":
        with pytest.raises(EvidenceRefused):
            registry.gates(digest, to="paper")
    if where == "paper":
        shutil.rmtree(registry.folder(digest))
        with pytest.raises(EvidenceRefused):
            registry.resolve(f"paper.{name}")


# copies, aliases, rollback


def test_paper_stands_on_bytes_of_its_own(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter()
    name = name_of(registry, digest)
    to_paper(registry, digest)
    versions = versions_of(registry)
    version = versions.with_digest(f"paper.{name}", digest)
    assert version is not None
    hashes = {key for key in version.tags if key.startswith("artifact.sha256/")}
    assert "artifact.sha256/agents/cross/source.py" in hashes
    assert version.tags["promoted.from"] == f"research.{name}@1"
    research = versions.with_digest(f"research.{name}", digest)
    assert research is not None
    gone = artifacts(registry, f"research.{name}")
    versions.client.delete_model_version(f"research.{name}", "1")
    versions.client.delete_logged_model(research.tags["logged_model"])
    shutil.rmtree(gone)
    shutil.rmtree(registry.folder(digest))
    folder = registry.resolve(f"paper.{name}")
    assert (folder / "agents" / "cross" / "source.py").read_text() == "FAST = 12\n"
    with pytest.raises(Refused, match="is not in the registry"):
        registry.promote(digest, to="paper")


def test_the_champion_becomes_previous_and_comes_back(registry: Registry, enter: Callable[..., str]) -> None:
    first, second, third = enter(), enter(fast=9), enter(fast=6)
    model = f"paper.{name_of(registry, first)}"
    with pytest.raises(Refused, match="nothing to go back to"):
        registry.rollback(model)
    assert to_paper(registry, first) == f"{model}@1"
    with pytest.raises(Refused, match="nothing to go back to"):
        registry.rollback(model)
    assert to_paper(registry, second) == f"{model}@2"
    done = registry.promote(second, to="paper")
    assert (done.moved, done.before) == (False, f"{model}@2")
    assert to_paper(registry, third) == f"{model}@3"

    def standing() -> dict[str, str]:
        return {alias: each.digest for each in registry.releases() if each.model == model for alias in each.aliases}

    assert standing() == {"champion": third, "previous": second}
    back = registry.rollback(model, leaving=f"{model}@3")
    assert (back.label, back.before, back.digest, back.moved) == (f"{model}@2", f"{model}@3", second, True)
    assert standing() == {"champion": second, "previous": first}
    for again in (registry.rollback(model, leaving=f"{model}@3"), registry.rollback(model, leaving=third)):
        assert (again.label, again.before, again.moved) == (f"{model}@2", f"{model}@3", False)
    assert not registry.rollback(model).moved
    assert standing() == {"champion": second, "previous": first}
    with pytest.raises(Refused, match="is not champion") as refused:
        registry.rollback(model, leaving=f"{model}@1")
    assert f"{model}@2" in refused.value.expected
    assert registry.rollback(model, leaving=f"{model}@2").digest == first
    assert standing() == {"champion": first}
    with pytest.raises(Refused, match="nothing to go back to"):
        registry.rollback(model, leaving=f"{model}@1")
    assert to_paper(registry, third) == f"{model}@3"
    assert standing() == {"champion": third, "previous": first}
    assert (registry.resolve(model), registry.resolve(model, "previous")) == (
        registry.folder(third),
        registry.folder(first),
    )


def test_who_moved_a_release_is_recorded(registry: Registry, enter: Callable[..., str]) -> None:
    first, second = enter(), enter(fast=9)
    model = f"paper.{name_of(registry, first)}"
    to_paper(registry, first)
    to_paper(registry, second)
    assert registry.rollback(model).who == f"{getpass.getuser()}@{platform.node()}"
    registry.revoke(second, why="it lost money")
    records = [each for digest in (first, second) for each in registry.store.records(digest)]
    acts = [each for each in records if each.kind in ("promoted", "rolled_back", "revoked")]
    assert [each.kind for each in acts] == ["promoted", "rolled_back", "promoted", "revoked"]
    assert {(each.facts["who"], each.facts["key"]) for each in acts} == {
        (f"{getpass.getuser()}@{platform.node()}", signing_key().id)
    }


def test_what_comes_back_is_verified_too(
    registry: Registry, enter: Callable[..., str], tmp_path: Path, wire: Callable[..., Registry]
) -> None:
    first, second = enter(), enter(fast=9)
    model = f"paper.{name_of(registry, first)}"
    to_paper(registry, first)
    to_paper(registry, second)
    shutil.copytree(ROOT / "mlflow" / "gates", tmp_path / "gates")
    policy = tmp_path / "gates" / "paper.yaml"
    policy.write_text(policy.read_text("utf-8").replace("0.95", "0.99"), "utf-8")
    stricter = wire(registry, policies=tmp_path / "gates")
    assert stricter.rollback(model).digest == first  # a new policy does not hold up a way back
    assert to_paper(registry, second) == f"{model}@2"
    source = artifacts(registry, model, 1) / "agents" / "cross" / "source.py"
    source.write_text("FAST = 99\n")
    with pytest.raises(EvidenceRefused, match=r"source\.py"):
        registry.rollback(model)
    source.write_text("FAST = 12\n")
    report = evidence(registry, first, "report-paper", ".json")
    data = report.read_bytes()
    report.write_bytes(data.replace(b"74", b"75", 1))
    with pytest.raises(EvidenceRefused, match=report.name):
        registry.rollback(model)
    assert registry.resolve(model) == registry.folder(second)


@pytest.mark.parametrize("name", ["trend", "research.trend", "moon.trend", ""])
def test_only_what_trades_goes_back(registry: Registry, name: str) -> None:
    with pytest.raises(Refused, match="does not trade"):
        registry.rollback(name)


def test_an_alias_that_is_not_there_resolves_to_nothing(registry: Registry, enter: Callable[..., str]) -> None:
    name = name_of(registry, enter())
    with pytest.raises(Refused, match=f"research.{name} has no champion"):
        registry.resolve(f"research.{name}")
    with pytest.raises(Refused, match=r"paper\.nobody has no champion"):
        registry.resolve("paper.nobody")


def test_two_promotions_at_once_are_one_after_the_other(registry: Registry, enter: Callable[..., str]) -> None:
    digests = [enter(fast=fast) for fast in (5, 6, 7, 8)]
    model = f"paper.{name_of(registry, digests[0])}"
    for digest in digests:
        registry.gates(digest, to="paper")
    together = threading.Barrier(len(digests))
    done: dict[str, Any] = {}

    def promote(digest: str) -> None:
        together.wait()
        done[digest] = registry.promote(digest, to="paper")

    threads = [threading.Thread(target=promote, args=(digest,)) for digest in digests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(done) == set(digests)
    order = sorted(done.values(), key=lambda each: int(each.label.rsplit("@", 1)[1]))
    assert [each.label for each in order] == [f"{model}@{number}" for number in (1, 2, 3, 4)]
    assert [each.before for each in order] == [None, f"{model}@1", f"{model}@2", f"{model}@3"]
    assert registry.resolve(model) == registry.folder(order[-1].digest)
    assert registry.resolve(model, "previous") == registry.folder(order[-2].digest)


STEPS = ((EvidenceStore, "append"), (Versions, "point"), (Versions, "note"))
"""What a promotion and a rollback write with: record, aliases, anchor."""


class Killed(BaseException):
    """The process is no more."""


@contextmanager
def killed_before(step: int) -> Iterator[None]:
    """Everything after so many written things is as if the process had been killed."""
    done = itertools.count()

    def counted(plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **how: Any) -> Any:
            if next(done) >= step:
                raise Killed
            return plain(*args, **how)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, counted(getattr(owner, name)))
        try:
            yield
        except Killed:
            return
        assert step > 2, "it was done before it was killed"


def test_what_was_killed_between_its_steps_is_finished_by_whoever_comes_next(
    registry: Registry, enter: Callable[..., str]
) -> None:
    first, second = enter(), enter(fast=9)
    model = f"paper.{name_of(registry, first)}"
    to_paper(registry, first)
    registry.gates(second, to="paper")
    for step in range(4):
        with killed_before(step):
            registry.promote(second, to="paper")
        assert registry.resolve(model) == registry.folder(second if step > 1 else first)
        registry.promote(second, to="paper")
        assert (registry.resolve(model), registry.resolve(model, "previous")) == (
            registry.folder(second),
            registry.folder(first),
        )
        with killed_before(step):
            registry.rollback(model, leaving=f"{model}@2")
        assert registry.resolve(model) == registry.folder(first if step > 1 else second)
        for _ in range(2):
            assert registry.rollback(model, leaving=f"{model}@2").label == f"{model}@1"
        assert registry.resolve(model) == registry.folder(first)
        with pytest.raises(Refused, match="has no previous"):
            registry.resolve(model, "previous")
        assert registry.rollback(model).label == f"{model}@1"


KILLED = """
import os, pathlib, sys
from sapphire.domain.clocks import FixedClock
from sapphire.registry import Registry
from sapphire.registry._workings import Workings
from sapphire.registry.versions import Versions

home, policies, now, model = sys.argv[1:]
of = {"policies": pathlib.Path(policies), "clock": FixedClock(int(now)), "environment": {}}
registry = Registry._of(Workings(pathlib.Path(home), **of))
Versions.point = lambda *_: os.kill(os.getpid(), 9)
registry.rollback(model)
"""


def test_a_rollback_whose_process_is_killed_before_an_alias_moves_is_finished(
    registry: Registry, enter: Callable[..., str], small: SimpleNamespace
) -> None:
    first, second = enter(), enter(fast=9)
    model = f"paper.{name_of(registry, first)}"
    to_paper(registry, first)
    to_paper(registry, second)
    words = [str(registry.home), str(small.POLICIES), str(small.CLOCK.now_ns()), model]
    assert subprocess.run([sys.executable, "-c", KILLED, *words], check=False).returncode == -9
    assert registry.resolve(model) == registry.folder(second)
    done = registry.rollback(model)
    assert (done.label, done.before, done.moved) == (f"{model}@1", f"{model}@2", True)
    assert not registry.rollback(model).moved
    assert registry.resolve(model) == registry.folder(first)


# what comes after a report


def test_bad_days_after_a_report_make_it_old(
    promoter: Registry, enter: Callable[..., str], small: SimpleNamespace
) -> None:
    digest = enter(parity=20, into=promoter)
    assert promoter.gates(digest, to="live").permits == "live"
    for day in small.paper_days(28, unexplained_lots=500)[20:]:
        promoter.store.add_parity(digest, day, at_ns=1)
    with pytest.raises(EvidenceRefused, match="is not of the head of its evidence") as refused:
        promoter.promote(digest, to="live")
    assert "8 more of parity" in refused.value.got
    assert promoter.report(digest, to="live")  # staleness stops promotion, not what trades
    assert promoter.gates(digest, to="live").permits is None
    with pytest.raises(PermitClosed, match="does not permit live"):
        promoter.report(digest, to="live")


def test_trials_after_a_report_are_counted_at_promotion(
    registry: Registry, enter: Callable[..., str], wire: Callable[..., Registry]
) -> None:
    digest, more = enter(), [0]

    def count(bundle: EvidenceBundle) -> WalkForwardEvidence:
        return dataclasses.replace(bundle.walk_forward, trials=bundle.walk_forward.trials + more[0])

    counting = wire(registry, count=count)
    more[0] = 100
    assert counting.gates(digest, to="paper").trials == 174
    more[0] = 600
    with pytest.raises(EvidenceRefused, match="is not what is measured now") as refused:
        counting.promote(digest, to="paper")
    assert "N = 674 trials" in refused.value.got
    assert "deflated_sharpe" in refused.value.got
    assert counting.gates(digest, to="paper").trials == 674
    assert counting.promote(digest, to="paper").moved


def test_a_refused_report_to_paper_closes_every_permit(promoter: Registry, enter: Callable[..., str]) -> None:
    digest = enter(parity=20, into=promoter)
    for to in ("paper", "live"):
        promoter.gates(digest, to=to)
        assert promoter.report(digest, to=to)
    enter(integrity={"golden_ok": False}, into=promoter)
    assert promoter.report(digest, to="live")
    promoter.gates(digest, to="paper")
    for to in ("paper", "live"):
        with pytest.raises(PermitClosed, match=f"does not permit {to}"):
            promoter.report(digest, to=to)
    enter(into=promoter)
    promoter.gates(digest, to="paper")
    assert promoter.report(digest, to="paper")


@pytest.mark.parametrize(("broken", "is_open"), [({"source": "embedded"}, True), ({"replays": {}}, False)])
def test_a_refusal_to_live_closes_paper_where_paper_requires_what_failed(
    registry: Registry,
    enter: Callable[..., str],
    broken: dict[str, Any],
    is_open: bool,  # noqa: FBT001
) -> None:
    digest = enter()
    registry.gates(digest, to="paper")
    enter(**broken)
    assert registry.gates(digest, to="live").permits is None
    if is_open:
        assert registry.report(digest, to="paper")
    else:
        with pytest.raises(PermitClosed, match="does not permit paper"):
            registry.report(digest, to="paper")


def test_a_permit_ends(registry: Registry, enter: Callable[..., str], wire: Callable[..., Registry]) -> None:
    digest = enter()
    report = registry.gates(digest, to="paper")
    assert report.valid_until_ns - report.issued_ns == 7 * 86_400_000_000_000
    registry.promote(digest, to="paper")
    for later, is_open in ((report.valid_until_ns - 1, True), (report.valid_until_ns, False)):
        then = wire(registry, clock=FixedClock(later))
        if is_open:
            assert then.report(digest, to="paper")
            continue
        for verb in (then.promote, then.report):
            with pytest.raises(PermitClosed, match="has ended"):
                verb(digest, to="paper")
        assert then.releases().standings[digest].mark == "permit ended"
    early = wire(registry, clock=FixedClock(report.issued_ns - 301_000_000_000))
    with pytest.raises(EvidenceRefused, match="of the future"):
        early.report(digest, to="paper")


def test_reports_are_numbered_by_target(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter()
    numbers = [registry.gates(digest, to=to).sequence for to in ("paper", "paper", "live", "paper", "live")]
    assert numbers == [1, 2, 1, 3, 2]


def test_an_old_permit_cannot_be_put_after_a_refusal(registry: Registry, enter: Callable[..., str]) -> None:
    digest = enter()
    registry.gates(digest, to="paper")
    record = registry.store.last(digest, "report")
    assert record is not None
    files = {name: (registry.store.folder(digest) / name).read_bytes() for name in record.files}
    enter(integrity={"golden_ok": False})
    registry.gates(digest, to="paper")
    registry.store.append(digest, "report", at_ns=9, facts=record.facts, files=files)
    for verb in (registry.promote, registry.report):
        with pytest.raises(EvidenceRefused, match="its place in the record differs"):
            verb(digest, to="paper")


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_record_that_was_cut_back_opens_no_door(registry: Registry, enter: Callable[..., str], lines: int) -> None:
    digest = enter()
    registry.gates(digest, to="paper")
    registry.promote(digest, to="paper")
    enter(integrity={"golden_ok": False})
    assert registry.gates(digest, to="paper").permits is None
    path = registry.store.folder(digest) / "records.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-lines]))
    model = f"paper.{name_of(registry, digest)}"
    try:
        for verb in (registry.promote, registry.report, registry.gates):
            with pytest.raises(EvidenceRefused, match="was cut back"):
                verb(digest, to="paper")
        anchors = Anchors(registry.admission.deployment.key.parent, registry.home)
        kept = anchors.path.read_bytes()
        anchors.path.unlink()  # MLflow knows as well how far it had come at the last registration
        if lines == 3:
            with pytest.raises(EvidenceRefused, match="as MLflow's"):
                registry.promote(digest, to="paper")
        anchors.path.write_bytes(kept)
    finally:
        path.write_bytes(whole)
    assert registry.resolve(model) == registry.folder(digest)


# revocation


def test_a_revocation_is_for_good_and_cutting_the_record_undoes_nothing(
    registry: Registry, enter: Callable[..., str]
) -> None:
    digest, other = enter(), enter(fast=9)
    to_paper(registry, other)
    to_paper(registry, digest)
    model = f"paper.{name_of(registry, digest)}"
    with pytest.raises(Refused, match="no reason to revoke"):
        registry.revoke(digest, why=" ")
    made = registry.revoke(digest, why="its prices were of tomorrow")
    assert registry.revoke(digest, why="again") == made
    shown = registry.releases().standings[digest]
    assert (shown.permits, shown.mark) == ((), "revoked")
    version = versions_of(registry).with_digest(model, digest)
    assert version is not None
    assert version.tags["revoked"].startswith("its prices were of tomorrow (")
    registry.gates(digest, to="paper")
    home = registry.home / "evidence" / "revocations.signed"
    keys = registry.admission.deployment.key.parent / "revocations.signed"
    whole = {path: path.read_bytes() for path in (home, keys)}
    try:
        for gone in ((), (home,), (keys,)):
            for path in gone:
                path.unlink()
            for verb in (registry.promote, registry.report):
                with pytest.raises(PermitClosed, match="was revoked") as refused:
                    verb(digest, to="paper")
                assert "its prices were of tomorrow" in str(refused.value)
            for path in gone:
                path.write_bytes(whole[path])
        registry.gates(other, to="paper")
        home.unlink()
        keys.unlink()
        with pytest.raises(EvidenceRefused, match="the list of revocations goes back"):
            registry.report(other, to="paper")
        forged = whole[home].replace(digest.encode(), b"0" * 64)
        home.write_bytes(forged)
        with pytest.raises(EvidenceRefused, match="the signature of the list of revocations"):
            registry.report(other, to="paper")
    finally:
        for path, data in whole.items():
            path.write_bytes(data)
    assert registry.report(other, to="paper")
    assert registry.rollback(model, leaving=digest).digest == other
    registry.promote(other, to="paper")


def test_a_revoked_release_does_not_come_back(registry: Registry, enter: Callable[..., str]) -> None:
    first, second = enter(), enter(fast=9)
    model = f"paper.{name_of(registry, first)}"
    to_paper(registry, first)
    to_paper(registry, second)
    registry.revoke(first, why="retired")
    with pytest.raises(PermitClosed, match="was revoked"):
        registry.rollback(model)
    assert registry.resolve(model) == registry.folder(second)


def test_nothing_is_written_where_the_command_was_run(registry: Registry) -> None:
    assert not (Path.cwd() / "mlflow.db").exists()
    assert not (Path.cwd() / "mlruns").exists()
    assert (registry.home / "mlflow" / "mlflow.db").is_file()
