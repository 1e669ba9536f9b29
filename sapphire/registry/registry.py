"""Registry: one object for what a release goes through after it was frozen.

`register` keeps its bytes and measurements, `gates` measures it against a policy and signs the report, `promote` copies
it to where it may trade, `rollback` goes back, `revoke` closes it for good, `resolve` hands its verified bytes to
whoever loads it. Whatever writes holds one lock per state folder. Known limitation: two machines that share an MLflow
server do not share that lock, and MLflow has no compare-and-set for aliases; there one promoter identity promotes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self, final

from sapphire.domain.errors import EvidenceRefused, Refused
from sapphire.domain.evidence import GateReport, Target
from sapphire.domain.permits import RecordedReport, refuse_refused
from sapphire.domain.revocations import Revocation
from sapphire.registry._workings import Workings
from sapphire.registry.admission import Admission
from sapphire.registry.anchors import check_tags
from sapphire.registry.evidence_store import EvidenceStore
from sapphire.registry.finding import find_release, is_unregistered, label_of
from sapphire.registry.gates import Issue
from sapphire.registry.ledger_anchors import LedgerAnchor, anchors_in, anchors_of
from sapphire.registry.listing import RegisteredRelease, ReleaseTable, standing_of
from sapphire.registry.measurements import EvidenceBundle
from sapphire.registry.moves import History, who
from sapphire.registry.paper_days import Measure
from sapphire.registry.promotion import (
    Promotion,
    checked_report,
    left_version,
    next_sequence,
    promotable,
    promoted_on,
    same_as_measured,
)
from sapphire.registry.record_lines import FIRST
from sapphire.registry.release_files import keep_release, read_manifest
from sapphire.registry.revoking import add_revocation, check_signer
from sapphire.registry.sharing import bring_release, send_release
from sapphire.registry.signing import sign
from sapphire.registry.tracking.cards import submitted_card
from sapphire.registry.versions import Version, Versions, model_name, traded_model

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest

__all__ = ["Registry"]

_SHORT = 12
_NS_PER_MS = 1_000_000


@final
class Registry:
    """The registry of a state folder.

    How trials are counted, days witnessed and reports signed is the platform's to say and no parameter. One that was
    opened with nothing but its folder lists, keeps and finds; `sapphire.research.ledger.counting.registry_of` gives the
    one that measures.

    Parameters
    ----------
    home : `$SAPPHIRE_HOME`.
    """

    __slots__ = ("_workings",)

    def __init__(self, home: Path) -> None:
        self._workings = Workings(home)

    @classmethod
    def _of(cls, workings: Workings) -> Self:
        """The registry that the platform wired."""
        registry = cls(workings.home)
        registry._workings = workings
        return registry

    def __repr__(self) -> str:
        return f"Registry(home={self.home!r})"

    @property
    def home(self) -> Path:
        """Its state folder."""
        return self._workings.home

    @property
    def store(self) -> EvidenceStore:
        """The evidence beside the releases."""
        return self._workings.store

    @property
    def admission(self) -> Admission:
        """What admits releases of this state folder."""
        return self._workings.admission

    def folder(self, digest: str) -> Path:
        """Where this state folder keeps the bytes of a release."""
        return self._workings.folder(digest)

    def register(
        self,
        folder: Path,
        bundle: EvidenceBundle,
        *,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, object] | None = None,
        model_calls: bytes = b"",
    ) -> RegisteredRelease:
        """Keep a frozen release and what was measured of it: locally, and in MLflow as one run and one version.

        The same release with the same measurements is registered once. New measurements of it are one more run and one
        more record; the version stays.

        Parameters
        ----------
        folder : the release, as it was frozen.
        tags, metrics, params : noted on the run beside lineage and measurements, which they cannot replace.
        model_calls : kept beside the measurements; see `EvidenceStore.add_bundle`.

        Raises
        ------
        EvidenceRefused : the folder does not verify, or the measurements are of another release.
        ConfigError : MLflow does not answer. The measurements are kept: registered again, nothing is measured again.
        """
        manifest = read_manifest(folder)
        if bundle.manifest_digest != manifest.digest:
            raise EvidenceRefused(
                f"the measurements are of another release than {manifest.name}",
                expected=manifest.digest[:_SHORT],
                got=bundle.manifest_digest[:_SHORT],
                next="measure the release that was frozen",
            )
        keep_release(folder, self.folder(manifest.digest))
        send_release(self.folder(manifest.digest))
        all_tags = {**(tags or {}), **self._workings.lineage(bundle)}
        with self._workings.lock():
            # kept before MLflow is asked: what was measured outlives a server that does not answer
            self.store.add_bundle(bundle, at_ns=self._workings.now_ns, model_calls=model_calls)
            new = is_unregistered(self.store, manifest.digest)
            versions = self._workings.versions_of(manifest.name)
            version = versions.with_digest(model_name("research", manifest.name), manifest.digest)
            known = self.store.last(manifest.digest, "registered")
            if version is not None:
                check_tags(versions, manifest.name, manifest.digest, self.store.heads(manifest.digest))
            if version is not None and known is not None and not new:
                return RegisteredRelease(manifest.name, version.number, manifest.digest, str(known.facts["run_id"]))
            return self._register(versions, version, manifest, bundle, all_tags, metrics or {}, params or {})

    def releases(self) -> ReleaseTable:
        """Every version of every release, and what the evidence here says of it."""
        versions = tuple(self._workings.known().all())
        now_ns, admission = self._workings.now_ns, self.admission
        standings = {each.digest: standing_of(admission, each.digest, each.name, now_ns) for each in versions}
        return ReleaseTable(versions, standings)

    def find(self, release: str) -> str:
        """Digest of a release named "trend@1", by its digest, or by the first eight or more digits of it.

        Raises
        ------
        Refused : no such release here, or several.
        """
        self._workings.bring()
        return find_release(self.store, release)

    def label(self, digest: str) -> str:
        """What a registered release is called, "trend@1"; the start of its digest where it is not registered."""
        return label_of(self.store, digest)

    def gates(self, release: str, *, to: Target) -> GateReport:
        """Measure a release against the policy for a target, sign the report and keep it.

        Raises
        ------
        EvidenceRefused : its bytes or its evidence do not verify, or the key here is not the trusted one.
        Refused : its symbols cannot be traded on the market that its evidence is of.
        ConfigError : there is something in the policy that is none.
        """
        digest = self.find(release)
        policy, key = self._workings.policy(to), self._workings.signing_key()
        admission = self.admission
        trust = admission.deployment.trust(self.home)
        check_signer(key, trust)
        with self._workings.lock():
            heads = self._workings.checked_heads(admission, digest)
            issue = Issue(
                record_head=heads[-1] if heads else FIRST,
                sequence=next_sequence(self.store.reports(digest), to),
                at_ns=self._workings.now_ns,
                revocations=admission.deployment.revocations(self.home, trust).sequence,
            )
            report = self._workings.evaluate(digest, policy, trust, issue)
            self.store.add_report(report, sign(report, key), at_ns=issue.at_ns)
            self._workings.anchor(digest)
        self._workings.note_gates(report, self.label(digest))
        return report

    def report(self, release: str, *, to: Target) -> tuple[RecordedReport, GateReport]:
        """The gate report that a release stands on for `to`, as `Admission.permit`.

        Raises
        ------
        EvidenceRefused : there is none, it does not verify, or it does not open the target now.
        """
        digest = self.find(release)
        report = self.admission.permit(digest, stage=to, at_ns=self._workings.now_ns, name=self.label(digest))
        (recorded,) = (each for each in self.store.reports(digest) if each.data == report.canonical)
        return recorded, report

    def record_paper_days(self, release: str, run: Path, measure: Measure) -> int:
        """Compute the days of a run of a release and keep each of them, good or bad; how many say anything new.

        Parameters
        ----------
        run : the run's folder, with the engine's journal in it.
        measure : computes the days from there; the room above has it.

        Raises
        ------
        EvidenceRefused : the run is of another release, or the evidence that is there does not verify.
        """
        digest = self.find(release)
        traded, days = measure(run)
        if traded != digest:
            raise EvidenceRefused(
                f"the run in {run} is of another release than {self.label(digest)}",
                expected=digest[:_SHORT],
                got=traded[:_SHORT],
                next="record its days beside the release that traded it",
            )
        with self._workings.lock():
            self._workings.checked_heads(self.admission, digest)
            added = sum(self.store.add_parity(digest, day, at_ns=self._workings.now_ns) for day in days)
            self._workings.anchor(digest)
        return added

    def promote(self, release: str, *, to: Target) -> Promotion:
        """Copy a release to `to` and make it champion there, on a signed report that permits it and still holds.

        Raises
        ------
        Refused : no report, or one that does not permit it; names every gate that keeps it out. Symbols that cannot be
            traded on the market that its evidence is of.
        EvidenceRefused : the report, the evidence or the bytes do not verify, or something else is measured now.
        AccessDenied : MLflow does not permit it to this user; nothing moved, and nothing says that it did.
        """
        digest = self.find(release)
        label, policy, admission = self.label(digest), self._workings.policy(to), self.admission
        with self._workings.lock():
            self._workings.manifest(digest)
            self._workings.checked_heads(admission, digest)
            signed, report = checked_report(self.store, digest, policy, admission, label=label)
            trust = admission.deployment.trust(self.home)
            promotable(report, label, paper_is_open=self._workings.paper_is_open(digest, report, trust))
            admission.permit(digest, stage=to, at_ns=self._workings.now_ns, name=report.name)
            same_as_measured(report, self._workings.evaluate(digest, policy, trust, Issue()), label)
            versions = self._workings.versions_of(report.name)
            check_tags(versions, report.name, digest, self.store.heads(digest))
            source = versions.with_digest(model_name("research", report.name), digest)
            if source is None:
                raise Refused(
                    f"release {label} is not in the registry",
                    expected=f"a version of research.{report.name}",
                    got="none with this digest",
                    next="study.submit(agent) registers it again",
                )
            tags = self._workings.lineage(self.store.bundle(digest))
            done = self._workings.promoter(versions, report.signer).promote(source, to, signed, report, tags)
            self._workings.anchor(digest, versions, source)
        return done

    def is_promoted(self, digest: str, name: str, *, to: Target) -> bool:
        """Whether a release is champion of "paper.NAME" or "live.NAME", or one that it can go back to."""
        history = History.of(model_name(to, name), self._workings.known(), self.store)
        return any(history.versions[label].digest == digest for label in history.stack)

    def rollback(self, model: str, *, leaving: str | None = None) -> Promotion:
        """Let the champion before come back to "paper.NAME" or "live.NAME"; asked again, it goes no further.

        The release that comes back is verified like one that goes forward, but for the policy and the end of its
        permit: a door asks for those. What trades is told by whoever trades; nothing resumes by itself.

        Parameters
        ----------
        leaving : the champion that is left, "paper.trend@2" or a release; the one of now unless given.

        Raises
        ------
        Refused : nothing to go back to, or another champion than the one to leave.
        EvidenceRefused : the report or the bytes of the release that comes back do not verify, or it was revoked.
        """
        target: Target = "live" if traded_model(model).startswith("live.") else "paper"
        admission = self.admission
        with self._workings.lock():
            versions = self._workings.versions()
            history = History.of(model, versions, self.store)
            to, again = left_version(history, leaving, self.find)
            trust = admission.deployment.trust(self.home)
            check_tags(versions, to.name, to.digest, self.store.heads(to.digest))
            source, report = promoted_on(self.store, to, target, trust)
            admission.deployment.revocations(self.home, trust).refuse(to.digest, to.name)
            refuse_refused(self.store.reports(to.digest), trust, manifest_digest=to.digest, stage=target)
            promoter = self._workings.promoter(versions, report.signer)
            if again:
                return promoter.already(to, source, report, history)
            done = promoter.roll_back(history, to, report, source)
            self._workings.anchor(to.digest, versions, to)
        return done

    def revoke(self, release: str, *, why: str) -> Revocation:
        """Close a release for good, at every door that trusts this key; asked again, it changes nothing.

        Raises
        ------
        Refused : no such release, or no reason.
        EvidenceRefused : the list of revocations does not verify, or the key here is not the trusted one.
        """
        digest = self.find(release)
        name, key, admission = self.label(digest), self._workings.signing_key(), self.admission
        if not why.strip():
            raise Refused(f"no reason to revoke {name}", expected="a reason", got="none", next="--why says it")
        trust = admission.deployment.trust(self.home)
        now_ns = self._workings.now_ns
        with self._workings.lock():
            entry = Revocation(manifest_digest=digest, name=name, why=why.strip(), who=who(), at_ns=now_ns)
            entry, new = add_revocation(admission, trust, key, entry)
            if new:
                facts = {"why": entry.why, "who": entry.who, "key": key.id}
                self.store.append(digest, "revoked", at_ns=now_ns, facts=facts, files={})
                self._workings.anchor(digest)
            versions = self._workings.versions()
            for version in versions.all():
                if version.digest == digest:
                    versions.note(version, "revoked", f"{entry.why} ({entry.who})")
        return entry

    def resolve(self, model: str, alias: str = "champion") -> Path:
        """Folder with the verified bytes of the release that an alias of "paper.NAME" points at.

        Raises
        ------
        Refused : no such alias.
        EvidenceRefused : the bytes do not verify.
        """
        version = self._workings.known().at(model, alias)
        if version is None:
            raise Refused(
                f"{model} has no {alias}",
                expected="an alias that points at a version",
                got="none",
                next="sapphire releases lists them",
            )
        bring_release(self.home, version.digest)
        target = self.folder(version.digest)
        self._workings.versions().have(version, target)
        return target

    def ledger_anchors(self) -> tuple[LedgerAnchor, ...]:
        """How far the trial ledger reached whenever something was counted on it, as evidence and MLflow keep it."""
        return *anchors_in(self.store), *anchors_of(self._workings.versions(), self.home)

    def _register(
        self,
        versions: Versions,
        version: Version | None,
        manifest: Manifest,
        bundle: EvidenceBundle,
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        params: Mapping[str, object],
    ) -> RegisteredRelease:
        model = model_name("research", manifest.name)
        with versions.tracking.run(
            versions.client, model, f"submit {manifest.name}", tags=tags, clock=self._workings.clock
        ) as run:
            versions.client.log_text(run, bundle.canonical.decode(), "evidence.json")
            if version is None:
                card = submitted_card(manifest, bundle)
                version = versions.create(model, self.folder(manifest.digest), run_id=run, tags=tags, card=card)
            versions.log(
                run,
                version,
                params,
                {**metrics, **bundle.metrics()},
                dataset=(bundle.data, bundle.integrity.snapshot_hash),
                at_ms=self._workings.now_ns // _NS_PER_MS,
            )
            versions.point(model, "challenger", version.number)
        made = RegisteredRelease(manifest.name, version.number, manifest.digest, run)
        facts = {"name": made.name, "version": made.version, "run_id": run, "model": model}
        self.store.append(manifest.digest, "registered", at_ns=self._workings.now_ns, facts=facts, files={})
        self._workings.anchor(manifest.digest, versions, version)
        return made
