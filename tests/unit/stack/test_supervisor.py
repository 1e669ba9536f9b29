"""The supervisor: real processes, killed for real."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from processes import is_running

from sapphire.domain.clocks import WallClock
from sapphire.domain.errors import ConfigError, NotReady, Refused
from sapphire.domain.workspace import PART_VARIABLE
from sapphire.serving.ports import free_port
from sapphire.stack.processes import supervisor as supervisor_module
from sapphire.stack.processes.parts import Part, Probe, Standing
from sapphire.stack.processes.readiness import HttpChecks
from sapphire.stack.processes.run_lock import RunLock
from sapphire.stack.processes.supervisor import Supervisor
from sapphire.telemetry import log_files

SLEEP = "import time; time.sleep(600)"


def python(code, *words):
    return (sys.executable, "-S", "-c", code, *words)


def part(name, folder, code=SLEEP, *words, **more):
    return Part(name=name, command=python(code, *words), log=folder / f"{name}.log", **more)


def wait_for(what, within_s=10.0):
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s, "it did not come to that"
        time.sleep(0.02)


@pytest.fixture
def supervisor(tmp_path):
    """Makes a supervisor that is ended at the end."""
    made = []

    def make(*parts, **more):
        made.append(Supervisor(parts, lock=RunLock(tmp_path), clock=WallClock(), **more))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_a_part_is_started_after_what_it_needs_and_ended_before_it(tmp_path, supervisor):
    diary = tmp_path / "diary"
    code = """
import pathlib, signal, sys, time
def note(what):
    with open(sys.argv[1], "a") as diary: diary.write(what + " " + sys.argv[2] + "\\n")
def end(*_):
    note("ended"); sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("started"); pathlib.Path(sys.argv[2]).touch()
