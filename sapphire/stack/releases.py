"""Which release a stack trades: the champion on paper unless another is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import Refused
from sapphire.domain.evidence import Target
from sapphire.stack.plan import ChosenRelease

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest
    from sapphire.registry.versions import Version

__all__ = ["choose_release", "described", "trained_until_ns"]

_STAGE: Target = "paper"


def choose_release(home: Path, named: str | None = None) -> tuple[ChosenRelease, Manifest]:
    """The release to trade, verified, and its manifest.

    Parameters
    ----------
    home : the state folder.
    named : "trend" or "paper.trend" for a champion; "trend@1" or a digest for any release that was promoted to paper
        and not left since; None for the only champion that there is.

    Raises
    ------
    Refused : nothing is promoted, several are, none of that name, or the named one is not.
    EvidenceRefused : its bytes or its evidence do not verify, or its permit does not hold.
    """
    from sapphire.registry import Registry

    registry = Registry(home)
    if named is not None and ("@" in named or is_sha256(named)):
        chosen, manifest = described(home, registry.find(named.removeprefix("paper.")), label=named)
        if not registry.is_promoted(chosen.digest, chosen.name, to=_STAGE):
            raise Refused(
                f"release {named} is not promoted to {_STAGE}",
                expected="one that was promoted, and not left by a rollback since",
                got="a release with a gate report alone",
                next=f"sapphire promote {chosen.digest[:12]} --to {_STAGE}",
            )
        return chosen, manifest
    champions = [
        version for version in registry.releases() if version.stage == _STAGE and "champion" in version.aliases
    ]
    wanted = [version for version in champions if named is None or version.name == named.removeprefix("paper.")]
    if len(wanted) != 1:
        raise _not_one(champions, wanted, named)
    registry.resolve(wanted[0].model)
    return described(home, wanted[0].digest, label=wanted[0].label)


def described(home: Path, digest: str, *, label: str = "") -> tuple[ChosenRelease, Manifest]:
    """A release by its digest, admitted to paper, and its manifest.

    Raises
    ------
    EvidenceRefused : its bytes, its evidence or its report do not verify.
    """
    from sapphire.serving.admission import admit
    from sapphire.serving.settings import Settings

    admitted = admit(Settings(home, digest, _STAGE))
    name = admitted.manifest.name
    label = label if label and not is_sha256(label) else f"{name} {digest[:12]}"
    report = admitted.report
    return ChosenRelease(digest, label, name, report.skill_failed, report.marked), admitted.manifest


def trained_until_ns(home: Path, digest: str, manifest: Manifest) -> tuple[int, int]:
    """End of the bars that a verified release was fitted on, and the moment after which it may not be used."""
    folder = home / "releases" / digest / "agents"
    ends = [
        int(json.loads((folder / agent.name / "card.json").read_bytes())["trained"]["end_ns"])
        for agent in manifest.agents
    ]
    return min(ends), min(ends) + min(agent.max_age_ns for agent in manifest.agents)


def _not_one(champions: list[Version], wanted: list[Version], named: str | None) -> Refused:
    labels = ", ".join(version.label for version in champions)
    if wanted:
        return Refused(
            "several releases are promoted to paper",
            expected="the name of one",
            got=labels,
            next=f"sapphire up {wanted[0].name}",
        )
    what = "no release is promoted to paper" if not champions else f"{named} has no champion on paper"
    return Refused(
        what,
        expected="a champion of paper.NAME",
        got=labels or "none",
        next="sapphire releases lists what there is; sapphire promote RELEASE --to paper promotes one; "
        "sapphire demo makes one",
    )
