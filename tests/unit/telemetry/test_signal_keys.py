"""Keys of signals: one set of vectors for the coordinator and the engine, and files that only their owner can read."""

import json
import stat
from pathlib import Path

import pytest

from sapphire.domain.errors import Refused, ValueRefused
from sapphire.telemetry import EntryId, SignalKey

VECTORS = json.loads((Path(__file__).parents[2] / "reference/golden/signal_tags.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["entry"])
def test_each_golden_vector(vector):
    key = SignalKey(bytes.fromhex(vector["key"]), vector["stream"])
    assert key.tag(EntryId.parse(vector["entry"]), vector["message"].encode()) == vector["tag"]


def test_the_tag_is_of_the_stream_the_place_and_the_message():
    entry = EntryId(5, 1)
    tags = {
        SignalKey(bytes(32), "paper").tag(entry, b"{}"),
        SignalKey(bytes(32), "signals:embedded:second:abababababababab").tag(entry, b"{}"),
        SignalKey(bytes([1] * 32), "paper").tag(entry, b"{}"),
        SignalKey(bytes(32), "paper").tag(EntryId(5, 2), b"{}"),
        SignalKey(bytes(32), "paper").tag(EntryId(6, 1), b"{}"),
        SignalKey(bytes(32), "paper").tag(entry, b"{ }"),
    }
    assert len(tags) == 6


def test_a_key_is_kept_and_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "run" / "signal-key"
    SignalKey.keep(path)
    text = path.read_text()
    SignalKey.keep(path)
    assert path.read_text() == text, "a second start keeps the key: the service may run already"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert text.strip() not in repr(SignalKey.read(path, "paper"))
    other = tmp_path / "other"
    SignalKey.keep(other)
    assert other.read_text() != text


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (None, "no signal key"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "no signal key"),
        (lambda path: path.write_text("ab" * 31), "holds no signal key"),
        (lambda path: path.write_text("AB" * 32), "holds no signal key"),
        (lambda path: (path.write_text("ab" * 32), path.chmod(0o640)), "others can read"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(tmp_path, write, message):
    path = tmp_path / "signal-key"
    if write is not None:
        path.touch(mode=0o600)
        write(path)
    with pytest.raises(Refused, match=message) as refused:
        SignalKey.read(path, "paper")
    assert "abab" not in str(refused.value)
    assert refused.value.next


def test_a_key_has_thirty_two_bytes():
    with pytest.raises(ValueRefused, match="32 bytes"):
        SignalKey(b"short", "paper")
