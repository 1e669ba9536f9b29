"""The models verbs: what answers here, and what was recorded."""

import json

import pytest
from typer.testing import CliRunner

from sapphire.agents import Model, Reply
from sapphire.agents.llm.commands import app
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.recorder import Recorder
from sapphire.domain.errors import ConfigError

RUN = CliRunner()
SERVED = Model("Qwen/Qwen3-8B", "a" * 40, "0" * 64)


class Words:
    def __init__(self, model):
        self.model = model

    def replies(self, requests):
        about = {"prompt_tokens": 5, "completion_tokens": 1, "cost_usd": 0.25, "seconds": 0.5}
        wrong = {"bad": "expected JSON, got [red]"}
        return [Reply({"text": "[bold]up"}, "raw", about | (wrong if "bad" in str(each) else {})) for each in requests]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    (tmp_path / "sapphire.toml").write_text(
        '[models]\nservers = {"Qwen/Qwen3-8B" = "http://127.0.0.1:9", "desk/idle" = "http://127.0.0.1:9"}\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAPPHIRE_HOME", raising=False)
    with Recorder(tmp_path / ".sapphire" / "model-calls", Words(PACKAGED), Words(SERVED)) as recorder:
        recorder.ask(
            str(PACKAGED), [("", {"messages": [["user", "first"]]}), ("", {"messages": [["user", "bad one"]]})]
        )
        recorder.ask(str(SERVED), [("", {"n": 1})])
    return tmp_path


def test_models_are_listed_with_what_answers_and_what_they_came_to(workspace):
    rows = {row["model"]: row for row in json.loads(RUN.invoke(app, ["list", "--json"]).stdout)["models"]}
    packaged = rows[f"{PACKAGED.repository}@{PACKAGED.revision}"]
    assert (packaged["kind"], packaged["answers"]) == ("embedded-default", "in process")
    assert (packaged["calls"], packaged["bad"], packaged["tokens"], packaged["cost_usd"]) == (2, 1, 12, 0.5)
    assert rows[f"Qwen/Qwen3-8B@{'a' * 40}"]["answers"] == "http://127.0.0.1:9"
    assert rows["desk/idle"]["calls"] == 0
    shown = RUN.invoke(app, ["list"]).stdout
    assert "embedded-default" in shown
    assert "desk/idle" in shown


def test_calls_are_shown_as_text_the_latest_last(workspace):
    calls = json.loads(RUN.invoke(app, ["calls", "--json"]).stdout)["calls"]
    assert [call["about"].get("bad") for call in calls] == [None, "expected JSON, got [red]", None]
    assert calls[0]["raw"] == "raw"
    assert len(json.loads(RUN.invoke(app, ["calls", "--limit", "1", "--json"]).stdout)["calls"]) == 1
    shown = RUN.invoke(app, ["calls", "--bad"]).stdout
    assert "[bold]up" in shown
    assert "got [red]" in shown
    assert "first" not in shown


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('[models]\nmode = "sometimes"\n', "models.mode"),
        ('[models]\nservers = {"a/b" = "http://me:secret@host"}\n', "models.servers"),
        ('[models]\nservers = {"a/b" = 7}\n', "models.servers"),
        ("[models]\nmod = 1\n", "models.mode"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path, monkeypatch, text, wrong):
    from sapphire.agents.llm.workspace_models import workspace_recorder

    (tmp_path / "sapphire.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        workspace_recorder()
    assert wrong in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_variable_stands_over_the_mode_and_a_wrong_one_is_refused(workspace, monkeypatch):
    from sapphire.agents.llm.workspace_models import workspace_recorder

    assert workspace_recorder().mode == "record"
    monkeypatch.setenv("SAPPHIRE_MODELS_MODE", "replay")
    assert workspace_recorder().mode == "replay"
    assert workspace_recorder() is workspace_recorder()
    monkeypatch.setenv("SAPPHIRE_MODELS_MODE", "often")
    with pytest.raises(ConfigError, match="names no mode"):
        workspace_recorder()
