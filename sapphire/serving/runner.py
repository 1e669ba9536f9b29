"""Runner: an admitted release, loaded once, checked against its golden outputs, and asked for its views.

No code of the release runs in this process: it runs in a worker without files and sockets, as it did when the evidence
was made. Reading a request, asking the permit and asking the worker happen in threads: the event loop only waits, so
that a forward pass of seconds blocks no probe. The runner knows nothing of BentoML: the service around it moves bytes.
It stands at LOADING until `stand_up` has run, and after that at READY or, where golden outputs differ or the source
does not run here, at REFUSED for good.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from sapphire.data.documents.current import CurrentDocuments
from sapphire.data.documents.store import DocumentStore
from sapphire.domain.canonical import canonical_json
from sapphire.domain.clocks import Clock, to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import DataError, MissingData, NotReady, Refused, SapphireError
from sapphire.domain.view_requests import CachedRequest, read_request
from sapphire.serving.answers import Answer, Speaker, answered, refused
from sapphire.serving.turns import Turns

if TYPE_CHECKING:
    from sapphire.agents.models import Asking
    from sapphire.agents.release import ReadRelease
    from sapphire.agents.worker import ReleaseWorker
    from sapphire.domain.view_requests import WindowRequest
    from sapphire.domain.windows import Window
    from sapphire.serving.admission import Admitted
    from sapphire.serving.cached_windows import BarCache

__all__ = ["Runner", "Standing"]


_VIEWS_WITHIN_S = 25.0
"""A little less than a request may take: who asks is told why, and the worker is started again."""


class Standing(StrEnum):
    """Where a runner is in its life."""

    LOADING = "loading"
    READY = "ready"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that waits for its turn.

    Parameters
    ----------
    worker : that is asked.
    window, request : about what.
    """

    worker: ReleaseWorker
    window: Window
    request: WindowRequest | CachedRequest


