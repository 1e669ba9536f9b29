"""Running a proof: strategies on every core, each written down once it is measured, so that it can be gone on with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sapphire.data.durable import write_text
from sapphire.data.generated import generator_version
from sapphire.domain.engine import load_engine
from sapphire.domain.workspace import home
from sapphire.research.proof.measured import Measured, Template, market_of, measure, own_home, whole
from sapphire.research.proof.settings import Kind, Settings, groups
from sapphire.research.proof.verdicts import Proof
from sapphire.research.results.progress import progress

__all__ = ["folder_of", "prove"]

_MEASURES_NOTHING = ("verdicts.py", "expected.py", "plots.py", "running.py", "__init__.py")
"""Modules of the proof whose change leaves what was measured as it is."""
_ROOMS = ("domain", "data", "statistics", "agents", "portfolio", "registry", "research")
_STRATEGIES, _SUBMITTED = "strategies.jsonl", "submitted.json"
_Name = tuple[str, str, int]
"""Kind, costs and number of a strategy."""
_Values = dict[str, float | None]
"""Skill measure to its value."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class _Job:
    """One market, and the groups that are measured on it."""

    kind: Kind
    number: int


def prove(settings: Settings, *, processes: int = 2) -> Proof:
    """Measure every strategy that is not measured yet, and judge them all.

    What was measured lies in `folder_of` the settings, a line per strategy, so that a proof that was stopped goes on.
    Table and figure are written there as JSON and HTML.

    Parameters
    ----------
    processes : that measure at the same time; with 1 it is done here.
    """
    folder = folder_of(settings)
    folder.mkdir(parents=True, exist_ok=True)
    done, submitted = _read(folder / _STRATEGIES), _read_submitted(folder / _SUBMITTED)
    jobs = [job for job in _jobs(settings) if any(key not in done for key in _keys(job, settings))]
    wanted = [group for group in groups(settings)[: settings.submitted] if group.text not in submitted]
    with progress("proof") as on_progress:
        total = len(_jobs(settings))
        on_progress(0, total, "proof: the first strategies, the whole way")
        if jobs or wanted:
            templates = _templates(settings)
            submitted |= {group.text: dict(templates[group.text].values) for group in wanted}
            write_text(folder / _SUBMITTED, json.dumps(submitted, sort_keys=True) + "\n")
        on_progress(total - len(jobs), total, "proof: strategies")
        if jobs:
            for count, found in enumerate(_measured(jobs, settings, templates, processes), start=1):
                new = [each for each in found if _key(each) not in done]
                done |= {_key(each): each for each in new}
                _append(folder / _STRATEGIES, new)
                on_progress(total - len(jobs) + count, total, "proof: strategies")
    proof = Proof(settings, _asked(done, settings), _shared(done, submitted, settings))
    write_text(folder / "proof.json", json.dumps(proof.as_dict(), indent=1, sort_keys=True) + "\n")
    proof.figure.write_html(folder / "proof.html", include_plotlyjs=True)
    return proof


def folder_of(settings: Settings) -> Path:
    """Where a proof is kept, in `$SAPPHIRE_HOME/proof`: with another code or engine it begins anew.

    How many strategies there are is no part of its name: more of them go on where fewer ended.
    """
    decides: dict[str, Any] = {"seed": settings.seed, "variants": settings.variants, "generator": generator_version()}
    decides |= {"engine": load_engine().engine_version(), "code": _code_digest()}
    return home() / "proof" / hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]


def _code_digest() -> str:
    root = Path(__file__).parents[2]
    content = hashlib.sha256()
    for path in sorted(path for room in _ROOMS for path in (root / room).rglob("*.py")):
        if not (path.parent.name == "proof" and path.name in _MEASURES_NOTHING):
            content.update(f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    content.update((root.parent / "mlflow" / "gates" / "paper.yaml").read_bytes())
    return content.hexdigest()


def _jobs(settings: Settings) -> list[_Job]:
    noise = [_Job("coin", number) for number in range(settings.strategies)]
    return noise + [_Job("planted", number) for number in range(settings.planted)]


def _keys(job: _Job, settings: Settings) -> list[_Name]:
    return [(group.kind, group.costs, job.number) for group in groups(settings) if group.kind == job.kind]


def _key(found: Measured) -> _Name:
    return found.kind, found.costs, found.number


def _templates(settings: Settings) -> dict[str, Template]:
    """What the strategies of each group share; a group whose first one is not submitted takes that of the first."""
    made: dict[str, Template] = {}
    for group in groups(settings):
        if len(made) < settings.submitted:
            with own_home():
                made[group.text] = whole(group, market_of(group.kind, 0, settings), settings)
        else:
            made[group.text] = next(iter(made.values()))
    return made


def _measured(
    jobs: list[_Job], settings: Settings, templates: Mapping[str, Template], processes: int
) -> Iterator[list[Measured]]:
    """What the jobs find, in the order in which they are done."""
    if processes == 1:
        for job in jobs:
            yield _measure(job, settings, templates)
        return
    _one_thread_each()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_one_thread_each) as pool:
        waiting: set[Future[list[Measured]]] = set()
        left = iter(jobs)
        for job in left:
            waiting.add(pool.submit(_measure, job, settings, templates))
            if len(waiting) >= 2 * processes:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in finished)
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (each.result() for each in finished)


def _measure(job: _Job, settings: Settings, templates: Mapping[str, Template]) -> list[Measured]:
    """One market under every cost, each in a state folder of its own."""
    with own_home():
        data = market_of(job.kind, job.number, settings)
    found = []
    for group in groups(settings):
        if group.kind == job.kind:
            with own_home():
                found.append(measure(group, job.number, data, settings, templates[group.text]))
    return found


def _asked(done: Mapping[_Name, Measured], settings: Settings) -> tuple[Measured, ...]:
    """What was asked for, whatever more there is."""
    return tuple(done[key] for job in _jobs(settings) for key in _keys(job, settings))


def _shared(done: Mapping[_Name, Measured], submitted: Mapping[str, _Values], settings: Settings) -> dict[str, bool]:
    """Whether the first of a group shows the same to the last digit, the whole way and the short one."""
    return {
        group.text: dict(done[group.kind, group.costs, 0].values) == submitted[group.text]
        for group in groups(settings)[: settings.submitted]
    }


def _append(path: Path, found: list[Measured]) -> None:
    with path.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(each.as_dict(), sort_keys=True) + "\n" for each in found)


def _read_submitted(path: Path) -> dict[str, _Values]:
    """Group to what the registry said of its first strategy, as it was kept."""
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _read(path: Path) -> dict[_Name, Measured]:
    """What was measured before; a last line that was torn is cut off."""
    if not path.exists():
        return {}
    whole_lines, torn = path.read_text("utf-8").rpartition("\n")[::2]
    if torn:
        write_text(path, whole_lines + "\n" if whole_lines else "")
    made: list[dict[str, Any]] = [json.loads(line) for line in whole_lines.splitlines()]
    return {_key(each): each for each in (Measured(**entry) for entry in made)}


def _one_thread_each() -> None:
    """As many threads as processes are enough."""
    os.environ |= dict.fromkeys(_THREADS, "1")
