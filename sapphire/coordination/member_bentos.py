"""A pool whose members are served by themselves: all are asked at once, and what they say by the deadline is pooled.

Each member answers in a thread of its own. One that is dead, late or refuses is silent at this bar and leaves its
weight to the others; with fewer than the release's quorum the pool does not speak. What is pooled is pooled as in a
study, by the same lines.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from sapphire.agents.pooling import Pooling
from sapphire.coordination.bento import Bento, MemberAnswer, Permit, ReleaseViews
from sapphire.coordination.shadows import Shadow, Shadows
from sapphire.domain.clocks import from_ns
from sapphire.domain.envelope import Envelope
from sapphire.domain.errors import NotReady, Refused, SapphireError
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import ViewMessage
from sapphire.domain.releases import Manifest
from sapphire.domain.views import View

__all__ = ["MemberBentos"]

_TURN_S = 1.0
"""How long answers are waited for at once; whoever asks beats its pulse in between."""


@dataclass(slots=True)
class _Member:
    """One member and the question that it is at.

    Parameters
    ----------
    bento : where it answers.
    asked : the close of the question that it is at, and the answer to come.
    answer : of the close that is asked about.
    late : why there is none yet.
    """

    bento: Bento
    asked: tuple[int, Future[ReleaseViews]] | None = None
    answer: MemberAnswer | None = None
    late: NotReady | None = None


class MemberBentos:
    """The bentos of a pool's members, asked as one.

    Parameters
    ----------
    bentos : by the member's name, in the order of the release.
    releases : digest of each member.
    pooling : of the release.
    horizon : of its views.
    release : digest of the pool.
    permit : what decides whether it may be asked; without one it is asked always.
    shadows : of the release; nobody is ever in shadow unless given.
    """

    def __init__(
        self,
        bentos: Mapping[str, Bento],
        releases: Mapping[str, str],
        pooling: Pooling,
        *,
        horizon: timedelta,
        release: str,
        permit: Permit | None = None,
        shadows: Shadows | None = None,
    ) -> None:
        self._members = {name: _Member(bento) for name, bento in bentos.items()}
        self._releases, self._pooling, self._horizon = dict(releases), pooling, horizon
        self._release, self._permit = release, permit
        self._close_ns = 0
        self._in_shadow: dict[str, Shadow] = {}
        self.shadows = shadows or Shadows(release, 0, interval=Interval("1d"), horizon=horizon)
        """Who is not heard; whoever decides tells it of each decision."""

    @classmethod
    def of(cls, manifest: Manifest, urls: Mapping[str, str], venue: str, permit: Permit | None = None) -> MemberBentos:
        """Those of a release.

        Parameters
        ----------
        urls : address of each member by its name.
        venue : whose bars in the shared cache they are to look at.

        Raises
        ------
        ConfigError : not an address.
        AgentError : the release's pooling fits no pool.
        """
        releases = {name: member.digest for name, member in manifest.members.items()}
        bentos = {name: Bento(urls[name], digest, venue) for name, digest in releases.items()}
        horizon = timedelta(microseconds=manifest.agents[0].horizon_ns // 1_000)
        pooling = Pooling.of(tuple(releases), manifest.pooling or {})
        interval = Interval(manifest.interval)
        shadows = Shadows(manifest.digest, pooling.drift_window, interval=interval, horizon=horizon)
        return cls(bentos, releases, pooling, horizon=horizon, release=manifest.digest, permit=permit, shadows=shadows)

    @property
    def refusal(self) -> Refused | None:
        """Why it is not asked now; None where it is."""
        return None if self._permit is None else self._permit.refusal

    def ask(self, close_ns: int, universe: Sequence[str], *, trace_id: str, causation_id: str) -> ReleaseViews:
        """What the pool says at the close of a bar, once each member has answered or refused.

        Raises
        ------
        NotReady : some have not yet; ask again, or take `so_far`.
        Refused : the permit does not hold, or fewer than the quorum answered and the others refuse.
        """
        if close_ns != self._close_ns:
            self._close_ns = close_ns
            self._in_shadow = self.shadows.at(close_ns)
            for member in self._members.values():
                member.answer = member.late = None
        refusal = self.refusal
        if refusal is not None:
            raise refusal
        until = time.monotonic() + _TURN_S
        for member in self._waited_for().values():
            self._begin(member, close_ns, universe, trace_id, causation_id)
        futures = {member.asked[1] for member in self._waited_for().values() if member.asked is not None}
        wait(futures, timeout=max(0.0, until - time.monotonic()))
        for name, member in self._waited_for().items():
            self._take(name, member, close_ns)
        pending = self._waited_for()
        if pending:
            raise NotReady(
                f"{len(pending)} of {len(self._members)} members have not answered yet",
                expected="views of each, or its refusal",
                got="; ".join(f"{name}: {_why(member)}" for name, member in pending.items()),
                next="they are asked again",
            )
        answer = self.so_far(universe)
        if answer is None:
            raise self._below_quorum()
        return answer

    def so_far(self, universe: Sequence[str]) -> ReleaseViews | None:
        """What those who have answered pool to; None where they are fewer than the quorum."""
        answers = [self._answer_of(name) for name in self._members]
        weights = self._pooling.weights
        heard = [each.silence is None and each.shadow is None for each in answers]
        speaking = sum(is_heard and weight > 0.0 for is_heard, weight in zip(heard, weights, strict=True))
        if speaking < self._pooling.quorum:
            return None
        by_member = [
            {view.symbol: view for view in each.views} if is_heard else {}
            for each, is_heard in zip(answers, heard, strict=True)
        ]
        pooled = self._pooling.views(by_member, universe, from_ns(self._close_ns), self._horizon)
        views = tuple(self._message(view.stated_by(self._release)) for view in pooled)
        spoken = {view.symbol for view in pooled}
        return ReleaseViews(views, tuple(symbol for symbol in universe if symbol not in spoken), tuple(answers))

    def members(self) -> tuple[MemberAnswer, ...]:
        """What came of asking each at the latest close."""
        return tuple(map(self._answer_of, self._members))

    def _waited_for(self) -> dict[str, _Member]:
        return {name: member for name, member in self._members.items() if member.answer is None}

    def _begin(self, member: _Member, close_ns: int, universe: Sequence[str], trace_id: str, causation_id: str) -> None:
        """Ask, unless it is still at a question."""
        if member.asked is None or member.asked[1].done():
            if member.asked is not None and member.asked[0] == close_ns:
                return  # its answer has not been looked at yet
            ask = partial(member.bento.ask, close_ns, universe, trace_id=trace_id, causation_id=causation_id)
            member.asked = (close_ns, _in_a_thread(ask))

    def _take(self, name: str, member: _Member, close_ns: int) -> None:
        """Look whether it has answered."""
        if member.asked is None or not member.asked[1].done():
            of = "this bar" if member.asked is None or member.asked[0] == close_ns else "an earlier bar"
            member.late = NotReady(f"{name} is still at {of}", expected="its views", got="no answer")
            return
        asked_of, future = member.asked
        member.asked = None
        if asked_of != close_ns:
            return
        try:
            answer = future.result()
        except NotReady as error:
            member.late = error
        except SapphireError as error:
            member.answer = MemberAnswer(name, self._releases[name], silence=error)
        else:
            views = tuple(view.view() for view in answer.views)
            member.answer = self._judged(name, views)

    def _judged(self, name: str, views: tuple[View, ...]) -> MemberAnswer:
        """Its answer, where it states forecasts over the pool's horizon."""
        wrong = [view for view in views if view.mean_bps is None or view.horizon != self._horizon]
        if not wrong:
            return MemberAnswer(name, self._releases[name], views)
        silence = Refused(
            f"{name} answered with what cannot be pooled",
            expected=f"a mean and a deviation over {self._horizon}",
            got=f"a view of {wrong[0].symbol} over {wrong[0].horizon}",
        )
        return MemberAnswer(name, self._releases[name], silence=silence)

    def _answer_of(self, name: str) -> MemberAnswer:
        member, shadow = self._members[name], self._in_shadow.get(name)
        if member.answer is not None:
            return replace(member.answer, shadow=shadow)
        silence = member.late or NotReady(f"{name} was not asked", expected="its views", got="nothing")
        return MemberAnswer(name, self._releases[name], silence=silence, shadow=shadow)

    def _below_quorum(self) -> Refused:
        answers = self.members()
        return Refused(
            f"fewer members of the pool speak than its quorum of {self._pooling.quorum}",
            expected=f"views of {self._pooling.quorum} of {len(answers)} members",
            got="; ".join(f"{each.name}: {each.silence.what}" for each in answers if each.silence is not None),
        )

    def _message(self, view: View) -> ViewMessage:
        envelope = Envelope(
            schema_id=ViewMessage.schema_of(view),
            message_id=f"{self._release}:{view.symbol}:{self._close_ns}",
            producer="pool",
            sequence=1,
            event_time_ns=self._close_ns,
            publish_time_ns=self._close_ns,
            trace_id=f"{self._release[:12]}:{self._close_ns}",
            causation_id=None,
        )
        return ViewMessage.of(view, envelope)


def _in_a_thread(ask: Callable[[], ReleaseViews]) -> Future[ReleaseViews]:
    """The answer to come; a thread that waits for a server that hangs keeps no process from ending."""
    future: Future[ReleaseViews] = Future()

    def work() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:  # noqa: BLE001  (it is raised where the answer is taken)
            future.set_exception(error)

    threading.Thread(target=work, name="ask-member", daemon=True).start()
    return future


def _why(member: _Member) -> str:
    return "no answer yet" if member.late is None else member.late.what
