"""What MLflow's pages say of a registered model, of its versions and of a release's gates.

The words of a card are a template of `mlflow/cards`, which a team may change; what fills it is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapphire.domain.clocks import from_ns
from sapphire.registry.mlflow_folder import fill_card
from sapphire.registry.tracking.pages import Page, Table
from sapphire.registry.tracking.stories import GATES_TAG

if TYPE_CHECKING:
    from sapphire.domain.evidence import GateReport
    from sapphire.domain.releases import Manifest
    from sapphire.registry.measurements import EvidenceBundle

__all__ = ["Card", "gates_page", "promoted_card", "submitted_card"]

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
    walk, holdout = bundle.walk_forward, bundle.holdout
    text = fill_card(
        "submitted",
        digest=manifest.digest[:_SHORT],
        agents=[f"{agent.class_name}({_named_values(agent.parameters)})" for agent in manifest.agents],
        sizing=f"{manifest.sizing.class_name}({_named_values(manifest.sizing.parameters)})",
        walk_forward_percent=100 * walk.total_return,
        bars=walk.length,
        folds=walk.folds,
        holdout_percent=100 * holdout.agent.total_return,
        days=holdout.days,
        market_percent=100 * holdout.baselines["buy_and_hold"].total_return,
        times=bundle.costs.times,
        costs_percent=100 * bundle.costs.outcome.total_return,
        data=bundle.data,
        trials=walk.trials,
        marks=bundle.marks,
    )
    return Card(_model("research", manifest.name), text)


def promoted_card(report: GateReport, source: str) -> Card:
    """Of a release that was promoted.

    Parameters
    ----------
    source : the release in research, "trend@1".
    """
    text = fill_card(
        "promoted",
        name=report.name,
        source=source,
        target=report.target,
        until=f"{from_ns(report.valid_until_ns):%Y-%m-%d %H:%M}",
        outcome=outcome(report),
        data=report.data,
        trials=report.trials,
        marks=report.marked,
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
    verdict = outcome(report)
    return Page(
        key=f"gates/{report.manifest_digest[:_SHORT]}/{report.target}",
        kind="gates",
        run_id=run_id,
        name=f"gates of {label} to {report.target}",
        headline=f"{label} to {report.target}: {verdict}",
        at_ms=report.issued_ns // 1_000_000,
        tags={f"{GATES_TAG}{report.target}": verdict},
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


def _named_values(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in parameters.items())


def _model(stage: str, name: str) -> str:
    return fill_card("registered_model", stage=stage, name=name)
