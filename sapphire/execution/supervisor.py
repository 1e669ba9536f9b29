"""The supervisor: starts the parts of a stack, watches them, restarts what dies, and ends them.

One thread launches every process and lives as long as they do: the system ends a child with the thread that launched
it, so a supervisor that is killed leaves nothing behind. A part that dies is started again, after a pause that doubles
up to a cap; it is never given up. Only a part that ends by itself at its very first start, before it was ready, stops
the start of the whole, because then the settings are wrong and not the day.

Known limitation: outside Linux a killed supervisor leaves its parts running; the next start in the same folder ends
them.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from sapphire.domain.clocks import Clock
from sapphire.domain.errors import ConfigError, ExchangeError, NotReady, SapphireError
from sapphire.execution.parts import Part, PartStatus, Standing
from sapphire.execution.processes import end_marked, has_ended, launch, tail_of
from sapphire.execution.run_lock import RunLock

__all__ = ["Supervisor", "Told"]

Told = Callable[[str, str], None]
"""What goes on: the part's name, and what happened to it."""

_TURN_S = 0.02
_ASK_EVERY_S = 0.1
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 30.0
"""Ready for so long, and the next death is the first again."""


@dataclass(slots=True)
class _Kept:
    """A part and how it does. Everything is changed by the keeping thread alone, but for `is_up` and `refusal`."""

    part: Part
    mark: str
    standing: Standing = Standing.WAITING
    since_ns: int = 0
    process: subprocess.Popen[bytes] | None = None
    launched_at: float = 0.0
    log_from: int = 0
    pause_s: float = _FIRST_PAUSE_S
    due_at: float = 0.0
    restarts: int = 0
    was_ready: bool = False
    why: str = ""
    is_up: threading.Event = field(default_factory=threading.Event)
    refusal: SapphireError | None = None


