"""Gate reports: what a release was asked to show, what it showed, and what that permits, signed.

A report is canonical JSON, signed as it stands with Ed25519. It is about the head of the release's whole evidence
record, has a number among the reports for its target, and ends at `valid_until_ns`. No field is believed that the
numbers do not bear out: each row's verdict is made again from its need and its value, and the permission from the rows.
What a door asks of it beyond that is in `sapphire.domain.permits`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from sapphire.domain.canonical import canonical_json, is_sha256, plain, read_canonical, sha256_of
from sapphire.domain.display import bundle, stamp
from sapphire.domain.errors import EvidenceRefused, ValueRefused
from sapphire.domain.needs import Need, Value, is_need, is_value, meets, need_text, value_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EDGE_GATES",
    "LAPTOP_KEY",
    "MARKED",
    "PROMOTER_IDENTITY",
    "REPORT_FORMAT",
    "SKILL_NOT_SHOWN",
    "Authority",
    "GateReport",
    "GateRow",
    "Target",
    "key_id",
    "need_text",
]

REPORT_FORMAT = "GATES@2"
"""Format of a gate report."""
LAPTOP_KEY: Final = "laptop key file: proves integrity, not authority"
"""Signed by whoever can read the key file: the report was not changed, and no more."""
PROMOTER_IDENTITY: Final = "promoter identity"
"""Signed by the identity that alone holds the key and made the numbers again before it signed."""

Target = Literal["paper", "live"]
Authority = Literal["laptop key file: proves integrity, not authority", "promoter identity"]

EDGE_GATES = ("skill", "cost")
"""Gates that ask whether there is an edge at all. A release that failed one is marked wherever it is shown."""

SKILL_NOT_SHOWN = "skill not shown"
"""The mark of a release that failed one of them."""
MARKED: Final = "MARKED: "
"""In a row's note: what comes behind it, up to the end, has to be said of the release wherever it is shown."""