time.sleep(600)
"""

    def noting(name, **more):
        flag = tmp_path / name
        return part(name, tmp_path, code, str(diary), str(flag), ready=lambda _: flag.exists(), **more)

    with supervisor(noting("desk", needs=("market", "bus")), noting("market", needs=("bus",)), noting("bus")) as kept:
        assert {each.standing for each in kept.parts.values()} == {Standing.READY}
        pids = [each.pid for each in kept.parts.values()]
    names = [line.replace(str(tmp_path) + "/", "") for line in diary.read_text().splitlines()]
    assert names == ["started bus", "started market", "started desk", "ended desk", "ended market", "ended bus"]
    assert not any(map(is_running, pids))
    assert {each.standing for each in kept.parts.values()} == {Standing.STOPPED}


def test_what_dies_is_started_again_and_the_pause_grows(tmp_path, supervisor):
    news = []
    kept = supervisor(part("service", tmp_path), on_news=lambda name, what: news.append((name, what))).start()
    pids = [kept.parts["service"].pid]
    for restarts in (1, 2, 3):
        os.kill(pids[-1], signal.SIGKILL)
        wait_for(lambda n=restarts: kept.parts["service"].restarts == n)
        pids.append(kept.wait_until_ready("service", within_s=10).pid)
    assert len(set(pids)) == 4
    again = [what for _, what in news if "again" in what]
    assert again == [f"was killed by signal 9; it is started again in {pause} s" for pause in ("0.1", "0.2", "0.4")]
    assert kept.parts["service"].why == "was killed by signal 9"


def test_a_part_that_refuses_later_is_not_given_up(tmp_path, supervisor):
    code = f"import os, sys, time\nif os.path.exists(sys.argv[1]): sys.exit(1)\n{SLEEP}"
    flag = tmp_path / "refuse"
    kept = supervisor(part("service", tmp_path, code, str(flag))).start()
    flag.touch()
    os.kill(kept.parts["service"].pid, signal.SIGKILL)
    wait_for(lambda: kept.parts["service"].restarts >= 3)
    assert kept.parts["service"].why == "ended with exit code 1"
    flag.unlink()
    assert kept.wait_until_ready("service", within_s=10).standing is Standing.READY


def test_a_refusal_at_the_first_start_stops_the_start_and_shows_its_words(tmp_path, supervisor):
    good = part("bus", tmp_path)
    bad = part("service", tmp_path, "import sys; print('no such account'); sys.exit(1)", ready=lambda _: False)
    kept = supervisor(good, bad)
    with pytest.raises(NotReady, match="service ended with exit code 1 before it was ready") as error:
        kept.start()
    assert error.value.got == "no such account"
    assert kept.parts["bus"].standing is Standing.STOPPED
    assert kept.parts["service"].standing is Standing.REFUSED


def test_a_ready_check_may_refuse(tmp_path, supervisor):
    def ready(_):
        raise Refused("golden outputs differ")

    with pytest.raises(Refused, match="golden outputs differ"):
        supervisor(part("bento", tmp_path, ready=ready)).start()


def test_nobody_waits_for_an_optional_part(tmp_path, supervisor):
    kept = supervisor(
        part("bus", tmp_path),
        part("pages", tmp_path, ready=lambda _: False, is_optional=True),
        part("broken", tmp_path, "import sys; sys.exit(1)", ready=lambda _: False, is_optional=True),
    ).start()
    wait_for(lambda: kept.parts["broken"].restarts >= 2)
    assert (kept.parts["bus"].standing, kept.parts["pages"].standing) == (Standing.READY, Standing.STARTING)


def test_a_part_that_never_gets_ready_is_an_error(tmp_path, supervisor):
    with pytest.raises(NotReady, match=r"was not ready within 0\.3 s"):
        supervisor(part("service", tmp_path, ready=lambda _: False, ready_within_s=0.3)).start()


def test_a_command_that_is_not_there_is_an_error(tmp_path, supervisor):
    with pytest.raises(NotReady, match="could not be started"):
        supervisor(Part(name="service", command=(str(tmp_path / "none"),), log=tmp_path / "log")).start()


def test_the_first_line_is_handed_over_at_every_start_and_kept_out_of_the_log(tmp_path, supervisor):
    lines = []
    code = f"import os; print('secret', os.getpid(), flush=True); print('more ' * 40000, flush=True); {SLEEP}"
    kept = supervisor(part("exchange", tmp_path, code, first_line=lines.append)).start()
    first = kept.parts["exchange"].pid
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: kept.parts["exchange"].restarts == 1)
    second = kept.wait_until_ready("exchange", within_s=10).pid
    assert lines == [f"secret {pid}\n".encode() for pid in (first, second)]
    assert "secret" not in (tmp_path / "exchange.log").read_text()


def test_a_deaf_part_is_ended_after_its_patience(tmp_path, supervisor):
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); {SLEEP}"
    kept = supervisor(part("deaf", tmp_path, code, first_line=lambda _: None, patience_s=0.3)).start()
    pid = kept.parts["deaf"].pid
    kept.stop()
    assert not is_running(pid)


def test_what_a_killed_part_leaves_behind_is_ended(tmp_path, supervisor):
    """A server's worker in a session of its own, as bentoml's are, must not hold the port."""
    code = f"""
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-S", "-c", {SLEEP!r}], start_new_session=True)
print(worker.pid, flush=True)
{SLEEP}
"""
    workers = []
    kept = supervisor(part("bento", tmp_path, code, first_line=lambda line: workers.append(int(line)))).start()
    os.kill(kept.parts["bento"].pid, signal.SIGKILL)
    wait_for(lambda: kept.parts["bento"].restarts == 1)
    kept.wait_until_ready("bento", within_s=10)
    assert not is_running(workers[0])
    assert is_running(workers[1])
    kept.stop()
    assert not is_running(workers[1])


def test_a_killed_part_s_stopped_spawner_and_its_worker_are_ended(tmp_path, supervisor):
    """What is stopped does not see that its part is gone; and no agent learns whether a supervisor keeps it."""
    code = f"""
import os
from sapphire.agents.worker.spawner import spawner_of
spawner = spawner_of(0)
ours, worker, printed = spawner.spawn()
print(spawner.process, worker, flush=True)
{SLEEP}
"""
    pids = []
    whole = part("bento", tmp_path, code, first_line=lambda line: pids.append([int(word) for word in line.split()]))
    whole = replace(whole, command=(sys.executable, "-c", code))
    kept = supervisor(whole).start()
    for pid in pids[0]:
        os.kill(pid, signal.SIGSTOP)
    os.kill(kept.parts["bento"].pid, signal.SIGKILL)
    wait_for(lambda: kept.parts["bento"].restarts == 1)
    kept.wait_until_ready("bento", within_s=30)
    assert not any(map(is_running, pids[0]))
    assert all(map(is_running, pids[1]))


KEEPER = f"""
import sys, time
from pathlib import Path
from sapphire.domain.clocks import WallClock
from sapphire.stack.processes.parts import Part
from sapphire.stack.processes.run_lock import RunLock
from sapphire.stack.processes.supervisor import Supervisor
from sapphire.serving.ports import free_port
from sapphire.telemetry import log_files
folder = Path(sys.argv[1])
worker = "import subprocess, sys; "
worker += "subprocess.Popen([sys.executable, '-S', '-c', {SLEEP!r}], start_new_session=True).wait()"
parts = [Part(name=name, command=(sys.executable, "-S", "-c", code), log=folder / name)
         for name, code in (("plain", {SLEEP!r}), ("family", worker))]
