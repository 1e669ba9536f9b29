"""Loading: the one way from a release's bytes to an agent that speaks.

Notebook, study, shadow and service all come through here, so what was tested is what trades. Every digest is verified
before any code of the release runs. Nothing here knows MLflow, and nothing unpickles.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.agents.calibrated import Calibrated
from sapphire.agents.pool import Pool
from sapphire.agents.release.code import AgentCode, pool_of
from sapphire.agents.release.golden import golden_views, require_same_views
from sapphire.agents.release.reading import ReadRelease, read_release
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.releases import ReleasedAgent
from sapphire.statistics import calibration_from_arrays

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from numpy.typing import NDArray

    from sapphire.domain.views import Belief, View
    from sapphire.domain.windows import Window

__all__ = ["LoadedRelease", "load_release", "run_release"]

_SHORT = 12


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LoadedRelease(ReadRelease):
    """A release that was verified and can speak.

    Parameters
    ----------
    agent : the calibrated agent, or the pool of them.
    """

    agent: Calibrated | Pool

    def __repr__(self) -> str:
        return f"LoadedRelease({self.manifest.name} {self.digest[:_SHORT]}: {self.agent!r})"

    @property
    def members(self) -> tuple[Calibrated, ...]:
        """The calibrated agents, in the order of the manifest."""
        return self.agent.members if isinstance(self.agent, Pool) else (self.agent,)

    def views(self, window: Window, *, heard: Collection[str] | None = None) -> list[View]:
        """What the release believes at `window.as_of`, each view signed with its digest.

        Parameters
        ----------
        heard : of a pool, the members that are heard, by their names in the manifest; all of them unless given.

        Raises
        ------
        UnknownInstrument : symbols that are not the release's universe.
        ValueRefused : bars of another interval.
        MissingData : fewer bars than its warm-up.
        """
        admitted = self.admitted(window)
        if heard is None or not isinstance(self.agent, Pool):
            views = self.agent.views(admitted)
        else:
            views = self.agent.views_of(admitted, [entry.name in heard for entry in self.manifest.agents])
        return [view.stated_by(self.digest) for view in views]

    def beliefs(self, window: Window) -> list[Belief]:
        """The views as beliefs; raises what `views` raises."""
        return self.agent.beliefs(self.admitted(window))

    def check_golden(self) -> int:
        """Make the golden outputs again and compare.

        Returns
        -------
        How many views were compared.

        Raises
        ------
        EvidenceRefused : one that differs; names the first moment and symbol where it is worst.
        """
        compared = 0
        of_release: dict[str, list[list[View]]] = {}
        named = f"release {self.manifest.name} {self.digest[:_SHORT]}"
        for entry, member in zip(self.manifest.agents, self.members, strict=True):
            golden = self.golden[entry.name]
            inputs = entry.golden_inputs_sha256
            with golden.answered():
                of_agent = golden_views(member.agent, golden.bars, golden.as_of_ns, self.features)
                if inputs not in of_release:
                    of_release[inputs] = golden_views(self.agent, golden.bars, golden.as_of_ns, self.features)
            compared += require_same_views(
                f"agent {entry.name} of {named}", golden.agent, of_agent, golden, golden.tolerance
            )
            compared += require_same_views(named, golden.release, of_release[inputs], golden, self.tolerance)
        return compared


def load_release(folder: Path, *, expected_digest: str | None = None) -> LoadedRelease:
    """The release in `folder`, verified to the last byte before its source runs.

    Parameters
    ----------
    folder : with `manifest.json` and `agents/`.
    expected_digest : refuse any other release.

    Raises
    ------
    EvidenceRefused : no release, another one, a file missing, changed or foreign, or an agent that is not what its
        manifest says.
    AgentError : the source does not run here.
    """
    return run_release(read_release(folder, expected_digest=expected_digest))


def run_release(read: ReadRelease) -> LoadedRelease:
    """The release with its code run; raises what `load_release` raises of agents."""
    members = [
        _member(entry, code, learned, worth, f"release {read.digest[:_SHORT]}/{entry.name}")
        for entry, code, learned, worth in zip(
            read.manifest.agents, read.code.members, read.arrays, read.calibrations, strict=True
        )
    ]
    agent = members[0] if read.code.pooling is None else pool_of(members, read.code.pooling)
    return LoadedRelease(agent=agent, **{field.name: getattr(read, field.name) for field in fields(ReadRelease)})


def _member(
    entry: ReleasedAgent,
    code: AgentCode,
    learned: Mapping[str, NDArray[Any]] | None,
    worth: Mapping[str, NDArray[Any]] | None,
    label: str,
) -> Calibrated:
    """The agent of one entry, with what it learned and its calibration."""
    agent = code.agent(label)
    if learned is not None:
        agent = agent.with_arrays(learned)
    calibration = None if worth is None else calibration_from_arrays(worth)
    stated = {"warmup": entry.warmup, "horizon_ns": entry.horizon_ns}
    has = {"warmup": agent.warmup, "horizon_ns": agent.horizon // timedelta(microseconds=1) * 1_000}
    if stated != has or not agent.is_fitted:
        raise EvidenceRefused(
            f"the agent of {label} is not what its manifest says",
            expected=", ".join(f"{key} {value:,}" for key, value in stated.items()),
            got=", ".join(f"{key} {value:,}" for key, value in has.items()) + ("" if agent.is_fitted else ", unfitted"),
            next="freeze it again",
        )
    return Calibrated(agent, calibration)