class Runner:
    """One release, served.

    Parameters
    ----------
    admitted : the release and its gate report.
    cache : the shared cache of bars.
    clock : the machine's.
    turns : the queue before its worker.
    views_within_s : how long the views of one window may take, in seconds.
    models : what answers for the models that its agents ask; what the workspace's settings say unless given.
    documents : where those are that its agents read; the state folder's unless given.
    """

    def __init__(
        self,
        admitted: Admitted,
        cache: BarCache,
        clock: Clock,
        *,
        turns: Turns | None = None,
        views_within_s: float = _VIEWS_WITHIN_S,
        models: Asking | None = None,
        documents: DocumentStore | None = None,
    ) -> None:
        self._admitted = admitted
        self._models = models
        self._cache = cache
        self._documents = CurrentDocuments(documents or DocumentStore())
        self._turns = turns or Turns()
        self._views_within_s = views_within_s
        self._worker: ReleaseWorker | None = None
        self._refusal: SapphireError | None = None
        self._compared = 0
        served = admitted.served
        producer = f"serving:{served.name[:32]}:{clock.now_ns()}"
        self._speaker = Speaker(served.digest, producer, count(), clock)

    @property
    def standing(self) -> Standing:
        """Where it is."""
        if self._refusal is not None:
            return Standing.REFUSED
        return Standing.LOADING if self._worker is None else Standing.READY

    @property
    def refusal(self) -> SapphireError | None:
        """Why it will not serve."""
        return self._refusal

    @property
    def labels(self) -> dict[str, str]:
        """What is served, as labels of metrics: the release's digest and name, and its agents."""
        manifest = self._admitted.served
        agents = ",".join(entry.name for entry in manifest.agents)
        return {"release": self._speaker.release, "name": manifest.name, "agent": agents}

    def stand_up(self) -> None:
        """Load the release in a worker and make its golden outputs again. What goes wrong is kept as the refusal."""
        from sapphire.agents.release import read_release
        from sapphire.agents.worker import ReleaseWorker

        try:
            read = read_release(self._admitted.folder, expected_digest=self._admitted.report.manifest_digest)
            read = read.member(self._admitted.member) if self._admitted.member else read
            worker = ReleaseWorker(read, views_within_s=self._views_within_s, models=self._models)
            self._compared = worker.check_golden()
            self._worker = worker
        except SapphireError as error:
            self._refusal = error
        except Exception as error:  # noqa: BLE001  (whatever a release raises, it is not served and says why)
            self._refusal = Refused(
                f"release {self._admitted.served.name} fails when it is loaded",
                expected="golden outputs that can be made again",
                got=f"{type(error).__name__}: {error}",
                next="load it in a notebook: sapphire.agents.load_release(folder).check_golden()",
            )

    async def views(self, body: bytes) -> Answer:
        """Answer one request for views, when its turn comes.

        Raises
        ------
        Exception : whatever an agent raises that is not an error of ours.
        """
        try:
            with self._turns.place():
                return await self._answer(body)
        except NotReady as error:
            return refused(error, 429)

    async def _answer(self, body: bytes) -> Answer:
        """One thread prepares the question and another asks the worker: each hop costs as much as a small agent."""
        asked = await asyncio.to_thread(self._asked, body)
        if isinstance(asked, Answer):
            return asked
        try:
            return await self._turns.take(partial(self._decide, asked))
        except NotReady as error:
            return refused(error, 503)

    def _asked(self, body: bytes) -> Answer | _Asked:
        """The question with its window, or why it is not asked."""
        try:
            request = read_request(body)
        except SapphireError as error:
            return refused(error, 400)
        worker = self._worker
        if worker is None:
            return refused(self._not_ready(), 503)
        closed = self._closed()
        if closed is not None:
            return refused(closed, 403)
        if not isinstance(request, CachedRequest):
            return _Asked(worker, request.window, request)
        try:
            return _Asked(worker, self._cache.window(worker.release, request), request)
        except DataError as error:
            return refused(error, 503)
        except SapphireError as error:
            return refused(error, 400)

    def card(self) -> Answer:
        """What is served, on what evidence, and where it stands; it answers at every standing."""
        report, manifest = self._admitted.report, self._admitted.served
        closed = self._admitted.permit.refusal
        about: dict[str, Any] = {
            "schema": "CARD@1",
            "release": self._speaker.release,
            "name": manifest.name,
            "member_of": self._admitted.manifest.digest if self._admitted.member else None,
            "standing": str(self.standing),
            "refusal": str(self._refusal) if self._refusal is not None else None,
            "golden_views_compared": self._compared,
            "manifest": manifest.as_dict(),
            "gates": {
                "target": report.target,
                "permits": report.permits,
                "skill_failed": report.skill_failed,
                "marks": [f"{row.gate}.{row.measure}" for row in report.marks],
                "data": report.data,
                "authority": report.authority,
                "valid_until_ns": str(report.valid_until_ns),
                "closed": None if closed is None else str(closed),
                "report": report.digest,
            },
            "cards": None,
        }
        if self._worker is not None:
            release = self._worker.release
            about |= {
                "isolation": self._worker.isolation,
                "golden_models": "recorded" if any(each.calls for each in release.golden.values()) else None,
                "cards": {name: dict(card) for name, card in release.cards.items()},
                "warmup": release.warmup,
                "trained_until_ns": str(to_ns(release.trained_until)),
                "expires_ns": str(to_ns(release.expires)),
            }
        return Answer(200, canonical_json(about))

    def close(self) -> None:
        """End the worker when it has answered what it is at."""
        self._turns.close()
        if self._worker is not None:
            self._worker.close()

    def _decide(self, asked: _Asked) -> Answer:
        worker, window, request = asked.worker, asked.window, asked.request
        release = worker.release
        as_of_ns = to_ns(window.as_of)
        closed = self._closed()  # it may have waited for a while
        if closed is not None:
            return refused(closed, 403)
        try:
            _require_current(window)
            admitted = release.admitted(window)
        except SapphireError as error:
            return refused(error, 400)
        if window.as_of > release.expires:
            return refused(self._too_old(release, as_of_ns), 403)
        try:
            admitted = self._documents.shown(admitted, worker.documents)
        except DataError as error:
            return refused(error, 403)
        try:
            views = worker.views(admitted)
            messages = self._speaker.messages(views, as_of_ns, request)
        except SapphireError as error:
            return refused(error, 500)
        return answered(
            messages,
            release=release.digest,
            universe=release.manifest.universe,
            skill_failed=self._admitted.report.skill_failed,
        )

    def _closed(self) -> SapphireError | None:
        return self._admitted.permit.refusal

    def _not_ready(self) -> Refused:
        reason = json.dumps(self._refusal.what) if self._refusal is not None else "its golden outputs are being made"
        return Refused(
            f"release {self._admitted.served.name} is not served",
            expected=f"standing {Standing.READY}",
            got=f"standing {self.standing}: {reason}",
            next="ask /card for the reason" if self._refusal is not None else "ask again when /readyz says 200",
        )

    def _too_old(self, release: ReadRelease, as_of_ns: int) -> Refused:
        return Refused(
            f"release {release.manifest.name} is too old for this window",
            expected=f"a moment up to {stamp(to_ns(release.expires))}: it was fitted on bars up to "
            f"{stamp(to_ns(release.trained_until))}",
            got=stamp(as_of_ns),
            next="submit the study again on newer bars",
        )


def _require_current(window: Window) -> None:
    """Refuse a window whose latest bar is not the latest that has closed."""
    if not len(window.bars):
        return
    behind = timedelta(microseconds=(to_ns(window.as_of) - int(window.bars.close_time_ns[-1])) // 1_000)
    if behind >= window.interval.timedelta:
        raise MissingData(
            "the window ends too early",
            expected=f"the latest bar that has closed by {stamp(to_ns(window.as_of))}",
            got=f"one that closed {behind} before",
            next="send the bars up to as_of_ns; a release does not decide on old bars",
        )
