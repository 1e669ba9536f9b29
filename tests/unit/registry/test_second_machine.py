"""A second machine finds `trend@1`: two state folders, each with its own MLflow, share one place and one deployment."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from place_servers import PostgresServer, S3Server
from typer.testing import CliRunner

from sapphire.cli import app
from sapphire.domain.clocks import WallClock
from sapphire.domain.errors import (
    ConfigError,
    EvidenceRefused,
    PermitClosed,
    PlaceDamaged,
    PlaceError,
    PlaceUnreachable,
    Refused,
)
from sapphire.domain.revocations import Revocation, Revocations
from sapphire.domain.workspace import CONFIG_VARIABLE, HOME_VARIABLE, config_folder
from sapphire.execution import engine_binary
from sapphire.registry import Deployment, EvidenceStore, Registry, signing_key
from sapphire.registry.signing import PUBLIC_FILE
from sapphire.registry.trust import KEY_VARIABLE
from sapphire.registry.watching import Watch
from sapphire.serving import Settings, admit
from sapphire.stack.releases import choose_release, permit_now

Machine = Callable[[str], Registry]


@pytest.fixture
def machine(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wire: Callable[..., Registry],
    with_mlflow: Callable[[Path], Path],
    small: SimpleNamespace,
) -> Machine:
    """The registry of a machine; this process is that machine from then on.

    Each has a state folder, a configuration folder and an MLflow of its own. The promoter's public key is a setting of
    the deployment, the private one lies on machine a alone.
    """
    promoter = tmp_path / "promoter"
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "config-a"))
    signing_key()
    promoter.mkdir()
    shutil.copy(config_folder() / PUBLIC_FILE, promoter / PUBLIC_FILE)
    monkeypatch.setenv(KEY_VARIABLE, str(promoter / PUBLIC_FILE))

    def of(name: str) -> Registry:
        monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / name))
        monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / f"config-{name}"))
        home = tmp_path / name
        if not home.exists():
            with_mlflow(home)
        settings = {"policies": small.POLICIES, "clock": WallClock(), "witness": lambda *_: ""}
        return wire(home, count=small.as_submitted, **settings)

    return of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(place))
    return place


@pytest.fixture(scope="module")
def template(
    tmp_path_factory: pytest.TempPathFactory,
    wire: Callable[..., Registry],
    with_mlflow: Callable[[Path], Path],
    small: SimpleNamespace,
) -> tuple[Path, str]:
    """Machine a with `trend@1` promoted, and the place: made once, and copied by tests. The release's digest."""
    made = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        (made / "place").mkdir()
        patch.setenv("SAPPHIRE_PLACES_FOLDER", str(made / "place"))
        patch.setenv(CONFIG_VARIABLE, str(made / "config-a"))
        registry = wire(with_mlflow(made / "a"), policies=small.POLICIES, clock=WallClock(), count=small.as_submitted)
        digest = promoted(registry, small, made)
    return made, digest


