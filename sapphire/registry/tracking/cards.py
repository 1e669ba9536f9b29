"""What MLflow's pages say of a registered model, of its versions and of a release's gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sapphire.domain.clocks import from_ns
from sapphire.registry.tracking.pages import Page, Table
from sapphire.registry.tracking.stories import GATES_TAG

if TYPE_CHECKING:
    from sapphire.domain.evidence import GateReport
    from sapphire.domain.releases import Manifest
    from sapphire.registry.measurements import EvidenceBundle

__all__ = ["Card", "gates_page", "promoted_card", "submitted_card"]

_STAGES = {
    "research": "Frozen releases of the study **{name}**, as they were submitted. Nothing here trades.",
    "paper": "Releases of **{name}** that may trade on paper. `champion` trades, a rollback goes to `previous`.",
    "live": "Releases of **{name}** that may trade. `champion` trades, a rollback goes to `previous`.",
}
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Card:
    """Descriptions, markdown.

    Parameters
    ----------
    model : of the registered model.
    version : of one version.
    """

    model: str
    version: str


def submitted_card(manifest: Manifest, bundle: EvidenceBundle) -> Card:
    """Of a release in research and of what a submit measured."""
    walk, held = bundle.walk_forward, bundle.holdout
    market = held.baselines["buy_and_hold"]
    rows = [
        ("walk-forward", f"{100 * walk.total_return:+.2f} %", f"{walk.length:,} bars in {walk.folds} folds"),
        ("hold-out", f"{100 * held.agent.total_return:+.2f} %", f"{held.days:,.0f} days, opened once"),
        ("buy and hold there", f"{100 * market.total_return:+.2f} %", "same engine, same costs"),
        (f"costs x{bundle.costs.times:g}", f"{100 * bundle.costs.outcome.total_return:+.2f} %", "walk-forward again"),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    marks = "".join(f"\n\n**Marked:** {mark}." for mark in bundle.marks)
    text = (
        f"{_made_of(manifest)}\n\n| measured | return | how |\n|---|---|---|\n{table}\n\n"
        f"Data: {bundle.data}. N = {walk.trials:,} trials in the ledger when it was measured.{marks}\n\n"
        f"The run that this version links to has folds, hold-out and gates. Go on with "
        f"`sapphire gates {manifest.digest[:_SHORT]} --to paper`."
    )
    return Card(_model("research", manifest.name), text)


def promoted_card(report: GateReport, source: str) -> Card:
    """Of a release that was promoted.

    Parameters
    ----------
    source : the release in research, "trend@1".
    """
    marks = "".join(f"\n\n**Marked:** {mark}." for mark in report.marked)
    until = from_ns(report.valid_until_ns)
    text = (
        f"The bytes of `{source}`, permitted to {report.target} until {until:%Y-%m-%d %H:%M} UTC: "
        f"{outcome(report)}. Measured on {report.data}; N = {report.trials:,} trials.{marks}\n\n"
        f"The run that this version links to keeps the signed gate report. Go on with `sapphire up {report.name}`."
    )
    return Card(_model(report.target, report.name), text)


def gates_page(report: GateReport, label: str, run_id: str) -> Page:
    """What the gates said of a release, for the run of its submit.

    Parameters
    ----------
    label : the release, "trend@1".
    run_id : of the submit.
    """
    header, rows = report.table()
    table = Table(
        tuple(name or "note" for name in header),
        tuple(tuple(map(str, row)) for row in rows),
        tuple(row.passed for row in report.rows),
    )
    said = outcome(report)
    return Page(
        key=f"gates/{report.manifest_digest[:_SHORT]}/{report.target}",
        kind="gates",
        run_id=run_id,
        name=f"gates of {label} to {report.target}",
        headline=f"{label} to {report.target}: {said}",
        at_ms=report.issued_ns // 1_000_000,
        tags={f"{GATES_TAG}{report.target}": said},
        tables={f"gates_{report.target}": table},
    )


def outcome(report: GateReport) -> str:
    """What a report comes to: "permits paper, 14 of 15 measures pass", and what fails."""
    passed = sum(row.passed for row in report.rows)
    verdict = f"permits {report.target}" if report.permits else f"does not permit {report.target}"
    refusing = _named([row.measure for row in report.failed], "keeps it out")
    marking = _named([row.measure for row in report.marks], "marks it")
    return f"{verdict}, {passed} of {len(report.rows)} measures pass{refusing}{marking}"


def _named(measures: Sequence[str], what: str) -> str:
    return (
        f"; {what}: {', '.join(each.replace('_', ' ').replace('sharpe', 'Sharpe') for each in measures)}"
        if measures
        else ""
    )


def _made_of(manifest: Manifest) -> str:
    agents = [
        f"{agent.class_name}({', '.join(f'{name}={value}' for name, value in agent.parameters.items())})"
        for agent in manifest.agents
    ]
    sizing = ", ".join(f"{name}={value}" for name, value in manifest.sizing.parameters.items())
    return (
        f"Release `{manifest.digest[:_SHORT]}`: {', '.join(agents)}, sized by {manifest.sizing.class_name}({sizing})."
    )


def _model(stage: str, name: str) -> str:
    about = _STAGES[stage].format(name=name)
    return (
        f"{about}\n\nA version is bytes that are named by their digest and verified whenever they are loaded: "
        f"source, learned arrays, sizing, limits. Its description says what it is made of and what was measured; the "
        f"run that it links to has pictures, folds and gates.\n\n"
        f"| to | type |\n|---|---|\n"
        f"| see every version with its evidence | `sapphire releases` |\n"
        f"| measure one against a policy | `sapphire gates {name}@1 --to paper` |\n"
        f"| let it trade on paper | `sapphire promote {name}@1 --to paper`, then `sapphire up {name}@1` |\n"
        f"| leave a champion | `sapphire rollback paper.{name}` |"
    )
