"""A recording is one file that answers elsewhere what it answered here."""

import json
import lzma

import pytest
from typer.testing import CliRunner

from sapphire.agents import Model, Reply
from sapphire.agents.llm.commands import app
from sapphire.agents.recorder import Mode, Recorder
from sapphire.agents.recordings import export_recording, import_recording
from sapphire.domain.errors import EvidenceRefused, MissingData

MODEL = Model("desk/small", "1", "0" * 64)
QUESTIONS = [("window-1", {"n": 1}), ("", {"n": 2}), ("window-2", {"n": 3})]


class Doubling:
    model = MODEL

    def replies(self, requests):
        return [Reply({"value": 2 * each["n"]}, f"raw {each['n']}", {"tokens": each["n"]}) for each in requests]


@pytest.fixture
def exported(tmp_path):
    with Recorder(tmp_path / "here", Doubling()) as recorder:
        recorder.ask(str(MODEL), QUESTIONS)
        assert export_recording(recorder, tmp_path / "calls.jsonl.xz") == 3
        calls = {call.digest: call for call in recorder}
    return tmp_path / "calls.jsonl.xz", calls


def test_a_replay_elsewhere_answers_from_the_file_alone(exported, tmp_path):
    path, calls = exported
    folder = tmp_path / "there"
    assert import_recording(path, folder) == import_recording(path, folder) == 3
    assert len(list(folder.iterdir())) == 1
    replay = Recorder(folder, mode=Mode.REPLAY)
    assert [answer["value"] for answer in replay.ask(str(MODEL), QUESTIONS)] == [2, 4, 6]
    assert {call.digest: call for call in replay} == calls


def test_a_file_is_the_same_whoever_wrote_the_calls_first(exported, tmp_path):
    path, _ = exported
    import_recording(path, tmp_path / "there")
    again = tmp_path / "again.jsonl.xz"
    export_recording(Recorder(tmp_path / "there", mode=Mode.REPLAY), again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("harm", ["cut", "text", "changed", "half a line"])
def test_what_is_no_recording_is_refused_and_nothing_is_kept(exported, tmp_path, harm):
    path, _ = exported
    data, lines = path.read_bytes(), lzma.decompress(path.read_bytes())
    bad = {
        "cut": data[:-20],
        "text": b"hello",
        "changed": lzma.compress(lines.replace(b'"n":2', b'"n":7')),
        "half a line": lzma.compress(lines[:-30]),
    }[harm]
    path.write_bytes(bad)
    with pytest.raises(EvidenceRefused, match="is no recording of calls"):
        import_recording(path, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_nothing_to_export_and_nothing_to_import_say_so(tmp_path):
    with pytest.raises(MissingData, match="no call of a model to export"):
        export_recording(Recorder(tmp_path / "empty"), tmp_path / "calls.jsonl.xz")
    with pytest.raises(MissingData, match="no such recording"):
        import_recording(tmp_path / "none.xz", tmp_path / "there")


def test_the_verbs_move_calls_from_one_workspace_to_another(exported, tmp_path, monkeypatch):
    path, _ = exported
    (tmp_path / "sapphire.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))
    made = CliRunner().invoke(app, ["import", str(path), "--json"])
    assert json.loads(made.stdout) == {"calls": 3, "file": str(path)}
    other = tmp_path / "other.jsonl.xz"
    assert CliRunner().invoke(app, ["export", str(other)]).exit_code == 0
    assert other.read_bytes() == path.read_bytes()
