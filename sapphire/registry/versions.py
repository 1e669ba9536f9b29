"""Versions: releases in MLflow, each a LoggedModel with its own bytes and a version of a registered model.

Registered models are named `research.NAME`, `paper.NAME` and `live.NAME`. A version of one never refers to the bytes of
another, so deleting research leaves paper as it is. What comes back from MLflow is verified against the manifest digest
in the version's tags, and that digest is verified by whoever asked for it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import EvidenceRefused, Refused
from sapphire.registry.release_files import keep_release, read_manifest
from sapphire.registry.tracking import Tracking
from sapphire.registry.tracking.access import access_checked, every
from sapphire.registry.tracking.cards import Card
from sapphire.registry.tracking.model_files import release_within, write_model
from sapphire.registry.tracking.places import without_home

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from sapphire.domain.releases import Manifest

__all__ = ["ALIASES", "STAGES", "Stage", "Version", "Versions"]

Stage = Literal["research", "paper", "live"]
STAGES = get_args(Stage)
"""Where a release can stand."""
ALIASES = ("champion", "challenger", "previous")
"""`champion` trades, `previous` is what a rollback goes back to, `challenger` is what was submitted last."""

DIGEST_TAG = "manifest.sha256"
FILE_TAG = "artifact.sha256/"
MODEL_TAG = "logged_model"
_MOVED_BY = "moved.by"
"""Who asked for the last move of an alias."""
_MODEL_TYPE = "sapphire-release"
# what MLflow keeps of a parameter's value, a dataset's name and its digest
_MAX_PARAM = 6_000
_MAX_DATASET_NAME = 500
_MAX_DATASET_DIGEST = 36


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a registered model.

    Parameters
    ----------
    model : "paper.trend".
    number : 1, 2, ...
    digest : the release, as the version's tag says.
    run_id : the run that made it.
    created_ns : when; UTC nanoseconds.
    aliases : those that point at it.
    tags : what else was noted.
    """

    model: str
    number: int
    digest: str
    run_id: str
    created_ns: int
    aliases: tuple[str, ...]
    tags: Mapping[str, str] = field(hash=False, repr=False)

    @property
    def stage(self) -> str:
        """Where it stands: "research", "paper" or "live"."""
        return self.model.split(".", 1)[0]

    @property
    def name(self) -> str:
        """The release's name."""
        return self.model.split(".", 1)[1]

    @property
    def label(self) -> str:
        """What it is called, "paper.trend@2"; a release in research is "trend@1"."""
        return f"{self.name if self.stage == 'research' else self.model}@{self.number}"


