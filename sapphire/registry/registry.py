"""Registry: one object for what a release goes through after it was frozen.

`register` keeps its bytes and measurements, `gates` measures it against a policy and signs the report, `promote` copies
it to where it may trade, `rollback` goes back, `revoke` closes it for good, `resolve` hands its verified bytes to
whoever loads it. Whatever writes holds one lock per state folder. Known limitation: two machines that share an MLflow
server do not share that lock, and MLflow has no compare-and-set for aliases; there one promoter identity promotes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.data.durable import locked
from sapphire.domain.clocks import Clock, WallClock
from sapphire.domain.errors import ConfigError, EvidenceRefused, Refused
from sapphire.domain.evidence import GateReport, Target, key_id
from sapphire.domain.permits import RecordedReport, Trust, refuse_refused
from sapphire.domain.revocations import Revocation
from sapphire.registry.anchors import Anchors, check_tags, note_tag
from sapphire.registry.doors import Door
from sapphire.registry.environment import GitState
from sapphire.registry.evidence_store import FIRST, EvidenceStore
from sapphire.registry.finding import find_release, label_of
from sapphire.registry.gates import Issue, evaluate_gates
from sapphire.registry.ledger_anchors import LedgerAnchor, anchors_in, anchors_of, ledger_tags
from sapphire.registry.listing import RegisteredRelease, ReleaseTable, standing_of
from sapphire.registry.measurements import EvidenceBundle, WalkForwardEvidence
from sapphire.registry.moves import History, who
from sapphire.registry.paper_days import Measure, PaperDays, Witness
from sapphire.registry.policies import Policy, installed_policies, load_policy
from sapphire.registry.promotion import (
    Promoter,
    Promotion,
    checked_report,
    left_version,
    next_sequence,
    promotable,
    promoted_on,
    same_as_measured,
)
from sapphire.registry.release_files import keep_release, read_manifest
from sapphire.registry.revoking import add_revocation, check_signer
from sapphire.registry.signing import SigningKey, sign, signing_key
from sapphire.registry.tracking import Tracking, lineage_tags, notebook_name
from sapphire.registry.trust import Deployment
from sapphire.registry.versions import Version, Versions, model_name, traded_model

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest

__all__ = ["Registry"]

_SHORT = 12
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry of a state folder.

    Parameters
    ----------
    home : `$SAPPHIRE_HOME`.
    policies : folder of the gate policies; the workspace's `mlflow/gates`, else the repository's, unless given.
    clock : what time records and runs say.
    witness : compares a recorded paper day with its journal; without one no such day counts.
    environment : where `MLFLOW_TRACKING_URI` and the notebook's name are looked up; the process's own unless given.
    count : the walk-forward evidence of a bundle with the trials counted now, at each gate; research hands it in.
        Without it nothing is measured against a policy.
    key : signs; the user's own, in the configuration folder, unless given.
    deployment : what is trusted; as settings and environment say unless given.
    """

    home: Path
    policies: Path | None = None
    clock: Clock = field(default_factory=WallClock, repr=False)
    witness: Witness | None = field(default=None, repr=False, hash=False)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False, hash=False)
    count: Callable[[EvidenceBundle], WalkForwardEvidence] | None = field(default=None, repr=False)
    key: SigningKey | None = field(default=None, repr=False)
    deployment: Deployment | None = field(default=None, repr=False)

    @property
    def store(self) -> EvidenceStore:
        """The evidence beside the releases."""
        return EvidenceStore(self.home / "evidence")

    @property
    def door(self) -> Door:
        """The door of this state folder."""
        return Door(self.home, self.deployment or Deployment.read(installed=self._policies()))

    def folder(self, digest: str) -> Path:
        """Where this state folder keeps the bytes of a release."""
        return self.home / "releases" / digest

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
        told = {**(tags or {}), **self._lineage(bundle)}
        with self._lock():
            versions = self._versions()
            new = self.store.add_bundle(bundle, at_ns=self.clock.now_ns(), model_calls=model_calls)
            version = versions.with_digest(model_name("research", manifest.name), manifest.digest)
            known = self.store.last(manifest.digest, "registered")
            if version is not None:
                check_tags(versions, manifest.name, manifest.digest, self.store.heads(manifest.digest))
            if version is not None and known is not None and not new:
                return RegisteredRelease(manifest.name, version.number, manifest.digest, str(known.facts["run_id"]))
            return self._register(versions, version, manifest, bundle, told, metrics or {}, params or {})

    def releases(self) -> ReleaseTable:
        """Every version of every release, and what the evidence here says of it."""
        versions = tuple(self._versions().all())
        now_ns, door = self.clock.now_ns(), self.door
        standings = {each.digest: standing_of(door, each.digest, each.name, now_ns) for each in versions}
        return ReleaseTable(versions, standings)

    def find(self, release: str) -> str:
        """Digest of a release named "trend@1", by its digest, or by the first eight or more digits of it.

        Raises
        ------
        Refused : no such release here, or several.
        """
        return find_release(self.store, release)

    def label(self, digest: str) -> str:
        """What a registered release is called, "trend@1"; the start of its digest where it is not registered."""
        return label_of(self.store, digest)

    def gates(self, release: str, *, to: Target) -> GateReport:
        """Measure a release against the policy for a target, sign the report and keep it.

        Raises
        ------
        EvidenceRefused : its bytes or its evidence do not verify, or the key here is not the trusted one.
        ConfigError : there is something in the policy that is none.
        """
        digest = self.find(release)
        policy, key = load_policy(self._policies(), to), self._key()
        door = self.door
        trust = door.deployment.trust(self.home)
        check_signer(key, trust)
        with self._lock():
            heads = self._checked_heads(door, digest)
            issue = Issue(
                record_head=heads[-1] if heads else FIRST,
                sequence=next_sequence(self.store.reports(digest), to),
                at_ns=self.clock.now_ns(),
                revocations=door.deployment.revocations(self.home, trust).sequence,
            )
            report = self._evaluate(digest, policy, trust, issue)
            self.store.add_report(report, sign(report, key), at_ns=issue.at_ns)
            self._anchor(digest)
        return report

    def report(self, release: str, *, to: Target) -> tuple[RecordedReport, GateReport]:
        """The gate report that a release stands on at a door for `to`, as `Door.permit`.

        Raises
        ------
        EvidenceRefused : there is none, it does not verify, or it does not open the target now.
        """
        digest = self.find(release)
        report = self.door.permit(digest, stage=to, at_ns=self.clock.now_ns(), name=self.label(digest))
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
        with self._lock():
            self._checked_heads(self.door, digest)
            added = sum(self.store.add_parity(digest, day, at_ns=self.clock.now_ns()) for day in days)
            self._anchor(digest)
        return added

    def promote(self, release: str, *, to: Target) -> Promotion:
        """Copy a release to `to` and make it champion there, on a signed report that permits it and still holds.

        Raises
        ------
        Refused : no report, or one that does not permit it; names every gate that keeps it out.
        EvidenceRefused : the report, the evidence or the bytes do not verify, or something else is measured now.
        """
        digest = self.find(release)
        label, policy, door = self.label(digest), load_policy(self._policies(), to), self.door
        with self._lock():
            read_manifest(self.folder(digest), digest=digest)
            self._checked_heads(door, digest)
            signed, report = checked_report(self.store, digest, policy, door, label=label)
            trust = door.deployment.trust(self.home)
            promotable(report, label, paper_is_open=self._paper_is_open(digest, report, trust))
            door.permit(digest, stage=to, at_ns=self.clock.now_ns(), name=report.name)
            same_as_measured(report, self._evaluate(digest, policy, trust, Issue()), label)
            versions = self._versions()
            check_tags(versions, report.name, digest, self.store.heads(digest))
            source = versions.with_digest(model_name("research", report.name), digest)
            if source is None:
                raise Refused(
                    f"release {label} is not in the registry",
                    expected=f"a version of research.{report.name}",
                    got="none with this digest",
                    next="study.submit(agent) registers it again",
                )
            tags = self._lineage(self.store.bundle(digest))
            done = self._promoter(versions, report.signer).promote(source, to, signed, report, tags)
            self._anchor(digest, versions, source)
        return done

    def is_promoted(self, digest: str, name: str, *, to: Target) -> bool:
        """Whether a release is champion of "paper.NAME" or "live.NAME", or one that it can go back to."""
        history = History.of(model_name(to, name), self._versions(), self.store)
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
        door = self.door
        with self._lock():
            versions = self._versions()
            history = History.of(model, versions, self.store)
            to, again = left_version(history, leaving, self.find)
            trust = door.deployment.trust(self.home)
            check_tags(versions, to.name, to.digest, self.store.heads(to.digest))
            source, report = promoted_on(self.store, to, target, trust)
            door.deployment.revocations(self.home, trust).refuse(to.digest, to.name)
            refuse_refused(self.store.reports(to.digest), trust, manifest_digest=to.digest, stage=target)
            promoter = self._promoter(versions, report.signer)
            if again:
                return promoter.already(to, source, report, history)
            done = promoter.roll_back(history, to, report, source)
            self._anchor(to.digest, versions, to)
        return done

    def revoke(self, release: str, *, why: str) -> Revocation:
        """Close a release for good, at every door that trusts this key; asked again, it changes nothing.

        Raises
        ------
        Refused : no such release, or no reason.
        EvidenceRefused : the list of revocations does not verify, or the key here is not the trusted one.
        """
        digest = self.find(release)
        name, key, door = self.label(digest), self._key(), self.door
        if not why.strip():
            raise Refused(f"no reason to revoke {name}", expected="a reason", got="none", next="--why says it")
        trust = door.deployment.trust(self.home)
        now_ns = self.clock.now_ns()
        with self._lock():
            entry = Revocation(manifest_digest=digest, name=name, why=why.strip(), who=who(), at_ns=now_ns)
            entry, new = add_revocation(door, trust, key, entry)
            if new:
                facts = {"why": entry.why, "who": entry.who, "key": key.id}
                self.store.append(digest, "revoked", at_ns=now_ns, facts=facts, files={})
                self._anchor(digest)
            versions = self._versions()
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
        versions = self._versions()
        version = versions.at(model, alias)
        if version is None:
            raise Refused(
                f"{model} has no {alias}",
                expected="an alias that points at a version",
                got="none",
                next="sapphire releases lists them",
            )
        target = self.folder(version.digest)
        versions.have(version, target)
        return target

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
            versions.client, model, f"submit {manifest.name}", tags=tags, clock=self.clock
        ) as run:
            versions.client.log_text(run, bundle.canonical.decode(), "evidence.json")
            if version is None:
                version = versions.create(model, self.folder(manifest.digest), run_id=run, tags=tags)
            versions.log(
                run,
                version,
                params,
                {**metrics, **bundle.metrics()},
                dataset=(bundle.data, bundle.integrity.snapshot_hash),
                at_ms=self.clock.now_ns() // _NS_PER_MS,
            )
            versions.point(model, "challenger", version.number)
        made = RegisteredRelease(manifest.name, version.number, manifest.digest, run)
        facts = {"name": made.name, "version": made.version, "run_id": run, "model": model}
        self.store.append(manifest.digest, "registered", at_ns=self.clock.now_ns(), facts=facts, files={})
        self._anchor(manifest.digest, versions, version)
        return made

    def _evaluate(self, digest: str, policy: Policy, trust: Trust, issue: Issue) -> GateReport:
        manifest = read_manifest(self.folder(digest), digest=digest)
        bundle = self.store.bundle(digest)
        return evaluate_gates(
            manifest,
            bundle,
            policy,
            parity=PaperDays.seen_by(self.witness, digest, self.store.parity(digest)),
            signer=key_id(trust.public_key),
            authority=trust.authority,
            counted=self._counted(bundle),
            issue=issue,
        )

    def ledger_anchors(self) -> tuple[LedgerAnchor, ...]:
        """How far the trial ledger reached whenever something was counted on it, as evidence and MLflow keep it."""
        return *anchors_in(self.store), *anchors_of(self._versions(), self.home)

    def _counted(self, bundle: EvidenceBundle) -> WalkForwardEvidence:
        """The trials as they are now.

        Raises
        ------
        ConfigError : nobody handed in how to count them.
        LedgerDamaged : the ledger is not the one that evidence was counted on.
        """
        if self.count is None:
            raise ConfigError(
                "no trial ledger to count on",
                expected="a registry that research handed its ledger to",
                got="none",
                next="release.gates(...) in a notebook, or sapphire gates and promote",
            )
        return self.count(bundle)

    def _paper_is_open(self, digest: str, report: GateReport, trust: Trust) -> bool:
        if report.target == "paper" or report.permits is not None:
            return False
        return self._evaluate(digest, load_policy(self._policies(), "paper"), trust, Issue()).permits == "paper"

    def _checked_heads(self, door: Door, digest: str) -> tuple[str, ...]:
        """The digest of each line of a record that goes on from where it was."""
        heads = self.store.heads(digest)
        Anchors(door.deployment.key.parent, self.home).check(digest, heads)
        return heads

    def _anchor(self, digest: str, versions: Versions | None = None, version: Version | None = None) -> None:
        """Remember beside the key, and on a version, how far a record has come."""
        heads = self.store.heads(digest)
        Anchors(self.door.deployment.key.parent, self.home).note(digest, heads)
        if versions is not None and version is not None:
            note_tag(versions, version, heads)

    def _lineage(self, bundle: EvidenceBundle) -> dict[str, str]:
        return lineage_tags(
            git=GitState(bundle.integrity.git_commit, bundle.integrity.dirty),
            notebook=notebook_name(self.environment),
            snapshot_hash=bundle.integrity.snapshot_hash,
            data=bundle.data,
            engine_version=bundle.engine_version,
        ) | ledger_tags(bundle, self.home)

    def _promoter(self, versions: Versions, signer: str) -> Promoter:
        return Promoter(versions, self.store, self.clock, signer)

    def _key(self) -> SigningKey:
        return self.key or signing_key()

    def _policies(self) -> Path:
        return self.policies or installed_policies()

    def _versions(self) -> Versions:
        return Versions.of(Tracking.of(self.home, self.environment))

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self.home / "mlflow" / "registry.lock")
