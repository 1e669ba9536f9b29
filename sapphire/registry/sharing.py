"""Sharing: a release, its evidence and the revocations, brought from the place to where processes read files.

The engine's service, a bento and the coordinator read the state folder and watch its files. So what they need is
brought before they start and, while they run, by whoever watches (`sapphire.registry.watching`): a release that is
revoked on another machine is closed here within seconds. What is brought is verified by the deployment's own key, which
never comes from the place: one that holds a stranger's list or reports convinces nobody.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.data.durable import replace_folder
from sapphire.data.places import shared_place
from sapphire.data.places.chains import put_files
from sapphire.domain.errors import EvidenceRefused, HeadMoved, PlaceError
from sapphire.domain.evidence import key_id
from sapphire.domain.permits import Trust, check_signature
from sapphire.domain.releases import MANIFEST_FILE, Manifest
from sapphire.domain.revocations import REVOCATIONS_FILE, Revocations
from sapphire.registry.shared_evidence import bring_evidence
from sapphire.registry.trust import revocation_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from sapphire.registry.trust import Deployment

__all__ = [
    "bring",
    "bring_release",
    "bring_revocations",
    "keep_revocations",
    "send_release",
    "send_revocations",
]

_RELEASES, _EVIDENCE = "releases", "evidence"
_log = logging.getLogger(__name__)


def bring(home: Path, deployment: Deployment, digest: str | None = None, *, goes_on: bool = False) -> None:
    """Bring a release with its evidence, or all evidence, and the revocations.

    Parameters
    ----------
    digest : the release; all evidence and no release's bytes unless given.
    goes_on : whether whoever asks runs on what it has where the place does not answer, or has what does not verify:
        what is here is judged by the doors all the same, and the permit says until when it holds.

    Raises
    ------
    PlaceError : the place does not answer, or has not what its heads name.
    EvidenceRefused : what is here or there does not verify.
    """
    if shared_place() is None:
        return
    try:
        if digest is not None:
            bring_release(home, digest)
        bring_evidence(home / _EVIDENCE, digest)
        bring_revocations(home, deployment)
    except (PlaceError, EvidenceRefused) as error:
        if not goes_on:
            raise
        _log.warning("goes on with what is here: %s", error)


def send_release(folder: Path) -> None:
    """Put a verified release's files into the place; what is there stays.

    Raises
    ------
    PlaceError : it does not take them. A manifest is put behind the files that it names.
    """
    place = shared_place()
    if place is None:
        return
    data = (folder / MANIFEST_FILE).read_bytes()
    files = Manifest.parse(data).files
    place.put_all(_RELEASES, {path: (folder / path).read_bytes() for path in files})
    place.put(_RELEASES, data)


def bring_release(home: Path, digest: str) -> None:
    """Have a release's files in the state folder, if the place has them.

    Raises
    ------
    PlaceError : the place does not answer, or lacks a file that the manifest names.
    """
    target, place = home / _RELEASES / digest, shared_place()
    data = None if place is None or target.exists() else place.find(_RELEASES, digest)
    if place is None or data is None:
        return
    files = dict(Manifest.parse(data).files)
    found = dict(zip(files, place.get_all(_RELEASES, list(files.values())), strict=True))
    replace_folder(target, lambda temporary: put_files(temporary, {**found, MANIFEST_FILE: data}))


def bring_revocations(home: Path, deployment: Deployment) -> None:
    """Have the place's list of revocations in the state folder, where it is longer and signed by the trusted key.

    Raises
    ------
    EvidenceRefused : the place's list, or the one that is here, does not verify.
    PlaceError : the place does not answer.
    """
    place = shared_place()
    if place is None or not deployment.key.exists():
        return  # without a key nothing verifies, so no door opens either
    trust = deployment.trust(home)
    head = place.head(_list_of(trust))
    if head is not None and head.sequence > deployment.revocations(home, trust).sequence:
        put_files(home / _EVIDENCE, {REVOCATIONS_FILE: _signed(place.get(_EVIDENCE, head.value), trust)})


def send_revocations(
    home: Path, deployment: Deployment, trust: Trust, grow: Callable[[Revocations], tuple[Revocations, bytes]]
) -> None:
    """Put what was revoked here into the place, before it stands in the state folder.

    Parameters
    ----------
    grow : the list that follows on one, and its file's content; the same list where nothing is to be added.

    Raises
    ------
    EvidenceRefused : a list that does not verify, or two of which none begins with the other.
    PlaceError : the place does not take it. Nothing is revoked.
    """
    place = shared_place()
    if place is None:
        return
    while True:
        bring_revocations(home, deployment)
        head = place.head(_list_of(trust))
        before = 0 if head is None else head.sequence
        grown, data = grow(deployment.revocations(home, trust))
        if grown.sequence <= before:
            return
        try:
            sha256 = place.put(_EVIDENCE, data)
            place.move(_list_of(trust), before=before, sequence=grown.sequence, value=sha256)
        except HeadMoved:
            continue
        return


def keep_revocations(home: Path, deployment: Deployment) -> None:
    """Put the list of revocations that is here into the place, where it is longer. Errors as `send_revocations`."""
    paths = revocation_files(deployment.key.parent, home)
    data = max((path.read_bytes() for path in paths if path.exists()), key=len, default=b"")
    if data:
        trust = deployment.trust(home)
        mine = Revocations.read(_signed(data, trust))[0]
        send_revocations(
            home, deployment, trust, lambda known: (max(known, mine, key=lambda each: each.sequence), data)
        )


def _signed(data: bytes, trust: Trust) -> bytes:
    _, signed, signature = Revocations.read(data)
    check_signature(signed, signature, trust.public_key, what="the place's list of revocations")
    return data


def _list_of(trust: Trust) -> str:
    """The head of the list by a key: another key's list is another one."""
    return f"revocations/{key_id(trust.public_key)}"