class Supervisor:
    """The parts of a stack, run as a context manager.

    Parameters
    ----------
    parts : in the order in which they are shown; who needs whom decides the order of the start.
    lock : of the run folder; taken at the start, unless it is held already, and freed at the end.
    clock : what `since_ns` says.
    told : hears what goes on, on the supervisor's thread.
    changed : called after the standing of any part changed, on the supervisor's thread.

    Raises
    ------
    ConfigError : two parts of one name, or a need that is no part or a circle.
    Refused : on start, where another stack runs in the folder.
    NotReady : on start, where a part does not come up; shows the end of its log. Nothing runs then.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        lock: RunLock,
        clock: Clock,
        told: Told = lambda *_: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._waves = _waves(parts)
        now_ns = clock.now_ns()
        self._kept = {part.name: _Kept(part, f"{lock.folder}:{part.name}", since_ns=now_ns) for part in parts}
        self._lock = lock
        self._clock = clock
        self._told, self._changed = told, changed
        self._news: list[tuple[str, str]] = []
        self._turned = threading.Condition(threading.RLock())
        self._ending = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Start every part and wait until all are ready, but for optional ones."""
        if self._thread is not None:
            raise ExchangeError("this supervisor was started before", next="make another one")
        self._lock.take()
        self._thread = threading.Thread(target=self._keep, name="supervisor", daemon=True)
        self._thread.start()
        try:
            with self._turned:
                self._turned.wait_for(lambda: self._failure is not None or self._all_ready())
        except BaseException:
            self.stop()
            raise
        if self._failure is not None:
            self.stop()
            raise self._failure
        return self

    def stop(self) -> None:
        """End every part, those first that others do not need."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        self._lock.free()

    @property
    def parts(self) -> Mapping[str, PartStatus]:
        """How each part does now."""
        with self._turned:
            return {name: _status(kept) for name, kept in self._kept.items()}

    def wait_until_ready(self, name: str, *, within_s: float) -> PartStatus:
        """Wait until a part is ready (again).

        Raises
        ------
        NotReady : it is not in time, or nothing is kept running any more.
        """
        kept = self._kept[name]
        with self._turned:
            self._turned.wait_for(lambda: kept.standing is Standing.READY or self._failure is not None, within_s)
            if kept.standing is not Standing.READY:
                raise NotReady(f"{name} is {kept.standing}", got=kept.why, next=f"see {kept.part.log}")
            return _status(kept)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _all_ready(self) -> bool:
        return all(kept.standing is Standing.READY or kept.part.is_optional for kept in self._kept.values())

    def _keep(self) -> None:
        """The keeping thread: launches, watches and ends."""
        try:
            end_marked(f"{self._lock.folder}:")  # what a killed supervisor of this folder may have left
            while not self._ending.wait(_TURN_S) and self._failure is None:
                with self._turned:
                    for kept in self._kept.values():
                        self._turn(kept)
                self._say()
        except Exception as error:  # noqa: BLE001  (whatever it is, `start` raises it, and nothing is left running)
            self._failure = error
        finally:
            self._end_all()
            self._say()

    def _turn(self, kept: _Kept) -> None:
        now = time.monotonic()
        match kept.standing:
            case Standing.WAITING:
                if all(self._kept[need].standing is Standing.READY for need in kept.part.needs):
                    self._launch(kept, now)
            case Standing.RESTARTING:
                if now >= kept.due_at:
                    self._stand(kept, Standing.WAITING)
            case Standing.STARTING:
                self._look_at_start(kept, now)
            case Standing.READY:
                if kept.process is not None and has_ended(kept.process):
                    self._ended(kept, now)
                elif now - kept.launched_at > _STEADY_S:
                    kept.pause_s = _FIRST_PAUSE_S

    def _launch(self, kept: _Kept, now: float) -> None:
        part = kept.part
        kept.is_up, kept.refusal = threading.Event(), None
        kept.log_from = part.log.stat().st_size if part.log.exists() else 0
        kept.launched_at, launched_ns = now, self._clock.now_ns()
        self._stand(kept, Standing.STARTING)
        try:
            kept.process = launch(
                part.command,
                mark=kept.mark,
                log=part.log,
                environment=part.environment,
                folder=part.folder,
                end_signal=part.end_signal,
                piped=part.first_line is not None,
            )
        except OSError as error:
            self._failed(kept, now, f"could not be started: {error}", is_final=True)
            return
        launched = (kept, kept.process, kept.is_up, launched_ns)
        threading.Thread(target=_bring_up, args=launched, daemon=True, name=f"bring up {part.name}").start()

    def _look_at_start(self, kept: _Kept, now: float) -> None:
        if kept.refusal is not None:
            self._end_now(kept)
            self._failed(kept, now, kept.refusal.what, is_final=True)
        elif kept.process is not None and has_ended(kept.process):
            self._ended(kept, now)
        elif kept.is_up.is_set():
            kept.was_ready = True
            self._stand(kept, Standing.READY)
            self._news.append((kept.part.name, f"ready after {now - kept.launched_at:.1f} s"))
        elif now - kept.launched_at > kept.part.ready_within_s:
            self._end_now(kept)
            self._failed(kept, now, f"was not ready within {kept.part.ready_within_s:g} s", is_final=True)

    def _ended(self, kept: _Kept, now: float) -> None:
        """A process is over: what it left is ended too, and then it is started again."""
        if kept.process is None:
            return
        end_marked(kept.mark)
        code = kept.process.wait()
        kept.process = None
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._failed(kept, now, how, is_final=code >= 0)

    def _failed(self, kept: _Kept, now: float, how: str, *, is_final: bool) -> None:
        """It is not there. At its first start that may be final; later it is started again."""
        part = kept.part
        kept.why = how
        if is_final and not kept.was_ready and not part.is_optional:
            self._stand(kept, Standing.REFUSED)
            self._failure = kept.refusal or NotReady(
                f"{part.name} {how} before it was ready",
                got=tail_of(part.log, kept.log_from) or "no word of its own",
                next=f"see {part.log}",
            )
            return
        kept.restarts += 1
        kept.due_at = now + kept.pause_s
        self._news.append((part.name, f"{how}; it is started again in {kept.pause_s:g} s"))
        kept.pause_s = min(2.0 * kept.pause_s, _LONGEST_PAUSE_S)
        self._stand(kept, Standing.RESTARTING)

    def _stand(self, kept: _Kept, standing: Standing) -> None:
        kept.standing, kept.since_ns = standing, self._clock.now_ns()
        self._news.append((kept.part.name, ""))
        self._turned.notify_all()

    def _say(self) -> None:
        news, self._news = self._news, []
        for name, what in news:
            if what:
                self._told(name, what)
        if news:
            self._changed()

    def _end_now(self, kept: _Kept) -> None:
        process, kept.process = kept.process, None
        if process is not None:
            process.kill()
            end_marked(kept.mark)
            process.wait()

    def _end_all(self) -> None:
        for wave in reversed(self._waves):
            running = [(self._kept[name], self._kept[name].process) for name in wave]
            for kept, process in running:
                if process is not None:
                    self._hear_last_words(kept)
                    process.terminate()
            for kept, process in running:
                if process is not None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(kept.part.patience_s)
                    process.kill()
                    process.wait()
        end_marked(f"{self._lock.folder}:")
        with self._turned:
            for kept in self._kept.values():
                kept.process = None
                if kept.standing is not Standing.REFUSED:
                    self._stand(kept, Standing.STOPPED)
            self._turned.notify_all()

    def _hear_last_words(self, kept: _Kept) -> None:
        if kept.part.before_end is None or kept.standing is not Standing.READY:
            return
        try:
            kept.part.before_end()
        except (SapphireError, OSError) as error:  # whatever it was to tell, it is ended all the same
            self._news.append((kept.part.name, f"told nothing at its end: {error}"))


def _bring_up(kept: _Kept, process: subprocess.Popen[bytes], is_up: threading.Event, launched_ns: int) -> None:
    """Wait, beside the keeping thread, until a part says that it is ready; then read on, so that no pipe fills."""
    part = kept.part
    try:
        if part.first_line is not None and process.stdout is not None:
            line = process.stdout.readline()
            if not line:
                return
            part.first_line(line)
        while kept.process is process and not part.ready(launched_ns):
            time.sleep(_ASK_EVERY_S)
        is_up.set()
    except SapphireError as refusal:
        if kept.process is process:
            kept.refusal = refusal
    finally:
        if process.stdout is not None:
            with process.stdout:
                for _ in process.stdout:
                    pass


def _status(kept: _Kept) -> PartStatus:
    return PartStatus(
        name=kept.part.name,
        standing=kept.standing,
        since_ns=kept.since_ns,
        pid=kept.process.pid if kept.process is not None else None,
        address=kept.part.address,
        release=kept.part.release,
        log=kept.part.log,
        restarts=kept.restarts,
        why=kept.why,
    )


def _waves(parts: Sequence[Part]) -> list[list[str]]:
    """Names in the order of the start: each wave needs only what is in the ones before."""
    names = [part.name for part in parts]
    if len(set(names)) != len(names):
        raise ConfigError("two parts of one name", expected="one of each", got=", ".join(names))
    left, waves = list(parts), list[list[str]]()
    while left:
        up = {name for wave in waves for name in wave}
        wave = [part.name for part in left if up.issuperset(part.needs)]
        if not wave:
            raise ConfigError(
                "parts that cannot be started",
                expected="needs that are parts, without a circle",
                got="; ".join(f"{part.name} needs {', '.join(part.needs)}" for part in left),
            )
        waves.append(wave)
        left = [part for part in left if part.name not in wave]
    return waves
