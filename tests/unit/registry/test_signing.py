"""The key is its owner's alone, and what it signed is told from what it did not."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sapphire.domain.errors import EvidenceRefused, Refused
from sapphire.domain.evidence import LAPTOP_KEY, PROMOTER_IDENTITY, GateReport, verify
from sapphire.registry import SigningKey, evaluate_gates, load_policy, sign, signing_key, trusted_key

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
    path = tmp_path / "keys" / "promoter.ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert signing_key(tmp_path).public == key.public == trusted_key(tmp_path)
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
    assert verify(report.canonical, sign(report, key), trusted_key(tmp_path), permits="paper") == report


def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path, key: SigningKey) -> None:
    (tmp_path / "keys" / "promoter.ed25519").chmod(0o640)
    with pytest.raises(Refused, match="others can read the promoter's key") as refused:
        signing_key(tmp_path)
    assert "mode 640" in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_key_is_refused(tmp_path: Path, key: SigningKey, content: bytes) -> None:
    (tmp_path / "keys" / "promoter.ed25519").write_bytes(content)
    with pytest.raises(Refused, match="holds no key"):
        signing_key(tmp_path)


@pytest.mark.parametrize("content", ["", "abcd", "not hexadecimal"])
def test_what_is_no_public_key_verifies_nothing(tmp_path: Path, key: SigningKey, content: str) -> None:
    (tmp_path / "keys" / "promoter.ed25519.pub").write_text(content)
    with pytest.raises(EvidenceRefused, match="no public key"):
        trusted_key(tmp_path)


def test_without_a_key_nothing_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(EvidenceRefused, match="no promoter key"):
        trusted_key(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_key_signs_in_its_own_name_only(key: SigningKey, report: GateReport) -> None:
    with pytest.raises(EvidenceRefused, match="names another signer"):
        sign(dataclasses.replace(report, signer="0" * 64), key)
    with pytest.raises(EvidenceRefused, match="names another signer"):
        sign(dataclasses.replace(report, authority=PROMOTER_IDENTITY), key)
