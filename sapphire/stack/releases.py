"""Which release a stack trades: the champion on paper unless another is named.

A release whose permit was closed, and whose positions a run still holds, is led to its end there: the stack starts, and
the positions follow the release's rule for views that stop. Nothing of it is chosen anew on a closed permit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import EvidenceRefused, PermitClosed, Refused
from sapphire.domain.evidence import Target
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import ChosenRelease

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest
    from sapphire.registry import Registry
    from sapphire.registry.versions import Version
    from sapphire.serving.admission import Admitted

__all__ = ["admit_to", "champion_of", "choose_release", "described", "permit_now", "trained_until_ns"]

_STAGE: Target = "paper"


def choose_release(
    home: Path, named: str | None = None, *, run: RunFolder | None = None
) -> tuple[ChosenRelease, Manifest]:
    """The release to trade, verified, and its manifest.

    Parameters
    ----------
    home : the state folder.
    named : "trend" or "paper.trend" for a champion; "trend@1" or a digest for any release that was promoted to paper
        and not left since; None for the only champion that there is.
    run : the run that goes on; None begins anew.

    Raises
    ------
    Refused : nothing is promoted, several are, none of that name, or the named one is not.
    EvidenceRefused : its bytes or its evidence do not verify, or its permit does not hold and the run holds nothing of
        it.
    """
    from sapphire.registry import Registry

    registry = Registry(home)
    if named is not None and ("@" in named or is_sha256(named)):
        chosen, manifest = described(home, registry.find(named.removeprefix("paper.")), label=named, run=run)
        if not registry.is_promoted(chosen.digest, chosen.name, to=_STAGE):
            raise Refused(
                f"release {named} is not promoted to {_STAGE}",
                expected="one that was promoted, and not left by a rollback since",
                got="a release with a gate report alone",
                next=f"sapphire promote {chosen.digest[:12]} --to {_STAGE}",
            )
        return chosen, manifest
    champions = _champions(registry)
    wanted = [version for version in champions if named is None or version.name == named.removeprefix("paper.")]
    if len(wanted) != 1:
        raise _not_one(champions, wanted, named)
    registry.resolve(wanted[0].model)
    return described(home, wanted[0].digest, label=wanted[0].label, run=run)


def champion_of(home: Path, name: str) -> Version | None:
    """The champion on paper of a name, as the registry has it; nothing is verified."""
    from sapphire.registry import Registry

    return next((version for version in _champions(Registry(home)) if version.name == name), None)


def _champions(registry: Registry) -> list[Version]:
    return [version for version in registry.releases() if version.stage == _STAGE and "champion" in version.aliases]


def admit_to(run: RunFolder | None, home: Path, digest: str, stage: Target) -> Admitted:
    """A release, admitted to a run. One that the run may still hold something of goes on there on a closed permit too.

    Parameters
    ----------
    run : the run that goes on; None begins anew.

    Raises
    ------
    PermitClosed : its permit was closed, and the run holds nothing of it.
    EvidenceRefused : its bytes, its evidence or its report do not verify, or none of them opens the stage.
    """
    from sapphire.coordination import may_hold
    from sapphire.serving.admission import admit
    from sapphire.serving.settings import Settings

    running = run is not None and may_hold(run.decisions, digest)
    return admit(Settings(home, digest, stage, running=running))


def permit_now(home: Path, digest: str, stage: Target) -> dict[str, Any]:
    """How the permit of a release stands now, for `up` and `status`.

    Returns
    -------
    `holds`; `why` it does not, in one line, or None; `rule`, what its positions follow where it was closed, or None.
    """
    from sapphire.serving.admission import admit
    from sapphire.serving.settings import Settings

    rule = None
    try:
        admitted = admit(Settings(home, digest, stage, running=True), brings=False)  # whoever trades keeps it current
        rule = admitted.manifest.when_views_stop.text
        admitted.permit.check()
    except EvidenceRefused as refusal:
        return {"holds": False, "why": refusal.what, "rule": rule if isinstance(refusal, PermitClosed) else None}
    return {"holds": True, "why": None, "rule": None}


def described(
    home: Path, digest: str, *, label: str = "", run: RunFolder | None = None
) -> tuple[ChosenRelease, Manifest]:
    """A release by its digest, admitted to paper, and its manifest.

    Parameters
    ----------
    run : the run that goes on; None begins anew.

    Raises
    ------
    EvidenceRefused : its bytes, its evidence or its report do not verify, or its permit does not hold and the run holds
        nothing of it.
    """
    admitted = admit_to(run, home, digest, _STAGE)
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
