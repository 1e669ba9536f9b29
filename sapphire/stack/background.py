"""A stack in the background: started by `up`, found by `status`, ended by `down`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sapphire.domain.errors import NotReady, Refused
from sapphire.domain.workspace import HOME_VARIABLE
from sapphire.execution.service import Service, read_credentials
from sapphire.stack.folders import RunFolder
from sapphire.stack.keeper import PLAN
from sapphire.stack.plan import Plan
from sapphire.stack.processes.groups import end_marked, tail_of
from sapphire.stack.processes.run_lock import RunLock
from sapphire.stack.stack import FAILED, READY

__all__ = ["bring_up", "require_running", "require_to_join", "service_at", "service_of", "take_down"]

_LOOK_EVERY_S = 0.1
_END_WITHIN_S = 90.0

Seen = Callable[[Mapping[str, Any]], None]
"""Is shown the facts of a stack that is coming up, again and again."""


def bring_up(plan: Plan, *, fresh: bool = False, seen: Seen = lambda _: None) -> dict[str, Any]:
    """Start a stack that goes on without us; its facts, once every part is ready.

    Raises
    ------
    Refused : a stack runs in that folder already.
    NotReady : it did not come up; nothing is left running.
    """
    folder = RunFolder(plan.run)
    with RunLock(plan.run):  # refuses a folder that is in use before anything in it is changed
        from sapphire.data.durable import write_text

        write_text(folder.settings(PLAN), json.dumps(plan.as_dict(), indent=1) + "\n")
    log = folder.log("keeper")
    log.parent.mkdir(parents=True, exist_ok=True)
    start = log.stat().st_size if log.exists() else 0
    began_ns = time.time_ns()
    words = [sys.executable, "-m", "sapphire.stack.keeper", str(plan.run), *(["--fresh"] if fresh else [])]
    with log.open("ab") as output:
        keeper = subprocess.Popen(
            words,
            env=os.environ | {HOME_VARIABLE: str(plan.home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        return _when_ready(folder, keeper, began_ns, seen)
    except NotReady as error:
        keeper.wait()
        raise NotReady(error.what, got=error.got or tail_of(log, start), next=f"see {log.parent}") from None
    except BaseException:
        keeper.terminate()
        keeper.wait()
        raise


def _when_ready(folder: RunFolder, keeper: subprocess.Popen[bytes], began_ns: int, seen: Seen) -> dict[str, Any]:
    while True:
        ended = keeper.poll() is not None
        facts = folder.read() if folder.facts.exists() else {}
        if int(facts.get("written_ns", 0)) >= began_ns:
            seen(facts)
            if facts["state"] == READY:
                return facts
            if facts["state"] == FAILED:
                raise NotReady("the stack did not come up", got=str(facts["error"]))
        if ended:
            raise NotReady(f"the stack's keeper ended with exit code {keeper.returncode}")
        time.sleep(_LOOK_EVERY_S)


def take_down(run: Path) -> bool:
    """End the stack of a run folder; whether there was one.

    Raises
    ------
    NotReady : it does not end.
    """
    lock = RunLock(run)
    keeper = lock.holder()
    if keeper is None:
        return False
    _send(keeper, signal.SIGTERM)
    for end_by in (time.monotonic() + _END_WITHIN_S, time.monotonic() + _END_WITHIN_S + 10.0):
        while time.monotonic() < end_by:
            if lock.holder() is None:
                return True
            time.sleep(_LOOK_EVERY_S)
        # It hangs. Its parts end with it; nothing that was answered is lost.
        _send(keeper, signal.SIGKILL)
        end_marked(f"{run}:")
    raise NotReady(f"the stack in {run} does not end", got=f"process {keeper} holds its lock")


def require_running(run: Path) -> dict[str, Any]:
    """The facts of a stack that runs.

    Raises
    ------
    Refused : none runs there.
    """
    if RunLock(run).holder() is None:
        raise Refused(f"no stack runs in {run}", expected="a running stack", got="none", next="sapphire up starts one")
    return RunFolder(run).read()


def require_to_join(first: RunFolder, *, fresh: bool, mlflow: bool | None) -> None:
    """Refuse what cannot be asked for an account that joins.

    Parameters
    ----------
    first : run folder of the stack that it is to join.
    fresh, mlflow : as `up` was told.

    Raises
    ------
    Refused : no stack runs there, it is not up yet, or it is to be forgotten what others trade on.
    """
    facts = require_running(first.path)
    if facts["state"] != READY:
        raise Refused(
            f"the stack in {first.path} is not up",
            expected="one that is ready, for an account to join",
            got=f"one that is {facts['state']}",
            next="sapphire status says how far it is",
        )
    for word, is_given in (("--fresh", fresh), ("--mlflow", mlflow is True)):
        if is_given:
            raise Refused(
                f"{word} with --account",
                expected="words of the account: its release, funds, ports",
                got=f"{word}, which is of the whole stack",
                next="give the account another name to begin anew" if fresh else "leave it out",
            )


def service_of(run: Path, *, acts: bool = False) -> Service:
    """A client of the execution service of a running stack; one that only reads unless it has to act.

    Raises
    ------
    Refused : none runs there, or its credentials cannot be read.
    """
    service = service_at(RunFolder(run), require_running(run), acts=acts)
    if service is None:
        raise Refused("the stack is still starting", expected="a service", got="none yet", next="sapphire status")
    return service


def service_at(run: RunFolder, facts: Mapping[str, Any], *, acts: bool = False) -> Service | None:
    """A client of the service that these facts name, which reads unless it has to act; None before there is one."""
    url = facts["addresses"].get("service_url")
    if url is None or not run.credentials.exists():
        return None
    return Service(url, read_credentials(run.credentials)["service_token" if acts else "service_read_token"])


def _send(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(process, number)
