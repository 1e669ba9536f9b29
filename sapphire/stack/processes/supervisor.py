"""The supervisor: starts the parts of a stack, watches them, restarts what dies or hangs, and ends them.

One thread launches every process and lives as long as they do: the system ends a child with the thread that launched
it, so a supervisor that is killed leaves nothing behind. A part that dies is started again, after a pause that doubles
up to a cap; it is never given up. Only a part that ends by itself at its very first start, before it was ready, stops
the start of the whole, because then the settings are wrong and not the day.

A part that came up is asked again and again, on a thread of its own, whether it is live and ready. What is not live is
killed, which every part survives anywhere, and started again; what is not ready is shown so, and left to itself. The
pause is the first again once a part was ready for a while.

Known limitation: outside Linux a killed supervisor leaves its parts running; the next start in the same folder ends
them.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sapphire.domain.clocks import Clock
from sapphire.domain.errors import ExchangeError, NotReady, SapphireError
from sapphire.domain.workspace import PART_VARIABLE
from sapphire.stack.processes.groups import end_marked, has_ended, tail_of
from sapphire.stack.processes.kept_parts import FIRST_PAUSE_S, Health, Kept, bring_up, probe_part, status_of, waves_of
from sapphire.stack.processes.parts import Part, PartStatus, Standing
from sapphire.stack.processes.run_lock import RunLock
from sapphire.telemetry.launching import launch
from sapphire.telemetry.log_files import rotate

__all__ = ["PartNews", "Supervisor"]

PartNews = Callable[[str, str], None]
"""What goes on: the part's name, and what happened to it."""

_TURN_S = 0.02
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 30.0
"""Ready for so long, and the next death is the first again."""
_LOGS_EVERY_S = 5.0


