"""Whether a release may trade: the golden vectors, which the engine's door is held to as well, and what is trusted."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from sapphire.domain.errors import ConfigError, EvidenceRefused, PermitClosed, ValueRefused
from sapphire.domain.evidence import LAPTOP_KEY
from sapphire.domain.permits import Trust
from sapphire.domain.revocations import Revocation, Revocations

REFERENCE = Path(__file__).parents[2] / "reference"


def made() -> Any:
    spec = importlib.util.spec_from_file_location("permit_vectors", REFERENCE / "permit_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_golden_vectors_are_those_of_this_version() -> None:
    kept = (REFERENCE / "golden" / "permits.json").read_bytes()
    assert kept == made().vectors(), "python tests/reference/permit_vectors.py writes them; read the difference"


def test_the_golden_vectors_are_of_all_kinds() -> None:
    vectors = json.loads((REFERENCE / "golden" / "permits.json").read_bytes())
    admitted = [each["name"] for each in vectors if each["admits"]]
    assert admitted == [
        "a report that opens paper",
        "under the other pinned policy",
        "marked: an edge was not shown",
        "for live, asked for paper",
        "for live by a laptop's key, asked for paper",
        "for live by the promoter",
        "it ends in a moment",
        "it ended, and an older one has not",
        "made in five minutes",
        "refused later, then permitted",
        "live refused for skill after paper was permitted",
        "another one revoked",
    ]
    whys = {each["why"] for each in vectors if not each["admits"]}
    assert len(whys) >= 25
    assert all(each["closed"] == (each["why"] is not None and each["closed"]) for each in vectors)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"public_key": b"short"}, "the trusted key"),
        ({"authority": "mine"}, "the trusted key"),
        ({"policies": {"paper": frozenset({"1" * 64})}}, "pinned policies for live"),
        ({"policies": {"paper": frozenset({"x"}), "live": frozenset({"1" * 64})}}, "pinned policies for paper"),
        ({"required": {"paper": frozenset(), "live": frozenset({"a.b"})}}, "required measures for paper"),
    ],
)
def test_who_trusts_nothing_in_particular_trusts_nothing(changed: dict[str, Any], named: str) -> None:
    each = {"paper": frozenset({"1" * 64}), "live": frozenset({"1" * 64})}
    whole = {"public_key": bytes(32), "authority": LAPTOP_KEY, "policies": each, "required": each}
    Trust(**whole)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=named):
        Trust(**(whole | changed))


def test_a_list_of_revocations_only_grows() -> None:
    entries = tuple(
        Revocation(manifest_digest=digit * 64, name="trend@1", why="wrong", who="ann@desk", at_ns=1) for digit in "abc"
    )
    one, two, other = Revocations(entries[:1]), Revocations(entries[:2]), Revocations(entries[1:])
    assert Revocations.longest([two, one]) == two
    assert Revocations.longest([]) == Revocations()
    with pytest.raises(EvidenceRefused, match="two lists of revocations differ"):
        Revocations.longest([two, other])
    read, signed, signature = Revocations.read(two.signed(bytes(64)))
    assert (read, signed, signature) == (two, two.canonical, bytes(64))
    with pytest.raises(PermitClosed, match="was revoked"):
        two.refuse("b" * 64, "trend")
    two.refuse("c" * 64, "trend")


@pytest.mark.parametrize(
    "changed", [{"why": " "}, {"who": ""}, {"at_ns": -1}, {"at_ns": True}, {"manifest_digest": "trend@1"}]
)
def test_a_revocation_says_what_why_who_and_when(changed: dict[str, Any]) -> None:
    whole = {"manifest_digest": "a" * 64, "name": "trend@1", "why": "wrong", "who": "ann@desk", "at_ns": 1}
    with pytest.raises(ValueRefused, match="a revocation"):
        Revocation(**(whole | changed))
