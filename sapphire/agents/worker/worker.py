"""Worker: an agent's captured code in a process of its own, as it is spoken to from outside.

Nothing is sent ahead: a worker gets a window when the views of the one before have come back. What goes wrong inside
comes back as the same typed error, with the bar it was about.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import sapphire.domain.errors as errors
from sapphire.agents.counterfactuals.measured import AgentCounterfactuals
from sapphire.agents.leak_report import LeakCheck, LeakReport
from sapphire.agents.models import asking, handed_in
from sapphire.agents.panels import LOOSEST_TOLERANCE
from sapphire.agents.worker.messages import Ended, Late, arrays_of, documents_in, read_message, write_message
from sapphire.agents.worker.spawner import spawner_of
from sapphire.domain.clocks import to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import AgentError, SapphireError
from sapphire.domain.views import View, ViewNote

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from sapphire.agents.models import Asking
    from sapphire.agents.release.code import ReleaseCode
    from sapphire.agents.worker.confinement import Isolation
    from sapphire.domain.bars import Bars
    from sapphire.domain.documents import DocumentKind
    from sapphire.domain.intervals import Interval
    from sapphire.domain.windows import Window

__all__ = ["VIEWS_WITHIN_S", "Worker"]

VIEWS_WITHIN_S = 120.0
"""How long the views of one window may take. An agent that thinks longer than that misses its bar anyway."""
FIT_WITHIN_S = 4 * 3_600.0
"""How long a fit, a whole panel or the checks may take."""


class Worker:
    """One worker.

    Parameters
    ----------
    code : of the agent.
    symbols, interval : of every window, in that order.
    label : what messages call the agent.
    features : that windows have; those that the agent names unless given.
    hash_seed : of Python's hashes.
    views_within_s : how long the views of one window may take.
    models : what answers for the models that its agents ask; what was handed in here unless given.

    Raises
    ------
    AgentError : it could not be started, or the code does not run there.
    """

    def __init__(
        self,
        code: ReleaseCode,
        symbols: tuple[str, ...],
        interval: Interval,
        *,
        label: str,
        features: Sequence[str] | None = None,
        hash_seed: int = 0,
        views_within_s: float = VIEWS_WITHIN_S,
        models: Asking | None = None,
    ) -> None:
        self._label = label
        self._asking = handed_in() if models is None else models
        self._models = [text for each in code.members for text in each.models]
        self._views_within_s = views_within_s
        self._socket: socket.socket | None
        self._socket, self._process, self._printed = spawner_of(hash_seed).spawn()
        about: dict[str, Any] = {"code": code.as_dict(), "symbols": symbols, "interval": interval.text, "label": label}
        about["features"] = None if features is None else list(features)
        self._about, _ = self._ask("begin", about, within_s=FIT_WITHIN_S)
        self._warm = False
        self._tolerance = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def process(self) -> int:
        """Id of its process."""
        return self._process

    @property
    def isolation(self) -> Isolation:
        """Whether the system keeps it from files and sockets."""
        isolation: Isolation = self._about["isolation"]
        return isolation

    @property
    def digests(self) -> tuple[Mapping[str, str], ...]:
        """File to sha256 of the code that runs there, one mapping per agent."""
        return tuple(self._about["digests"])

    @property
    def warmup(self) -> int:
        """Bars of a window."""
        return int(self._about["warmup"])

    @property
    def has_twin(self) -> bool:
        """Whether the agent has a vectorised twin."""
        return bool(self._about["has_twin"])

    @property
    def twin_tolerance(self) -> float:
        """How far views and twin may differ, relative; no more than is ever allowed, whatever the worker says."""
        return _allowed(self._about["twin_tolerance"])

    @property
    def tolerance(self) -> float:
        """How far its views may be from those of another process, relative: 0 where it computes in float64."""
        return self._tolerance

    @property
    def documents(self) -> tuple[DocumentKind, ...]:
        """Kinds of documents that the agent reads, and that its process is sent with its bars."""
        return tuple(self._about["documents"])

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._socket is not None

    def learn(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what was learned elsewhere."""
        answer, _ = self._ask("learn", {}, arrays)
        self._tolerance = _allowed(answer["tolerance"])

    def fit(self, train: Bars, seed: int) -> Mapping[str, NDArray[Any]]:
        """Learn and be calibrated on `train` alone; gives what was learned, as the whole agent's `arrays()` do.

        Raises
        ------
        AgentError, StatisticsError : what the fit raised.
        """
        about = f" when it is fitted on bars up to {stamp(int(train.close_time_ns[-1]))}" if len(train) else ""
        answer, arrays = self._ask_of(train, "fit", {"seed": seed}, within_s=FIT_WITHIN_S, about=about)
        self._tolerance = _allowed(answer["tolerance"])
        return arrays

    def views(self, window: Window, *, member: int | None = None) -> list[View]:
        """The views at a window; see `answer`."""
        return self.answer(window, member=member)[0]

    def answer(self, window: Window, *, member: int | None = None) -> tuple[list[View], list[View]]:
        """The views at a window, and those of the agent itself before its score was made a forecast.

        Before its first window the agent is warmed up on it, and then sealed.

        Parameters
        ----------
        member : ask this agent alone, uncalibrated.

        Raises
        ------
        AgentError : whatever the agent raised, or that it ended or did not answer in time.
        """
        self.warm(window)
        plain = {"as_of_ns": str(to_ns(window.as_of)), "member": member}
        answer, _ = self._asked_at(window, "views", plain)
        views, raw = ([_view(each, window) for each in answer[key]] for key in ("views", "raw"))
        return views, raw

    @contextmanager
    def answered_by(self, models: Asking | None) -> Iterator[None]:
        """What its agents ask of models is answered by these for a while; by the usual ones where it is None."""
        usual = self._asking
        self._asking = usual if models is None else models
        try:
            yield
        finally:
            self._asking = usual

    def warm(self, window: Window) -> None:
        """Call the agent once and take files, sockets and clocks from it; once is enough."""
        if not self._warm:
            self._asked_at(window, "warm", {"as_of_ns": str(to_ns(window.as_of))})
            self._warm = True

    def panel(self, bars: Bars, first: int) -> Mapping[str, NDArray[Any]]:
        """The numbers of the twin at the rows of `bars` from `first` on, by name; none where it has no twin for them.

        It has seen all these bars afterwards, so it is asked for views of none of them.
        """
        _, numbers = self._ask_of(bars, "panel", {"first": first}, within_s=FIT_WITHIN_S)
        return numbers

    def check(self, bars: Bars, *, seed: int, moments: int) -> LeakReport:
        """Every leak check on `bars`, of each agent by itself."""
        plain = {"seed": seed, "moments": moments, "as_of_ns": str(int(bars.close_time_ns[-1]))}
        answer, _ = self._ask_of(bars, "check", plain, within_s=FIT_WITHIN_S)
        self._warm = True
        rows = tuple(LeakCheck(**each | {"worst": float(each["worst"])}) for each in answer["rows"])
        return LeakReport(self._label, rows)

    def counterfactuals(self, bars: Bars, *, first: int, seeds: Mapping[int, int]) -> tuple[AgentCounterfactuals, ...]:
        """What some of its agents, uncalibrated, say of windows of `bars` in which one thing each is changed.

        Parameters
        ----------
        first : row of the first close that windows may end at.
        seeds : place of each agent that is asked, to the seed by which its windows are drawn.

        Raises
        ------
        AgentError : as `answer`.
        ValueRefused : bars that hold no window.
        """
        plain = {"first": first, "seeds": list(seeds.items()), "as_of_ns": str(int(bars.close_time_ns[-1]))}
        answer, _ = self._ask_of(bars, "counterfactuals", plain, within_s=FIT_WITHIN_S)
        self._warm = True
        return tuple(map(AgentCounterfactuals.from_dict, answer["found"]))

    def close(self) -> None:
        """End it."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _asked_at(self, window: Window, ask: str, plain: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        about = f" at {stamp(to_ns(window.as_of))}"
        return self._ask_of(window.bars, ask, plain, within_s=self._views_within_s, about=about)

    def _ask_of(
        self, bars: Bars, ask: str, plain: Mapping[str, Any], *, within_s: float, about: str = ""
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Ask about bars, which go with the documents that the agent reads."""
        sent = {**plain, **documents_in(bars, self.documents)}
        return self._ask(ask, sent, arrays_of(bars), within_s=within_s, about=about)

    def _ask(
        self,
        ask: str,
        plain: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]] | None = None,
        *,
        within_s: float = VIEWS_WITHIN_S,
        about: str = "",
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        if self._socket is None:
            raise self._lost(f"{self._label} is not there any more", "its process has ended")
        descriptor = self._socket.fileno()
        try:
            write_message(descriptor, {"ask": ask, **plain}, arrays)
            answer, found = read_message(descriptor, within_s=within_s)
            unanswered = None
            while "questions" in answer:
                unanswered = self._consult(descriptor, answer) or unanswered
                answer, found = read_message(descriptor, within_s=within_s)
        except Ended:
            self.close()
            raise self._lost(f"the process of {self._label} ended{about}", self._printed.end()[-300:]) from None
        except Late:
            os.kill(self._process, signal.SIGKILL)
            self.close()
            raise self._lost(f"{self._label} does not answer{about}", f"nothing within {within_s:g} s") from None
        except BaseException:  # an interrupted notebook: half a message may be on its way
            self.close()
            raise
        if unanswered is not None:  # an agent that lives with it would believe something else where it is answered
            raise unanswered
        if "error" in answer:
            raise self._raised(answer, about)
        return answer, found

    def _consult(self, descriptor: int, question: Mapping[str, Any]) -> SapphireError | None:
        """Answer an agent's questions to its model; gives the error where nobody could."""
        try:
            if question["model"] not in self._models:
                raise AgentError(
                    f"{self._label} asks a model that it does not name",
                    expected=f"a parameter of type Model: {', '.join(self._models) or 'it has none'}",
                    got=question["model"],
                    next="model: Model = Model(repository, revision, sha256) among its fields",
                )
            asked = [(window, request) for window, request in question["questions"]]
            source = asking() if self._asking is None else self._asking
            answers = source.ask(question["model"], asked)
        except SapphireError as error:
            lines = {key: getattr(error, key) for key in ("what", "expected", "got", "next")}
            write_message(descriptor, {"error": lines})
            return error
        write_message(descriptor, {"answers": answers})
        return None

    def _lost(self, what: str, got: str) -> AgentError:
        return AgentError(
            what,
            expected="views of every window it is asked about",
            got=got or "no word",
            next="ask it in a notebook, agent.views(window), and see what it does at that bar",
        )

    def _raised(self, answer: Mapping[str, Any], about: str) -> SapphireError:
        """What was raised inside, as the error it was."""
        kind = getattr(errors, answer["error"] or "AgentError", AgentError)
        if answer["error"]:
            words = {key: answer[key] for key in ("expected", "got", "next")}
            named = "" if not about or self._label in answer["what"] else f" ({self._label}{about})"
            error: SapphireError = kind(f"{answer['what']}{named}", **words)
        elif answer["refused"]:
            error = AgentError(
                f"{self._label} reaches out of its window{about}",
                expected="views made of the window alone: no file, no socket, no clock, no entropy",
                got=answer["got"],
                next="hand over what it needs as a parameter, an array that is fitted, or a module it imports",
            )
        else:
            error = AgentError(
                f"{self._label} fails{about}",
                expected="views, or none",
                got=answer["got"],
                next="ask it in a notebook, agent.views(window), and see what it does at that bar",
            )
        error.lines = answer["lines"]
        return error


def _allowed(tolerance: float) -> float:
    """A tolerance that a worker asks for, as far as it is allowed: its agent may have changed what it says."""
    return min(LOOSEST_TOLERANCE, float(tolerance))


def _view(plain: list[Any], window: Window) -> View:
    symbol, horizon, score, mean, std, quantiles, note = plain
    levels = None if quantiles is None else {float(level): value for level, value in quantiles}
    beside = None if note is None else ViewNote(**note)
    return View(symbol, window.as_of, timedelta(microseconds=horizon), score, mean, std, levels, note=beside)
