"""Loading: the one way from a release's bytes to an agent that speaks.

Notebook, study, shadow and service all come through here, so what was tested is what trades. Every digest is verified
before any code of the release runs. Nothing here knows MLflow, and nothing unpickles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.agents.calibrated import Calibrated
from sapphire.agents.pool import Pool
from sapphire.agents.release.captured import captured_class
from sapphire.agents.release.files import read_release_files
from sapphire.agents.release.golden import Golden, require_same_views, said, tolerance_of
from sapphire.agents.release.restoring import restored_agent
from sapphire.agents.release.tensors import read_tensors
from sapphire.domain.canonical import read_canonical
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import EvidenceRefused, MissingData, UnknownInstrument, ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.releases import Manifest, ReleasedAgent
from sapphire.domain.windows import Window
from sapphire.statistics import ScoreCalibration

if TYPE_CHECKING:
    from sapphire.agents.agent import Agent
    from sapphire.domain.views import Belief, View
    from sapphire.domain.windows import Feature

__all__ = ["PLAIN_BARS", "LoadedRelease", "load_release"]

PLAIN_BARS = "bars@1"
"""Feature version of an agent that reads bars and nothing else; features follow it by name and version."""

_SHORT = 12


@dataclass(frozen=True, slots=True, eq=False)
class LoadedRelease:
    """A release that was verified and can speak.

    Parameters
    ----------
    manifest : everything that decides.
    digest : identity of the release.
    agent : the calibrated agent, or the pool of them.
    cards : the card of each agent by its name in the manifest.
    golden : its golden values likewise.
    features : what its windows have beside bars.
    """

    manifest: Manifest
    digest: str
    agent: Calibrated | Pool
    cards: Mapping[str, Mapping[str, Any]]
    golden: Mapping[str, Golden]
    features: Mapping[str, Feature]

    def __repr__(self) -> str:
        return f"LoadedRelease({self.manifest.name} {self.digest[:_SHORT]}: {self.agent!r})"

    @property
    def members(self) -> tuple[Calibrated, ...]:
        """The calibrated agents, in the order of the manifest."""
        return self.agent.members if isinstance(self.agent, Pool) else (self.agent,)

    @property
    def warmup(self) -> int:
        """Closed bars that a window must hold."""
        return self.agent.warmup

    @property
    def trained_until(self) -> datetime:
        """End of the bars it was fitted on; the earliest where its agents differ."""
        return from_ns(min(int(card["trained"]["end_ns"]) for card in self.cards.values()))

    @property
    def expires(self) -> datetime:
        """The moment after which it may not be used: its age counts from the end of its training bars."""
        return self.trained_until + timedelta(
            microseconds=min(entry.max_age_ns for entry in self.manifest.agents) // 1_000
        )

    def views(self, window: Window) -> list[View]:
        """What the release believes at `window.as_of`, each view signed with its digest.

        Raises
        ------
        UnknownInstrument : symbols that are not the release's universe.
        ValueRefused : bars of another interval.
        MissingData : fewer bars than its warm-up.
        """
        return [view.stated_by(self.digest) for view in self.agent.views(self.admitted(window))]

    def beliefs(self, window: Window) -> list[Belief]:
        """The views as beliefs; raises what `views` raises."""
        return self.agent.beliefs(self.admitted(window))

    def check_golden(self) -> int:
        """Make the golden outputs again and compare.

        Returns
        -------
        How many views were compared.

        Raises
        ------
        EvidenceRefused : one that differs; names the first moment and symbol where it is worst.
        """
        compared = 0
        of_release: dict[str, list[list[View]]] = {}
        named = f"release {self.manifest.name} {self.digest[:_SHORT]}"
        for entry, member in zip(self.manifest.agents, self.members, strict=True):
            golden = self.golden[entry.name]
            of_agent = said(member.agent, golden.bars, golden.as_of_ns, self.features)
            inputs = entry.golden_inputs_sha256
            if inputs not in of_release:
                of_release[inputs] = said(self.agent, golden.bars, golden.as_of_ns, self.features)
            compared += require_same_views(
                f"agent {entry.name} of {named}", golden.agent, of_agent, golden, tolerance_of(member.agent)
            )
            compared += require_same_views(named, golden.release, of_release[inputs], golden, tolerance_of(self.agent))
        return compared

    def admitted(self, window: Window) -> Window:
        """The window as the release was tested with: its universe in its order, its interval, its features.

        Raises
        ------
        UnknownInstrument, ValueRefused, MissingData : as `views`.
        """
        wanted = self.manifest.universe
        if set(window.symbols) != set(wanted):
            raise UnknownInstrument(
                f"a window of other symbols than release {self.manifest.name} decides on",
                expected=", ".join(wanted),
                got=", ".join(window.symbols),
                next="hand over the whole universe: what one symbol gets may hang on the others",
            )
        if window.interval.text != self.manifest.interval:
            raise ValueRefused(
                f"a window of other bars than release {self.manifest.name} decides on",
                expected=f"bars of {self.manifest.interval}",
                got=f"bars of {window.interval}",
            )
        if len(window.bars) < self.warmup:
            raise MissingData(
                f"too few bars for release {self.manifest.name}",
                expected=f"at least its warm-up of {self.warmup:,}",
                got=f"{len(window.bars):,}",
                next="hand over a longer window",
            )
        bars = window.bars if window.symbols == wanted else window.bars.symbols_only(wanted)
        return Window(bars, window.as_of, self.features)


def load_release(folder: Path, *, expected_digest: str | None = None) -> LoadedRelease:
    """The release in `folder`, verified to the last byte before its source runs.

    Parameters
    ----------
    folder : with `manifest.json` and `agents/`.
    expected_digest : refuse any other release.

    Raises
    ------
    EvidenceRefused : no release, another one, a file missing, changed or foreign, or an agent that is not what its
        manifest says.
    AgentError : the source does not run here.
    """
    manifest, files = read_release_files(folder, expected_digest)
    digest = manifest.digest
    features = _features_of(manifest)
    members, cards, golden = [], {}, {}
    for entry in manifest.agents:
        label = f"release {digest[:_SHORT]}/{entry.name}"
        own = {path.rsplit("/", 1)[1]: content for path, content in files.items() if path in entry.files}
        cards[entry.name] = _card(own["card.json"], label)
        members.append(_member(entry, own, str(cards[entry.name]["file"]), label))
        golden[entry.name] = Golden.read(
            own["golden_inputs.safetensors"],
            own["golden_outputs.json"],
            symbols=manifest.universe,
            interval=Interval(manifest.interval),
            label=label,
        )
    agent = members[0] if manifest.pooling is None else _pool(members, manifest.pooling, digest)
    return LoadedRelease(manifest, digest, agent, cards, golden, features)


def _member(entry: ReleasedAgent, files: Mapping[str, bytes], file_name: str, label: str) -> Calibrated:
    """The agent of one entry, with what it learned and its calibration."""
    cls = captured_class(files["source.py"].decode(), file_name=file_name, class_name=entry.class_name, label=label)
    agent: Agent = restored_agent(cls, entry.parameters)
    if entry.arrays_sha256 is not None:
        agent = agent.with_arrays(read_tensors(files["arrays.safetensors"], what=f"arrays of {label}"))
    calibration = None
    if entry.calibration_sha256 is not None:
        worth = read_tensors(files["calibration.safetensors"], what=f"calibration of {label}")
        calibration = ScoreCalibration.from_arrays(worth)
    stated = {"warmup": entry.warmup, "horizon_ns": entry.horizon_ns}
    has = {"warmup": agent.warmup, "horizon_ns": agent.horizon // timedelta(microseconds=1) * 1_000}
    if stated != has or not agent.is_fitted:
        raise EvidenceRefused(
            f"the agent of {label} is not what its manifest says",
            expected=", ".join(f"{key} {value:,}" for key, value in stated.items()),
            got=", ".join(f"{key} {value:,}" for key, value in has.items()) + ("" if agent.is_fitted else ", unfitted"),
            next="freeze it again",
        )
    return Calibrated(agent, calibration)


def _pool(members: list[Calibrated], pooling: Mapping[str, Any], digest: str) -> Pool:
    if set(pooling) != {"method", "weights"}:
        raise EvidenceRefused(
            f"release {digest[:_SHORT]} pools its agents in an unknown way",
            expected="method and weights",
            got=", ".join(pooling),
            next="load it with the platform version that froze it",
        )
    weights = pooling["weights"]
    return Pool(tuple(members), weights=weights if weights == "equal" else tuple(weights), method=pooling["method"])


def _card(data: bytes, label: str) -> dict[str, Any]:
    """A card, with the two things in it that loading relies on."""
    card = read_canonical(data, what=f"card.json of {label}")
    file_name = card.get("file") if isinstance(card, dict) else None
    trained = card.get("trained") if isinstance(card, dict) else None
    named = isinstance(file_name, str) and Path(file_name).name == file_name and file_name.endswith(".py")
    if not named or not isinstance(trained, dict) or not isinstance(trained.get("end_ns"), int):
        raise EvidenceRefused(
            f"card.json of {label} lacks what a release needs",
            expected="file (the source's own name) and trained.end_ns (end of the training bars)",
            got=", ".join(card) if isinstance(card, dict) else type(card).__name__,
            next="freeze it again",
        )
    return dict(card)


def _features_of(manifest: Manifest) -> Mapping[str, Feature]:
    """The features that the release's windows have, in the versions it was frozen with."""
    versions = {entry.feature_version for entry in manifest.agents}
    names = [each.rsplit("@", 1)[0] for each in min(versions).split(" ")[1:]]
    features: Mapping[str, Feature] = {}
    here = PLAIN_BARS
    if names:
        from sapphire.data.features import FeatureSet

        made = FeatureSet(names)
        features, here = made, f"{PLAIN_BARS} {made.version}"
    if versions != {here}:
        raise EvidenceRefused(
            f"release {manifest.name} reads other features than there are here",
            expected=" and ".join(sorted(versions)),
            got=here,
            next="load it with the platform version that froze it",
        )
    return features
