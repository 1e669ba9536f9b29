"""Full disks, real ones: every place says that it is full, keeps what it has, and takes the same again once there is
room. What is appended to is as long as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from place_servers import GcsServer, PostgresServer, gcs_server, postgres_server, s3_server
from small_disks import fill, resize_disk, small_disk, until_full

from sapphire.data.durable import append, locked, replace_file, replace_folder, write_text
from sapphire.data.places import Place, PlaceSettings, SharedChain
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.errors import PlaceError, PlaceFull, PlaceUnreachable

MEGABYTE = 1_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 256) as folder:
        yield folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_is_appended_is_there_whole_or_not_at_all(disk: Path) -> None:
    path, line = disk / "lines", b"x" * 99 + b"\n"
    with path.open("ab", buffering=0) as file:
        append(file.fileno(), line, path)
        with fill(disk):
            # a page has no whole number of lines, so that it is full in the middle of one
            more, full = until_full(lambda: append(file.fileno(), line, path))
            whole = 1 + more
            assert "No space left on device" in full.got
            assert path.read_bytes() == line * whole
            with pytest.raises(PlaceFull):
                append(file.fileno(), line * 2_000, path)
            assert path.read_bytes() == line * whole
        append(file.fileno(), line, path)
    assert path.read_bytes() == line * (whole + 1)


def test_files_and_folders_are_there_whole_or_as_they_were(disk: Path) -> None:
    write_text(disk / "one", "before")
    with fill(disk):
        for attempt in (
            lambda: write_text(disk / "one", "after" * 2_000),
            lambda: replace_file(disk / "two", lambda temporary: temporary.write_bytes(b"x" * 9_000) and None),
            lambda: replace_folder(
                disk / "three", lambda temporary: (temporary / "f").write_text("x" * 9_000) and None
            ),
        ):
            with pytest.raises(PlaceFull) as refused:
                attempt()
            assert refused.value.next
        assert names(disk) == ["filler", "one"]
    assert (disk / "one").read_text() == "before"
    with locked(disk / "lock"):
        write_text(disk / "one", "after" * 2_000)


def sequence_of(place: Place) -> int:
    head = place.head("a/b")
    return 0 if head is None else head.sequence


def moves_on(place: Place) -> None:
    before = sequence_of(place)
    place.move("a/b", before=before, sequence=before + 1, value="v" * 300)


def test_a_folder_that_is_full_keeps_what_it_has(disk: Path) -> None:
    place = PlaceSettings.read({"SAPPHIRE_PLACES_FOLDER": str(disk)}).open()
    place.move("a/b", before=0, sequence=1, value=place.put("ledger", b"first"))
    before = names(disk)
    with fill(disk):
        for attempt in (
            lambda: place.put("ledger", b"second"),
            lambda: place.put("evidence", b"of a room that has no folder yet"),
            lambda: place.move("c/d", before=0, sequence=1, value="v"),
        ):
            with pytest.raises(PlaceFull):
                attempt()
        until_full(lambda: moves_on(place))
        moved = sequence_of(place)
        assert moved > 1
        assert [head.sequence for head in place.since("a/b", 0)] == list(range(1, moved + 1))
        assert place.head("c/d") is None
        assert place.get("ledger", sha256_of(b"first")) == b"first"
        assert not [name for name in names(disk) if "writing" in name]
    assert place.move("a/b", before=moved, sequence=moved + 1, value="w").sequence == moved + 1
    assert place.move("c/d", before=0, sequence=1, value=place.put("evidence", b"second")).sequence == 1
    assert set(before) < set(names(disk))


def test_a_database_that_is_full_keeps_what_it_has(tmp_path: Path, gcs: GcsServer) -> None:
    with postgres_server(tmp_path / "pg", disk_mb=80) as server:
        place = PlaceSettings.read({**server.place_settings(), **gcs.place_settings("full-database")}).open()
        moves_on(place)
        with fill(server.data):
            more, full = until_full(lambda: moves_on(place))
            assert "No space left on device" in full.got
            assert "PostgreSQL at" in full.what
            assert len(place.since("a/b", 0)) == sequence_of(place) == 1 + more
        moves_on(place)
        assert sequence_of(place) == 2 + more


@pytest.mark.parametrize(("kind", "error"), [("gcs", PlaceFull), ("s3", PlaceUnreachable)])
def test_a_bucket_on_a_full_disk_keeps_what_it_has(
    postgres: PostgresServer, tmp_path: Path, kind: str, error: type[PlaceError]
) -> None:
    """SeaweedFS answers 500 and no reason, so that it cannot be told from one that is ill: the hint says so."""
    make = gcs_server if kind == "gcs" else s3_server
    with make(tmp_path / kind, disk_mb=12) as server:
        settings = {**postgres.place_settings(f"full-{kind}"), **server.place_settings()}
        place = PlaceSettings.read(settings).open()
        chain = SharedChain(place, "ledger/trials", "ledger", tmp_path / "here")
        lines, digests = list[bytes](), list[str]()

        def attempt() -> None:
            line = canonical_json({"before": digests[-1] if digests else "0" * 64, "n": len(lines)})
            chain.append(digests, [line], {f"f{len(lines)}.bin": os.urandom(MEGABYTE)}, whole=lambda: (lines, {}))
            lines.append(line)
            digests.append(sha256_of(line))

        _, full = until_full(attempt, error)
        assert any("no space" in text or "has room" in text for text in (full.got, full.next))
        there = SharedChain(place, "ledger/trials", "ledger", tmp_path / "there")
        assert [line for batch in there.news([]) for line in batch.lines] == lines
        assert len(names(tmp_path / "there")) == len(lines) > 3
        resize_disk(server.data, 64 << 10)
        attempt()
        assert [line for batch in there.news(digests[:-1]) for line in batch.lines] == lines[-1:]
