"""Promotion: a release's bytes copied to where it may trade, and aliases moved. There is no way around the report.

A promotion stands on the last signed gate report for its target: signed by the key that is trusted here, of the head of
the release's evidence, under the policy that stands in the file now and is pinned, open now, and equal to what is
measured again at this moment. The record is written first and aliases follow it (`moves`), so that a crash in between
is finished by whoever comes next. Nothing moves an open position: the service that trades takes the new champion when
it is told to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.display import bundle as shown
from sapphire.domain.errors import EvidenceRefused, Refused
from sapphire.domain.evidence import MARKED, GateReport, GateRow, Target
from sapphire.domain.needs import need_text
from sapphire.domain.permits import RecordedReport, Trust, verify
from sapphire.registry.admission import Admission
from sapphire.registry.evidence_store import EvidenceStore
from sapphire.registry.moves import History, who
from sapphire.registry.policies import Policy
from sapphire.registry.tracking.cards import promoted_card
from sapphire.registry.versions import Version, Versions, model_name

if TYPE_CHECKING:
    from sapphire.domain.clocks import Clock

__all__ = [
    "Promoter",
    "Promotion",
    "checked_report",
    "left_version",
    "next_sequence",
    "promotable",
    "promoted_on",
    "same_as_measured",
]

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
    marks : what has to be said of it wherever it is shown.
    data : what its evidence is made of.
    valid_until_ns : when its report ends to permit; UTC nanoseconds.
    who : who asked for it, "user@host".
    """

    label: str
    source: str
    digest: str
    target: str
    before: str | None
    moved: bool
    skill_failed: bool
    marks: tuple[str, ...]
    data: str
    valid_until_ns: int
    who: str

    @property
    def caption(self) -> str:
        """One line: what is champion."""
        verb = "is now" if self.moved else "was already"
        mark = f"; {MARKED}{', '.join(self.marks)}" if self.marks else ""
        return f"{self.source} {verb} champion of {self.target} as {self.label}{mark}; {self.data}"

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return shown(self.caption, ("champion", "before", "digest"), [(self.label, self.before or "none", self.digest)])


def checked_report(
    store: EvidenceStore, digest: str, policy: Policy, admission: Admission, *, label: str
) -> tuple[RecordedReport, GateReport]:
    """The last gate report of a release for a policy's target, verified and found to be of what stands here now.

    Raises
    ------
    Refused : there is none.
    EvidenceRefused : it does not verify, or is of another release, another policy or older evidence.
    """
    target = policy.target
    recorded = store.report(digest, target)
    again = f"sapphire gates {label} --to {target}"
    if recorded is None:
        raise Refused(
            f"release {label} is not promoted to {target}",
            expected="a signed gate report",
            got="none",
            next=f"{again} measures it against mlflow/gates/{target}.yaml and signs the report",
        )
    report = verify(recorded, admission.deployment.trust(admission.home), manifest_digest=digest)
    if report.target != target or report.policy_digest != policy.digest:
        raise EvidenceRefused(
            f"the gate report of {report.name} is of another: the policy differs",
            expected=policy.digest[:_SHORT],
            got=report.policy_digest[:_SHORT],
            next=again,
        )
    records = store.records(digest)
    place = next(number for number, each in enumerate(records) if report.digest == each.facts.get("report"))
    newer = [each.kind for each in records[place:] if each.is_evidence]
    if newer:
        raise EvidenceRefused(
            f"the gate report of {label} is not of the head of its evidence",
            expected="a report on all that was recorded",
            got=f"a report made before {len(newer)} more of {', '.join(sorted(set(newer)))}",
            next=again,
        )
    return recorded, report


def same_as_measured(report: GateReport, measured: GateReport, label: str) -> None:
    """Refuse a report that says something else than what is measured now.

    Raises
    ------
    EvidenceRefused : it does; names what differs.
    """
    reported, found = ({(row.gate, row.measure): row for row in each.rows} for each in (report, measured))
    wrong = [
        f"{row.measure} {row.has}" for key, row in found.items() if key not in reported or _differ(reported[key], row)
    ]
    wrong += [f"{row.measure} is not asked any more" for key, row in reported.items() if key not in found]
    if measured.trials != report.trials:
        wrong.append(f"N = {measured.trials:,} trials")
    if measured.evidence_digest != report.evidence_digest:
        wrong.append(f"measurements {measured.evidence_digest[:_SHORT]}")
    if wrong:
        raise EvidenceRefused(
            f"the gate report of {label} is not what is measured now",
            expected=f"what the report says, with N = {report.trials:,} trials",
            got="\n".join(wrong),
            next=f"sapphire gates {label} --to {report.target}",
        )