@dataclass(frozen=True, slots=True)
class Versions:
    """The registered versions of an MLflow.

    Parameters
    ----------
    tracking : which MLflow.
    client : how to reach it.
    """

    tracking: Tracking
    client: MlflowClient

    @classmethod
    def of(cls, tracking: Tracking) -> Versions:
        """Those of an MLflow; loads the library."""
        return cls(tracking, tracking.client())

    def all(self) -> list[Version]:
        """Every version of every release, by model and number; what else lies in that MLflow is left out."""
        models = every(self.client.search_registered_models)
        aliases = {str(model.name): _numbers(model.aliases) for model in models}
        found = every(self.client.search_model_versions)
        versions = [
            _version(each, aliases.get(each.name, {}))
            for each in found
            if _stage_of(each.name) in STAGES and DIGEST_TAG in each.tags
        ]
        return sorted(versions, key=lambda each: (each.name, STAGES.index(each.stage), each.number))

    def with_digest(self, model: str, digest: str) -> Version | None:
        """The version of a model that is this release; None where there is none."""
        query = f"name = '{model}' and tag.`{DIGEST_TAG}` = '{digest}'"
        found = self.client.search_model_versions(query)
        return _version(found[0], self._aliases(model)) if found else None

    def of_model(self, model: str) -> list[Version]:
        """Every version of a model, oldest first."""
        found = every(partial(self.client.search_model_versions, f"name = '{model}'"))
        aliases = self._aliases(model) if found else {}
        return sorted((_version(each, aliases) for each in found), key=lambda each: each.number)

    def at(self, model: str, alias: str) -> Version | None:
        """The version that an alias points at; None where it points at none."""
        found = self.client.search_registered_models(f"name = '{model}'")  # a server with users refuses to get none
        aliases = _numbers(found[0].aliases) if found else {}
        if alias not in aliases:
            return None
        return _version(self.client.get_model_version(model, str(aliases[alias])), aliases)

    def point(self, model: str, alias: str, number: int) -> None:
        """Let an alias point at a version."""
        self.client.set_registered_model_alias(model, alias, str(number))

    def require_may_move(self, model: str, who: str) -> None:
        """Look whether aliases of a model may be moved here, before anything says that they were.

        Raises
        ------
        AccessDenied : MLflow does not permit it.
        """
        self.client.set_registered_model_tag(model, _MOVED_BY, who)

    def note(self, version: Version, key: str, value: str) -> None:
        """Note something on a version, as a tag."""
        self.client.set_model_version_tag(version.model, str(version.number), key, value)

    def create(
        self,
        model: str,
        folder: Path,
        *,
        run_id: str,
        tags: Mapping[str, str],
        card: Card | None = None,
    ) -> Version:
        """Put a release's bytes into MLflow as a LoggedModel of its own, and register them as a new version.

        Beside them stands what MLflow needs to load them as a `python_function`; it verifies the gate report, too.

        Parameters
        ----------
        card : what its pages say of the model and of the version.

        Raises
        ------
        EvidenceRefused : the folder does not verify, or what came back after the upload; nothing is registered.
        """
        from mlflow.entities import LoggedModelOutput

        client = self.client
        manifest = read_manifest(folder)
        experiment = self.tracking.experiment(client, model)
        tags = {**tags, DIGEST_TAG: manifest.digest}
        tags |= {f"{FILE_TAG}{path}": digest for path, digest in manifest.files.items()}
        logged = client.create_logged_model(
            experiment, manifest.name, run_id, tags, _parameters(manifest), model_type=_MODEL_TYPE
        )
        try:
            with tempfile.TemporaryDirectory() as temporary:
                made = Path(temporary) / "model"
                stage = "live" if _stage_of(model) == "live" else "paper"
                write_model(made, folder, stage=stage, run_id=run_id, model_id=str(logged.model_id))
                client.log_model_artifacts(logged.model_id, str(made))
            logged = client.finalize_logged_model(logged.model_id, "READY")
            with tempfile.TemporaryDirectory() as temporary:
                self._fetch(logged.artifact_location, Path(temporary), manifest.digest)
        except Exception:
            client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
        self._ensure_model(model, card.model if card is not None else None)
        version = client.create_model_version(
            model,
            logged.artifact_location,
            run_id,
            {**tags, MODEL_TAG: logged.model_id},
            description=card.version if card is not None else None,
            model_id=logged.model_id,
        )
        self._link(logged.model_id, version)
        return _version(version, {})

    def fetch(self, version: Version, folder: Path) -> Path:
        """The version's bytes, verified, in a new folder under `folder`.

        Raises
        ------
        EvidenceRefused : they are not there any more, or not the release that the version says.
        """
        source = self.client.get_model_version_download_uri(version.model, str(version.number))
        return self._fetch(source, folder, version.digest)

    def have(self, version: Version, target: Path) -> Manifest:
        """Have a version's bytes at `target`, verified, fetched only where they are not there yet.

        Raises
        ------
        EvidenceRefused : as `fetch`; or what stands at `target` is another release.
        """
        if target.exists():
            return read_manifest(target, digest=version.digest)
        with tempfile.TemporaryDirectory() as temporary:
            return keep_release(self.fetch(version, Path(temporary)), target, digest=version.digest)

    def log(
        self,
        run_id: str,
        version: Version,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        *,
        dataset: tuple[str, str],
        at_ms: int,
    ) -> None:
        """Note parameters on a run, and numbers on it and on the version's LoggedModel.

        Parameters
        ----------
        dataset : name and digest of the data that the numbers are of.
        at_ms : when they were measured; UTC milliseconds.
        """
        from mlflow.entities import Metric, Param

        name, digest = dataset
        of = {
            "model_id": version.tags.get(MODEL_TAG),
            "dataset_name": name[:_MAX_DATASET_NAME],
            "dataset_digest": digest[:_MAX_DATASET_DIGEST],
        }
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, float(value), at_ms, 0, **of) for key, value in metrics.items()],
            params=[Param(key, without_home(str(value))[:_MAX_PARAM]) for key, value in params.items()],
        )

    def _fetch(self, source: str, folder: Path, digest: str) -> Path:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            with access_checked(self.tracking.uri):
                found = Path(
                    download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=self.tracking.uri)
                )
        except (MlflowException, OSError) as error:
            raise EvidenceRefused(
                f"the bytes of release {digest[:12]} are not in the registry any more",
                expected=f"the files of the release at {source}",
                got=str(error).splitlines()[0] if str(error) else type(error).__name__,
                next="submit the study again, or restore the registry's artifacts from a backup",
            ) from error
        release = release_within(found, digest)
        read_manifest(release, digest=digest)
        return release

    def _aliases(self, model: str) -> Mapping[str, int]:
        return _numbers(self.client.get_registered_model(model).aliases)

    def _ensure_model(self, model: str, description: str | None) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(model, description=description)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _link(self, model_id: str, version: ModelVersion) -> None:
        """Let MLflow's page of the LoggedModel show the version, as its server does by itself."""
        from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

        link = [{"name": version.name, "version": version.version}]
        self.client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(link)})


