"""What a worker process does with what it is asked, one message after the other.

It learns the code of its agent first, is confined before that code runs, and is sealed by the first `warm`: an agent is
called once on the window it will be asked about, so that it has imported what it needs, and from then on it has nothing
but the window of the moment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.agents.agent import documents_of
from sapphire.agents.answers import panel_by, views_by
from sapphire.agents.calibrated import Calibrated
from sapphire.agents.models import Question, hand_in
from sapphire.agents.own_lines import lines_of_error
from sapphire.agents.panels import tolerance_of, twin_panel, twin_tolerance_of
from sapphire.agents.pool import Pool
from sapphire.agents.release.code import ReleaseCode
from sapphire.agents.worker.confinement import Isolation, confine, seal
from sapphire.agents.worker.day_clock import redirect_clocks
from sapphire.agents.worker.messages import Ended, bars_of, read_message, write_message
from sapphire.domain.canonical import plain as plain_values
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError, SapphireError
from sapphire.domain.intervals import Interval
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents.view_panels import ViewPanel
    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View
    from sapphire.domain.windows import Feature

__all__ = ["attend_to", "plain_view"]

Arrays = Mapping[str, "NDArray[Any]"]
Answer = tuple[dict[str, Any], Arrays]

_MICROSECOND = timedelta(microseconds=1)


def attend_to(descriptor: int, scratch: Path) -> None:
    """Answer what comes in on `descriptor` until nobody asks any more.

    Parameters
    ----------
    scratch : an empty folder of its own, which some libraries want while they are imported.
    """
    redirect_clocks()
    hand_in(_Piped(descriptor))
    attendant = _Attendant(confine(scratch))
    while True:
        try:
            plain, arrays = read_message(descriptor)
            answer, learned = attendant.answer(plain, arrays)
            write_message(descriptor, answer, learned)
        except Ended:
            return
        finally:
            sys.stdout.flush()
            sys.stderr.flush()


def plain_view(view: View) -> list[Any]:
    """A view as a message holds it."""
    quantiles = None if view.quantiles_bps is None else [list(pair) for pair in view.quantiles_bps.items()]
    note = None if view.note is None else asdict(view.note)
    return [view.symbol, view.horizon // _MICROSECOND, view.score, view.mean_bps, view.std_bps, quantiles, note]


@dataclass(frozen=True, slots=True)
class _Piped:
    """The way to a model: the question goes to whoever asked the agent, and the answer comes back.

    Parameters
    ----------
    descriptor : that the worker is spoken to by.
    """

    descriptor: int

    def ask(self, model: str, questions: Sequence[Question]) -> list[Any]:
        """See `Asking`; raises what came of it there."""
        write_message(self.descriptor, {"model": model, "questions": plain_values(questions)})
        answer, _ = read_message(self.descriptor)
        if "error" in answer:
            raise AgentError(**answer["error"])
        answers: list[Any] = answer["answers"]
        return answers


class _Attendant:
    """One agent in its worker."""

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation
        self._agent: Calibrated | Pool | None = None
        self._features: Mapping[str, Feature] = {}
        self._symbols: tuple[str, ...] = ()
        self._interval = Interval("1m")
        self._answers: Mapping[str, Callable[[Mapping[str, Any], Arrays], Answer]] = {
            "begin": self._begin,
            "learn": self._learn,
            "fit": self._fit,
            "warm": self._warm,
            "views": self._views,
            "panel": self._panel,
            "check": self._check,
            "counterfactuals": self._counterfactuals,
        }

    def answer(self, plain: Mapping[str, Any], arrays: Arrays) -> Answer:
        """The answer to one message; whatever goes wrong is an answer too."""
        try:
            return self._answers[plain["ask"]](plain, arrays)
        except SapphireError as error:
            if isinstance(error.__cause__, PermissionError):
                return {"error": "", "refused": True, "got": error.got, "lines": error.lines}, {}
            lines = {key: getattr(error, key) for key in ("what", "expected", "got", "next", "lines")}
            return {"error": type(error).__name__, **lines}, {}
        except Exception as error:  # noqa: BLE001  (whatever an agent raises, who asked is told)
            refused, lines_of = isinstance(error, PermissionError), lines_of_error(error)
            got = f"{type(error).__name__}: {error}"
            return {"error": "", "refused": refused, "got": got, "lines": lines_of}, {}

    @property
    def agent(self) -> Calibrated | Pool:
        assert self._agent is not None  # "begin" is the first message
        return self._agent

    def _begin(self, plain: Mapping[str, Any], arrays: Arrays) -> Answer:
        code = ReleaseCode.from_dict(plain["code"])
        self._symbols, self._interval = tuple(plain["symbols"]), Interval(plain["interval"])
        self._agent = code.agent(plain["label"])
        names = self._agent.features if plain["features"] is None else plain["features"]
        if names:
            from sapphire.data.features import FeatureSet

            self._features = FeatureSet(names)
        return {
            "isolation": self._isolation,
            "process": os.getpid(),
            "digests": [member.digests for member in code.members],
            "warmup": self._agent.warmup,
            "has_twin": self._agent.has_twin,
            "twin_tolerance": twin_tolerance_of(self._agent),
            "documents": documents_of(self._agent),
        }, {}

    def _learn(self, plain: Mapping[str, Any], arrays: Arrays) -> Answer:
        self._agent = self.agent.with_arrays(arrays)
        self._agent.require_fitted()
        return {"tolerance": tolerance_of(self._agent)}, {}

    def _fit(self, plain: Mapping[str, Any], arrays: Arrays) -> Answer:
        self._agent = self.agent.fit(self._bars(plain, arrays), plain["seed"])
        return {"tolerance": tolerance_of(self._agent)}, self._agent.arrays()

    def _warm(self, plain: Mapping[str, Any], arrays: Arrays) -> Answer:
        window = self._window(plain, arrays)
        views_by(self.agent, window)
        if self.agent.has_twin:
            panel_by(self.agent, window.bars)
        seal()
        return {}, {}

    def _views(self, plain: Mapping[str, Any], arrays: Arrays) -> Answer:
        member = plain.get("member")
        window = self._window(plain, arrays)
        if member is None and isinstance(self.agent, Calibrated):
            raw = views_by(self.agent.agent, window)
            views = self.agent.forecasts(raw)
        else:
            raw = views = views_by(self.agent if member is None else self._members[member].agent, window)
        return {"views": [plain_view(view) for view in views], "raw": [plain_view(view) for view in raw]}, {}

    def _panel(self, plain: Mapping[str, Any], arrays: Arrays) -> Answer:
        panel = self._twin(self._bars(plain, arrays))
        numbers = {} if panel is None else panel.numbers
        return {}, {name: frame.to_numpy()[plain["first"] :] for name, frame in numbers.items()}

    def _twin(self, bars: Bars) -> ViewPanel | None:
        """What the twins themselves say, right or wrong: whoever asks compares it with views that he asked for."""
        twins = [twin_panel(member.agent, bars) for member in self._members]
        panels = [
            member.forecasts_panel(each, bars)
            for member, each in zip(self._members, twins, strict=True)
            if each is not None and each.horizon == member.horizon
        ]
        if len(panels) < len(twins):
            return None
        return self.agent.pooled_panel(panels, bars) if isinstance(self.agent, Pool) else panels[0]

    def _check(self, plain: Mapping[str, Any], arrays: Arrays) -> Answer:
        from sapphire.agents.leaks import check_agent, fit_test

        bars = self._bars(plain, arrays)
        reports = [fit_test(member.agent, bars, seed=plain["seed"]) for member in self._members]
        self._warm(plain, {name: array[-self.agent.warmup :].copy() for name, array in arrays.items()})
        reports += [
            check_agent(member.agent, bars, seed=plain["seed"], moments=plain["moments"], fit=False)
            for member in self._members
        ]
        rows = [asdict(row) | {"worst": str(row.worst)} for report in reports for row in report.rows]
        return {"rows": rows}, {}

    def _counterfactuals(self, plain: Mapping[str, Any], arrays: Arrays) -> Answer:
        from sapphire.agents.counterfactuals import counterfactuals_of, drawn_windows

        bars = self._bars(plain, arrays)
        self._warm(plain, {name: array[-self.agent.warmup :].copy() for name, array in arrays.items()})
        found = []
        for place, seed in plain["seeds"]:
            agent = self._members[place].agent
            found.append(counterfactuals_of(agent, drawn_windows(agent, bars, first=plain["first"], seed=seed)))
        return {"found": [each.as_dict() for each in found]}, {}

    @property
    def _members(self) -> tuple[Calibrated, ...]:
        return self.agent.members if isinstance(self.agent, Pool) else (self.agent,)

    def _bars(self, plain: Mapping[str, Any], arrays: Arrays) -> Bars:
        return bars_of(plain, arrays, self._symbols, self._interval)

    def _window(self, plain: Mapping[str, Any], arrays: Arrays) -> Window:
        return Window(self._bars(plain, arrays), from_ns(int(plain["as_of_ns"])), self._features)
