"""A state folder on a full disk, a real one: each step of a release says so, does nothing by halves, and goes through
once there is room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_disks import fill, small_disk, until_full

from sapphire.domain.errors import PlaceFull
from sapphire.registry import EvidenceStore, Registry

MEGABYTES = 8


@pytest.fixture(scope="module")
def on_a_disk(
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
    with_mlflow: Callable[[Path], Path],
    wire: Callable[..., Registry],
) -> Iterator[Registry]:
    """A registry whose state folder has a disk of its own."""
    with small_disk(tmp_path_factory.mktemp("disk") / "home", MEGABYTES << 10) as home:
        yield wire(registry, home=with_mlflow(home))


def whole(registry: Registry) -> set[str]:
    """What the state folder holds of releases and evidence."""
    folders = (registry.home / "releases", registry.home / "evidence")
    return {path.relative_to(registry.home).as_posix() for each in folders for path in each.rglob("*")}


def test_a_release_is_registered_judged_and_promoted_once_there_is_room(
    on_a_disk: Registry, freeze: Callable[..., Path], small: SimpleNamespace
) -> None:
    registry, folder = on_a_disk, freeze(name="full")
    bundle = small.bundle_of(folder)

    def refused(act: Callable[[], Any]) -> None:
        with fill(registry.home):
            with pytest.raises(PlaceFull) as full:
                act()
            assert full.value.next

    refused(lambda: registry.register(folder, bundle))
    digest = registry.register(folder, bundle).digest
    assert registry.label(digest) == "full@1"
    assert [record.kind for record in registry.store.records(digest)] == ["bundle", "registered"]
    refused(lambda: registry.gates(digest, to="paper"))
    assert registry.store.reports(digest) == ()
    registry.gates(digest, to="paper")
    before = whole(registry)
    refused(lambda: registry.promote(digest, to="paper"))
    assert "promoted" not in [record.kind for record in registry.store.records(digest)]
    assert whole(registry) == before
    promoted = registry.promote(digest, to="paper")
    assert (promoted.moved, promoted.label) == (True, "paper.full@1")
    kinds = [record.kind for record in registry.store.records(digest)]
    assert kinds == ["bundle", "registered", "report", "promoted"]


def test_the_evidence_record_is_as_long_as_it_was(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256) as disk:
        store, digest, kept = EvidenceStore(disk / "evidence"), "0" * 64, 0

        def attempt() -> None:
            nonlocal kept
            store.append(digest, "registered", at_ns=kept, facts={"said": "x" * 300}, files={})
            kept += 1

        attempt()
        with fill(disk):
            until_full(attempt)  # in the middle of a line
        assert kept > 1
        assert (store.folder(digest) / "records.jsonl").read_bytes().count(b"\n") == len(store.records(digest)) == kept
        assert (store.folder(digest) / "records.jsonl").read_bytes().endswith(b"\n")
        attempt()
        assert len(store.records(digest)) == kept
