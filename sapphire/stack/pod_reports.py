"""Reports on an account that trades in pods: its run folder, put together from the volumes of its parts.

In:    the deployment's plan, the engine's volume with its journal, the coordinator's with its decisions; read alone.
Out:   a run folder of links, as `sapphire up` leaves one behind, and the pages that reports make of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ConfigError, MissingData

if TYPE_CHECKING:
    from sapphire.monitoring.telling.reports import Rendered

__all__ = ["ROOM", "Volumes", "rendered_of_pods", "run_of_pods"]

ROOM = "reports"
"""Of the place: pages, by their sha256."""


@dataclass(frozen=True, slots=True)
class Volumes:
    """Where the volumes of an account's parts are mounted.

    Parameters
    ----------
    engine : with `account/`: journal and latency traces.
    coordinator : with `decisions.jsonl`.
    """

    engine: Path
    coordinator: Path


def run_of_pods(plan: Mapping[str, Any], account: str, volumes: Volumes, *, home: Path, run: Path) -> Path:
    """Put the run folder of an account together; the same again changes nothing.

    Parameters
    ----------
    plan : of the deployment, POD_PLAN@1.
    home : the state folder, with the account's release.
    run : the folder to make.

    Raises
    ------
    ConfigError : the plan has no such account, or is none.
    MissingData : a volume without what its part writes.
    EvidenceRefused : its release does not verify, or its permit does not hold and the account holds nothing of it.
    """
    from sapphire.data.durable import write_text
    from sapphire.data.generated import generated_instrument
    from sapphire.stack.configs import instrument_row
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.releases import described

    try:
        market, traded = plan["market"], plan["accounts"][account]
        digest = plan["agents"][traded["agent"]]["release"]
        start_ns, symbols = to_ns(market["start"]), list(market["symbols"])
        facts = {
            "symbols": symbols,
            "interval": market["interval"],
            "market": {
                "source": market["source"], "seed": market["seed"], "candles": None, "start": market["start"],
                "start_ns": str(start_ns),
            },
            "clock": {"speed": float(market["speed"])},
            "latency_ms": None,
            "account": account,
            "account_tag": traded["tag"],
        }  # fmt: skip
        stage = str(traded["stage"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"no account {account} in the plan",
            expected="a plan POD_PLAN@1 with that account",
            got=f"{type(error).__name__}: {error}",
        ) from None
    rows = [instrument_row(generated_instrument(each, seed=market["seed"], at_ns=start_ns)) for each in symbols]
    run.mkdir(parents=True, exist_ok=True)
    _link(run / "account", volumes.engine / "account", whose=f"engine-{account}")
    _link(run / "decisions.jsonl", volumes.coordinator / "decisions.jsonl", whose=f"coordinator-{account}")
    release, _ = described(home, digest, run=RunFolder(run))
    release_facts = {
        "digest": digest,
        "label": release.label,
        "name": release.name,
        "skill_failed": release.skill_failed,
        "marks": list(release.marks),
        "stage": stage,
    }
    write_text(run / "coordinator.json", json.dumps({"instruments": rows}))
    write_text(run / "stack.json", json.dumps({**facts, "release": release_facts}))
    return run


def rendered_of_pods(
    name: str, plan: Path, account: str, volumes: Volumes, *, day: date | None = None
) -> tuple[Rendered, str | None]:
    """Render a report on an account of pods, and record its paper days as evidence of its release.

    Parameters
    ----------
    name : of the report.
    plan : the plan's file.
    day : that it is of; the last that is over unless given.

    Returns
    -------
    Rendered, str or None : the page; its sha256 in the place, where there is one.

    Raises
    ------
    ConfigError : no plan there, or not that account. Others as `run_of_pods` and `render_report`.
    """
    from sapphire.data.places import shared_place
    from sapphire.domain.workspace import find_workspace, home
    from sapphire.monitoring.judging.days_on_paper import keep_paper_days
    from sapphire.monitoring.reading.day_of_run import days_of
    from sapphire.monitoring.reading.run_folder import read_run
    from sapphire.monitoring.telling.reports import render_report
    from sapphire.registry import Registry

    try:
        facts = json.loads(plan.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"no plan in {plan}", expected="JSON, POD_PLAN@1", got=type(error).__name__) from None
    state = home()
    folder = run_of_pods(facts, account, volumes, home=state, run=state / "runs" / account)
    made = render_report(name, folder, home=state, workspace=find_workspace() or state, day=day)
    run, registry = read_run(folder, state), Registry(state)
    known = {each.day for each in registry.store.parity(run.facts.release)}
    days = [each for each in days_of(run) if each.isoformat() not in known]
    keep_paper_days(registry, run.facts.release, folder, days)
    place = shared_place()
    return made, None if place is None else place.put(ROOM, made.html.read_bytes())


def _link(link: Path, target: Path, *, whose: str) -> None:
    if not target.exists():
        raise MissingData(
            f"the volume of {whose} has no {target.name}",
            expected=str(target),
            got="none",
            next=f"it is there once {whose} has begun; sapphire part writes it",
        )
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