kept = Supervisor(parts, lock=RunLock(folder), clock=WallClock()).start()
print(*(each.pid for each in kept.parts.values()), flush=True)
time.sleep(600)
"""


def marked(folder):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(PART_VARIABLE, "").startswith(f"{folder}:"):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_killed_supervisor_leaves_no_strays_and_the_folder_is_free(tmp_path, supervisor):
    keeper = subprocess.Popen([sys.executable, "-c", KEEPER, str(tmp_path)], stdout=subprocess.PIPE)
    pids = [int(word) for word in keeper.stdout.readline().split()]
    wait_for(lambda: len(marked(tmp_path)) == 3)
    with pytest.raises(Refused, match=f"a stack already runs in {tmp_path}") as refused:
        supervisor(part("bus", tmp_path)).start()
    assert str(keeper.pid) in refused.value.got
    keeper.kill()
    keeper.wait()
    wait_for(lambda: not any(map(is_running, pids)))
    # The orphan of a part that was not given the time to end it is ended by the next start in the same folder.
    with supervisor(part("bus", tmp_path)) as kept:
        assert marked(tmp_path) == [kept.parts["bus"].pid]


@pytest.mark.parametrize("fails", [False, True])
def test_a_lock_that_was_held_before_stays_with_who_took_it(tmp_path, fails):
    lock = RunLock(tmp_path).take()
    code = "raise SystemExit(1)" if fails else SLEEP
    kept = Supervisor([part("bus", tmp_path, code)], lock=lock, clock=WallClock())
    if fails:
        with pytest.raises(NotReady):
            kept.start()
    else:
        kept.start()
    kept.stop()
    assert lock.holder() == os.getpid()
    lock.free()
    assert lock.holder() is None


def test_the_lock_names_its_holder(tmp_path):
    lock = RunLock(tmp_path)
    assert lock.holder() is None
    with lock:
        assert RunLock(tmp_path).holder() == os.getpid()
        with pytest.raises(Refused, match=str(tmp_path)):
            RunLock(tmp_path).take()
    assert lock.holder() is None


def test_two_folders_run_side_by_side(tmp_path):
    stacks = [Supervisor([part("bus", tmp_path)], lock=RunLock(tmp_path / name), clock=WallClock()) for name in "ab"]
    with stacks[0] as one, stacks[1] as other:
        assert one.parts["bus"].pid != other.parts["bus"].pid


@pytest.mark.parametrize(
    "needs", [{"a": ("b",), "b": ("a",)}, {"a": ("nobody",)}, {"a": ("a",)}], ids=["circle", "unknown", "itself"]
)
def test_needs_that_cannot_be_met_are_refused(tmp_path, needs):
    with pytest.raises(ConfigError, match="cannot be started"):
        Supervisor(
            [part(name, tmp_path, needs=of) for name, of in needs.items()], lock=RunLock(tmp_path), clock=WallClock()
        )


def test_changes_are_announced(tmp_path, supervisor):
    seen = []
    kept = supervisor(part("bus", tmp_path), changed=lambda: seen.append(str(kept.parts["bus"].standing)))
    kept.start()
    kept.stop()
    assert seen[-1] == "stopped"
    assert {"starting", "ready"} & set(seen)


def test_last_words_are_heard_when_those_who_need_a_part_have_ended(tmp_path, supervisor):
    heard = []

    def last_words():
        parts = running.parts
        heard.append((is_running(parts["exchange"].pid), is_running(pid_of_service)))
        raise NotReady("the exchange", got="no answer")

    news = []
    running = supervisor(
        part("exchange", tmp_path, before_end=last_words),
        part("service", tmp_path, needs=("exchange",)),
        on_news=lambda name, what: news.append((name, what)),
    ).start()
    pid_of_service = running.parts["service"].pid
    running.stop()
    assert heard == [(True, False)]
    assert any(name == "exchange" and "told nothing at its end" in what for name, what in news)
    assert running.parts["exchange"].standing is Standing.STOPPED


QUICK = Probe(every_s=0.05, within_s=0.3, failures=2)
HANGING = """
import sys, time
from sapphire.telemetry.part_runtime import PartRuntime
from sapphire.telemetry.part_settings import PartSettings
runtime = PartRuntime("part", PartSettings(port=int(sys.argv[1]), hung_after_s=0.5))
runtime.serve()
runtime.readiness.tell(ready=True)
hangs = open(sys.argv[2], "a+")
while True:
    runtime.turned()
    time.sleep(0.05)
    hangs.seek(0)
    if hangs.read() == "hang":
        time.sleep(600)
