"""Promotion: a release's bytes copied to where it may trade, and an alias moved. There is no way around the report.

A promotion stands on the last signed gate report for its target: signed by the key that is trusted here, of this
release, under the policy that stands in the file now, on the measurements that were made last, and permitting it.
Aliases move one at a time: `previous` first, so that a crash between the two leaves a champion that was one. Nothing
moves an open position: the service that trades takes the new champion when it is told to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.display import bundle as shown
from sapphire.domain.errors import EvidenceRefused, Refused
from sapphire.domain.evidence import GateReport, GateRow, Target
from sapphire.domain.needs import need_text
from sapphire.registry.evidence_store import EvidenceStore, SignedReport
from sapphire.registry.policies import Policy
from sapphire.registry.signing import trusted_key
from sapphire.registry.versions import Version, Versions, model_name

if TYPE_CHECKING:
    from sapphire.domain.clocks import Clock

__all__ = ["Promoter", "Promotion", "checked_report", "promotable"]

_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Which release is champion now.

    Parameters
    ----------
    label : "paper.trend@2".
    source : the release in research, "trend@1".
    digest : the release.
    target : where it trades.
    before : the champion before; None where there was none.
    moved : whether anything moved; it was champion already otherwise.
    skill_failed : whether it failed to show an edge.
    data : what its evidence is made of.
    """

    label: str
    source: str
    digest: str
    target: str
    before: str | None
    moved: bool
    skill_failed: bool
    data: str

    @property
    def caption(self) -> str:
        """One line: what is champion."""
        verb = "is now" if self.moved else "was already"
        mark = "; MARKED: skill not shown" if self.skill_failed else ""
        return f"{self.source} {verb} champion of {self.target} as {self.label}{mark}; {self.data}"

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return shown(self.caption, ("champion", "before", "digest"), [(self.label, self.before or "none", self.digest)])


def checked_report(
    store: EvidenceStore, digest: str, policy: Policy, *, label: str, home: Path
) -> tuple[SignedReport, GateReport]:
    """The last gate report of a release for a policy's target, verified and found to be of what stands here now.

    Raises
    ------
    Refused : there is none.
    EvidenceRefused : it does not verify, or is of another release, another policy or older measurements.
    """
    target = policy.target
    signed = store.report(digest, target)
    again = f"sapphire gates {label} --to {target}"
    if signed is None:
        raise Refused(
            f"release {label} is not promoted to {target}",
            expected="a signed gate report",
            got="none",
            next=f"{again} measures it against mlflow/gates/{target}.yaml and signs the report",
        )
    report = signed.verify(trusted_key(home), manifest_digest=digest, policy_digest=policy.digest)
    measured = store.bundle(digest).digest
    if report.evidence_digest != measured:
        raise EvidenceRefused(
            f"the gate report of {label} is older than its measurements",
            expected=f"a report on measurements {measured[:_SHORT]}",
            got=f"a report on {report.evidence_digest[:_SHORT]}",
            next=again,
        )
    return signed, report


def refusal(report: GateReport, label: str, *, paper_is_open: bool) -> Refused:
    """The no to a release whose report does not permit its target: every gate that keeps it out, with numbers."""
    failed = report.failed
    widths = [max(len(text) for text in column) for column in zip(*map(_words, failed), strict=True)]
    lines = []
    for row in failed:
        measure, needs, has = (text.ljust(width) for text, width in zip(_words(row), widths, strict=True))
        lines.append(f"  gate {measure}   needs {needs}   has {has}{f'   ({row.note})' if row.note else ''}".rstrip())
    where = f"the gates are in mlflow/gates/{report.target}.yaml"
    instead = f"paper is open to it (sapphire promote {label} --to paper); " if paper_is_open else ""
    what = [f"release {label} is not promoted to {report.target}", *lines]
    return Refused("\n".join(what), next=instead + where)


def _words(row: GateRow) -> tuple[str, str, str]:
    return row.measure, need_text(row.needs), row.has


@dataclass(frozen=True, slots=True)
class Promoter:
    """Moves bytes and aliases. The caller holds the registry's lock.

    Parameters
    ----------
    versions : the MLflow.
    store : the evidence.
    clock : what time the records say.
    """

    versions: Versions
    store: EvidenceStore
    clock: Clock

    def promote(
        self, source: Version, target: Target, signed: SignedReport, report: GateReport, tags: Mapping[str, str]
    ) -> Promotion:
        """Copy the bytes of `source` to the target, and let `champion` point at them.

        Parameters
        ----------
        tags : lineage, for the run and the version.

        Raises
        ------
        EvidenceRefused : the bytes in research, or those at the target, are not the release.
        """
        model = model_name(target, report.name)
        before = self.versions.at(model, "champion")
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.versions.fetch(source, Path(temporary))
            there = self.versions.with_digest(model, report.manifest_digest)
            if there is None:
                told = _tags(source, signed, report, tags)
                with self.versions.tracking.run(
                    self.versions.client, model, f"promote {source.label}", tags=told, clock=self.clock
                ) as run:
                    self.versions.client.log_text(run, signed.data.decode(), "gate_report.json")
                    self.versions.client.log_text(run, signed.signature.hex(), "gate_report.sig")
                    there = self.versions.create(model, folder, run_id=run, tags=told)
            else:
                with tempfile.TemporaryDirectory() as copied:
                    self.versions.fetch(there, Path(copied))
        moved = before is None or before.number != there.number
        if moved:
            self._move(there, before, "promoted", {"report": report.digest, "source": source.label})
        return _told(there, source.label, report, before, moved=moved)

    def roll_back(self, champion: Version, previous: Version, report: GateReport, source: str) -> Promotion:
        """Let `champion` and `previous` change places.

        Raises
        ------
        EvidenceRefused : the bytes of the release that comes back are not what they were.
        """
        with tempfile.TemporaryDirectory() as temporary:
            self.versions.fetch(previous, Path(temporary))
        self._move(previous, champion, "rolled_back", {"report": report.digest, "source": source})
        return _told(previous, source, report, champion, moved=True)

    def _move(self, version: Version, before: Version | None, kind: str, facts: Mapping[str, Any]) -> None:
        """The record first: it may say more than happened, never less."""
        facts = {**facts, "version": version.label, "model": version.model, "before": before.label if before else None}
        self.store.append(version.digest, kind, at_ns=self.clock.now_ns(), facts=facts, files={})
        if before is not None:
            self.versions.point(version.model, "previous", before.number)
        self.versions.point(version.model, "champion", version.number)


def _tags(source: Version, signed: SignedReport, report: GateReport, tags: Mapping[str, str]) -> dict[str, str]:
    return {
        **tags,
        "promoted.from": f"{source.model}@{source.number}",
        "report.sha256": signed.digest,
        "report.signer": report.signer,
        "report.authority": report.authority,
        "policy.sha256": report.policy_digest,
        "permits": report.target,
        "skill_failed": str(report.skill_failed).lower(),
    }


def _told(version: Version, source: str, report: GateReport, before: Version | None, *, moved: bool) -> Promotion:
    return Promotion(
        label=version.label,
        source=source,
        digest=version.digest,
        target=report.target,
        before=before.label if before is not None else None,
        moved=moved,
        skill_failed=report.skill_failed,
        data=report.data,
    )


def promotable(report: GateReport, label: str, *, paper_is_open: bool) -> None:
    """Refuse a release whose report does not permit its target.

    Raises
    ------
    Refused : names every gate that keeps it out, what it needs and what it has.
    """
    if report.permits != report.target:
        raise refusal(report, label, paper_is_open=paper_is_open)
