"""Admission: the door of serving. A release comes in whole and with a permit that holds, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.clocks import Clock, WallClock
from sapphire.domain.errors import EvidenceRefused
from sapphire.registry import Admission, Deployment, Permit
from sapphire.registry.sharing import bring

if TYPE_CHECKING:
    from sapphire.domain.evidence import GateReport
    from sapphire.domain.releases import Manifest
    from sapphire.serving.settings import Settings

__all__ = ["Admitted", "admit"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A release that may be served.

    Parameters
    ----------
    folder : its bytes, verified.
    manifest : what it is.
    permit : what it stands on; whoever runs on asks it again.
    member : of a pool, the agent that is served by itself; empty for the whole release.
    """

    folder: Path
    manifest: Manifest
    permit: Permit
    member: str = ""

    @property
    def served(self) -> Manifest:
        """What is served: the release, or what its member is by itself."""
        return self.manifest.members[self.member] if self.member else self.manifest

    @property
    def report(self) -> GateReport:
        """The gate report that it stands on, or stood on last; verified."""
        return self.permit.report


def admit(
    settings: Settings,
    *,
    deployment: Deployment | None = None,
    clock: Clock | None = None,
    folder: Path | None = None,
    brings: bool = True,
) -> Admitted:
    """The release that `settings` name, if its files verify and its permit for the stage holds. None of its code runs.

    A report that permits live admits to paper as well; one that permits paper does not admit to live. Where the
    settings say that it is running, a permit that was closed is no reason not to start, and whoever runs on finds it
    closed when asking it.

    Parameters
    ----------
    deployment : what is trusted; as settings and environment say unless given.
    clock : wall time.
    folder : where its bytes lie; below `releases` of the state folder unless given.
    brings : whether what the shared place has of it is brought first; else the state folder is looked at as it is.

    Raises
    ------
    PermitClosed : it was refused later, was revoked, or its permit has ended, and it is not running.
    EvidenceRefused : a file that is missing, changed or foreign; no evidence, no report, or one that does not verify
        or does not open the stage; a member that it does not have.
    PlaceError : the place that state is shared by does not answer, and it is not running.
    """
    from sapphire.agents.release.files import read_release_files

    admission = Admission(settings.home, deployment or Deployment.read())
    if brings:
        bring(settings.home, admission.deployment, settings.release, goes_on=settings.running)
    folder = folder or settings.home / "releases" / settings.release
    manifest, _ = read_release_files(folder, settings.release)
    clock, stage = clock or WallClock(), settings.stage
    permit = Permit(admission, settings.release, stage=stage, name=manifest.name, clock=clock, running=settings.running)
    if settings.member and settings.member not in manifest.members:
        raise EvidenceRefused(
            f"release {manifest.name} {settings.release[:12]} has no member {settings.member!r}",
            expected=", ".join(manifest.members) or "a pool of agents; this release has one agent",
            got=repr(settings.member),
            next="serve one of them, or the release without naming a member",
        )
    return Admitted(folder, manifest, permit, settings.member)
