"""Permits: whether a release may trade at a stage now, from its signed reports and what is trusted here.

The one definition that every door asks: promotion, serving, the coordinator, `sapphire up`, and the engine, which has
it in Rust (`service/src/evidence`); `tests/reference/golden/permits.json` holds both to the same answers.

A report opens its target if it was signed by the key that is trusted here, stands where it was signed in the record,
answers under a policy that this deployment pins, has every required measure of its target among those that passed, has
the authority of the stage, and has not ended. A later signed refusal closes an earlier permit: one for paper closes
all, one for live closes live, and closes paper as well where a measure failed that paper requires. A revocation closes
a release for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, get_args

from sapphire.domain.canonical import is_sha256, sha256_of
from sapphire.domain.display import stamp
from sapphire.domain.errors import ConfigError, EvidenceRefused, PermitClosed
from sapphire.domain.evidence import PROMOTER_IDENTITY, Authority, GateReport, Target, key_id
from sapphire.domain.revocations import Revocations

__all__ = [
    "RecordedReport",
    "Trust",
    "check_signature",
    "closes",
    "last_permit",
    "permitted",
    "refuse_refused",
    "verify",
]

CLOCK_SLACK_NS: Final = 300 * 1_000_000_000
"""How far the clock of a door may be behind the signer's: five minutes, more than machines that keep time differ by."""

_PUBLIC_BYTES = 32
_SHORT = 12
_NS_PER_SECOND = 1_000_000_000
_ENOUGH: Mapping[Target, tuple[Target, ...]] = {"paper": ("paper", "live"), "live": ("live",)}
"""What a report may permit to open a stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a deployment trusts.

    Parameters
    ----------
    public_key : 32 bytes; signatures are verified with it.
    authority : what a signature by it proves, as the deployment knows it.
    policies : target to the digests of the policies that are pinned for it.
    required : target to the measures, "integrity.captured_source", that a report has to show as passed.

    Raises
    ------
    ConfigError : a key of another length, an unknown authority, a policy that is no digest, a target without a policy
        or without a required measure.
    """

    public_key: bytes
    authority: Authority
    policies: Mapping[Target, frozenset[str]] = field(hash=False)
    required: Mapping[Target, frozenset[str]] = field(hash=False)

    def __post_init__(self) -> None:
        if len(self.public_key) != _PUBLIC_BYTES or self.authority not in get_args(Authority):
            expected = f"{_PUBLIC_BYTES} bytes, and one of {' or '.join(get_args(Authority))}"
            raise ConfigError("the trusted key", expected=expected, got=f"{self.public_key!r}, {self.authority!r}")
        for target in get_args(Target):
            pinned = self.policies.get(target, frozenset())
            if not pinned or not all(is_sha256(each) for each in pinned):
                raise ConfigError(f"pinned policies for {target}", expected="one digest or more", got=repr(pinned))
            if not self.required.get(target):
                raise ConfigError(f"required measures for {target}", expected="one or more", got="none")


@dataclass(frozen=True, slots=True)
class RecordedReport:
    """A gate report as it stands in the record of a release.

    Parameters
    ----------
    data : the report's bytes as they were signed.
    signature : 64 bytes.
    before : sha256 of the line of the record before its own.
    """

    data: bytes
    signature: bytes
    before: str

    @property
    def digest(self) -> str:
        """sha256 of the report."""
        return sha256_of(self.data)


