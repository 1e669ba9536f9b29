"""Workers: the cores of this machine, for many agents and many accounts.

Processes begin afresh and import no `__main__`, so the threads of torch or polars in a notebook's kernel stop none of
them, and a script needs no guard. An agent goes there by value, as it lives here: one of a notebook's cell, and one
that was changed since its file was read. What cannot go there is asked here. Whatever stops the work ends the workers.
"""

from __future__ import annotations

import pickle
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sapphire.agents.agent import Agent
from sapphire.agents.sources import code_of
from sapphire.agents.workspace_modules import import_name
from sapphire.domain.errors import AgentError, StudyError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["asked_in_order", "chunks_of", "computed_in_order", "cores"]

Result = TypeVar("Result")
Item = TypeVar("Item")

_IDLE_S = 60
"""How long workers wait for another sweep before they end."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
_LARGEST_CHUNK = 8


def cores() -> int:
    """The cores that this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


def chunks_of(items: Sequence[Item]) -> list[Sequence[Item]]:
    """The items in order, some for each call: few enough that all cores are busy to the end."""
    size = max(1, min(_LARGEST_CHUNK, len(items) // (4 * cores())))
    return [items[start : start + size] for start in range(0, len(items), size)]


def computed_in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """What `function` makes of each item, in order, in threads: for what is compiled. Close it, as `asked_in_order`."""
    with ThreadPoolExecutor(cores()) as threads:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(threads.submit(function, item))
                if len(waiting) > 2 * cores():
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def asked_in_order(
    function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]], *, agents: Iterable[Agent], apart: bool
) -> Generator[Result, None, None]:
    """What `function` says of each task, in the order of the tasks; few wait at a time, however many there are.

    Close it (`contextlib.closing`), so that workers end with what stops their work.

    Parameters
    ----------
    function : of a module; it may not rely on what this process holds.
    agents : whose classes go to the workers by value.
    apart : whether to use workers; where there is one core, or something cannot go there, all is asked here.

    Raises
    ------
    StudyError : a worker ended before its work did.
    """
    if not apart or cores() == 1:
        yield from (function(*task) for task in tasks)
        return
    with _by_value(agents):
        try:
            bundles = (_bundle(task) for task in [*tasks])
            first = next(bundles)
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError):
            yield from (function(*task) for task in tasks)
            return
        yield from _by_workers(function, first, bundles)


def _by_workers(function: Callable[..., Result], first: bytes, rest: Iterator[bytes]) -> Iterator[Result]:
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    executor = get_reusable_executor(max_workers=cores(), timeout=_IDLE_S, env=_ONE_THREAD)
    waiting: deque[Any] = deque([executor.submit(_asked, function, first, sys.path)])
    done = False
    try:
        for bundle in rest:
            waiting.append(executor.submit(_asked, function, bundle, sys.path))
            if len(waiting) > 2 * cores():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        done = True
    except BrokenProcessPool as error:
        raise StudyError(
            "a worker ended before its work did",
            expected="memory for one combination on each core",
            got=str(error).splitlines()[0],
            next="ask for fewer bars at once, or see what the agent does to its process",
        ) from error
    finally:
        if not done:
            executor.shutdown(wait=False, kill_workers=True)


def _asked(function: Callable[..., Result], bundle: bytes, path: Sequence[str]) -> Result:
    """In a worker."""
    sys.path += [place for place in path if place not in sys.path]
    return function(*pickle.loads(bundle))


def _bundle(task: tuple[Any, ...]) -> bytes:
    import cloudpickle

    return bytes(cloudpickle.dumps(task))


@contextmanager
def _by_value(agents: Iterable[Agent]) -> Iterator[None]:
    """Let what the agents' modules hold be bundled as it is now, and not as their files would make it anew."""
    import cloudpickle

    modules = {module.__name__: module for agent in agents for module in _modules_of(agent)}
    for module in modules.values():
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules.values():
            cloudpickle.unregister_pickle_by_value(module)


def _modules_of(agent: Agent) -> Iterator[ModuleType]:
    """The modules that an agent is made by: its classes', and those of the workspace that these import."""
    for cls in type(agent).__mro__:
        if not issubclass(cls, Agent) or cls.__module__.partition(".")[0] == "sapphire":
            continue
        try:
            imported = [import_name(source.name) for source in code_of(cls).imported.modules]
        except AgentError:  # made by no file; it goes by value all the same
            imported = []
        yield from (sys.modules[name] for name in (cls.__module__, *imported) if name in sys.modules)
    for part in agent.parts():
        yield from _modules_of(part)
