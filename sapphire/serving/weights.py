"""Weights: a large model's files, by repository, revision and digest, in a folder that servers share.

::

    FOLDER/OWNER--NAME/REVISION/    config.json, tokenizer.json, model-00001-of-00002.safetensors, ...

The digest is the sha256 of the canonical JSON of {file: its sha256}. Only formats that cannot run code are fetched:
no pickles, no Python. A server starts on what verifies, and on nothing else.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sapphire.data.durable import replace_folder
from sapphire.domain.canonical import canonical_json, is_sha256, sha256_of
from sapphire.domain.errors import ConfigError, EvidenceRefused, MissingData, NotReady

__all__ = ["FILES", "Weights", "digest_of", "pull", "verified", "weights_of"]

FILES: Final = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
"""What is fetched of a repository."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_REVISION = re.compile(r"[0-9a-f]{40}", re.ASCII)
_READERS = 4


@dataclass(frozen=True, slots=True)
class Weights:
    """Which weights.

    Parameters
    ----------
    repository : "OWNER/NAME" of the hub.
    revision : commit, 40 hexadecimal digits: a branch or a tag can move.
    sha256 : digest of the files; empty where it is not known yet.

    Raises
    ------
    ConfigError : one that is none.
    """

    repository: str
    revision: str
    sha256: str = ""

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository) or ".." in self.repository:
            raise ConfigError("no repository of weights", expected="OWNER/NAME", got=repr(self.repository))
        if not _REVISION.fullmatch(self.revision):
            raise ConfigError(
                f"{self.repository} is named by no commit",
                expected="40 hexadecimal digits (a branch or a tag can move)",
                got=repr(self.revision),
            )
        if self.sha256 and not is_sha256(self.sha256):
            raise ConfigError(
                f"{self.repository} has a digest that is none", expected="64 hexadecimal digits", got=repr(self.sha256)
            )

    def folder(self, root: Path) -> Path:
        """Where they lie in the shared folder `root`."""
        return root / self.repository.replace("/", "--") / self.revision


def digest_of(folder: Path) -> str:
    """The digest of the files of `folder`.

    Raises
    ------
    MissingData : there are none.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise MissingData("no weights", expected="a folder with a model's files", got=str(folder))
    with ThreadPoolExecutor(_READERS) as readers:
        digests = readers.map(_file_digest, files)
        listed = {path.relative_to(folder).as_posix(): digest for path, digest in zip(files, digests, strict=True)}
    return sha256_of(canonical_json(listed))


def verified(weights: Weights, root: Path) -> Path:
    """The folder of weights that are there and are the ones that are named.

    Parameters
    ----------
    weights : with a digest.
    root : the shared folder.

    Raises
    ------
    ConfigError : no digest is named.
    MissingData : they are not there.
    EvidenceRefused : they are others.
    """
    if not weights.sha256:
        raise ConfigError(
            f"{weights.repository} is named without a digest",
            expected="the sha256 of its files",
            next=_command(weights, root, known=False) + " fetches them and says it",
        )
    folder = weights.folder(root)
    if not folder.is_dir():
        raise MissingData(f"{weights.repository} is not there", expected=str(folder), next=_command(weights, root))
    _require(weights, digest_of(folder), folder)
    return folder


def pull(weights: Weights, root: Path, *, hub: str | None = None, token: str | None = None) -> str:
    """Fetch weights into the shared folder `root`, unless they are there; their digest.

    What was fetched is put in place in one step, and only where its digest is the one that is named (or none is).

    Parameters
    ----------
    hub : address of the hub; Hugging Face's, or what `HF_ENDPOINT` says, unless given.
    token : for a repository that asks for one.

    Raises
    ------
    EvidenceRefused : what came is something else. Nothing of it stays.
    NotReady : the hub does not answer, or has no such revision.
    """
    folder = weights.folder(root)
    if not folder.is_dir():
        replace_folder(folder, lambda temporary: _fetch(weights, temporary, hub=hub, token=token))
    digest = digest_of(folder)
    _require(weights, digest, folder)
    return digest


def _fetch(weights: Weights, folder: Path, *, hub: str | None, token: str | None) -> None:
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot_download(
            weights.repository,
            revision=weights.revision,
            local_dir=folder,
            allow_patterns=list(FILES),
            endpoint=hub,
            token=token or False,
            etag_timeout=30.0,
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        raise NotReady(
            f"{weights.repository} could not be fetched",
            expected=f"revision {weights.revision} from the hub",
            got=f"{type(error).__name__}: {error}",
            next="see that the hub is reached (HF_ENDPOINT names another one), then run it again",
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    _require(weights, digest_of(folder), folder)


def _require(weights: Weights, digest: str, folder: Path) -> None:
    if weights.sha256 and digest != weights.sha256:
        raise EvidenceRefused(
            f"the weights of {weights.repository} are not the ones that are named",
            expected=f"sha256 {weights.sha256}",
            got=f"sha256 {digest}",
            next=f"remove {folder} and fetch them again; a digest that still differs is of other weights",
        )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _command(weights: Weights, root: Path, *, known: bool = True) -> str:
    digest = f" --sha256 {weights.sha256}" if known else ""
    return f"sapphire weights pull {weights.repository} --revision {weights.revision}{digest} --into {root}"


def weights_of(variables: Mapping[str, str]) -> Weights:
    """The weights that SAPPHIRE_MODEL, SAPPHIRE_MODEL_REVISION and SAPPHIRE_MODEL_SHA256 name.

    Raises
    ------
    ConfigError : one that is none.
    """
    return Weights(
        variables.get("SAPPHIRE_MODEL", ""),
        variables.get("SAPPHIRE_MODEL_REVISION", ""),
        variables.get("SAPPHIRE_MODEL_SHA256", ""),
    )
