"""Manifest: everything that decides, named by its sha256. A release is a folder of files and its manifest.

::

    manifest.json
    agents/NAME/source.py  card.json  golden_inputs.safetensors  golden_outputs.json
                [arrays.safetensors]  [calibration.safetensors]  [modules/PACKAGE/MODULE.py ...]

`manifest.json` is the canonical JSON of the manifest, so the digest of the release is the sha256 of that file. It holds
no time, no path and no run id: the same decision is the same release.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sapphire.domain.artefacts import Artefact
from sapphire.domain.canonical import canonical_json, is_sha256, plain, read_canonical, sha256_of
from sapphire.domain.errors import EvidenceRefused, ValueRefused
from sapphire.domain.stopped_views import WhenViewsStop

__all__ = ["MANIFEST_FILE", "RELEASE_FORMAT", "RELEASE_FORMAT_3", "Manifest", "ReleasedAgent", "ReleasedSizing"]

RELEASE_FORMAT = "RELEASE@2"
"""Format of the manifest of a release whose agents have neither prompts nor artefacts."""
RELEASE_FORMAT_3 = "RELEASE@3"
"""Format where one of them has. Any other is refused, not guessed at."""
MANIFEST_FILE = "manifest.json"
"""Name of the manifest in the release's folder."""

_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", re.ASCII)
_MODULE = re.compile(r"(?:[^\W\d]\w*/)*[^\W\d]\w*\.py")
_PROMPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MAX_NAME = 63
_SINCE_3 = ("prompts", "artefacts")
_FILES = {
    "source_sha256": "source.py",
    "arrays_sha256": "arrays.safetensors",
    "card_sha256": "card.json",
    "calibration_sha256": "calibration.safetensors",
    "golden_inputs_sha256": "golden_inputs.safetensors",
    "golden_outputs_sha256": "golden_outputs.json",
}
_OPTIONAL = ("arrays_sha256", "calibration_sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedAgent:
    """One agent of a release.

    Parameters
    ----------
    name : its folder under `agents/`, one of its kind in the release.
    class_name : the agent's class in its source.
    parameters : as plain values.
    source_sha256, card_sha256, golden_inputs_sha256, golden_outputs_sha256 : digests of its files.
    arrays_sha256, calibration_sha256 : likewise; None where it learned nothing or states forecasts itself.
    feature_version : version of what it reads from a window.
    prompt_version : digest of its prompts; None where it has none.
    prompts : its prompts: file name to sha256.
    artefacts : models that it asks.
    modules : modules of the workspace that the source imports: path by packages, "desk/averages.py", to sha256.
    horizon_ns : how far its views look.
    warmup : closed bars that it needs.
    max_age_ns : how long after the fit it may be used.

    Raises
    ------
    ValueRefused : a bad name, a digest that is none, a number out of range, parameters that JSON cannot hold.
    """

    name: str
    class_name: str
    parameters: Mapping[str, Any] = field(hash=False)
    source_sha256: str
    card_sha256: str
    golden_inputs_sha256: str
    golden_outputs_sha256: str
    feature_version: str
    horizon_ns: int
    warmup: int
    max_age_ns: int
    arrays_sha256: str | None = None
    calibration_sha256: str | None = None
    prompt_version: str | None = None
    modules: Mapping[str, str] = field(default_factory=dict, hash=False)
    prompts: Mapping[str, str] = field(default_factory=dict, hash=False)
    artefacts: tuple[Artefact, ...] = ()

    def __post_init__(self) -> None:
        where = f"agent {self.name!r} of a release"
        _check_name(where, self.name)
        object.__setattr__(self, "parameters", _mapping(where, "parameters", self.parameters))
        if not isinstance(self.class_name, str) or not self.class_name.isidentifier():
            raise ValueRefused(f"class of {where}", expected="the name of a class", got=repr(self.class_name))
        for key in _FILES:
            _check_sha256(where, key, getattr(self, key), optional=key in _OPTIONAL)
        _check_text(where, "feature_version", self.feature_version)
        if self.prompt_version is not None:
            _check_text(where, "prompt_version", self.prompt_version)
        for key in ("horizon_ns", "warmup", "max_age_ns"):
            _check_count(where, key, getattr(self, key))
        object.__setattr__(self, "modules", _mapping(where, "modules", self.modules))
        for path, digest in self.modules.items():
            if not _MODULE.fullmatch(path):
                raise ValueRefused(
                    f"module of {where}", expected="a path by packages, desk/averages.py", got=repr(path)
                )
            _check_sha256(where, f"module {path}", digest)
        object.__setattr__(self, "prompts", _mapping(where, "prompts", self.prompts))
        for name, digest in self.prompts.items():
            if not _PROMPT.fullmatch(name):
                raise ValueRefused(f"prompt of {where}", expected="a file's name, qwen-1.md", got=repr(name))
            _check_sha256(where, f"prompt {name}", digest)
        object.__setattr__(self, "artefacts", tuple(self.artefacts))

    @property
    def needs_3(self) -> bool:
        """Whether it has what the second format of a manifest has no place for."""
        return bool(self.prompts or self.artefacts)

    @property
    def folder(self) -> str:
        """Its folder in the release."""
        return f"agents/{self.name}"

    @property
    def files(self) -> dict[str, str]:
        """Path in the release's folder to sha256."""
        digests = {key: getattr(self, key) for key in _FILES}
        own = {f"{self.folder}/{_FILES[key]}": digest for key, digest in digests.items() if digest is not None}
        own |= {f"{self.folder}/modules/{path}": digest for path, digest in self.modules.items()}
        return own | {f"{self.folder}/prompts/{name}": digest for name, digest in self.prompts.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedSizing:
    """How beliefs become target positions.

    Parameters
    ----------
    class_name : name of the sizing, as `sapphire.portfolio.make_sizing` reads it.
    parameters : as plain values.
    source_sha256 : digest of the code that sizes.
    """

    class_name: str
    parameters: Mapping[str, Any] = field(hash=False)
    source_sha256: str

    def __post_init__(self) -> None:
        _check_text("sizing of a release", "class", self.class_name)
        object.__setattr__(self, "parameters", _mapping("sizing of a release", "parameters", self.parameters))
        _check_sha256("sizing of a release", "source_sha256", self.source_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a release is.

    Parameters
    ----------
    name : the release's name, under which its versions are registered.
    universe : symbols, in the order of the window's columns.
    interval : length of the bars, "1h".
    agents : one or more; several are pooled.
    sizing : how beliefs become positions.
    lock_sha256 : digest of `requirements.lock`.
    engine_version : the engine that made the evidence.
    pooling : how several agents are pooled, and the digest of the release that each of them is by itself ("members");
        None for one.
    limits : the release's own; they can only tighten the account's.
    execution : how targets are driven at.
    when_views_stop : what positions do once nothing is believed of them any more.

    Raises
    ------
    ValueRefused : a value that a manifest cannot hold; names the field.

    Examples
    --------
    >>> sizing = ReleasedSizing(class_name="equal_weight", parameters={}, source_sha256="0" * 64)
    >>> agent = ReleasedAgent(name="cross", class_name="Cross", parameters={"fast": 12}, source_sha256="1" * 64,
    ...                       card_sha256="2" * 64, golden_inputs_sha256="3" * 64, golden_outputs_sha256="4" * 64,
    ...                       feature_version="1", horizon_ns=3_600_000_000_000, warmup=48, max_age_ns=10**16)
    >>> manifest = Manifest(name="trend", universe=("BTC/USDT",), interval="1h", agents=(agent,), sizing=sizing,
    ...                     lock_sha256="5" * 64, engine_version="0.1.0")
    >>> Manifest.parse(manifest.canonical) == manifest, len(manifest.digest)
    (True, 64)
    """

    name: str
    universe: tuple[str, ...]
    interval: str
    agents: tuple[ReleasedAgent, ...]
    sizing: ReleasedSizing
    lock_sha256: str
    engine_version: str
    pooling: Mapping[str, Any] | None = field(default=None, hash=False)
    limits: Mapping[str, Any] = field(default_factory=dict, hash=False)
    execution: Mapping[str, Any] = field(default_factory=dict, hash=False)
    when_views_stop: WhenViewsStop = field(default_factory=WhenViewsStop)

    def __post_init__(self) -> None:
        where = f"release {self.name!r}"
        _check_name(where, self.name)
        object.__setattr__(self, "universe", tuple(self.universe))
        object.__setattr__(self, "agents", tuple(self.agents))
        _check_distinct(where, "universe", self.universe)
        _check_distinct(where, "agents", tuple(agent.name for agent in self.agents))
        _check_text(where, "interval", self.interval)
        _check_text(where, "engine_version", self.engine_version)
        _check_sha256(where, "lock_sha256", self.lock_sha256)
        if (self.pooling is None) != (len(self.agents) == 1):
            raise ValueRefused(
                f"pooling of {where}",
                expected="how the agents are pooled where there are several, None where there is one",
                got=f"{self.pooling!r} for {len(self.agents)}",
            )
        for key in ("pooling", "limits", "execution"):
            value = getattr(self, key)
            object.__setattr__(self, key, None if value is None else _mapping(where, key, value))

    @property
    def canonical(self) -> bytes:
        """Canonical JSON: the bytes of `manifest.json`."""
        return canonical_json(self.as_dict())

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON: the identity of the release."""
        return sha256_of(self.canonical)

    @property
    def files(self) -> dict[str, str]:
        """Path in the release's folder to sha256, of every file but the manifest."""
        return {path: digest for agent in self.agents for path, digest in sorted(agent.files.items())}

    @property
    def members(self) -> dict[str, Manifest]:
        """Of a pool, what each of its agents is by itself: a release with the pool's settings, by the agent's name."""
        if self.pooling is None:
            return {}
        return {agent.name: replace(self, name=agent.name, agents=(agent,), pooling=None) for agent in self.agents}

    def naming_members(self) -> Manifest:
        """The same, naming each member by the digest of its release; a release of one agent stays as it is."""
        if self.pooling is None:
            return self
        digests = {name: member.digest for name, member in self.members.items()}
        return replace(self, pooling={**self.pooling, "members": digests})

    @property
    def format(self) -> str:
        """Its format: the second unless an agent needs the third."""
        return RELEASE_FORMAT_3 if any(agent.needs_3 for agent in self.agents) else RELEASE_FORMAT

    def as_dict(self) -> dict[str, Any]:
        """The keys of the manifest."""
        left_out = () if self.format == RELEASE_FORMAT_3 else _SINCE_3
        return {
            "format": self.format,
            "name": self.name,
            "universe": list(self.universe),
            "interval": self.interval,
            "agents": [_agent_as_dict(agent, left_out) for agent in self.agents],
            "pooling": self.pooling,
            "sizing": _as_dict(self.sizing),
            "limits": dict(self.limits),
            "execution": dict(self.execution),
            "when_views_stop": self.when_views_stop.as_dict(),
            "lock_sha256": self.lock_sha256,
            "engine_version": self.engine_version,
        }

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """The manifest whose canonical JSON is `data`.

        Raises
        ------
        EvidenceRefused : not canonical, another format, a key that is missing or unknown, or a bad value.
        """
        try:
            value = read_canonical(data, what=MANIFEST_FILE)
            entries = _entries(MANIFEST_FILE, value, {"format", *_keys(cls)})
            form = entries.pop("format")
            if form not in (RELEASE_FORMAT, RELEASE_FORMAT_3):
                expected = f"{RELEASE_FORMAT} or {RELEASE_FORMAT_3}"
                raise ValueRefused(f"{MANIFEST_FILE} has another format", expected=expected, got=repr(form))
            entries["universe"] = tuple(_items("universe", entries["universe"]))
            agents = _items("agents", entries["agents"])
            entries["agents"] = tuple(_agent_of(each, i, form) for i, each in enumerate(agents))
            entries["sizing"] = _from_dict(ReleasedSizing, "sizing", entries["sizing"])
            entries["when_views_stop"] = WhenViewsStop.of(entries["when_views_stop"])
            made = cls(**entries)
            if made.format != form:
                raise ValueRefused(
                    f"format of {MANIFEST_FILE}", expected=f"{made.format}, by what its agents have", got=str(form)
                )
            return made
        except ValueRefused as error:
            raise EvidenceRefused(error.what, expected=error.expected, got=error.got, next=error.next) from None

    def verify_files(self, found: Mapping[str, str]) -> None:
        """Refuse a folder that is not this release's to the last byte.

        Parameters
        ----------
        found : path in the folder to sha256 of every file but the manifest.

        Raises
        ------
        EvidenceRefused : a file that is missing, changed, or in no manifest; names each.
        """
        wanted = self.files
        wrong = [f"{path} is missing" for path in wanted if path not in found]
        wrong += [
            f"{path} has sha256 {found[path][:12]}, not {digest[:12]}"
            for path, digest in wanted.items()
            if path in found and found[path] != digest
        ]
        wrong += [f"{path} is not in the manifest" for path in sorted(found) if path not in wanted]
        if wrong:
            raise EvidenceRefused(
                f"the files of release {self.name} {self.digest[:12]} are not those of its manifest",
                expected=f"{len(wanted)} files with the manifest's digests and no other",
                got="\n".join(wrong),
                next="take the release again from the registry, or submit the study again",
            )


_Entry = ReleasedAgent | ReleasedSizing


def _json_key(attribute: str) -> str:
    return "class" if attribute == "class_name" else attribute


def _keys(cls: type[Manifest | _Entry]) -> set[str]:
    return {_json_key(name) for name in cls.__dataclass_fields__}


def _as_dict(entry: _Entry) -> dict[str, Any]:
    return {_json_key(name): getattr(entry, name) for name in entry.__dataclass_fields__}


def _agent_as_dict(agent: ReleasedAgent, left_out: tuple[str, ...]) -> dict[str, Any]:
    entries = {**_as_dict(agent), "artefacts": [each.as_dict() for each in agent.artefacts]}
    return {key: value for key, value in entries.items() if key not in left_out}


def _agent_of(value: object, place: int, form: object) -> ReleasedAgent:
    where = f"agent {place} in {MANIFEST_FILE}"
    left_out = () if form == RELEASE_FORMAT_3 else _SINCE_3
    entries = _entries(where, value, _keys(ReleasedAgent) - set(left_out))
    if "artefacts" in entries:
        listed = _items(f"artefacts of {where}", entries["artefacts"])
        entries["artefacts"] = tuple(map(Artefact.of, listed))
    return ReleasedAgent(**{_attribute(key): each for key, each in entries.items()})


def _attribute(key: str) -> str:
    return "class_name" if key == "class" else key


def _from_dict(cls: type[Any], where: str, value: object) -> Any:
    entries = _entries(f"{where} in {MANIFEST_FILE}", value, _keys(cls))
    return cls(**{_attribute(key): each for key, each in entries.items()})


def _entries(where: str, value: object, keys: set[str]) -> dict[str, Any]:
    """`value` as a dict with exactly these keys."""
    if not isinstance(value, dict):
        raise ValueRefused(f"{where} is not an object", expected=", ".join(sorted(keys)), got=type(value).__name__)
    wrong = [f"no {key}" for key in sorted(keys - value.keys())]
    wrong += [f"unknown {key}" for key in sorted(value.keys() - keys)]
    if wrong:
        raise ValueRefused(f"{where} has other keys", expected=", ".join(sorted(keys)), got=", ".join(wrong))
    return dict(value)


def _items(where: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueRefused(f"{where} in {MANIFEST_FILE}", expected="a list", got=type(value).__name__)
    return value


def _mapping(where: str, key: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueRefused(f"{key} of {where}", expected="a mapping", got=type(value).__name__)
    return dict(plain(value))


def _check_name(where: str, name: object) -> None:
    if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise ValueRefused(
            f"name of {where}",
            expected=f"1 to {_MAX_NAME} small letters and digits, words joined by - or _",
            got=repr(name),
            next="the name stands in registry names, folders and messages: trend, ma-cross, btc_trend_2",
        )


def _check_distinct(where: str, key: str, values: tuple[object, ...]) -> None:
    if not values or len(set(values)) != len(values) or not all(isinstance(each, str) and each for each in values):
        raise ValueRefused(f"{key} of {where}", expected="one or more names, each once", got=repr(list(values)))


def _check_text(where: str, key: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ValueRefused(f"{key} of {where}", expected="text", got=repr(value))


def _check_count(where: str, key: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueRefused(f"{key} of {where}", expected="a whole number above zero", got=repr(value))


def _check_sha256(where: str, key: str, value: object, *, optional: bool = False) -> None:
    if not (is_sha256(value) or (optional and value is None)):
        raise ValueRefused(f"{key} of {where}", expected="64 hexadecimal digits", got=repr(value))