"""


def test_a_process_that_is_stopped_is_started_again(tmp_path, supervisor):
    """Whatever kind of program it is: nothing of it answers, and it is not dead."""
    kept = supervisor(part("bus", tmp_path, probe=QUICK)).start()
    pid = kept.parts["bus"].pid
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: kept.parts["bus"].restarts == 1)
    assert kept.wait_until_ready("bus", within_s=10).pid != pid
    assert not is_running(pid)
    assert kept.parts["bus"].why == "hung: its process is stopped, asked 2 times"


def test_a_loop_that_hangs_is_started_again_and_one_that_turns_is_not(tmp_path, supervisor):
    hang, checks = tmp_path / "hang", HttpChecks(f"http://127.0.0.1:{free_port()}", within_s=0.5)
    port = checks.url.rpartition(":")[2]
    kept = supervisor(
        Part(
            name="part", command=(sys.executable, "-c", HANGING, port, str(hang)), log=tmp_path / "log",
            ready=lambda _: checks.started(), ready_still=checks.ready, live=checks.live, probe=QUICK,
        )
    ).start()  # fmt: skip
    pid = kept.parts["part"].pid
    time.sleep(0.7)
    assert (kept.parts["part"].pid, kept.parts["part"].restarts) == (pid, 0)
    hang.write_text("hang")
    wait_for(lambda: kept.parts["part"].restarts == 1)
    hang.write_text("")
    assert kept.parts["part"].why == "hung: it is not live, asked 2 times"
    kept.wait_until_ready("part", within_s=10)
    assert not is_running(pid)


def test_ready_is_asked_again_and_again(tmp_path, supervisor):
    is_ready = [True]
    kept = supervisor(part("bento", tmp_path, ready_still=lambda: is_ready[0], probe=QUICK)).start()
    pid = kept.parts["bento"].pid
    for standing in (Standing.UNREADY, Standing.READY):
        is_ready[0] = standing is Standing.READY
        wait_for(lambda wanted=standing: kept.parts["bento"].standing is wanted)
    assert (kept.parts["bento"].pid, kept.parts["bento"].restarts) == (pid, 0)


def test_the_pause_is_the_first_again_only_once_a_part_was_ready_for_a_while(tmp_path, supervisor, monkeypatch):
    """Counted from when it was ready: what takes long to come up, and dies at once, has not done well."""
    monkeypatch.setattr(supervisor_module, "_STEADY_S", 0.5)
    news, came_up = [], tmp_path / "up"
    code = f"import pathlib, sys, time\ntime.sleep(0.6); pathlib.Path(sys.argv[1]).touch()\n{SLEEP}"
    slow = part("slow", tmp_path, code, str(came_up), ready=lambda _: came_up.exists())
    kept = supervisor(slow, on_news=lambda _, what: news.append(what)).start()
    for restarts in (1, 2):
        came_up.unlink()
        os.kill(kept.parts["slow"].pid, signal.SIGKILL)
        wait_for(lambda n=restarts: kept.parts["slow"].restarts == n)
        kept.wait_until_ready("slow", within_s=10)
    time.sleep(0.7)
    os.kill(kept.parts["slow"].pid, signal.SIGKILL)
    wait_for(lambda: kept.parts["slow"].restarts == 3)
    pauses = [what.rsplit(" ", 2)[1] for what in news if "again in" in what]
    assert pauses == ["0.1", "0.2", "0.1"]


def test_logs_of_parts_are_bounded(tmp_path, supervisor, monkeypatch):
    monkeypatch.setattr(supervisor_module, "_LOGS_EVERY_S", 0.05)
    code = f"import sys\nfor n in range(60): print('x' * 99_999, flush=True)\nprint('the last', flush=True); {SLEEP}"
    supervisor(part("loud", tmp_path, code)).start()
    log = tmp_path / "loud.log"
    files = (log, log_files.before(log))  # the last line may have been moved on before anybody looked
    wait_for(lambda: any(each.exists() and each.read_bytes().endswith(b"the last\n") for each in files))
    wait_for(lambda: log.stat().st_size <= log_files.MAX_BYTES)
    assert log_files.before(log).exists()
    assert len(list(tmp_path.glob("loud.log*"))) == 2