def next_sequence(reports: Sequence[RecordedReport], target: Target) -> int:
    """The number of the next report for a target; those of earlier formats have none."""
    numbers = [0]
    for recorded in reports:
        try:
            report = GateReport.parse(recorded.data)
        except EvidenceRefused:
            continue
        numbers += [report.sequence] if report.target == target else []
    return 1 + max(numbers)


def promoted_on(store: EvidenceStore, version: Version, target: Target, trust: Trust) -> tuple[str, GateReport]:
    """The release in research that a version is, "trend@1", and the report that it was promoted on, verified.

    Raises
    ------
    EvidenceRefused : it is not here, or does not verify.
    """
    record = store.last(version.digest, "promoted", {"model": version.model})
    digest = str(record.facts["report"]) if record is not None else ""
    signed = store.report(version.digest, target, report_digest=digest)
    if record is None or signed is None:
        raise EvidenceRefused(
            f"the report that {version.label} was promoted on is not here",
            expected=f"a record of its promotion in {store.folder(version.digest)}",
            got="none",
            next="restore the evidence from a backup",
        )
    return str(record.facts["source"]), verify(signed, trust, manifest_digest=version.digest)


def left_version(history: History, leaving: str | None, find: Callable[[str], str]) -> tuple[Version, bool]:
    """What a rollback goes back to, and whether it was gone back to already.

    Parameters
    ----------
    leaving : the champion to leave, "paper.trend@2" or a release; None for the one of now.
    find : the digest of a named release.

    Raises
    ------
    Refused : nothing to go back to, or another champion than the one to leave.
    """
    stack = history.stack
    last = history.moves[-1] if history.moves else None
    label = None if leaving is None else _version_of(history, leaving, find)
    returned = last is not None and last.kind == "rolled_back" and bool(stack)
    if returned and (label is None or (label != stack[-1] and label == last.before)):  # type: ignore[union-attr]
        return history.versions[stack[-1]], True
    if label is not None and stack and label != stack[-1]:
        raise Refused(
            f"{leaving} is not champion of {history.model}",
            expected=f"the champion, {stack[-1]}",
            got=label,
            next="sapphire releases lists what is champion where",
        )
    if len(stack) < 2:
        raise Refused(
            f"{history.model} has nothing to go back to",
            expected="a champion and one before it",
            got=f"champion {stack[-1] if stack else 'none'}, previous none",
            next="sapphire releases lists what there is",
        )
    return history.versions[stack[-2]], False


def _version_of(history: History, leaving: str, find: Callable[[str], str]) -> str:
    """The label of the version of a model that is meant."""
    if leaving in history.versions:
        return leaving
    digest = find(leaving)
    found = [label for label, version in history.versions.items() if version.digest == digest]
    return found[0] if found else leaving


def _differ(reported: GateRow, found: GateRow) -> bool:
    return (reported.needs, reported.value, reported.refuses) != (found.needs, found.value, found.refuses)


