"""A release in a worker: what a service asks for views, and what evidence is made of.

No code of the release runs in the process that asks. A worker that ended is started again at the next question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sapphire.agents.arrays import Arrays
from sapphire.agents.model_calls import ModelCalls
from sapphire.agents.release.golden import Golden, require_same_views
from sapphire.agents.worker.worker import VIEWS_WITHIN_S, Worker
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError, EvidenceRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from numpy.typing import NDArray

    from sapphire.agents.models import Asking
    from sapphire.agents.release.reading import ReadRelease
    from sapphire.agents.worker.confinement import Isolation
    from sapphire.domain.documents import DocumentKind
    from sapphire.domain.views import View

__all__ = ["ReleaseWorker"]


class ReleaseWorker:
    """One release in its worker.

    Parameters
    ----------
    release : as it was read; its code has not run anywhere yet.
    hash_seed : of Python's hashes.
    views_within_s : how long the views of one window may take.
    models : what answers for the models that its agents ask.

    Raises
    ------
    AgentError : the code does not run there.
    EvidenceRefused : the agent is not what its manifest says.
    """

    def __init__(
        self,
        release: ReadRelease,
        *,
        hash_seed: int = 0,
        views_within_s: float = VIEWS_WITHIN_S,
        models: Asking | None = None,
    ) -> None:
        self.release = release
        self._models = models
        self._hash_seed = hash_seed
        self._within_s = views_within_s
        self._worker = self._started()
        self._documents = self._worker.documents

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def isolation(self) -> Isolation:
        """Whether the system keeps it from files and sockets; asked from any thread, it starts no worker."""
        return self._worker.isolation

    @property
    def worker(self) -> Worker:
        """Its worker; another one where the last has ended."""
        if not self._worker.alive:
            self._worker = self._started()
        return self._worker

    @property
    def documents(self) -> tuple[DocumentKind, ...]:
        """Kinds of documents that the release reads: a window has those of its time."""
        return self._documents

    def views(self, window: Window) -> list[View]:
        """What the release believes, each view signed with its digest; raises what `ReadRelease.admitted` raises.

        Raises
        ------
        AgentError : what the agent raised, or that it does not answer.
        """
        admitted = self.release.admitted(window)
        return [view.stated_by(self.release.digest) for view in self.worker.views(admitted)]

    def check_golden(self) -> int:
        """Make the golden outputs again, here, and compare; returns how many views were compared.

        Raises
        ------
        EvidenceRefused : one that differs; names the first moment and symbol where it is worst.
        """
        compared = 0
        for place, entry in enumerate(self.release.manifest.agents):
            golden = self.release.golden[entry.name]
            about = f"agent {entry.name} of {self.release.label}"
            # The whole is asked first: the worker is sealed once it has spoken, and a member of a shorter memory may
            # do so before the others have imported what they need.
            with self.worker.answered_by(ModelCalls.parse(golden.calls) if golden.calls else None):
                whole = self._views(golden, self.release.warmup, member=None)
                of_agent = self._views(golden, entry.warmup, member=place)
            compared += require_same_views(about, golden.agent, of_agent, golden, golden.tolerance)
            compared += require_same_views(self.release.label, golden.release, whole, golden, self.release.tolerance)
        return compared

    def close(self) -> None:
        """End it."""
        self._worker.close()

    def _views(self, golden: Golden, warmup: int, *, member: int | None) -> list[list[View]]:
        moments = map(from_ns, golden.as_of_ns)
        windows = (Window(golden.bars.head_until(moment).tail(warmup), moment) for moment in moments)
        return [self.worker.views(window, member=member) for window in windows]

    def _started(self) -> Worker:
        release, manifest = self.release, self.release.manifest
        worker = Worker(
            release.code,
            manifest.universe,
            Interval(manifest.interval),
            label=release.label,
            features=tuple(release.features),
            hash_seed=self._hash_seed,
            views_within_s=self._within_s,
            models=self._models,
        )
        try:
            if worker.warmup != release.warmup:
                raise EvidenceRefused(
                    f"the agent of {release.label} is not what its manifest says",
                    expected=f"a warm-up of {release.warmup:,} bars",
                    got=f"{worker.warmup:,}",
                    next="freeze it again",
                )
            worker.learn(learned_by(release))
        except AgentError:
            worker.close()
            raise
        return worker


def learned_by(release: ReadRelease) -> Mapping[str, NDArray[Any]]:
    """What the agents of a release learned, under the names that the whole agent's `arrays()` has."""
    members: list[dict[str, NDArray[Any]]] = []
    for learned, worth in zip(release.arrays, release.calibrations, strict=True):
        members.append(Arrays(learned or {}).named("agent") | Arrays(worth or {}).named("calibration"))
    if release.code.pooling is None:
        return members[0]
    return {f"{place}.{name}": array for place, member in enumerate(members) for name, array in member.items()}