def permitted(
    reports: Sequence[RecordedReport],
    trust: Trust,
    *,
    manifest_digest: str,
    stage: Target,
    at_ns: int,
    revocations: Revocations,
    name: str,
) -> GateReport:
    """The report that a release stands on at a stage now.

    Parameters
    ----------
    reports : every report in the release's record, oldest first.
    stage : what it shall do: trade on paper, or trade money.
    at_ns : now, UTC nanoseconds of wall time.
    revocations : those that are known here, verified.
    name : the release's, for messages.

    Raises
    ------
    PermitClosed : it was revoked, refused later, or its permit has ended.
    EvidenceRefused : no report opens the stage, or one that does not verify stands in the way.
    """
    revocations.refuse(manifest_digest, name)
    _check_order(reports, trust, manifest_digest)
    found: EvidenceRefused | None = None
    for recorded in reversed(reports):
        report = verify(recorded, trust, manifest_digest=manifest_digest)
        if report.revocations > revocations.sequence:
            raise EvidenceRefused(
                "the list of revocations goes back",
                expected=f"the {report.revocations} revocations that {report.name}'s report knows of, or more",
                got=str(revocations.sequence),
                next="restore the list beside the trusted key, or that in the state folder",
            )
        if report.permits is None and closes(report, stage, trust):
            raise found or _refused(report, stage)
        if report.permits in _ENOUGH[stage]:
            try:
                check_open(report, trust, stage=stage, at_ns=at_ns)
            except EvidenceRefused as refusal:
                found = found or refusal
            else:
                return report
    raise found or EvidenceRefused(
        f"release {name} {manifest_digest[:_SHORT]} has no gate report for {stage}",
        expected="a signed report that permits it",
        got="none",
        next=f"sapphire gates {manifest_digest[:_SHORT]} --to {stage}",
    )


def last_permit(
    reports: Sequence[RecordedReport], trust: Trust, *, manifest_digest: str, stage: Target
) -> GateReport | None:
    """The newest report that permitted a stage, whether its permit still holds or not; None where there never was one.

    Raises
    ------
    EvidenceRefused : one that stands in the way does not verify.
    """
    for recorded in reversed(reports):
        report = verify(recorded, trust, manifest_digest=manifest_digest)
        if report.permits in _ENOUGH[stage]:
            return report
    return None


def refuse_refused(reports: Sequence[RecordedReport], trust: Trust, *, manifest_digest: str, stage: Target) -> None:
    """Refuse a release whose permit for a stage was closed by a later refusal; whether it has ended does not matter.

    Raises
    ------
    PermitClosed : it was.
    EvidenceRefused : a report that stands in the way does not verify.
    """
    for recorded in reversed(reports):
        report = verify(recorded, trust, manifest_digest=manifest_digest)
        if report.permits in _ENOUGH[stage]:
            return
        if report.permits is None and closes(report, stage, trust):
            raise _refused(report, stage)


def verify(recorded: RecordedReport, trust: Trust, *, manifest_digest: str | None = None) -> GateReport:
    """The report, if the trusted key signed it, for this release, at this place of the record.

    Raises
    ------
    EvidenceRefused : it does not verify; names what differs.
    """
    check_signature(recorded.data, recorded.signature, trust.public_key, what="a gate report")
    report = GateReport.parse(recorded.data)
    for what, expected, got in (
        ("the key that signs", key_id(trust.public_key), report.signer),
        ("the authority of its key", trust.authority, report.authority),
        ("the release", manifest_digest or report.manifest_digest, report.manifest_digest),
        ("its place in the record", recorded.before, report.record_head),
    ):
        if expected != got:
            raise _differs(report, what, expected, got)
    return report


