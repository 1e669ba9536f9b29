"""Admission: whether a release of a state folder may trade, by what this deployment trusts.

Everything that lets a release in asks here: the registry, serving, the coordinator and `sapphire up`; the engine has
the same in Rust. It reads the record of the release, the anchors and the revocations, and decides by `domain.permits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.errors import EvidenceRefused, PermitClosed
from sapphire.domain.permits import last_permit, permitted
from sapphire.registry.anchors import Anchors
from sapphire.registry.evidence_store import EvidenceStore
from sapphire.registry.trust import Deployment, revocation_files

if TYPE_CHECKING:
    from sapphire.domain.clocks import Clock
    from sapphire.domain.evidence import GateReport, Target

__all__ = ["Admission", "Permit"]

Seen = tuple[tuple[str, int, int, int], ...]
"""Path, inode, size and time of change of the files that a verdict stands on."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether releases of a state folder are let in.

    Parameters
    ----------
    home : the state folder.
    deployment : what is trusted.
    """

    home: Path
    deployment: Deployment

    def permit(self, digest: str, *, stage: Target, at_ns: int, name: str) -> GateReport:
        """The gate report that a release stands on at a stage now.

        Parameters
        ----------
        name : the release's, for messages.

        Raises
        ------
        PermitClosed : it was refused later, was revoked, or its permit has ended.
        EvidenceRefused : no evidence, evidence that was cut back or does not verify, or no report that opens the stage.
        """
        store = EvidenceStore(self.home / "evidence")
        heads = store.heads(digest)
        trust = self.deployment.trust(self.home)
        Anchors(self.deployment.key.parent, self.home).check(digest, heads)
        return permitted(
            store.reports(digest),
            trust,
            manifest_digest=digest,
            stage=stage,
            at_ns=at_ns,
            revocations=self.deployment.revocations(self.home, trust),
            name=name,
        )

    def last_permit(self, digest: str, *, stage: Target) -> GateReport | None:
        """The newest report that ever permitted a stage, whether its permit still holds or not.

        Raises
        ------
        EvidenceRefused : no evidence, or a report in the way that does not verify.
        """
        reports = EvidenceStore(self.home / "evidence").reports(digest)
        return last_permit(reports, self.deployment.trust(self.home), manifest_digest=digest, stage=stage)

    def seen(self, digest: str) -> Seen:
        """What the files that a verdict stands on look like now; where it is another, the verdict can be another."""
        keys = self.deployment.key.parent
        record = EvidenceStore(self.home / "evidence").folder(digest) / "records.jsonl"
        found = []
        for path in (record, self.deployment.key, Anchors(keys, self.home).path, *revocation_files(keys, self.home)):
            try:
                state = path.stat()
            except OSError:
                continue
            found.append((str(path), state.st_ino, state.st_size, state.st_ctime_ns))
        return tuple(found)


class Permit:
    """What a running part stands on: asked again where its files have changed, or where it ends.

    Parameters
    ----------
    admission : where it is asked.
    digest, stage, name : as `Admission.permit`.
    clock : wall time.
    running : whether the part was let in before and goes on. One that does starts on a permit that was closed as well,
        so that what it traded is led to its end; `check` says at each turn that the permit is closed.

    Raises
    ------
    PermitClosed : there is one no more, and the part was not let in before; or there never was one.
    EvidenceRefused : there is none.
    """

    def __init__(
        self, admission: Admission, digest: str, *, stage: Target, name: str, clock: Clock, running: bool = False
    ) -> None:
        self._admission, self._digest, self._stage, self._name, self._clock = admission, digest, stage, name, clock
        self._seen: Seen | None = None
        try:
            self._report = self._ask()
        except PermitClosed:
            before = admission.last_permit(digest, stage=stage) if running else None
            if before is None:
                raise
            self._report = before

    @property
    def report(self) -> GateReport:
        """The gate report that it stands on, or stood on last."""
        return self._report

    @property
    def refusal(self) -> EvidenceRefused | None:
        """Why it does not hold now; None while it does."""
        try:
            self.check()
        except EvidenceRefused as refusal:
            return refusal
        return None

    def check(self) -> None:
        """Go on only where the permit still holds.

        Raises
        ------
        PermitClosed : it was refused later, was revoked, or has ended.
        EvidenceRefused : the evidence does not verify any more.
        """
        ended = self._clock.now_ns() >= self._report.valid_until_ns
        if ended or self._admission.seen(self._digest) != self._seen:
            self._report = self._ask()

    def _ask(self) -> GateReport:
        """Ask again; what the files look like is read first, so that a change on the way is asked about again."""
        seen = self._admission.seen(self._digest)
        report = self._admission.permit(self._digest, stage=self._stage, at_ns=self._clock.now_ns(), name=self._name)
        self._seen = seen
        return report
