"""Golden vectors of permits: signed reports good and bad, what is trusted, and the verdict, for every language.

    python tests/reference/permit_vectors.py

writes `golden/permits.json`; a test makes it again and compares. Keys are those of fixed bytes, so signatures are too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sapphire.domain.evidence import LAPTOP_KEY, PROMOTER_IDENTITY, GateReport, GateRow, key_id
from sapphire.domain.revocations import Revocation, Revocations

GOLDEN = Path(__file__).parent / "golden" / "permits.json"
KEY, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (7, 8))
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
RELEASE, OTHER = "a" * 64, "b" * 64
DAY_NS = 86_400_000_000_000
NOW_NS = 1_772_323_200_000_000_000  # 2026-03-01
REQUIRED = {
    "paper": ["integrity.captured_source", "integrity.golden_vectors"],
    "live": ["integrity.captured_source", "integrity.golden_vectors", "skill.deflated_sharpe"],
}


def trust(**changed: Any) -> dict[str, Any]:
    pinned = {"paper": ["1" * 64, "2" * 64], "live": ["3" * 64]}
    ours = {"public_key": PUBLIC.hex(), "authority": LAPTOP_KEY, "policies": pinned, "required": REQUIRED}
    return ours | changed


PROMOTER = trust(authority=PROMOTER_IDENTITY)


def report(
    target: str = "paper",
    *,
    sequence: int = 1,
    days_ago: float = 1.0,
    days: float = 7.0,
    without: str = "",
    failed: str = "",
    marks: bool = False,
    before: str | None = None,
    key: Ed25519PrivateKey = KEY,
    signature: bytes | None = None,
    text: tuple[str, str] | None = None,
    **changed: Any,
) -> dict[str, str]:
    """One report as it stands in a record.

    Parameters
    ----------
    without, failed : a measure that it does not show, or that failed.
    marks : whether the one that failed keeps nothing out.
    before : the line before its own; the one it is signed for unless given.
    text : what is changed in its canonical JSON before it is signed, and to what.
    """
    rows = []
    for name in REQUIRED["live"]:
        gate, _, measure = name.partition(".")
        if name == without:
            continue
        refuses = (target == "live" or gate != "skill") and not (marks and name == failed)
        needs, value = ({"min": 0.95}, 0.2 if name == failed else 0.96) if gate == "skill" else (True, name != failed)
        rows.append(GateRow(gate=gate, measure=measure, needs=needs, value=value, refuses=refuses))
    issued_ns = NOW_NS - int(days_ago * DAY_NS)
    values = {
        "name": "trend",
        "manifest_digest": RELEASE,
        "policy_digest": {"paper": "1", "live": "3"}[target] * 64,
        "evidence_digest": "d" * 64,
        "record_head": f"{sequence:x}" * 64,
        "trials": 12,
        "data": "generated market, seed 7 (uncalibrated)",
        "target": target,
        "rows": tuple(rows),
        "ledger_head": "e" * 64,
        "engine_version": "0.1.0",
        "signer": key_id(PUBLIC),
        "authority": LAPTOP_KEY,
        "sequence": sequence,
        "issued_ns": issued_ns,
        "valid_until_ns": issued_ns + int(days * DAY_NS),
        "revocations": 0,
    } | changed
    made = GateReport(**values)  # type: ignore[arg-type]
    data = made.canonical
    if text is not None:
        old, new = (each.encode() for each in text)
        assert old in data, text
        data = data.replace(old, new, 1)
    signed = key.sign(data) if signature is None else signature
    return {"report": data.decode(), "signature": signed.hex(), "before": before or made.record_head}


def revoked(*digests: str, key: Ed25519PrivateKey = KEY) -> str:
    """The file of a list of revocations."""
    entries = tuple(
        Revocation(manifest_digest=digest, name="trend@1", why="wrong prices", who="ann@desk", at_ns=NOW_NS - number)
        for number, digest in enumerate(digests)
    )
    made = Revocations(entries)
    return made.signed(key.sign(made.canonical)).decode()


def live(**how: Any) -> dict[str, str]:
    return report("live", authority=PROMOTER_IDENTITY, **how)


def vector(name: str, *reports: dict[str, str], stage: str = "paper", **asked: Any) -> dict[str, Any]:
    """What is asked; the verdict is added by `judged`."""
    base = {"name": name, "stage": stage, "at_ns": NOW_NS, "release": RELEASE, "trust": trust(), "revocations": []}
    return base | asked | {"reports": list(reports)}


def questions() -> list[dict[str, Any]]:
    return [*of_measures(), *of_signers(), *of_times(), *of_revocations(), *of_texts()]


def of_measures() -> list[dict[str, Any]]:
    promoter = {"stage": "live", "trust": PROMOTER}
    return [
        vector("no report"),
        vector("a report that opens paper", report()),
        vector("under the other pinned policy", report(policy_digest="2" * 64)),
        vector("under a policy that is not pinned", report(policy_digest="3" * 64)),
        vector("marked: an edge was not shown", report(failed="skill.deflated_sharpe")),
        vector("a required measure is missing", report(without="integrity.golden_vectors")),
        vector("a required measure failed and only marks", report(failed="integrity.golden_vectors", marks=True)),
        vector("refused", report(failed="integrity.captured_source")),
        vector("for live, asked for paper", live(), trust=PROMOTER),
        vector("for live by a laptop's key, asked for paper", report("live")),
        vector("for live by a laptop's key, asked for live", report("live"), stage="live"),
        vector("for live by the promoter", live(), **promoter),
        vector("for paper, asked for live", report(authority=PROMOTER_IDENTITY), **promoter),
        vector("a laptop's key that says it is the promoter", live(), stage="live"),
        vector("live without skill", live(failed="skill.deflated_sharpe"), **promoter),
        vector("live that does not show skill", live(without="skill.deflated_sharpe"), **promoter),
    ]


def of_signers() -> list[dict[str, Any]]:
    return [
        vector("by another key", report(key=STRANGER)),
        vector("by another key in its own name", report(key=STRANGER, signer="9" * 64)),
        vector("another signer named", report(signer="9" * 64)),
        vector("a short signature", report(signature=b"short")),
        vector("no signature", report(signature=b"")),
        vector("of another release", report(manifest_digest=OTHER)),
        vector("at another place of the record", report(before="f" * 64)),
    ]


def of_times() -> list[dict[str, Any]]:
    refused = report(sequence=2, failed="integrity.golden_vectors")
    promoter = {"stage": "live", "trust": PROMOTER}
    return [
        vector("it ends now", report(days_ago=7.0)),
        vector("it ends in a moment", report(days_ago=7.0, valid_until_ns=NOW_NS + 1)),
        vector("it ended, and an older one has not", report(days=30.0), report(sequence=2, days_ago=2.0, days=1.0)),
        vector("made in five minutes", report(days_ago=0.0, issued_ns=NOW_NS + 300_000_000_000)),
        vector("made later than that", report(days_ago=0.0, issued_ns=NOW_NS + 300_000_000_001)),
        vector("refused later", report(), refused),
        vector("refused later, then permitted", report(), refused, report(sequence=3)),
        vector("the permit again after the refusal", report(), refused, report(before="f" * 64)),
        vector("the permit again at its old place", report(), refused, report()),
        vector("numbers that stand still", report(), report(policy_digest="3" * 64)),
        vector(
            "paper refused after live was permitted",
            live(),
            report(sequence=1, failed="integrity.golden_vectors", authority=PROMOTER_IDENTITY),
            **promoter,
        ),
        vector(
            "live refused for skill after paper was permitted", report(), report("live", failed="skill.deflated_sharpe")
        ),
        vector("live refused for integrity after paper", report(), report("live", failed="integrity.golden_vectors")),
        vector("live refused after live", live(), live(sequence=2, failed="skill.deflated_sharpe"), **promoter),
        vector("a stranger's report after a permit", report(), report(sequence=2, key=STRANGER)),
    ]


def of_revocations() -> list[dict[str, Any]]:
    return [
        vector("revoked", report(), revocations=[revoked(RELEASE)]),
        vector("revoked by one of two lists", report(), revocations=[revoked(OTHER), revoked(OTHER, RELEASE)]),
        vector("another one revoked", report(revocations=1), revocations=[revoked(OTHER)]),
        vector("fewer revocations than it knows of", report(revocations=1)),
        vector("a list by another key", report(), revocations=[revoked(OTHER, key=STRANGER)]),
        vector("a list that was cut", report(), revocations=[revoked(OTHER)[:-5]]),
        vector("a list with a name changed", report(), revocations=[revoked(RELEASE).replace(RELEASE, OTHER)]),
        vector(
            "two lists of which none begins with the other", report(), revocations=[revoked(OTHER), revoked("9" * 64)]
        ),
        vector("a list that is none", report(), revocations=["no\n00\n"]),
    ]


def of_texts() -> list[dict[str, Any]]:
    return [
        vector(
            "a report that says more than its rows",
            report(failed="integrity.captured_source", text=('"permits":null', '"permits":"paper"')),
        ),
        vector("a measure twice", report(text=('"measure":"golden_vectors"', '"measure":"captured_source"'))),
        vector("an earlier format", report(text=("GATES@2", "GATES@1"))),
        vector("a format to come", report(text=("GATES@2", "GATES@3"))),
        vector("a key more", report(text=('"trials":12', '"trials":12,"valid":1'))),
        vector("no trials", report(text=('"trials":12', '"trials":0'))),
        vector("trials that are no number", report(text=('"trials":12', '"trials":true'))),
        vector("trials with a fraction", report(text=('"trials":12', '"trials":12.0'))),
        vector("a number of nought", report(text=('"sequence":1', '"sequence":0'))),
        vector("fewer than no revocations", report(text=('"revocations":0', '"revocations":-1'))),
        vector(
            "an end beyond what is held", report(text=('"valid_until_ns":1', '"valid_until_ns":100000000000000000'))
        ),
        vector("an end before its beginning", report(text=('"valid_until_ns":1', '"valid_until_ns":'))),
        vector("no head of the record", report(text=('"record_head":"1', '"record_head":"'))),
    ]


def judged(question: dict[str, Any]) -> dict[str, Any]:
    """The question with Python's answer: whether it is admitted, and the first line of the reason."""
    from sapphire.domain.errors import EvidenceRefused
    from sapphire.domain.permits import RecordedReport, Trust, check_signature, permitted

    pinned = question["trust"]
    trusted = Trust(
        public_key=bytes.fromhex(pinned["public_key"]),
        authority=pinned["authority"],
        policies={key: frozenset(each) for key, each in pinned["policies"].items()},
        required={key: frozenset(each) for key, each in pinned["required"].items()},
    )
    reports = [
        RecordedReport(each["report"].encode(), bytes.fromhex(each["signature"]), each["before"])
        for each in question["reports"]
    ]
    try:
        lists = []
        for text in question["revocations"]:
            found, signed, signature = Revocations.read(text.encode())
            check_signature(signed, signature, trusted.public_key, what="the list of revocations")
            lists.append(found)
        permitted(
            reports,
            trusted,
            manifest_digest=question["release"],
            stage=question["stage"],
            at_ns=question["at_ns"],
            revocations=Revocations.longest(lists),
            name="trend",
        )
    except EvidenceRefused as refusal:
        return question | {"admits": False, "why": refusal.what, "closed": type(refusal).__name__ == "PermitClosed"}
    return question | {"admits": True, "why": None, "closed": False}


def vectors() -> bytes:
    """The file's content."""
    return json.dumps([judged(each) for each in questions()], indent=1, sort_keys=True).encode() + b"\n"


if __name__ == "__main__":
    GOLDEN.write_bytes(vectors())
