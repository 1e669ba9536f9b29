"""Freezing: an agent as it stands becomes a release, and a release that stands has been loaded once.

What decides is written down with its digest: source, parameters, arrays, calibration, pooling, sizing, limits. No time,
path or run id is, so that the same decision is the same release.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.agents.agent import Agent, own_sources
from sapphire.agents.calibrated import Calibrated
from sapphire.agents.pool import Pool
from sapphire.agents.release.files import write_release_files
from sapphire.agents.release.golden import Golden, golden_bars, said
from sapphire.agents.release.loading import PLAIN_BARS, load_release
from sapphire.agents.release.restoring import require_restorable
from sapphire.agents.release.tensors import write_tensors
from sapphire.data.durable import replace_folder
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.errors import AgentError
from sapphire.domain.releases import Manifest, ReleasedAgent, ReleasedSizing
from sapphire.domain.stopped_views import WhenViewsStop

if TYPE_CHECKING:
    from sapphire.agents.sources import Source
    from sapphire.data.features import FeatureSet
    from sapphire.domain.bars import Bars
    from sapphire.domain.windows import Feature

__all__ = ["MAX_AGE", "freeze"]

MAX_AGE = timedelta(days=365)
"""How long after the end of its training bars a release may be used, unless it is frozen with another age."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Frozen:
    """One member of the release, as it is written down.

    Parameters
    ----------
    name : its folder.
    member : the agent with its calibration.
    source : the one file that makes its class.
    golden : what it and the release say of the golden bars.
    """

    name: str
    member: Calibrated
    source: Source
    golden: Golden


def freeze(
    agent: Agent,
    *,
    name: str,
    train_bars: Bars,
    sizing: ReleasedSizing,
    limits: Mapping[str, Any],
    execution: Mapping[str, Any],
    lock_sha256: str,
    engine_version: str,
    universe: Sequence[str],
    folder: Path,
    max_age: timedelta = MAX_AGE,
    features: FeatureSet | None = None,
    when_views_stop: WhenViewsStop | None = None,
) -> Manifest:
    """Freeze `agent` into the release `folder / manifest.digest`, which is there whole or not at all.

    Parameters
    ----------
    agent : fitted and, where it states scores, calibrated; a `Pool` becomes one entry per member.
    name : the release's name.
    train_bars : what it was fitted on; the last of them are the golden inputs, their end is what its age counts from.
    sizing : name, parameters and code digest of the sizing.
    limits, execution : the release's own, as plain values.
    lock_sha256 : digest of the dependency lock.
    engine_version : the engine that made the evidence.
    universe : symbols, in the order that windows will have.
    folder : of releases.
    max_age : how long after the end of `train_bars` it may be used.
    features : those that its windows have.
    when_views_stop : what positions do once views stop; the default of `WhenViewsStop` unless given.

    Raises
    ------
    NotFitted : it learns and has not, or states a score that nobody calibrated.
    AgentError : a source of more than one file, agents nested deeper than a pool, a parameter that would not come back.
    EvidenceRefused : loaded back, it says something else; or another release stands where this one belongs.
    MissingData : fewer bars than its warm-up.
    ValueRefused : a value that a manifest cannot hold.
    """
    agent.require_fitted()
    members, pooling = _members(agent)
    bars = train_bars.symbols_only(universe)
    whole = members[0] if pooling is None else agent
    files: dict[str, bytes] = {}
    entries = []
    for each in _frozen(whole, members, bars, {} if features is None else features):
        own = _files_of(each, bars)
        files |= {f"agents/{each.name}/{path}": content for path, content in own.items()}
        version = f"{PLAIN_BARS} {features.version}" if features else PLAIN_BARS
        entries.append(_entry(each, own, feature_version=version, max_age=max_age))
    manifest = Manifest(
        name=name,
        universe=bars.symbols,
        interval=bars.interval.text,
        agents=tuple(entries),
        pooling=pooling,
        sizing=sizing,
        limits=limits,
        execution=execution,
        lock_sha256=lock_sha256,
        engine_version=engine_version,
        when_views_stop=when_views_stop or WhenViewsStop(),
    )
    _put(folder / manifest.digest, manifest, files)
    return manifest


