"""A `sapphire.toml` says what is read and nothing else: a limit that is misspelt is a limit that is not there."""

import os
import subprocess
import sys

import pytest

from sapphire.domain import ConfigError
from sapphire.domain.workspace import find_workspace, home, settings, workspace
from sapphire.domain.workspace_settings import SETTINGS

UNKNOWN = [
    ("[exchange]\nstoploss = -0.1", "exchange.stoploss = -0.1", "take it out"),
    ('nmae = "desk"', "nmae = 'desk'", "did you mean name?"),
    ("[trsut]\nkey = 'x'", "trsut.key = 'x'", "did you mean trust.key?"),
    ("[trust]\nkee = 'x'", "trust.kee = 'x'", "did you mean trust.key?"),
    ("key = 'x'", "key = 'x'", "did you mean trust.key?"),
    ("[trust.policies]\npapper = 'x'", "trust.policies.papper = 'x'", "did you mean trust.policies.paper?"),
    ("[trust.polices]", "trust.polices = {}", "did you mean trust.policies"),
    ("trust = 1", "trust = 1", "did you mean trust.key?"),
    ("[[trust]]\nkey = 'x'", "trust = [{'key': 'x'}]", "did you mean trust.key?"),
    ("[exchange]", "exchange = {}", "take it out"),
    ("a.b.c = 1", "a.b.c = 1", "take it out"),
    (
        "[parts.colector]\nhung_after_s = 5",
        "parts.colector.hung_after_s = 5",
        "did you mean parts.collector.hung_after_s?",
    ),
    ("[ports]\nexchnage = 8080", "ports.exchnage = 8080", "did you mean ports.exchange?"),
]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A workspace; writes its settings."""
    monkeypatch.delenv("SAPPHIRE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "sapphire.toml").write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(("text", "named", "advice"), UNKNOWN, ids=[named for _, named, _ in UNKNOWN])
def test_what_nobody_reads_is_refused_with_what_there_is(desk, text, named, advice):
    place = desk(text)
    for ask in (lambda: settings("trust"), workspace, find_workspace):
        with pytest.raises(ConfigError, match="unknown setting in ") as refused:
            ask()
        assert str(place / "sapphire.toml") in refused.value.what
        assert refused.value.got == named
        assert advice in refused.value.next
        assert refused.value.expected == ", ".join(SETTINGS)


def test_every_unknown_key_is_told_at_once(desk):
    desk("nmae = 'x'\n[exchange]\nstoploss = -0.1\n[trust]\nkey = 'k'")
    with pytest.raises(ConfigError, match="unknown settings in") as refused:
        workspace()
    assert refused.value.got == "nmae = 'x'\nexchange.stoploss = -0.1"


@pytest.mark.parametrize(
    ("text", "named", "expected"),
    [
        ("name = 3", "name in", "text"),
        ("[trust]\nkey = ['a']", "trust.key in", "text"),
        ("[trust.key]\nx = 1", "trust.key in", "text"),
        ("[ports]\nbus = 70000", "ports.bus in", "a port, from 0 to 65535; 0 takes a free one"),
        ("[ports]\nbus = true", "ports.bus in", "a port, from 0 to 65535; 0 takes a free one"),
        ("[parts.keeper]\nprobe_every_s = 0", "parts.keeper.probe_every_s in", "seconds, above zero"),
        ("[parts.collector]\nhung_after_s = inf", "parts.collector.hung_after_s in", "seconds, above zero"),
        ("[trust.policies]\nlive = 7", "trust.policies.live in", "a digest, or a list of them"),
    ],
)
def test_a_value_of_another_kind_is_refused(desk, text, named, expected):
    desk(text)
    with pytest.raises(ConfigError) as refused:
        workspace()
    assert named in refused.value.what
    assert refused.value.expected == expected


def test_what_is_known_is_taken_and_empty_sections_with_it(desk):
    place = desk("name = 'desk'\n[trust]\nkey = 'desk.pub'\nauthority = 'me'\n[trust.policies]\nlive = ['a', 'b']\n")
    assert workspace() == place
    given = {"key": "desk.pub", "authority": "me", "policies": {"live": ["a", "b"]}}
    assert settings("trust") == (given, place)
    for empty in ("", "[trust]", "[trust.policies]"):
        desk(empty)
        assert find_workspace() == place


def sapphire(*words, **environment):
    done = [sys.executable, "-m", "sapphire.cli", *words]
    return subprocess.run(done, capture_output=True, text=True, env=os.environ | environment, check=False)


@pytest.mark.parametrize("variable", ["", "elsewhere"], ids=["own state", "state elsewhere"])
def test_no_verb_goes_to_work_under_settings_that_cannot_be_meant(desk, variable):
    place = desk("[exchange]\nstoploss = -0.1")
    state = {"SAPPHIRE_HOME": str(place / variable)} if variable else {}
    for words in (("data", "list"), ("up",), ("releases",), ("demo",)):
        done = sapphire(*words, **state)
        assert (done.returncode, done.stdout) == (1, "")
        assert "exchange.stoploss = -0.1" in done.stderr
    # What runs can be looked at and stopped all the same; what is wrong is told.
    done = sapphire("down", "--json", **state)
    assert done.returncode == 0, done.stderr
    assert "exchange.stoploss = -0.1" in done.stderr
    assert '"was_running": false' in done.stdout
    assert home() == place / ".sapphire"


def test_help_and_version_are_there_whatever_the_settings_say(desk):
    desk("[exchange]\nstoploss = -0.1")
    assert "Example: sapphire up" in sapphire("up", "--help").stdout
    done = sapphire("--version")
    assert (done.returncode, done.stdout) == (0, "sapphire 0.1.0\n")