class Supervisor:
    """The parts of a stack, run as a context manager.

    Parameters
    ----------
    parts : in the order in which they are shown; who needs whom decides the order of the start.
    lock : of the run folder; taken at the start and freed at the end, unless it is held already: then whoever took it
        frees it, after what there is to write.
    clock : what `since_ns` says.
    on_news : hears what goes on, on the supervisor's thread.
    changed : called after the standing of any part changed, on the supervisor's thread.
    turned : called at each turn of the supervisor's thread.
    logs : files that are rotated as the logs of the parts are.

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
        on_news: PartNews = lambda *_: None,
        changed: Callable[[], None] = lambda: None,
        turned: Callable[[], None] = lambda: None,
        logs: Sequence[Path] = (),
    ) -> None:
        self._waves = waves_of(parts)
        now_ns = clock.now_ns()
        self._kept = {part.name: Kept(part, f"{lock.folder}:{part.name}", since_ns=now_ns) for part in parts}
        self._lock, self._took_lock = lock, False
        self._clock = clock
        self._on_news, self._changed, self._each_turn = on_news, changed, turned
        self._logs, self._looked_at_logs = tuple(logs), 0.0
        self._news: list[tuple[str, str]] = []
        self._turned = threading.Condition(threading.RLock())
        self._ending = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Start every part and wait until all are ready, but for optional ones."""
        if self._thread is not None:
            raise ExchangeError("this supervisor was started before", next="make another one")
        self._took_lock = not self._lock.is_held
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
        if self._took_lock:
            self._lock.free()

    @property
    def parts(self) -> Mapping[str, PartStatus]:
        """How each part does now."""
        with self._turned:
            return {name: status_of(kept) for name, kept in self._kept.items()}

    def wait_until_ready(self, name: str, *, within_s: float) -> PartStatus:
        """Wait until a part came up (again); it then says itself whether it can do its work.

        Raises
        ------
        NotReady : it is not in time, or nothing is kept running any more.
        """
        kept = self._kept[name]
        with self._turned:
            self._turned.wait_for(lambda: kept.standing.is_up or self._failure is not None, within_s)
            if not kept.standing.is_up:
                raise NotReady(f"{name} is {kept.standing}", got=kept.why, next=f"see {kept.part.log}")
            return status_of(kept)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _all_ready(self) -> bool:
        return all(kept.standing.is_up or kept.part.is_optional for kept in self._kept.values())

    def _keep(self) -> None:
        """The keeping thread: launches, watches and ends."""
        try:
            end_marked(f"{self._lock.folder}:")  # what a killed supervisor of this folder may have left
            while not self._ending.wait(_TURN_S) and self._failure is None:
                with self._turned:
                    for kept in self._kept.values():
                        self._turn(kept)
                self._say()
                self._rotate_logs()
                self._each_turn()
        except Exception as error:  # noqa: BLE001  (whatever it is, `start` raises it, and nothing is left running)
            self._failure = error
        finally:
            self._end_all()
            self._say()

    def _turn(self, kept: Kept) -> None:
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
            case Standing.READY | Standing.UNREADY:
                self._look_at_health(kept, now)

    def _look_at_health(self, kept: Kept, now: float) -> None:
        health = kept.health
        if kept.process is not None and has_ended(kept.process):
            self._ended(kept, now)
        elif health.hangs:
            self._end_now(kept)
            self._failed(kept, now, health.hangs, is_final=False)
        elif health.is_ready is not (kept.standing is Standing.READY):
            self._stand(kept, Standing.READY if health.is_ready else Standing.UNREADY)
            kept.ready_at = now
            self._news.append((kept.part.name, "ready again" if health.is_ready else "not ready"))
        elif health.is_ready and now - kept.ready_at > _STEADY_S:
            kept.pause_s = FIRST_PAUSE_S

    def _rotate_logs(self) -> None:
        now = time.monotonic()
        if now - self._looked_at_logs < _LOGS_EVERY_S:
            return
        self._looked_at_logs = now
        for kept in self._kept.values():
            if rotate(kept.part.log):
                kept.log_from = 0
        for log in self._logs:
            rotate(log)

    def _launch(self, kept: Kept, now: float) -> None:
        part = kept.part
        kept.is_up, kept.refusal = threading.Event(), None
        kept.log_from = part.log.stat().st_size if part.log.exists() else 0
        kept.launched_at, launched_ns = now, self._clock.now_ns()
        self._stand(kept, Standing.STARTING)
        try:
            kept.process = launch(
                part.command,
                log=part.log,
                environment={**part.environment, PART_VARIABLE: kept.mark},
                folder=part.folder,
                end_signal=part.end_signal,
                is_piped=part.first_line is not None,
            )
        except OSError as error:
            self._failed(kept, now, f"could not be started: {error}", is_final=True)
            return
        launched = (kept, kept.process, kept.is_up, launched_ns)
        threading.Thread(target=bring_up, args=launched, daemon=True, name=f"bring up {part.name}").start()

    def _look_at_start(self, kept: Kept, now: float) -> None:
        if kept.refusal is not None:
            self._end_now(kept)
            self._failed(kept, now, kept.refusal.what, is_final=True)
        elif kept.process is not None and has_ended(kept.process):
            self._ended(kept, now)
        elif kept.is_up.is_set():
            kept.was_ready, kept.ready_at, kept.health = True, now, Health()
            asked = (kept, kept.process, kept.health)
            threading.Thread(target=probe_part, args=asked, daemon=True, name=f"probe {kept.part.name}").start()
            self._stand(kept, Standing.READY)
            self._news.append((kept.part.name, f"ready after {now - kept.launched_at:.1f} s"))
        elif now - kept.launched_at > kept.part.ready_within_s:
            self._end_now(kept)
            self._failed(kept, now, f"was not ready within {kept.part.ready_within_s:g} s", is_final=True)

    def _ended(self, kept: Kept, now: float) -> None:
        """A process is over: what it left is ended too, and then it is started again."""
        if kept.process is None:
            return
        end_marked(kept.mark)
        code = kept.process.wait()
        kept.process = None
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._failed(kept, now, how, is_final=code >= 0)

    def _failed(self, kept: Kept, now: float, how: str, *, is_final: bool) -> None:
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

    def _stand(self, kept: Kept, standing: Standing) -> None:
        kept.standing, kept.since_ns = standing, self._clock.now_ns()
        self._news.append((kept.part.name, ""))
        self._turned.notify_all()

    def _say(self) -> None:
        news, self._news = self._news, []
        for name, what in news:
            if what:
                self._on_news(name, what)
        if news:
            self._changed()

    def _end_now(self, kept: Kept) -> None:
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

    def _hear_last_words(self, kept: Kept) -> None:
        if kept.part.before_end is None or not kept.standing.is_up:
            return
        try:
            kept.part.before_end()
        except (SapphireError, OSError) as error:  # whatever it was to tell, it is ended all the same
            self._news.append((kept.part.name, f"told nothing at its end: {error}"))
