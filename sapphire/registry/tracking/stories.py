"""What the page of a study says: what was asked, what came of it, what the gates say, where to go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "EQUITY",
    "GATES_TAG",
    "HEADLINE_TAG",
    "KIND_TAG",
    "RELEASE_TAG",
    "SETTINGS",
    "Line",
    "evidence_story",
    "experiment_story",
    "story",
    "strongest",
]

KIND_TAG, RELEASE_TAG, HEADLINE_TAG = "sapphire.kind", "release", "mlflow.sapphire.headline"
GATES_TAG = "sapphire.gates."
"""What the gates said, by target."""
EQUITY = "equity.png"
SETTINGS = "### Settings"
"""Where the settings begin in what a study says of itself; they come last."""
_STRENGTH = ("screen", "replay", "submit")
"""Weaker first: what explores, what the engine says of a live object, what is evidence."""
_SHOWN = 20
_LONGEST = 7_900
"""What MLflow keeps of a description."""
_WHAT = {
    "screen": "a first look by vectorbt; it explores and proves nothing",
    "sweep": "screens over a grid, each a trial",
    "replay": "the engine over the folds, of the notebook's live object; it explores",
    "submit": "evidence: measured again from the captured source, hold-out opened",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A run below a study.

    Parameters
    ----------
    run_id, kind, name, headline : of the page.
    gates : target to what the gates said of it.
    release : "trend@1"; of a submit.
    """

    run_id: str
    kind: str
    name: str
    headline: str
    gates: Mapping[str, str] = field(default_factory=dict)
    release: str = ""


def experiment_story(name: str) -> str:
    """What an experiment is of, markdown."""
    stage, _, of = name.partition(".")
    if stage == "research":
        return (
            f"Studies called **{of}**: one run per study, below it what was asked, and what was submitted as evidence. "
            f"Versions of the release are under Models, `{name}`."
        )
    return f"Promotions of **{of}** to {stage}: one run each, with the signed gate report that it stands on."


def evidence_story(introduction: str, gates: Mapping[str, str], pictures: Callable[[str], str]) -> str:
    """The description of a submit, markdown.

    Parameters
    ----------
    introduction : what was measured.
    gates : target to what the gates said.
    pictures : markdown of one of its pictures, by name; empty where it is not there.
    """
    parts = [introduction, pictures(EQUITY)]
    for target, verdict in gates.items():
        parts += [f"### Gates to {target}\n\n{verdict}.", pictures(f"gates_{target}.png")]
    return "\n\n".join(part for part in parts if part)


def strongest(lines: Sequence[Line]) -> Line | None:
    """The newest of the strongest kind below a study; None where nothing was asked."""
    kinds = [kind for kind in _STRENGTH if any(line.kind == kind for line in lines)]
    return [line for line in lines if line.kind == kinds[-1]][-1] if kinds else None


def story(introduction: str, experiment: str, lines: Sequence[Line], best: Line | None, pictures: Sequence[str]) -> str:
    """The description of a study, markdown.

    Parameters
    ----------
    introduction : what is studied.
    experiment : id of the experiment, for links.
    lines : what stands below the study, oldest first.
    best : the one of them that says most.
    pictures : its pictures, as markdown.
    """
    parts = []
    if best is not None:
        parts.append(f"**Result**: {best.headline}. ({_link(best, experiment)}: {_WHAT[best.kind]}.)")
    gates = [(line, target, verdict) for line in lines for target, verdict in line.gates.items()]
    parts += [f"**Gates** of {_link(line, experiment)} to {target}: {verdict}." for line, target, verdict in gates]
    parts.append(f"**Where to go on**: {_next(best, gates)}")
    parts += [introduction.partition(SETTINGS)[0].rstrip(), *pictures]
    settings = "".join(introduction.partition(SETTINGS)[1:])
    for shown in range(min(_SHOWN, len(lines)), -1, -1):
        text = "\n\n".join([*parts, *_asked(lines, shown, experiment), settings])
        if len(text) <= _LONGEST:
            break
    return text[:_LONGEST]


def _asked(lines: Sequence[Line], shown: int, experiment: str) -> list[str]:
    """The newest runs as a table, and how many there are."""
    if not shown:
        return []
    rows = "\n".join(f"| {_link(line, experiment)} | {line.headline} |" for line in lines[-shown:])
    more = f"\n\nThe newest {shown} of {len(lines)}; all are below this run." if len(lines) > shown else ""
    return [f"### What was asked\n\n| run | result |\n|---|---|\n{rows}{more}"]


def _link(line: Line, experiment: str) -> str:
    return f"[{line.name}](#/experiments/{experiment}/runs/{line.run_id})"


def _next(best: Line | None, gates: Sequence[tuple[Line, str, str]]) -> str:
    """The next step in words."""
    if best is None or best.kind == "screen":
        return "`study.replay(agent)`: the same by the engine, with book, latency and fees."
    if best.kind == "replay":
        return "`study.submit(agent)`: freezes the agent, measures it from its source and opens the hold-out, once."
    release = best.release or best.name
    if not gates:
        return f"`sapphire gates {release} --to paper`: measures it against the policy and signs the report."
    open_to = [target for _, target, verdict in gates if verdict.startswith("permits")]
    if open_to:
        return f"`sapphire promote {release} --to {open_to[-1]}`, then `sapphire up`."
    return "The table of gates in that run says which measure is missing. Another idea is another trial: N counts both."