def promotable(report: GateReport, label: str, *, paper_is_open: bool) -> None:
    """Refuse a release whose report does not permit its target.

    Raises
    ------
    Refused : names every gate that keeps it out, what it needs and what it has.
    """
    if report.permits == report.target:
        return
    failed = report.failed
    widths = [max(len(text) for text in column) for column in zip(*map(_words, failed), strict=True)]
    lines = []
    for row in failed:
        measure, needs, has = (text.ljust(width) for text, width in zip(_words(row), widths, strict=True))
        lines.append(f"  gate {measure}   needs {needs}   has {has}{f'   ({row.note})' if row.note else ''}".rstrip())
    where = f"the gates are in mlflow/gates/{report.target}.yaml"
    instead = f"paper is open to it (sapphire promote {label} --to paper); " if paper_is_open else ""
    what = [f"release {label} is not promoted to {report.target}", *lines]
    raise Refused("\n".join(what), next=instead + where)


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
    key_id : the key that is trusted, for the records.
    """

    versions: Versions
    store: EvidenceStore
    clock: Clock
    key_id: str

    def promote(
        self, source: Version, target: Target, signed: RecordedReport, report: GateReport, tags: Mapping[str, str]
    ) -> Promotion:
        """Copy the bytes of `source` to the target, and let `champion` point at them.

        Parameters
        ----------
        tags : lineage, for the run and the version.

        Raises
        ------
        EvidenceRefused : the bytes in research, or those at the target, are not the release.
        AccessDenied : MLflow does not permit it; nothing is recorded.
        """
        model = model_name(target, report.name)
        history = History.of(model, self.versions, self.store)
        before = self.versions.at(model, "champion")
        there = self._copied(source, model, signed, report, tags)
        self.versions.require_may_move(model, who())
        if history.champion is None or history.champion.number != there.number:
            facts = {"report": report.digest, "source": source.label}
            self._record(history, "promoted", there, history.champion, facts)
        self.settle(model)
        moved = before is None or before.number != there.number
        return _promotion(there, source.label, report, before, moved=moved)

    def roll_back(self, history: History, to: Version, report: GateReport, source: str) -> Promotion:
        """Leave the champion for one before it.

        Raises
        ------
        EvidenceRefused : the bytes of the release that comes back are not what they were.
        AccessDenied : MLflow does not permit it; nothing is recorded.
        """
        with tempfile.TemporaryDirectory() as temporary:
            self.versions.fetch(to, Path(temporary))
        self.versions.require_may_move(history.model, who())
        left = history.champion
        self._record(history, "rolled_back", to, left, {"report": report.digest, "source": source})
        self.settle(history.model)
        return _promotion(to, source, report, left, moved=True)

    def already(self, version: Version, source: str, report: GateReport, history: History) -> Promotion:
        """Finish a rollback that is recorded, where it was broken off."""
        left = history.moves[-1].before
        champion = self.versions.at(history.model, "champion")
        self.settle(history.model)
        moved = champion is None or champion.number != version.number
        before = history.versions.get(left) if left is not None else None
        return _promotion(version, source, report, before, moved=moved)

    def settle(self, model: str) -> None:
        """Let the aliases of a model follow what is recorded."""
        History.of(model, self.versions, self.store).settle(self.versions)

    def _copied(
        self, source: Version, model: str, signed: RecordedReport, report: GateReport, tags: Mapping[str, str]
    ) -> Version:
        """The version at the target with the bytes of `source`; made where it is not there."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.versions.fetch(source, Path(temporary))
            there = self.versions.with_digest(model, report.manifest_digest)
            if there is not None:
                copied = Path(temporary) / "there"
                copied.mkdir()
                self.versions.fetch(there, copied)
                return there
            all_tags = _tags(source, signed, report, tags)
            with self.versions.tracking.run(
                self.versions.client, model, f"promote {source.label}", tags=all_tags, clock=self.clock
            ) as run:
                self.versions.client.log_text(run, signed.data.decode(), "gate_report.json")
                self.versions.client.log_text(run, signed.signature.hex(), "gate_report.sig")
                card = promoted_card(report, source.label)
                return self.versions.create(model, folder, run_id=run, tags=all_tags, card=card)

    def _record(
        self, history: History, kind: str, version: Version, before: Version | None, facts: Mapping[str, Any]
    ) -> None:
        """The record first: it may say more than happened, never less."""
        more: dict[str, Any] = {
            "version": version.label,
            "model": version.model,
            "before": before.label if before else None,
        }
        more |= {"move": history.next_number, "who": who(), "key": self.key_id}
        self.store.append(version.digest, kind, at_ns=self.clock.now_ns(), facts={**facts, **more}, files={})


def _tags(source: Version, signed: RecordedReport, report: GateReport, tags: Mapping[str, str]) -> dict[str, str]:
    return {
        **tags,
        "promoted.from": f"{source.model}@{source.number}",
        "promoted.by": who(),
        "report.sha256": signed.digest,
        "report.signer": report.signer,
        "report.authority": report.authority,
        "policy.sha256": report.policy_digest,
        "permits": report.target,
        "skill_failed": str(report.skill_failed).lower(),
    }


def _promotion(version: Version, source: str, report: GateReport, before: Version | None, *, moved: bool) -> Promotion:
    return Promotion(
        label=version.label,
        source=source,
        digest=version.digest,
        target=report.target,
        before=before.label if before is not None else None,
        moved=moved,
        skill_failed=report.skill_failed,
        marks=report.marked,
        data=report.data,
        valid_until_ns=report.valid_until_ns,
        who=who(),
    )