@pytest.fixture
def traded(template: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A release that machine a has promoted and the place knows; its digest."""
    made, digest = template
    for name in ("place", "a", "config-a"):
        shutil.copytree(made / name, tmp_path / name)
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(tmp_path / "place"))
    return digest


def submitted(registry: Registry, small: SimpleNamespace, tmp_path: Path, *, fast: int = 12) -> str:
    frozen = small.write_release(tmp_path / f"frozen-{fast}", fast=fast)
    return registry.register(frozen, small.bundle_of(frozen)).digest


def promoted(registry: Registry, small: SimpleNamespace, tmp_path: Path) -> str:
    digest = submitted(registry, small, tmp_path)
    assert registry.gates("trend@1", to="paper").permits == "paper"
    registry.promote("trend@1", to="paper")
    return digest


def engine_says(home: Path, digest: str) -> dict[str, object]:
    """What the compiled service's intake says of a release in a state folder."""
    trust = home.with_name("trust.json")
    trust.write_text(json.dumps(Deployment.read().as_dict()))
    words = ["--home", home, "--release", digest, "--stage", "paper", "--trust", trust]
    done = subprocess.run([engine_binary("service"), "evidence", *words], capture_output=True, text=True, check=False)
    return dict(json.loads(done.stdout))


def test_a_second_machine_finds_it_and_both_doors_let_it_in(
    machine: Machine,
    small: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres: PostgresServer,
    s3: S3Server,
) -> None:
    for key, value in {**postgres.place_settings("second"), **s3.place_settings("second")}.items():
        monkeypatch.setenv(key, value)
    digest = promoted(machine("a"), small, tmp_path)

    there = machine("b")
    result = CliRunner().invoke(app, ["releases", "--json"], obj={"registry": lambda _: there})
    listed = {each["release"]: each for each in json.loads(result.stdout)["releases"]}
    assert {"trend@1", "paper.trend@1"} <= listed.keys()
    assert listed["paper.trend@1"]["aliases"] == ["champion"]
    assert listed["trend@1"]["permits"] == ["paper"]
    assert there.find("trend@1") == digest
    _, report = there.report("trend@1", to="paper")
    assert report.permits == "paper"
    assert there.is_promoted(digest, "trend", to="paper")
    assert there.resolve("paper.trend") == there.folder(digest)

    for named in (None, "trend", "trend@1", digest):
        chosen, _ = choose_release(there.home, named)
        assert (chosen.digest, chosen.name) == (digest, "trend")
    admitted = admit(Settings(there.home, digest, "paper"))
    assert admitted.manifest.digest == digest
    assert engine_says(there.home, digest) == {"name": "trend", "ok": True, "reason": None}

    small_day = small.paper_day("2026-02-01")
    assert there.record_paper_days("trend@1", tmp_path, lambda _: (digest, [small_day])) == 1
    back = machine("a")
    assert back.find("trend@1") == digest
    assert back.store.parity(digest) == (small_day,)


def test_a_release_that_is_brought_to_an_empty_home_is_admitted_by_its_digest_alone(
    traded: str, machine: Machine, small: SimpleNamespace, tmp_path: Path
) -> None:
    digest = traded
    home = machine("b").home
    assert admit(Settings(home, digest, "paper")).manifest.digest == digest
    with pytest.raises(EvidenceRefused, match="no release here"):
        admit(Settings(home, "0" * 64, "paper"))


def test_a_revocation_on_one_machine_closes_the_permit_on_another_that_runs(
    traded: str, machine: Machine, small: SimpleNamespace, tmp_path: Path
) -> None:
    digest = traded
    there = machine("b")
    permit = admit(Settings(there.home, digest, "paper")).permit
    watch = Watch(there.home, digest, every_s=0.05).start()
    permit.check()
    machine("a").revoke("trend@1", why="it lost money")
    until = time.monotonic() + 10
    while permit.refusal is None and time.monotonic() < until:
        time.sleep(0.05)
    watch.stop()
    assert isinstance(permit.refusal, PermitClosed)
    assert engine_says(there.home, digest)["ok"] is False
    with pytest.raises(PermitClosed, match="was revoked"):
        admit(Settings(machine("c").home, digest, "paper"))


def test_a_strangers_list_or_reports_in_the_place_convince_nobody(
    traded: str, machine: Machine, small: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write the place can neither open a door nor close one by a list that the trusted key did not sign."""
    from sapphire.data.places import shared_place
    from sapphire.domain.evidence import key_id

    digest, folder = traded, tmp_path / "place"
    stranger = signing_key(tmp_path / "stranger")
    place = shared_place()
    assert place is not None
    entry = Revocation(manifest_digest=digest, name="trend", why="because", who="a stranger", at_ns=1)
    forged = Revocations((entry,))
    data = forged.signed(stranger.sign(forged.canonical))
    for key in (stranger.public, signing_key(tmp_path / "config-a" / "sapphire").public):
        place.move(f"revocations/{key_id(key)}", before=0, sequence=1, value=place.put("evidence", data))
    home = machine("b").home
    with pytest.raises(EvidenceRefused, match="list of revocations"):
        admit(Settings(home, digest, "paper"))
    assert not (home / "evidence" / "revocations.signed").exists()
    assert admit(Settings(home, digest, "paper", running=True)).report.permits == "paper"  # what trades goes on

    with monkeypatch.context() as patch:  # a whole deployment of the stranger's, with its key in the place
        patch.setenv(KEY_VARIABLE, str(tmp_path / "stranger" / PUBLIC_FILE))
        home = machine("c").home
        with pytest.raises(EvidenceRefused):
            admit(Settings(home, digest, "paper"))
    (folder / PUBLIC_FILE).write_text(stranger.public.hex())
    assert Deployment.read().key != folder / PUBLIC_FILE


def test_what_a_stranger_appends_with_another_key_opens_no_door(
    folder: Path, machine: Machine, small: SimpleNamespace, tmp_path: Path, sign_permit: Callable[..., object]
) -> None:
    registry = machine("a")
    digest = submitted(registry, small, tmp_path)
    machine("b")
    sign_permit(registry.home, digest)  # with the key of machine b, which nobody trusts
    with pytest.raises(EvidenceRefused, match="sign"):
        admit(Settings(machine("c").home, digest, "paper"))
    assert engine_says(machine("c").home, digest)["ok"] is False


def test_a_report_is_of_the_head_that_all_machines_have(
    folder: Path, machine: Machine, small: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence that another machine records between measuring and signing makes the report old, unseen as it was."""
    digest = submitted(machine("a"), small, tmp_path)
    home_b = machine("b").home
    machine("b").find("trend@1")
    registry = machine("a")
    head = registry.store.heads(digest)[-1]
    EvidenceStore(home_b / "evidence").add_parity(digest, small.paper_day("2026-02-01"), at_ns=5)
    with pytest.raises(EvidenceRefused, match="has gone on"):
        registry.store.append(digest, "report", at_ns=6, files={}, after=head)
    assert len(registry.store.parity(digest)) == 1  # and it has what the other wrote


def test_two_machines_that_record_at_once_keep_both(
    folder: Path, machine: Machine, small: SimpleNamespace, tmp_path: Path
) -> None:
    import threading

    digest = submitted(machine("a"), small, tmp_path)
    stores = [EvidenceStore(machine(name).home / "evidence") for name in "ab"]

    def record(store: EvidenceStore, who: int) -> None:
        for number in range(6):
            store.append(digest, "note", at_ns=number, facts={"who": who}, files={f"n{who}-{number}.json": b"{}"})

    threads = [threading.Thread(target=record, args=(store, who)) for who, store in enumerate(stores)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    third = machine("c")
    third.find(digest)
    found = [record.facts["who"] for record in third.store.records(digest) if record.kind == "note"]
    assert sorted(found) == [0] * 6 + [1] * 6


def test_a_submit_that_the_place_does_not_take_is_seen_by_nobody_and_goes_through_later(
    folder: Path, machine: Machine, small: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sapphire.data.places.folder import FolderHeads

    registry = machine("a")
    frozen = small.write_release(tmp_path / "frozen")
    folder.rename(tmp_path / "away")
    with pytest.raises(PlaceUnreachable):
        registry.register(frozen, small.bundle_of(frozen))
    (tmp_path / "away").rename(folder)
    with monkeypatch.context() as patch:
        patch.setattr(FolderHeads, "move", lambda *_, **__: (_ for _ in ()).throw(PlaceError("it fell over")))
        with pytest.raises(PlaceError, match="fell over"):
            registry.register(frozen, small.bundle_of(frozen))
    assert machine("b").releases().versions == ()
    with pytest.raises(Refused, match="no release"):
        machine("b").find("trend@1")
    made = machine("a").register(frozen, small.bundle_of(frozen))
    assert made.label == "trend@1"
    assert machine("b").find("trend@1") == made.digest


def test_while_the_place_is_away_what_runs_goes_on_and_nothing_new_begins(
    traded: str, machine: Machine, small: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    digest, folder = traded, tmp_path / "place"
    home = machine("b").home
    settings = Settings(home, digest, "paper")
    permit = admit(settings).permit
    folder.rename(tmp_path / "away")
    permit.check()
    with pytest.raises(PlaceUnreachable):
        admit(settings)
    assert admit(dataclasses.replace(settings, running=True)).manifest.digest == digest
    assert permit_now(home, digest, "paper")["holds"] is True
    watch = Watch(home, digest)
    caplog.clear()
    for _ in range(3):
        watch.look()
    assert len([each for each in caplog.records if "is not there" in each.getMessage()]) == 1
    with pytest.raises(PlaceUnreachable):
        machine("b").releases()


def test_a_machine_whose_mlflow_does_not_know_the_others_versions_gives_no_number_twice(
    folder: Path, machine: Machine, small: SimpleNamespace, tmp_path: Path
) -> None:
    submitted(machine("a"), small, tmp_path)
    with pytest.raises(ConfigError, match="does not know what was registered") as refused:
        submitted(machine("b"), small, tmp_path, fast=5)
    assert "trend@1" in refused.value.expected
    assert "MLFLOW_TRACKING_URI" in refused.value.next


def test_a_file_of_a_release_that_was_changed_in_the_place_is_not_brought(
    traded: str, machine: Machine, small: SimpleNamespace, tmp_path: Path
) -> None:
    digest, folder = traded, tmp_path / "place"
    manifest = small.manifest_of(machine("a").folder(digest))
    (folder / "bytes" / "releases" / min(manifest.files.values())).write_bytes(b"other")
    home = machine("b").home
    with pytest.raises(PlaceDamaged):
        admit(Settings(home, digest, "paper"))
    assert not (home / "releases" / digest).exists()


def test_evidence_that_was_kept_here_alone_goes_up_with_its_next_line(
    machine: Machine, small: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = submitted(machine("a"), small, tmp_path)
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(tmp_path / "place"))
    machine("a").gates("trend@1", to="paper")
    there = machine("b")
    assert there.find("trend@1") == digest
    assert there.store.bundle(digest) == machine("a").store.bundle(digest)