def _numbers(aliases: Mapping[str, Any]) -> dict[str, int]:
    return {str(alias): int(number) for alias, number in aliases.items()}


def model_name(stage: Stage, name: str) -> str:
    """The registered model of a release at a stage."""
    return f"{stage}.{name}"


def traded_model(model: str) -> str:
    """`model`, if it names a registered model that trades.

    Raises
    ------
    Refused : it names none.
    """
    if _stage_of(model) not in ("paper", "live"):
        raise Refused(
            f"{model} does not trade",
            expected="paper.NAME or live.NAME",
            got=model,
            next="sapphire releases lists them",
        )
    return model


def _stage_of(model: str) -> str:
    return model.split(".", 1)[0] if "." in model else ""


def _parameters(manifest: Manifest) -> dict[str, str]:
    """What the release is made of, for searching: every agent's parameters and the sizing's."""
    parts: dict[str, Mapping[str, Any]] = {agent.name: agent.parameters for agent in manifest.agents}
    parts["sizing"] = {"class": manifest.sizing.class_name, **manifest.sizing.parameters}
    return {
        f"{part}.{key}": without_home(str(value))[:_MAX_PARAM]
        for part, values in parts.items()
        for key, value in values.items()
    }


def _version(found: ModelVersion, aliases: Mapping[str, int]) -> Version:
    digest = str(found.tags.get(DIGEST_TAG, ""))
    if not is_sha256(digest):
        raise EvidenceRefused(
            f"version {found.version} of {found.name} is no release",
            expected=f"a tag {DIGEST_TAG} with 64 hexadecimal digits",
            got=repr(digest),
            next="it was not registered by Sapphire, or its tags were changed; remove it from MLflow",
        )
    number = int(found.version)
    return Version(
        model=str(found.name),
        number=number,
        digest=digest,
        run_id=str(found.run_id or ""),
        created_ns=int(found.creation_timestamp) * 1_000_000,
        aliases=tuple(sorted(alias for alias, at in aliases.items() if at == number)),
        tags={str(key): str(value) for key, value in found.tags.items()},
    )