def _put(target: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write the release, load it once, and put it in place; one that stands there already is verified."""

    def fill(temporary: Path) -> None:
        write_release_files(temporary, manifest, files)
        load_release(temporary, expected_digest=manifest.digest).check_golden()

    if target.exists() or not replace_folder(target, fill):
        load_release(target, expected_digest=manifest.digest)


def _frozen(
    whole: Agent, members: Sequence[Calibrated], bars: Bars, features: Mapping[str, Feature]
) -> Iterator[_Frozen]:
    """Every member with its name, its source and what it and the whole say of the golden bars."""
    stretch, as_of_ns = golden_bars(bars, max(member.warmup for member in members))
    release_says = said(whole, stretch, as_of_ns, features)
    for name, member in zip(_entry_names(members), members, strict=True):
        agent_says = said(member.agent, stretch, as_of_ns, features)
        golden = Golden(stretch, as_of_ns, agent_says, release_says)
        yield _Frozen(name=name, member=member, source=_source_of(member.agent), golden=golden)


def _members(agent: Agent) -> tuple[tuple[Calibrated, ...], dict[str, Any] | None]:
    """The calibrated agents of a release, and how they are pooled."""
    bare = _unwrapped(agent)
    if type(bare) is not Pool:
        return (_member(bare),), None
    weights = bare.weights if isinstance(bare.weights, str) else [float(weight) for weight in bare.weights]
    return tuple(map(_member, bare.members)), {"method": bare.method, "weights": weights}


def _member(agent: Agent) -> Calibrated:
    bare = _unwrapped(agent)
    member = bare if type(bare) is Calibrated else Calibrated(bare)
    if isinstance(member.agent, Pool) or member.agent.parts():
        raise AgentError(
            f"{member.agent.name} is made of agents inside agents",
            expected="one agent, or one pool of agents that are not made of others",
            got=f"{member.agent.name} of {', '.join(part.name for part in member.agent.parts())}",
            next="pool the agents themselves: sp.agents.Pool((a, b, c))",
        )
    return member


def _unwrapped(agent: Agent) -> Agent:
    """`agent` without calibrations that pass through what is calibrated already."""
    while type(agent) is Calibrated and agent.calibration is None and isinstance(agent.agent, Calibrated | Pool):
        agent = agent.agent
    return agent


def _entry_names(members: Sequence[Calibrated]) -> list[str]:
    """One name per member: the agent's, and a number from the second of a name on."""
    names: list[str] = []
    for member in members:
        count = sum(earlier.agent.name == member.agent.name for earlier in members[: len(names)])
        names.append(f"{member.agent.name}-{count + 1}" if count else member.agent.name)
    return names


def _source_of(agent: Agent) -> Source:
    """The one file that decides what `agent` says."""
    sources = own_sources(agent)
    if len(sources) != 1:
        raise AgentError(
            f"{agent.name} is written in {len(sources)} files",
            expected="one file, so that the release runs its own bytes and not what happens to be installed",
            got=", ".join(source.name for source in sources),
            next="derive from Agent alone, and copy what it needs into its file",
        )
    return sources[0]


def _files_of(frozen: _Frozen, train_bars: Bars) -> dict[str, bytes]:
    """The files of one agent's folder."""
    member = frozen.member
    files = {
        "source.py": frozen.source.text.encode(),
        "card.json": canonical_json(_card(frozen, train_bars)),
        "golden_inputs.safetensors": frozen.golden.inputs,
        "golden_outputs.json": frozen.golden.outputs,
    }
    arrays = member.agent.arrays()
    if arrays:
        files["arrays.safetensors"] = write_tensors(arrays)
    if member.calibration is not None:
        files["calibration.safetensors"] = write_tensors(member.calibration.to_arrays())
    return files


def _card(frozen: _Frozen, train_bars: Bars) -> dict[str, Any]:
    """What a reader should know: the agent's own card, the file it comes from, and what it was fitted on."""
    trained = {
        "bars": len(train_bars),
        "symbols": list(train_bars.symbols),
        "interval": train_bars.interval.text,
        "end_ns": int(train_bars.close_time_ns[-1]),
    }
    return {**frozen.member.card(), "file": frozen.source.name, "trained": trained}


def _entry(frozen: _Frozen, files: Mapping[str, bytes], *, feature_version: str, max_age: timedelta) -> ReleasedAgent:
    agent = frozen.member.agent
    digests = {name: sha256_of(content) for name, content in files.items()}
    return ReleasedAgent(
        name=frozen.name,
        class_name=type(agent).__name__,
        parameters=require_restorable(agent),
        source_sha256=digests["source.py"],
        arrays_sha256=digests.get("arrays.safetensors"),
        card_sha256=digests["card.json"],
        calibration_sha256=digests.get("calibration.safetensors"),
        golden_inputs_sha256=digests["golden_inputs.safetensors"],
        golden_outputs_sha256=digests["golden_outputs.json"],
        feature_version=feature_version,
        horizon_ns=agent.horizon // _MICROSECOND * 1_000,
        warmup=agent.warmup,
        max_age_ns=max_age // _MICROSECOND * 1_000,
    )
