"""Recorded versions: what the evidence says was registered and promoted, beside what this machine's MLflow knows.

MLflow may be a server that all machines share, or a file of this one. The evidence says by itself which releases there
are, what they are called and which of them is champion: so a second machine that shares the place alone lists, finds
and trades them. Where MLflow knows a version as well, its word is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sapphire.data.places import shared_place
from sapphire.domain.errors import ConfigError, EvidenceRefused
from sapphire.registry.evidence_store import EvidenceStore
from sapphire.registry.moves import History
from sapphire.registry.record_lines import Record
from sapphire.registry.versions import STAGES, Version, Versions

__all__ = ["KnownVersions"]


@dataclass(frozen=True)
class KnownVersions:
    """The versions of an MLflow, and those that the evidence alone knows.

    Parameters
    ----------
    versions : of the MLflow.
    store : the evidence.
    """

    versions: Versions
    store: EvidenceStore

    def all(self) -> list[Version]:
        """Every version of every release, by model and number."""
        known = {each.label: each for each in self.versions.all()}
        recorded = [each for each in self.recorded if each.label not in known]
        found = [*known.values(), *(self._with_aliases(each) for each in recorded)]
        return sorted(found, key=lambda each: (each.name, STAGES.index(each.stage), each.number))

    def of_model(self, model: str) -> list[Version]:
        """Every version of a model, oldest first."""
        known = {each.number: each for each in self.versions.of_model(model)}
        known = {each.number: each for each in self.recorded if each.model == model} | known
        return [known[number] for number in sorted(known)]

    def at(self, model: str, alias: str) -> Version | None:
        """The version that an alias points at; None where it points at none."""
        found = self.versions.at(model, alias)
        if found is not None or alias not in ("champion", "previous"):
            return found
        history, place = self.history(model), 1 if alias == "champion" else 2
        return history.versions[history.stack[-place]] if len(history.stack) >= place else None

    def history(self, model: str) -> History:
        """Who was champion of a model when."""
        return History.of(model, _NoAliases(self), self.store)

    def _with_aliases(self, version: Version) -> Version:
        if version.stage == "research":
            return version
        stack = self.history(version.model).stack[-2:]
        named = dict(zip(reversed(stack), ("champion", "previous"), strict=False))
        aliases = (named[version.label],) if version.label in named else ()
        return Version(
            version.model, version.number, version.digest, version.run_id, version.created_ns, aliases, version.tags
        )

    def require(self, name: str) -> None:
        """Refuse an MLflow that does not know what others registered: it would give their numbers again.

        Raises
        ------
        ConfigError : it does not; names the versions.
        """
        for model in {each.model for each in self.recorded if each.name == name}:
            known = {each.number for each in self.versions.of_model(model)}
            missing = [each.label for each in self.recorded if each.model == model and each.number not in known]
            if missing:
                raise ConfigError(
                    "the MLflow here does not know what was registered in the shared place",
                    expected=f"{', '.join(missing)} among its versions",
                    got=f"{len(known)} versions of {model}",
                    next="let all machines that register and promote name one MLflow: MLFLOW_TRACKING_URI",
                )

    @cached_property
    def recorded(self) -> tuple[Version, ...]:
        """The versions that records name, each once; evidence that does not verify names none.

        Where the state folder is all there is, its MLflow knows them all.
        """
        found: dict[str, Version] = {}
        if shared_place() is None:
            return ()
        for digest in self.store.digests():
            try:
                records = self.store.records(digest)
                data = self.store.bundle(digest).data if any(each.kind == "bundle" for each in records) else ""
            except EvidenceRefused:
                continue
            run = ""
            for record in records:
                run = str(record.facts.get("run_id", run))
                version = _named_by(record, digest, run, data)
                if version is not None:
                    found.setdefault(version.label, version)
        return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _NoAliases:
    """The versions, without an alias: champions are told from the records alone."""

    known: KnownVersions

    def of_model(self, model: str) -> list[Version]:
        """Every version of a model."""
        return self.known.of_model(model)

    def at(self, model: str, alias: str) -> Version | None:
        """None."""
        return None


def _named_by(record: Record, digest: str, run: str, data: str) -> Version | None:
    facts: Any = record.facts
    if record.kind == "registered":
        return Version(str(facts["model"]), int(facts["version"]), digest, run, record.at_ns, (), {"data": data})
    if record.kind in ("promoted", "rolled_back"):
        number = int(str(facts["version"]).rpartition("@")[2])
        return Version(str(facts["model"]), number, digest, "", record.at_ns, (), {"data": data})
    return None
