"""Workings: what the registry of a state folder stands on. The platform alone hands it in, nothing public does.

How trials are counted, days on paper witnessed, reports signed and time told decides what a gate report says. So the
rooms that know these things wire them here (`sapphire.research.ledger.counting`,
`sapphire.monitoring.judging.days_on_paper`), and whoever opens `Registry(home)` can choose none of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.data.durable import locked
from sapphire.data.tradable import require_tradable
from sapphire.domain.clocks import Clock, WallClock
from sapphire.domain.errors import ConfigError
from sapphire.domain.evidence import GateReport, Target, key_id
from sapphire.domain.permits import Trust
from sapphire.registry.admission import Admission
from sapphire.registry.anchors import Anchors, note_tag
from sapphire.registry.environment import GitState
from sapphire.registry.evidence_store import EvidenceStore
from sapphire.registry.gates import Issue, evaluate_gates
from sapphire.registry.ledger_anchors import ledger_tags
from sapphire.registry.measurements import EvidenceBundle, WalkForwardEvidence
from sapphire.registry.paper_days import PaperDays, Witness
from sapphire.registry.policies import Policy, installed_policies, load_policy
from sapphire.registry.promotion import Promoter
from sapphire.registry.recorded_versions import KnownVersions
from sapphire.registry.release_files import read_manifest
from sapphire.registry.sharing import bring, bring_release
from sapphire.registry.signing import SigningKey, signing_key
from sapphire.registry.tracking import Outbox, Tracking, lineage_tags, notebook_name
from sapphire.registry.tracking.cards import gates_page
from sapphire.registry.trust import Deployment
from sapphire.registry.versions import Version, Versions

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest

__all__ = ["Workings"]


@dataclass(frozen=True, slots=True)
class Workings:
    """What the registry of a state folder works with, and the steps that its verbs share.

    Parameters
    ----------
    home : `$SAPPHIRE_HOME`.
    count : the walk-forward evidence of a bundle with the trials counted now, at each gate. Without it nothing is
        measured against a policy.
    witness : compares a recorded paper day with its journal; without one no such day counts.
    policies : folder of the gate policies; the workspace's `mlflow/gates`, else the repository's, unless given.
    clock : what time records and runs say.
    environment : where `MLFLOW_TRACKING_URI` and the notebook's name are looked up; the process's own unless given.
    key : signs; the user's own, in the configuration folder, unless given.
    trusted : what is trusted; as settings and environment say unless given.
    """

    home: Path
    count: Callable[[EvidenceBundle], WalkForwardEvidence] | None = None
    witness: Witness | None = None
    policies: Path | None = None
    clock: Clock = field(default_factory=WallClock)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, hash=False)
    key: SigningKey | None = None
    trusted: Deployment | None = None

    @property
    def store(self) -> EvidenceStore:
        """The evidence beside the releases."""
        return EvidenceStore(self.home / "evidence")

    @property
    def admission(self) -> Admission:
        """What admits releases of this state folder."""
        return Admission(self.home, self.trusted or Deployment.read(installed=self._policies()))

    @property
    def now_ns(self) -> int:
        """UTC nanoseconds."""
        return self.clock.now_ns()

    def folder(self, digest: str) -> Path:
        """Where the bytes of a release are kept."""
        return self.home / "releases" / digest

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by whatever writes; what the place has is here then."""
        with locked(self.home / "mlflow" / "registry.lock"):
            self.bring()
            yield

    def bring(self) -> None:
        """Bring what the place has of evidence and revocations.

        Raises
        ------
        PlaceError : it does not answer.
        EvidenceRefused : what is here or there does not verify.
        """
        bring(self.home, self.admission.deployment)

    def manifest(self, digest: str) -> Manifest:
        """The manifest of a release, every file verified; brought where it is not here yet.

        Raises
        ------
        EvidenceRefused : no release, or a file that is missing, changed or in no manifest.
        PlaceError : the place does not answer.
        """
        bring_release(self.home, digest)
        return read_manifest(self.folder(digest), digest=digest)

    def known(self) -> KnownVersions:
        """What MLflow holds, and what the evidence alone knows."""
        self.bring()
        return KnownVersions(self.versions(), self.store)

    def versions(self) -> Versions:
        """What MLflow holds."""
        return Versions.of(Tracking.of(self.home, self.environment))

    def versions_of(self, name: str) -> Versions:
        """What MLflow holds, for whoever adds to it: it has to know every version of a release's name that others made.

        Raises
        ------
        ConfigError : it does not.
        """
        versions = self.versions()
        KnownVersions(versions, self.store).require(name)
        return versions

    def policy(self, target: Target) -> Policy:
        """The policy for a target.

        Raises
        ------
        ConfigError : there is something in it that is none.
        """
        return load_policy(self._policies(), target)

    def signing_key(self) -> SigningKey:
        """What signs here."""
        return self.key or signing_key()

    def promoter(self, versions: Versions, signer: str) -> Promoter:
        """What moves bytes and aliases."""
        return Promoter(versions, self.store, self.clock, signer)

    def evaluate(self, digest: str, policy: Policy, trust: Trust, issue: Issue) -> GateReport:
        """What a policy says of a release now.

        Raises
        ------
        EvidenceRefused : its bytes or its evidence do not verify.
        Refused : its symbols cannot be traded on the market that its evidence is of.
        ConfigError : nobody handed in how to count trials.
        LedgerDamaged : the ledger is not the one that evidence was counted on.
        """
        bundle, manifest = self.store.bundle(digest), self.manifest(digest)
        require_tradable(
            manifest.universe,
            generated=bundle.source == "embedded",
            who=f"release {manifest.name}",
            next="study the candles of these symbols: a release that cannot trade is not promoted",
        )
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

    def paper_is_open(self, digest: str, report: GateReport, trust: Trust) -> bool:
        """Whether a release that is kept out of live would be let in to paper."""
        if report.target == "paper" or report.permits is not None:
            return False
        return self.evaluate(digest, self.policy("paper"), trust, Issue()).permits == "paper"

    def checked_heads(self, admission: Admission, digest: str) -> tuple[str, ...]:
        """The digest of each line of a record that goes on from where it was.

        Raises
        ------
        EvidenceRefused : it was cut back.
        """
        heads = self.store.heads(digest)
        Anchors(admission.deployment.key.parent, self.home).check(digest, heads)
        return heads

    def anchor(self, digest: str, versions: Versions | None = None, version: Version | None = None) -> None:
        """Remember beside the key, and on a version, how far a record has come."""
        heads = self.store.heads(digest)
        Anchors(self.admission.deployment.key.parent, self.home).note(digest, heads)
        if versions is not None and version is not None:
            note_tag(versions, version, heads)

    def note_gates(self, report: GateReport, label: str) -> None:
        """Keep what gates said for MLflow's pages, where the release was registered there."""
        registered = self.store.last(report.manifest_digest, "registered")
        if registered is not None:
            page = gates_page(report, label, str(registered.facts["run_id"]))
            Outbox(self.home, self.environment).note(page)

    def lineage(self, bundle: EvidenceBundle) -> dict[str, str]:
        """Where evidence is from, as tags of a run and a version."""
        return lineage_tags(
            git=GitState(bundle.integrity.git_commit, bundle.integrity.dirty),
            notebook=notebook_name(self.environment),
            snapshot_hash=bundle.integrity.snapshot_hash,
            data=bundle.data,
            engine_version=bundle.engine_version,
        ) | ledger_tags(bundle, self.home)

    def _counted(self, bundle: EvidenceBundle) -> WalkForwardEvidence:
        if self.count is None:
            raise ConfigError(
                "no trial ledger to count on",
                expected="a registry that research wired to its ledger",
                got="none",
                next="release.gates(...) in a notebook, or sapphire gates and promote",
            )
        return self.count(bundle)

    def _policies(self) -> Path:
        return self.policies or installed_policies()
