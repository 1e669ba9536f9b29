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

from sapphire.agents.agent import Agent, documents_of
from sapphire.agents.calibrated import Calibrated
from sapphire.agents.model_calls import backed_by, recorded_calls
from sapphire.agents.models import LaterAsked
from sapphire.agents.release.code import AgentCode, calibrated_members, pooling_of, unwrapped
from sapphire.agents.release.files import write_release_files
from sapphire.agents.release.golden import Golden, golden_bars, golden_views
from sapphire.agents.release.loading import load_release
from sapphire.agents.release.numbers import Numbers
from sapphire.agents.release.reading import PLAIN_BARS
from sapphire.agents.release.tensors import write_tensors
from sapphire.data.durable import replace_folder
from sapphire.data.features import FeatureSet
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.releases import Manifest, ReleasedAgent, ReleasedSizing
from sapphire.domain.stopped_views import WhenViewsStop

if TYPE_CHECKING:
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
    code : the file that makes its class, and the modules that this imports.
    golden : what it and the release say of the golden bars.
    """

    name: str
    member: Calibrated
    code: AgentCode
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
    features : those that its windows have; the ones that the agent names unless given.
    when_views_stop : what positions do once views stop; the default of `WhenViewsStop` unless given.

    Raises
    ------
    NotFitted : it learns and has not, or states a score that nobody calibrated.
    AgentError : a source that cannot be captured whole, agents nested deeper than a pool, a parameter that would not
        come back.
    EvidenceRefused : loaded back, it says something else; or another release stands where this one belongs.
    MissingData : fewer bars than its warm-up.
    ValueRefused : a value that a manifest cannot hold.
    """
    agent.require_fitted()
    bars = train_bars.symbols_only(universe)
    entries, files = _written(agent, bars, features, max_age)
    manifest = Manifest(
        name=name,
        universe=bars.symbols,
        interval=bars.interval.text,
        agents=entries,
        pooling=pooling_of(unwrapped(agent)),
        sizing=sizing,
        limits=limits,
        execution=execution,
        lock_sha256=lock_sha256,
        engine_version=engine_version,
        when_views_stop=when_views_stop or WhenViewsStop(),
    ).naming_members()
    _put(folder / manifest.digest, manifest, files)
    return manifest


def _written(
    agent: Agent, bars: Bars, features: FeatureSet | None, max_age: timedelta
) -> tuple[tuple[ReleasedAgent, ...], dict[str, bytes]]:
    """The manifest's entry of every member, and all their files by path."""
    members = calibrated_members(agent)
    whole = members[0] if pooling_of(unwrapped(agent)) is None else agent
    if features is None and whole.features:
        features = FeatureSet(whole.features)
    version = f"{PLAIN_BARS} {features.version}" if features else PLAIN_BARS
    files: dict[str, bytes] = {}
    entries = []
    for each in _frozen(whole, members, bars, {} if features is None else features):
        own = _files_of(each, bars)
        files |= {f"agents/{each.name}/{path}": content for path, content in own.items()}
        entries.append(_entry(each, own, feature_version=version, max_age=max_age))
    return tuple(entries), files


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
    stretch, as_of_ns = golden_bars(bars, max(member.warmup for member in members), documents_of(whole))
    with recorded_calls() as of_whole:
        release_views = golden_views(whole, stretch, as_of_ns, features)
    for name, member in zip(_entry_names(members), members, strict=True):
        with backed_by(further=LaterAsked(), recorded=of_whole.canonical) as calls:
            agent_views = golden_views(member.agent, stretch, as_of_ns, features)
        code = AgentCode.of(member.agent)
        numbers = Numbers.of(member.agent.arrays(), code)
        tolerance = min(numbers.widest, max(0.0, member.agent.golden_tolerance))
        golden = Golden(stretch, as_of_ns, agent_views, release_views, numbers, tolerance, calls.canonical)
        yield _Frozen(name=name, member=member, code=code, golden=golden)


def _entry_names(members: Sequence[Calibrated]) -> list[str]:
    """One name per member: the agent's, and a number from the second of a name on."""
    names: list[str] = []
    for member in members:
        count = sum(earlier.agent.name == member.agent.name for earlier in members[: len(names)])
        names.append(f"{member.agent.name}-{count + 1}" if count else member.agent.name)
    return names


def _files_of(frozen: _Frozen, train_bars: Bars) -> dict[str, bytes]:
    """The files of one agent's folder."""
    member = frozen.member
    files = {
        "source.py": frozen.code.text.encode(),
        "card.json": canonical_json(_card(frozen, train_bars)),
        "golden_inputs.safetensors": frozen.golden.inputs,
        "golden_outputs.json": frozen.golden.outputs,
    }
    arrays = member.agent.arrays()
    if arrays:
        files["arrays.safetensors"] = write_tensors(arrays)
    if member.calibration is not None:
        files["calibration.safetensors"] = write_tensors(member.calibration.to_arrays())
    files |= {f"modules/{path}": text.encode() for path, text in frozen.code.modules.items()}
    return files | {f"prompts/{name}": text.encode() for name, text in frozen.code.prompts.items()}


def _card(frozen: _Frozen, train_bars: Bars) -> dict[str, Any]:
    """What a reader should know: the agent's own card, the file it comes from, and what it was fitted on."""
    trained = {
        "bars": len(train_bars),
        "symbols": list(train_bars.symbols),
        "interval": train_bars.interval.text,
        "end_ns": int(train_bars.close_time_ns[-1]),
    }
    return {**frozen.member.card(), "file": frozen.code.file_name, "trained": trained}


def _entry(frozen: _Frozen, files: Mapping[str, bytes], *, feature_version: str, max_age: timedelta) -> ReleasedAgent:
    agent = frozen.member.agent
    digests = {name: sha256_of(content) for name, content in files.items()}
    prompts = {name: digests[f"prompts/{name}"] for name in frozen.code.prompts}
    return ReleasedAgent(
        name=frozen.name,
        class_name=type(agent).__name__,
        parameters=frozen.code.parameters,
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
        modules={path: digests[f"modules/{path}"] for path in frozen.code.modules},
        prompts=prompts,
        prompt_version=sha256_of(canonical_json(prompts)) if prompts else None,
        artefacts=agent.artefacts,
    )
