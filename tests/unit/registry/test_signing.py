"""The key is its owner's alone, and what it signed is told from what it did not."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sapphire.domain.errors import ConfigError, EvidenceRefused, Refused
from sapphire.domain.evidence import LAPTOP_KEY, PROMOTER_IDENTITY, GateReport
from sapphire.domain.permits import RecordedReport, verify
from sapphire.domain.workspace import config_folder
from sapphire.registry import Deployment, SigningKey, evaluate_gates, load_policy, sign, signing_key
from sapphire.registry.policies import must_pass
from sapphire.registry.signing import PUBLIC_FILE, read_public_key
from sapphire.registry.trust import AUTHORITY_VARIABLE, KEY_VARIABLE, POLICIES_VARIABLE

POLICIES = Path(__file__).parents[3] / "mlflow" / "gates"


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return signing_key(tmp_path)


@pytest.fixture
def report(key: SigningKey, freeze: Callable[..., Path], small: SimpleNamespace) -> GateReport:
    folder = freeze()
    policy = load_policy(POLICIES, "paper")
    return evaluate_gates(
        small.manifest_of(folder), small.bundle_of(folder), policy, signer=key.id, authority=key.authority
    )


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path, key: SigningKey) -> None:
    path = tmp_path / "promoter.ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert signing_key(tmp_path).public == key.public == read_public_key(tmp_path / PUBLIC_FILE)
    assert key.authority == LAPTOP_KEY
    assert sorted(each.name for each in path.parent.iterdir()) == [".lock", path.name, f"{path.name}.pub"]


def test_processes_that_come_first_together_have_one_key(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from sapphire.registry import signing_key; "
        "print(signing_key(pathlib.Path(sys.argv[1])).public.hex())"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({process.communicate()[0] for process in running}) == 1
    assert [process.returncode for process in running] == [0, 0, 0]


def test_a_signature_verifies_at_the_doors(tmp_path: Path, key: SigningKey, report: GateReport) -> None:
    deployment = Deployment.read({KEY_VARIABLE: str(tmp_path / PUBLIC_FILE)})
    recorded = RecordedReport(report.canonical, sign(report, key), report.record_head)
    assert verify(recorded, deployment.trust(tmp_path / "home")) == report


def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "promoter.ed25519").chmod(0o640)
    with pytest.raises(Refused, match="others can read the promoter's key") as refused:
        signing_key(tmp_path)
    assert "0640" in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_key_is_refused(tmp_path: Path, key: SigningKey, content: bytes) -> None:
    (tmp_path / "promoter.ed25519").write_bytes(content)
    with pytest.raises(Refused, match="holds no key"):
        signing_key(tmp_path)


@pytest.mark.parametrize("content", ["", "abcd", "not hexadecimal"])
def test_what_is_no_public_key_verifies_nothing(tmp_path: Path, key: SigningKey, content: str) -> None:
    (tmp_path / PUBLIC_FILE).write_text(content)
    with pytest.raises(EvidenceRefused, match="no public key"):
        read_public_key(tmp_path / PUBLIC_FILE)


def test_without_a_key_nothing_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(EvidenceRefused, match="no promoter key"):
        read_public_key(tmp_path / PUBLIC_FILE)
    assert not list(tmp_path.iterdir())


def test_a_key_signs_in_its_own_name_only(key: SigningKey, report: GateReport) -> None:
    with pytest.raises(EvidenceRefused, match="names another signer"):
        sign(dataclasses.replace(report, signer="0" * 64), key)
    with pytest.raises(EvidenceRefused, match="names another signer"):
        sign(dataclasses.replace(report, authority=PROMOTER_IDENTITY), key)


def test_the_user_s_key_is_in_the_configuration_folder_and_all_homes_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert config_folder() == tmp_path / "config" / "sapphire"
    key = signing_key()
    path = config_folder() / "promoter.ed25519"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    deployment = Deployment.read()
    for home in (tmp_path / "one", tmp_path / "two"):
        assert deployment.trust(home).public_key == key.public
        assert not home.exists()


@pytest.mark.parametrize("name", ["promoter.ed25519", "promoter.ed25519.pub"])
def test_a_home_with_keys_of_an_earlier_version_is_refused_and_says_what_to_do(tmp_path: Path, name: str) -> None:
    signing_key()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / name).write_text("00" * 32)
    with pytest.raises(EvidenceRefused, match="keeps the key that judges it") as refused:
        Deployment.read().trust(tmp_path)
    assert str(tmp_path / "keys") in refused.value.next


def test_a_key_that_lies_in_the_state_folder_judges_nothing(tmp_path: Path, key: SigningKey) -> None:
    home, link = tmp_path / "home", tmp_path / "link"
    home.mkdir()
    inside = home / PUBLIC_FILE
    inside.write_text(key.public.hex())
    link.symlink_to(inside)
    for path in (inside, link, tmp_path / "x" / ".." / "home" / PUBLIC_FILE):
        with pytest.raises(EvidenceRefused, match="lies in the state folder that it judges"):
            Deployment.read({KEY_VARIABLE: str(path)}).trust(home)
    outside = tmp_path / PUBLIC_FILE
    assert Deployment.read({KEY_VARIABLE: str(outside)}).trust(home).public_key == key.public


def test_a_workspace_pins_and_the_environment_is_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    installed = Deployment.read({}, installed=POLICIES)
    (tmp_path / "sapphire.toml").write_text(
        f"""[trust]
key = "keys/desk.pub"
authority = "promoter identity"
[trust.policies]
live = ["{"1" * 64}", "{"2" * 64}"]
"""
    )
    pinned = Deployment.read({}, installed=POLICIES)
    assert (pinned.key, pinned.authority) == (tmp_path / "keys" / "desk.pub", PROMOTER_IDENTITY)
    assert pinned.policies == {"paper": installed.policies["paper"], "live": ("1" * 64, "2" * 64)}
    assert Deployment.read(pinned.variables, installed=POLICIES) == pinned
    over = {KEY_VARIABLE: "/k", AUTHORITY_VARIABLE: LAPTOP_KEY, POLICIES_VARIABLE: f"live={'3' * 64} paper={'4' * 64}"}
    other = Deployment.read(over, installed=POLICIES)
    assert (other.key, other.authority) == (Path("/k"), LAPTOP_KEY)
    assert other.policies == {"live": ("3" * 64,), "paper": ("4" * 64,)}
    assert other.as_dict()["required"]["live"] == sorted(must_pass("live"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[trust]\nkeys = 'x'", "keys"),
        ("[trust]\nauthority = 'me'", "authority"),
        ("[trust]\nauthority = 'promoter identity'", "a laptop's key"),
        ("[trust]\nauthority = 'promoter identity'\nkey = 'own/promoter.ed25519.pub'", "a laptop's key"),
        ("[trust.policies]\nmoon = 'x'", "moon"),
        ("[trust.policies]\nlive = 'x'", "live"),
        ("trust = 1", "trust"),
        ("[trust", "TOML"),
    ],
)
def test_a_trust_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, named: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sapphire.toml").write_text(text)
    for folder in (None, tmp_path / "own"):
        signing_key(folder)
    with pytest.raises(ConfigError) as refused:
        Deployment.read({}, installed=POLICIES)
    assert named in str(refused.value)