_SHORT = 12
_NS_PER_SECOND = 1_000_000_000
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """One measure of one gate.

    Parameters
    ----------
    gate : the group in the policy, "skill".
    measure : what was measured, "deflated_sharpe".
    needs : the policy's threshold.
    value : what was measured; None where nothing was.
    refuses : whether a failure keeps the release out; otherwise it only marks it.
    note : what the number stands on, "N = 312 trials in the ledger".

    Raises
    ------
    ValueRefused : a need or a value of another form.
    """

    gate: str
    measure: str
    needs: Need
    value: Value
    refuses: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        where = f"row {self.gate}.{self.measure}"
        for key in ("gate", "measure"):
            if not isinstance(getattr(self, key), str) or not getattr(self, key):
                raise ValueRefused(f"{where} of a gate report", expected=f"a {key}", got=repr(getattr(self, key)))
        object.__setattr__(self, "needs", plain(self.needs) if isinstance(self.needs, Mapping) else self.needs)
        if not is_need(self.needs):
            expected = "true, false, a word, or one of {min: x}, {max: x}, {above: x}"
            raise ValueRefused(f"need of {where}", expected=expected, got=repr(self.needs))
        if not is_value(self.value):
            expected = "a finite number, a word, a truth value or None"
            raise ValueRefused(f"value of {where}", expected=expected, got=repr(self.value))
        if not isinstance(self.refuses, bool) or not isinstance(self.note, str):
            raise ValueRefused(f"{where} of a gate report", expected="refuses true or false, a note", got=repr(self))

    @property
    def passed(self) -> bool:
        """Whether the value meets the need."""
        return meets(self.needs, self.value)

    @property
    def has(self) -> str:
        """The value as a table shows it, with as many digits as its verdict needs."""
        for digits in (3, 6):
            text = value_text(self.value, digits=digits)
            if not isinstance(self.value, float) or meets(self.needs, float(text)) == self.passed:
                return text
        return value_text(self.value, digits=17)

    @property
    def verdict(self) -> str:
        """One word for the table."""
        return "pass" if self.passed else "fail" if self.refuses else "fail, marked"

    def as_dict(self) -> dict[str, Any]:
        """The keys of a row."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"passed": self.passed}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What a release was asked to show for a target, and what it showed.

    `len` counts its rows, and a loop goes through them.

    Parameters
    ----------
    name : the release's name.
    manifest_digest : identity of the release.
    policy_digest : identity of the policy that asked.
    evidence_digest : sha256 of the measurements that answered.
    record_head : sha256 of the last line of the release's evidence record when it was measured.
    trials : N, counted when it was measured.
    data : where those data are from, "generated market v2, seed 7 (uncalibrated)".
    target : what was asked for.
    rows : every number and threshold.
    ledger_head : head of the trial ledger that the number of trials was read from.
    engine_version : the engine that made the evidence.
    signer : id of the key that signs.
    authority : what the signature proves.
    sequence : 1 for the first report of the release for this target, rising by one.
    issued_ns, valid_until_ns : when it was made, and when what it permits ends; UTC nanoseconds.
    revocations : how many revocations its signer knew of.

    Raises
    ------
    ValueRefused : a digest that is none, an unknown target or authority, a number or a time that cannot be, or no row
        that could refuse.
    """

    name: str
    manifest_digest: str
    policy_digest: str
    evidence_digest: str
    record_head: str
    trials: int
    data: str
    target: Target
    rows: tuple[GateRow, ...]
    ledger_head: str
    engine_version: str
    signer: str
    authority: Authority
    sequence: int
    issued_ns: int
    valid_until_ns: int
    revocations: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))
        for key in ("manifest_digest", "policy_digest", "evidence_digest", "record_head", "ledger_head", "signer"):
            if not is_sha256(getattr(self, key)):
                raise ValueRefused(
                    f"{key} of a gate report", expected="64 hexadecimal digits", got=repr(getattr(self, key))
                )
        for key in ("name", "data", "engine_version"):
            if not isinstance(getattr(self, key), str) or not getattr(self, key):
                raise ValueRefused(f"{key} of a gate report", expected="text", got=repr(getattr(self, key)))
        for key, allowed in (("target", get_args(Target)), ("authority", get_args(Authority))):
            if getattr(self, key) not in allowed:
                raise ValueRefused(
                    f"{key} of a gate report", expected=" or ".join(allowed), got=repr(getattr(self, key))
                )
        for key, least in (("trials", 1), ("sequence", 1), ("issued_ns", 0), ("revocations", 0)):
            _check_count(key, getattr(self, key), least)
        _check_count("valid_until_ns", self.valid_until_ns, self.issued_ns + 1)
        _check_distinct(self.rows)
        if not any(row.refuses for row in self.rows):
            raise ValueRefused("a gate report that could refuse nothing", expected="at least one gate", got="none")

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[GateRow]:
        return iter(self.rows)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per measure: what it needs and has, and whether it passed."""
        import pandas as pd

        return pd.DataFrame([row.as_dict() for row in self.rows])

    @property
    def permits(self) -> Target | None:
        """The target it opens: the one asked for if every row that refuses has passed."""
        return self.target if all(row.passed for row in self.rows if row.refuses) else None

    @property
    def skill_failed(self) -> bool:
        """Whether it failed to show an edge (gates `skill` and `cost`), whatever else it is permitted."""
        return any(row.gate in EDGE_GATES and not row.passed for row in self.rows)

    @property
    def failed(self) -> tuple[GateRow, ...]:
        """The rows that keep it out."""
        return tuple(row for row in self.rows if row.refuses and not row.passed)

    @property
    def marks(self) -> tuple[GateRow, ...]:
        """The rows that failed and keep nothing out."""
        return tuple(row for row in self.rows if not row.refuses and not row.passed)

    @property
    def marked(self) -> tuple[str, ...]:
        """What has to be said of the release wherever it is shown: no skill, and what the notes of its rows mark."""
        noted = [row.note.partition(MARKED)[2] for row in self.rows]
        return tuple(dict.fromkeys([*([SKILL_NOT_SHOWN] if self.skill_failed else []), *filter(None, noted)]))

    @property
    def canonical(self) -> bytes:
        """Canonical JSON: what is signed."""
        return canonical_json(self.as_dict())

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON."""
        return sha256_of(self.canonical)

    def as_dict(self) -> dict[str, Any]:
        """Stable keys."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {
            "format": REPORT_FORMAT,
            "rows": [row.as_dict() for row in self.rows],
            "permits": self.permits,
            "skill_failed": self.skill_failed,
        }

    @classmethod
    def parse(cls, data: bytes) -> GateReport:
        """The report whose canonical JSON is `data`.

        Raises
        ------
        EvidenceRefused : not canonical, another format, a bad value, or a verdict that its own numbers do not bear out.
        """
        try:
            value = read_canonical(data, what="gate report")
            if not isinstance(value, dict) or value.get("format") != REPORT_FORMAT:
                got = value.get("format") if isinstance(value, dict) else type(value).__name__
                raise ValueRefused("not a gate report", expected=f"format {REPORT_FORMAT}", got=str(got))
            stated = {key: each for key, each in value.items() if key in cls.__dataclass_fields__}
            rows = value.get("rows")
            stated["rows"] = tuple(_read_row(row) for row in (rows if isinstance(rows, list) else []))
            report: GateReport = _make(cls, stated, "gate report")
        except ValueRefused as error:
            raise EvidenceRefused(error.what, expected=error.expected, got=error.got, next=error.next) from None
        if report.canonical != data:
            raise EvidenceRefused(
                f"the gate report of {report.name} says what its numbers do not",
                expected=f"permits {report.permits}, skill_failed {report.skill_failed}, and each row's own verdict",
                got=_difference(report.as_dict(), value),
                next=f"sapphire gates {report.manifest_digest[:_SHORT]} --to {report.target} makes a report again",
            )
        return report

    @property
    def caption(self) -> str:
        """One line: of what, for what, with what outcome."""
        until = f" until {stamp(self.valid_until_ns // _NS_PER_SECOND * _NS_PER_SECOND)}"
        outcome = f"permits {self.permits}{until}" if self.permits else f"does not permit {self.target}"
        mark = f"; {MARKED}{', '.join(self.marked)}" if self.marked else ""
        return f"gates of {self.name} ({self.manifest_digest[:_SHORT]}) to {self.target}: {outcome}{mark}; {self.data}"

    def table(self) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
        """Header and lines."""
        header = ("gate", "measure", "needs", "has", "verdict", "")
        return header, [
            (row.gate, row.measure, need_text(row.needs), row.has, row.verdict, row.note) for row in self.rows
        ]

    def __str__(self) -> str:
        return bundle(self.caption, *self.table())["text/plain"]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(self.caption, *self.table())


def key_id(public_key: bytes) -> str:
    """What a key is called: the sha256 of its 32 public bytes."""
    return sha256_of(public_key)


def _check_count(key: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST:
        expected = f"a whole number from {least} to {_LARGEST}"
        raise ValueRefused(f"{key} of a gate report", expected=expected, got=repr(value))


def _check_distinct(rows: Sequence[GateRow]) -> None:
    names = [f"{row.gate}.{row.measure}" for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueRefused("a gate report answers a measure twice", expected="each measure once", got=", ".join(twice))


def _read_row(value: object) -> GateRow:
    if not isinstance(value, dict):
        raise ValueRefused("a row of a gate report", expected="an object", got=type(value).__name__)
    stated = {key: each for key, each in value.items() if key in GateRow.__dataclass_fields__}
    row: GateRow = _make(GateRow, stated, "row of a gate report")
    return row


def _make(cls: type[Any], stated: dict[str, Any], where: str) -> Any:
    missing = sorted(cls.__dataclass_fields__.keys() - stated.keys())
    if missing:
        raise ValueRefused(f"{where} lacks {', '.join(missing)}", expected=", ".join(cls.__dataclass_fields__))
    return cls(**stated)


def _difference(expected: Mapping[str, Any], got: Mapping[str, Any]) -> str:
    """The keys that differ, with both values."""
    keys = sorted({*expected, *got} - {"rows"})
    wrong = [f"{key} {got.get(key)}" for key in keys if expected.get(key) != got.get(key)]
    for place, (mine, theirs) in enumerate(zip(expected["rows"], got["rows"], strict=True)):
        wrong += [
            f"row {place} ({mine['measure']}): {key} {theirs.get(key)}"
            for key in sorted({*mine, *theirs})
            if mine.get(key) != theirs.get(key)
        ]
    return "\n".join(wrong)
