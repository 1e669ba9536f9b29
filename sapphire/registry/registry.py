"""Registry: one object for what a release goes through after it was frozen.

`register` keeps its bytes and measurements, `gates` measures it against a policy and signs the report, `promote` copies
it to where it may trade, `rollback` goes back, `resolve` hands its verified bytes to whoever loads it. Whatever writes
holds one lock per state folder. Known limitation: two machines that share an MLflow server do not share that lock, and
MLflow has no compare-and-set for aliases; there one promoter identity promotes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.data.durable import locked
from sapphire.domain.canonical import is_sha256
from sapphire.domain.clocks import Clock, WallClock
from sapphire.domain.errors import ConfigError, EvidenceRefused, Refused
from sapphire.domain.evidence import LAPTOP_KEY, GateReport, Target
from sapphire.registry.environment import GitState
from sapphire.registry.evidence_store import EvidenceStore, SignedReport
from sapphire.registry.gates import evaluate_gates
from sapphire.registry.ledger_anchors import LedgerAnchor, anchors_in, anchors_of, ledger_tags
from sapphire.registry.listing import RegisteredRelease, ReleaseTable, standing_of
from sapphire.registry.measurements import EvidenceBundle, WalkForwardEvidence
from sapphire.registry.paper_days import Measure, PaperDays, Witness
from sapphire.registry.policies import Policy, load_policy, policy_folder
from sapphire.registry.promotion import Promoter, Promotion, checked_report, promotable
from sapphire.registry.release_files import keep_release, read_manifest
from sapphire.registry.signing import sign, signing_key, trusted_key
from sapphire.registry.tracking import Tracking, lineage_tags, notebook_name
from sapphire.registry.versions import Version, Versions, model_name, traded_model

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest

__all__ = ["Registry"]

_LABEL = re.compile(r"(?:research\.)?(?P<name>[a-z0-9][a-z0-9_-]*)@(?P<version>[1-9][0-9]*)", re.ASCII)
_PREFIX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
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
    count : the walk-forward evidence of a bundle with the trials counted now; research hands it in. Without it nothing
        is measured against a policy.
    """

    home: Path
    policies: Path | None = None
    clock: Clock = field(default_factory=WallClock, repr=False)
    witness: Witness | None = field(default=None, repr=False, hash=False)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False, hash=False)
    count: Callable[[EvidenceBundle], WalkForwardEvidence] | None = field(default=None, repr=False)

    @property
    def store(self) -> EvidenceStore:
        """The evidence beside the releases."""
        return EvidenceStore(self.home / "evidence")

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
    ) -> RegisteredRelease:
        """Keep a frozen release and what was measured of it: locally, and in MLflow as one run and one version.

        The same release with the same measurements is registered once. New measurements of it are one more run and one
        more record; the version stays.

        Parameters
        ----------
        folder : the release, as it was frozen.
        tags, metrics, params : noted on the run beside lineage and measurements, which they cannot replace.

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
            new = self.store.add_bundle(bundle, at_ns=self.clock.now_ns())
            version = versions.with_digest(model_name("research", manifest.name), manifest.digest)
            known = self.store.last(manifest.digest, "registered")
            if version is not None and known is not None and not new:
                return RegisteredRelease(manifest.name, version.number, manifest.digest, str(known.facts["run_id"]))
            return self._register(versions, version, manifest, bundle, told, metrics or {}, params or {})

    def releases(self) -> ReleaseTable:
        """Every version of every release, and what the evidence here says of it."""
        versions = tuple(self._versions().all())
        try:
            key = trusted_key(self.home)
        except EvidenceRefused:  # nothing was signed here yet
            key = None
        return ReleaseTable(versions, {each.digest: standing_of(self.store, each.digest, key) for each in versions})

    def find(self, release: str) -> str:
        """Digest of a release named "trend@1", by its digest, or by the first eight or more digits of it.

        Raises
        ------
        Refused : no such release here, or several.
        """
        if is_sha256(release) and release in self.store.digests():
            return release
        damaged: list[str] = []
        label = _LABEL.fullmatch(release)
        if label:
            found, damaged = self._registered_as(label["name"], int(label["version"]))
        else:
            prefix = release if _PREFIX.fullmatch(release) else "none"
            found = [digest for digest in self.store.digests() if digest.startswith(prefix)]
        if len(found) != 1:
            got = [digest[:_SHORT] for digest in found] or ["none of that name"]
            got += [f"and evidence of {digest[:_SHORT]} that does not verify" for digest in damaged]
            raise Refused(
                f"no release {release} here" if not found else f"{release} names {len(found)} releases",
                expected="NAME@VERSION of a submitted release, or its digest",
                got=", ".join(got),
                next="sapphire releases lists them",
            )
        return found[0]

    def label(self, digest: str) -> str:
        """What a registered release is called, "trend@1"; the start of its digest where it is not registered."""
        record = self.store.last(digest, "registered")
        return f"{record.facts['name']}@{record.facts['version']}" if record is not None else digest[:_SHORT]

    def gates(self, release: str, *, to: Target) -> GateReport:
        """Measure a release against the policy for a target, sign the report and keep it.

        Raises
        ------
        EvidenceRefused : its bytes or its evidence do not verify.
        ConfigError : there is something in the policy that is none.
        """
        digest = self.find(release)
        policy = load_policy(self._policies(), to)
        key = signing_key(self.home)
        report = self._evaluate(digest, policy, signer=key.id)
        self.store.add_report(report, sign(report, key), at_ns=self.clock.now_ns())
        return report

    def report(self, release: str, *, to: Target) -> tuple[SignedReport, GateReport]:
        """The gate report that a door asks for: the last for a target, signed by the trusted key, permitting it.

        Raises
        ------
        EvidenceRefused : there is none, it does not verify, or it does not permit the target.
        """
        digest = self.find(release)
        signed = self.store.report(digest, to)
        if signed is None:
            raise EvidenceRefused(
                f"release {self.label(digest)} has no gate report for {to}",
                expected="a signed gate report",
                got="none",
                next=f"sapphire gates {self.label(digest)} --to {to}",
            )
        return signed, signed.verify(trusted_key(self.home), manifest_digest=digest, permits=to)

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
            return sum(self.store.add_parity(digest, day, at_ns=self.clock.now_ns()) for day in days)

    def promote(self, release: str, *, to: Target) -> Promotion:
        """Copy a release to `to` and make it champion there, on a signed report that permits it.

        Raises
        ------
        Refused : no report, or one that does not permit it; names every gate that keeps it out.
        EvidenceRefused : the report, the evidence or the bytes do not verify; names what differs.
        """
        digest = self.find(release)
        label = self.label(digest)
        policy = load_policy(self._policies(), to)
        with self._lock():
            read_manifest(self.folder(digest), digest=digest)
            signed, report = checked_report(self.store, digest, policy, label=label, home=self.home)
            self._counted(self.store.bundle(digest))  # a ledger that was cut promotes nothing
            promotable(report, label, paper_is_open=self._paper_is_open(digest, report))
            versions = self._versions()
            source = versions.with_digest(model_name("research", report.name), digest)
            if source is None:
                raise Refused(
                    f"release {label} is not in the registry",
                    expected=f"a version of research.{report.name}",
                    got="none with this digest",
                    next="study.submit(agent) registers it again",
                )
            tags = self._lineage(self.store.bundle(digest))
            return Promoter(versions, self.store, self.clock).promote(source, to, signed, report, tags)

    def rollback(self, model: str) -> Promotion:
        """Let champion and previous of "paper.NAME" or "live.NAME" change places.

        The release that comes back is verified like one that goes forward, but for the policy: it stands on the report
        that it was promoted on. What trades is told by whoever trades; nothing resumes by itself.

        Raises
        ------
        Refused : nothing to go back to.
        EvidenceRefused : the report or the bytes of the release that comes back do not verify.
        """
        target: Target = "live" if traded_model(model).startswith("live.") else "paper"
        with self._lock():
            versions = self._versions()
            champion, previous = versions.at(model, "champion"), versions.at(model, "previous")
            if champion is None or previous is None:
                raise Refused(
                    f"{model} has nothing to go back to",
                    expected="a champion and one before it",
                    got=f"champion {_name(champion)}, previous {_name(previous)}",
                    next="sapphire releases lists what there is",
                )
            record = self.store.last(previous.digest, "promoted", {"model": model})
            digest = str(record.facts["report"]) if record is not None else ""
            signed = self.store.report(previous.digest, target, report_digest=digest)
            if record is None or signed is None:
                raise EvidenceRefused(
                    f"the report that {previous.label} was promoted on is not here",
                    expected=f"a record of its promotion in {self.store.folder(previous.digest)}",
                    got="none",
                    next="restore the evidence from a backup",
                )
            report = signed.verify(trusted_key(self.home), manifest_digest=previous.digest, permits=target)
            promoter = Promoter(versions, self.store, self.clock)
            return promoter.roll_back(champion, previous, report, str(record.facts["source"]))

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
        return made

    def _evaluate(self, digest: str, policy: Policy, *, signer: str) -> GateReport:
        manifest = read_manifest(self.folder(digest), digest=digest)
        bundle = self.store.bundle(digest)
        parity = PaperDays.seen_by(self.witness, digest, self.store.parity(digest))
        counted = self._counted(bundle)
        return evaluate_gates(
            manifest, bundle, policy, parity=parity, signer=signer, authority=LAPTOP_KEY, counted=counted
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

    def _paper_is_open(self, digest: str, report: GateReport) -> bool:
        if report.target == "paper":
            return False
        return self._evaluate(digest, load_policy(self._policies(), "paper"), signer=report.signer).permits == "paper"

    def _registered_as(self, name: str, number: int) -> tuple[list[str], list[str]]:
        """The releases of a label, and those whose evidence does not verify: they might have been it."""
        found, damaged = [], []
        for digest in self.store.digests():
            try:
                record = self.store.last(digest, "registered", {"name": name, "version": number})
            except EvidenceRefused:
                damaged.append(digest)
            else:
                found += [digest] if record is not None else []
        return found, damaged

    def _lineage(self, bundle: EvidenceBundle) -> dict[str, str]:
        return lineage_tags(
            git=GitState(bundle.integrity.git_commit, bundle.integrity.dirty),
            notebook=notebook_name(self.environment),
            snapshot_hash=bundle.integrity.snapshot_hash,
            data=bundle.data,
            engine_version=bundle.engine_version,
        ) | ledger_tags(bundle, self.home)

    def _policies(self) -> Path:
        if self.policies is not None:
            return self.policies
        from sapphire.domain.workspace import workspace

        try:
            return policy_folder(workspace())
        except ConfigError:
            return policy_folder(None)

    def _versions(self) -> Versions:
        return Versions.of(Tracking.of(self.home, self.environment))

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self.home / "mlflow" / "registry.lock")


def _name(version: Version | None) -> str:
    return version.label if version is not None else "none"