def check_open(report: GateReport, trust: Trust, *, stage: Target, at_ns: int) -> None:
    """Refuse a report that does not open a stage now.

    Raises
    ------
    PermitClosed : it has ended.
    EvidenceRefused : a policy that is not pinned here, a required measure that is missing or failed, a key without the
        authority of the stage, a report of the future, or one that permits nothing.
    """
    target = report.target
    if report.permits is None:
        raise _refused(report, target)
    if report.policy_digest not in trust.policies[target]:
        pinned = ", ".join(sorted(each[:_SHORT] for each in trust.policies[target]))
        raise _differs(report, "the policy", pinned, report.policy_digest[:_SHORT])
    passed = {f"{row.gate}.{row.measure}" for row in report.rows if row.passed}
    missing = sorted(trust.required[target] - passed)
    if missing:
        raise EvidenceRefused(
            f"the gate report of {report.name} does not show what {target} requires",
            expected=f"{', '.join(missing)} among the measures that passed",
            got="none of them",
            next=f"ask for it in mlflow/gates/{target}.yaml; {_again(report)}",
        )
    if stage == "live" and trust.authority != PROMOTER_IDENTITY:
        raise EvidenceRefused(
            f"the gate report of {report.name} has no authority to open live",
            expected=f"a report signed by the {PROMOTER_IDENTITY}",
            got=trust.authority,
            next="live is opened by a deployment that names its promoter's key: [trust] in sapphire.toml",
        )
    if at_ns >= report.valid_until_ns:
        raise PermitClosed(
            f"the permit of {report.name} for {target} has ended",
            expected=f"a moment before {_when(report.valid_until_ns)}",
            got=_when(at_ns),
            next=_again(report),
        )
    if report.issued_ns > at_ns + CLOCK_SLACK_NS:
        raise EvidenceRefused(
            f"the gate report of {report.name} is of the future",
            expected=f"a report made by {_when(at_ns)}",
            got=_when(report.issued_ns),
            next="the clock of this machine",
        )


def closes(refusal: GateReport, stage: Target, trust: Trust) -> bool:
    """Whether a report that permits nothing closes what was permitted before at a stage."""
    if refusal.target == "paper" or stage == "live":
        return True
    failed = {f"{row.gate}.{row.measure}" for row in refusal.rows if not row.passed}
    return bool(failed & trust.required[stage])


def check_signature(data: bytes, signature: bytes, public_key: bytes, *, what: str) -> None:
    """Refuse a signature that is not by this key over these bytes.

    Raises
    ------
    EvidenceRefused : it is not.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        raise EvidenceRefused(
            f"the signature of {what} does not verify",
            expected=f"a signature by key {key_id(public_key)[:_SHORT]} over these {len(data):,} bytes",
            got="what was signed, its signature or the key is another",
            next="sapphire gates RELEASE --to TARGET makes and signs a report again",
        ) from None


def _check_order(reports: Sequence[RecordedReport], trust: Trust, manifest_digest: str) -> None:
    """Refuse a record in which the numbers of the reports for a target do not rise; those by other keys have none."""
    last: dict[Target, int] = {}
    for recorded in reports:
        try:
            report = verify(recorded, trust, manifest_digest=manifest_digest)
        except EvidenceRefused:
            continue
        before = last.get(report.target, 0)
        if report.sequence <= before:
            raise EvidenceRefused(
                f"the gate reports of {report.name} for {report.target} are out of order",
                expected=f"a number above {before}",
                got=str(report.sequence),
                next="restore the evidence from a backup",
            )
        last[report.target] = report.sequence


def _refused(report: GateReport, stage: Target) -> PermitClosed:
    failed = ", ".join(f"{row.gate}.{row.measure}" for row in report.failed)
    return PermitClosed(
        f"the gate report of {report.name} does not permit {stage}",
        expected=f"permits {stage}",
        got=f"permits nothing (asked for {report.target}; failed: {failed})",
        next=f"sapphire gates {report.manifest_digest[:_SHORT]} --to {stage}",
    )


def _differs(report: GateReport, what: str, expected: str, got: str) -> EvidenceRefused:
    return EvidenceRefused(
        f"the gate report of {report.name} is of another: {what} differs",
        expected=expected[:_SHORT] if is_sha256(expected) else expected,
        got=got[:_SHORT] if is_sha256(got) else got,
        next=f"sapphire gates RELEASE --to {report.target} makes a report of what is there now",
    )


def _again(report: GateReport) -> str:
    return f"sapphire gates {report.manifest_digest[:_SHORT]} --to {report.target} measures and signs again"


def _when(at_ns: int) -> str:
    return stamp(at_ns // _NS_PER_SECOND * _NS_PER_SECOND)
