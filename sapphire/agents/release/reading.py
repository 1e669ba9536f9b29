"""Reading: what a release says of itself, verified to the last byte, before and without running any code of it.

A service knows by it which windows the release decides on and until when; the code runs elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.agents.calibrated import forecasts_of
from sapphire.agents.release.code import AgentCode, ReleaseCode
from sapphire.agents.release.files import read_release_files
from sapphire.agents.release.golden import Golden
from sapphire.agents.release.numbers import Numbers
from sapphire.agents.release.packages import packages_of
from sapphire.agents.release.tensors import read_tensors
from sapphire.domain.canonical import read_canonical
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import EvidenceRefused, MissingData, UnknownInstrument, ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.releases import Manifest, ReleasedAgent
from sapphire.domain.windows import Window
from sapphire.statistics import calibration_from_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.windows import Feature

__all__ = ["PLAIN_BARS", "ReadRelease", "read_release"]

PLAIN_BARS = "bars@1"
"""Feature version of an agent that reads bars and nothing else; features follow it by name and version."""

_SHORT = 12
_IN_PROCESS = frozenset({"transformers"})
"""Runtimes of models that are packages of Python."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReadRelease:
    """A release that was verified.

    Parameters
    ----------
    manifest : everything that decides.
    digest : identity of the release.
    code : of its agents.
    arrays : what each agent learned, one mapping per agent; None where it learned nothing.
    calibrations : likewise, what the score of each is worth.
    cards : the card of each agent by its name in the manifest.
    golden : its golden values likewise.
    features : what its windows have beside bars.
    """

    manifest: Manifest
    digest: str
    code: ReleaseCode
    arrays: tuple[Mapping[str, NDArray[Any]] | None, ...] = field(repr=False)
    calibrations: tuple[Mapping[str, NDArray[Any]] | None, ...] = field(repr=False)
    cards: Mapping[str, Mapping[str, Any]]
    golden: Mapping[str, Golden] = field(repr=False)
    features: Mapping[str, Feature]

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"release {self.manifest.name} {self.digest[:_SHORT]}"

    @property
    def packages(self) -> frozenset[str]:
        """Top-level names of the packages that its code imports, and of what runs its models in process."""
        running = {model.runtime for entry in self.manifest.agents for model in entry.artefacts}
        return frozenset(running & _IN_PROCESS).union(*map(packages_of, self.code.members))

    @property
    def tolerance(self) -> float:
        """How far the views of the whole may be from its golden ones, relative: the widest that an agent may."""
        return max(golden.tolerance for golden in self.golden.values())

    @property
    def warmup(self) -> int:
        """Closed bars that a window must hold: the longest of its agents' warm-ups."""
        return max(entry.warmup for entry in self.manifest.agents)

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

    def member(self, name: str) -> ReadRelease:
        """One agent of a pool as a release of its own, whose golden values are that agent's forecasts.

        Raises
        ------
        EvidenceRefused : there is none of this name.
        """
        names = list(self.manifest.members)
        if name not in names:
            raise EvidenceRefused(
                f"{self.label} has no member {name!r}",
                expected=", ".join(names) or "a pool of agents; this release has one agent",
                got=repr(name),
                next="name one of them",
            )
        place, manifest = names.index(name), self.manifest.members[name]
        return ReadRelease(
            manifest=manifest,
            digest=manifest.digest,
            code=ReleaseCode(self.code.members[place : place + 1]),
            arrays=self.arrays[place : place + 1],
            calibrations=self.calibrations[place : place + 1],
            cards={name: self.cards[name]},
            golden={name: _alone(name, self.golden[name], self.calibrations[place])},
            features=self.features,
        )

    def admitted(self, window: Window) -> Window:
        """The window as the release was tested with: its universe in its order, its warm-up of bars, its features.

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
        return Window(bars.tail(self.warmup), window.as_of, self.features)


def read_release(folder: Path, *, expected_digest: str | None = None) -> ReadRelease:
    """The release in `folder`, verified to the last byte; nothing of it is run.

    Raises
    ------
    EvidenceRefused : no release, another one, or a file missing, changed, foreign or unreadable.
    """
    manifest, files = read_release_files(folder, expected_digest)
    codes, arrays, calibrations, cards, golden = [], [], [], {}, {}
    for entry in manifest.agents:
        label = f"release {manifest.digest[:_SHORT]}/{entry.name}"
        own = {path.removeprefix(f"{entry.folder}/"): files[path] for path in entry.files}
        cards[entry.name] = _card(own["card.json"], label)
        codes.append(_code(entry, own, str(cards[entry.name]["file"])))
        arrays.append(_tensors(own.get("arrays.safetensors"), f"arrays of {label}"))
        calibrations.append(_tensors(own.get("calibration.safetensors"), f"calibration of {label}"))
        golden[entry.name] = Golden.read(
            own["golden_inputs.safetensors"],
            own["golden_outputs.json"],
            symbols=manifest.universe,
            interval=Interval(manifest.interval),
            label=label,
            found=Numbers.of(arrays[-1] or {}, codes[-1]),
        )
    _check_pooling(manifest)
    return ReadRelease(
        manifest=manifest,
        digest=manifest.digest,
        code=ReleaseCode(tuple(codes), manifest.pooling),
        arrays=tuple(arrays),
        calibrations=tuple(calibrations),
        cards=cards,
        golden=golden,
        features=_features_of(manifest),
    )


def _alone(name: str, golden: Golden, worth: Mapping[str, NDArray[Any]] | None) -> Golden:
    """The golden values of a member by itself: what it says, and that as a forecast."""
    calibration = None if worth is None else calibration_from_arrays(worth)
    return replace(golden, release=[forecasts_of(each, calibration, agent=name) for each in golden.agent])


def _code(entry: ReleasedAgent, files: Mapping[str, bytes], file_name: str) -> AgentCode:
    modules = {path: files[f"modules/{path}"].decode() for path in entry.modules}
    prompts = {name: files[f"prompts/{name}"].decode() for name in entry.prompts}
    return AgentCode(file_name, files["source.py"].decode(), entry.class_name, entry.parameters, modules, prompts)


def _tensors(data: bytes | None, what: str) -> Mapping[str, NDArray[Any]] | None:
    return None if data is None else read_tensors(data, what=what)


def _check_pooling(manifest: Manifest) -> None:
    pooling = manifest.pooling
    if pooling is None:
        return
    if (
        not {"method", "weights"}
        <= set(pooling)
        <= {"method", "weights", "quorum", "member_bound", "drift_window", "members"}
    ):
        raise EvidenceRefused(
            f"release {manifest.digest[:_SHORT]} pools its agents in an unknown way",
            expected="method and weights, and perhaps quorum, member_bound, drift_window and members",
            got=", ".join(pooling),
            next="load it with the platform version that froze it",
        )
    if "members" in pooling and pooling != manifest.naming_members().pooling:
        raise EvidenceRefused(
            f"release {manifest.digest[:_SHORT]} names members that its agents are not",
            expected=", ".join(f"{name} {member.digest[:_SHORT]}" for name, member in manifest.members.items()),
            got=", ".join(f"{name} {str(digest)[:_SHORT]}" for name, digest in dict(pooling["members"]).items()),
            next="freeze it again",
        )


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
