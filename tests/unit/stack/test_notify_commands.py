"""The verbs of notices: who is told, a test message to each, and an `up` that refuses what it could not tell."""

import json

import pytest
import typer
from typer.testing import CliRunner

from sapphire.domain.errors import ConfigError
from sapphire.stack.commands import up_and_down
from sapphire.stack.commands.notify import notify

SECRET = "T0SECRETSECRET0"


@pytest.fixture
def workspace(tmp_path, monkeypatch, webhook):
    """A workspace that tells two receivers, the second of which nobody listens at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("HOOK", webhook.address)
    (tmp_path / "dead").write_text(f"http://127.0.0.1:9/{SECRET}")
    (tmp_path / "dead").chmod(0o600)
    settings = "[notify.json]\naddress_env = 'HOOK'\nkinds = ['halt']\n[notify.slack]\naddress_file = 'dead'\n"
    (tmp_path / "sapphire.toml").write_text(settings)
    return tmp_path


def call(*words, code=0):
    done = CliRunner().invoke(notify, list(words), catch_exceptions=False)
    assert done.exit_code == code, done.output
    assert SECRET not in done.output
    return done


@pytest.mark.parametrize("words", [("list",), ("test",)], ids=" ".join)
def test_help_has_an_example_and_json(words):
    text = call(*words, "--help").stdout
    assert f"Example: sapphire notify {words[0]}" in text
    assert "--json" in text


def test_a_test_message_goes_to_each_and_what_came_back_is_said(workspace, webhook):
    webhook.answers = [(200, {}, b"ok")]
    rows = json.loads(call("test", "--json", code=1).stdout)["receivers"]
    assert [(each["receiver"], each["came"]) for each in rows] == [("json", "delivered"), ("slack", "again")]
    assert rows[0]["what"] == "200 OK: ok"
    assert rows[1]["what"].startswith("no connection: ")
    (got,) = webhook.got
    assert (got["kind"], got["lines"]) == ("test", ["Here you are told of: halt."])
    alone = call("test", "--only", "json")
    assert "delivered" in alone.stdout
    assert "sapphire notify test --only slack" in call("test", code=1).stderr
    assert call("test", "--only", "pager", code=2)


def test_who_is_told_is_listed_without_an_address(workspace):
    rows = json.loads(call("list", "--json").stdout)["receivers"]
    assert [(each["receiver"], each["kept_in"], each["run"]) for each in rows] == [
        ("json", "the environment variable HOOK", None),
        ("slack", f"the file {workspace / 'dead'}", None),
    ]
    assert rows[0]["kinds"] == ["halt"]
    assert "nothing sent yet" in call("list").stdout


def test_nobody_to_tell_is_an_error_with_an_example(workspace):
    (workspace / "sapphire.toml").write_text("")
    for verb in ("list", "test"):
        with pytest.raises(ConfigError, match="nobody is told of anything") as refused:
            CliRunner().invoke(notify, [verb], catch_exceptions=False)
        assert "[notify.slack]" in refused.value.expected


def test_up_refuses_receivers_that_it_could_not_tell_before_anything_starts(workspace, monkeypatch):
    monkeypatch.delenv("HOOK")
    app = typer.Typer()
    app.command("up")(up_and_down.up)
    with pytest.raises(ConfigError, match=r"the address of notify.json") as refused:
        CliRunner().invoke(app, [], catch_exceptions=False)
    assert "export HOOK=..." in refused.value.next
    assert not (workspace / "home" / "stack" / "plan.json").exists()
