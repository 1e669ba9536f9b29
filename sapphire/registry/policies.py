"""Policies: what a release must show, from a file that a risk officer can read.

A policy is `mlflow/gates/TARGET.yaml`: gate to measure to need, and its settings. Nothing in it is guessed at: an
unknown gate or measure, a need of the wrong form, a bound that nothing can fail, a key given twice, or a measure left
out that the target cannot do without is an error that names it. The identity of a policy is the digest of what it says,
so comments and order do not change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.errors import ConfigError
from sapphire.domain.evidence import EDGE_GATES, Target
from sapphire.domain.needs import Need

__all__ = ["MEASURES", "Measure", "Policy", "installed_policies", "load_policy", "must_pass", "policy_folder"]

Kind = Literal["truth", "pass", "recorded", "number"]
"""What a measure's need looks like: `true`, the word `pass`, the word `recorded`, or one bound on a number."""


@dataclass(frozen=True, slots=True)
class Loosest:
    """How loose a bound on a number may be.

    Parameters
    ----------
    side : "least" where the number has to be large, which `min` and `above` ask; "most" where small, which `max` asks.
    limit : a bound has to be beyond it: above it on the one side, below it on the other.
    itself : `limit` may be asked too; `above` it may be asked in any case.
    """

    side: Literal["least", "most"]
    limit: float
    itself: bool = False

    @property
    def text(self) -> str:
        """The bounds that it lets through."""
        if self.side == "most":
            most = f", x {'at most' if self.itself else 'below'} {self.limit:g}"
            return "{max: x}" + (most if isfinite(self.limit) else "")
        least = f"at least {self.limit:g}"
        return f"{{min: x}}, x {least if self.itself else f'above {self.limit:g}'}; or {{above: x}}, x {least}"

    def admits(self, bound: str, limit: float) -> bool:
        """Whether a policy may ask that."""
        if self.side == "most" or bound == "max":
            within = limit < self.limit or (self.itself and limit == self.limit)
            return self.side == "most" and bound == "max" and within
        return limit > self.limit or (limit == self.limit and (self.itself or bound == "above"))


_ABOVE_ZERO = Loosest("least", 0.0)
_BELOW_ONE = Loosest("most", 1.0)
_ONE = Loosest("least", 1.0, itself=True)
_LIKELY = Loosest("least", 0.5, itself=True)
"""A Sharpe ratio that is as likely chance as not shows nothing; nor does a p-value of a half."""
_UNLIKELY = Loosest("most", 0.5, itself=True)


@dataclass(frozen=True, slots=True)
class Measure:
    """What can be asked of a release.

    Parameters
    ----------
    kind : what its need looks like.
    stage : the first target that requires it, "paper" or "live"; None where a policy may leave it out. What shows an
        edge (`EDGE_GATES`) is required for live, and has to be asked for paper, where a failure may mark.
    loosest : of a number: the bound that a policy's own has to be within. It is what integrity cannot do without, and
        for the rest that a release without an edge can fail: a probability of at least 0 is no gate.
    """

    kind: Kind
    stage: Target | None = None
    loosest: Loosest | None = None


MEASURES: Mapping[str, Mapping[str, Measure]] = {
    "integrity": {
        "captured_source": Measure("truth", "paper"),
        "snapshot_pinned": Measure("truth", "paper"),
        "lock_pinned": Measure("truth", "paper"),
        "clean_tree": Measure("truth", "live"),
        "recorded_data": Measure("truth", "live"),
        "isolated": Measure("truth", "live"),
        "truncation_test": Measure("pass", "paper"),
        "future_test": Measure("pass", "paper"),
        "twin_test": Measure("pass", "paper"),
        "warmup_test": Measure("pass", "paper"),
        "fit_test": Measure("pass", "paper"),
        "feature_parity": Measure("pass", "paper"),
        "asked_again": Measure("pass", "paper"),
        "another_process": Measure("pass", "paper"),
        "symbol_order": Measure("pass", "paper"),
        "duplicate_rows": Measure("pass", "paper"),
        "shuffled_rows": Measure("pass", "paper"),
        "golden_vectors": Measure("pass", "paper"),
        "maker_fee_bps_over_published": Measure("number", "paper", Loosest("least", 0.0, itself=True)),
        "taker_fee_bps_over_published": Measure("number", "paper", Loosest("least", 0.0, itself=True)),
        "latency_ms": Measure("number", "paper", Loosest("least", 0.1, itself=True)),
    },
    "replay": {
        "walk_forward": Measure("recorded", "paper"),
        "holdout": Measure("recorded", "paper"),
        "doubled_costs": Measure("recorded", "paper"),
    },
    "skill": {
        "deflated_sharpe": Measure("number", "live", _LIKELY),
        "deflated_active_sharpe": Measure("number", "live", _LIKELY),
        "holdout_p_value_over_cash": Measure("number", "live", _UNLIKELY),
        "holdout_p_value_over_buy_and_hold": Measure("number", "live", _UNLIKELY),
        "folds": Measure("number", "live", _ONE),
        "tested_days": Measure("number", "live", _ONE),
        "holdout_days": Measure("number", "live", _ONE),
        "fills": Measure("number", "live", _ONE),
        "after_knowledge_cutoff": Measure("truth", "live"),
        "anonymised_consistency": Measure("number", None, _ABOVE_ZERO),
        "dates_consistency": Measure("number", None, _ABOVE_ZERO),
        "input_dependency": Measure("number", None, _ABOVE_ZERO),
    },
    "cost": {"edge_survives_costs_times": Measure("number", "live", _ABOVE_ZERO)},
    "calibration": {
        "negative_share": Measure("number", None, _BELOW_ONE),
        "least_abs_t": Measure("number", None, _ABOVE_ZERO),
        "coverage_gap": Measure("number", None, _BELOW_ONE),
        "mean_p_value": Measure("number", None, _ABOVE_ZERO),
    },
    "parity": {
        "unexplained_lots": Measure("number", "live", Loosest("most", inf)),
        "bars_decided": Measure("number", "live", _ABOVE_ZERO),
        "signals_taken": Measure("number", "live", _ABOVE_ZERO),
        "books_equal": Measure("truth", "live"),
        "journals_replay": Measure("truth", "live"),
        "paper_days": Measure("number", "live", _ONE),
    },
}
"""Every gate and measure that there is. A new one says here which target requires it; policies and doors go by it."""

SETTINGS: Mapping[str, tuple[float, float]] = {"valid_days": (0.0, 90.0)}
"""What else a policy may set, above the first number and up to the second. `valid_days`: how long a report permits."""

_DEFAULTS: Mapping[str, float] = {"valid_days": 7.0}
_NS_PER_DAY = 86_400_000_000_000
_SETTINGS = "settings"
_MARKED = "marked"
_BOUNDS = ("min", "max", "above")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a release must show for a target.

    Parameters
    ----------
    target : what it opens.
    gates : gate to measure to need.
    marked : gates that mark a release instead of keeping it out.
    settings : `valid_days`, as the file or the default says.
    path : the file.
    """

    target: Target
    gates: Mapping[str, Mapping[str, Need]] = field(hash=False)
    marked: tuple[str, ...]
    settings: Mapping[str, float] = field(hash=False)
    path: Path

    @property
    def digest(self) -> str:
        """sha256 of what the policy says."""
        gates = {gate: dict(measures) for gate, measures in self.gates.items()}
        says = {"target": self.target, "gates": gates, "marked": sorted(self.marked), "settings": self.settings}
        return sha256_of(canonical_json(says))

    @property
    def valid_ns(self) -> int:
        """How long a report under it permits, nanoseconds."""
        return int(self.settings["valid_days"] * _NS_PER_DAY)

    def rows(self) -> Iterator[tuple[str, str, Need, bool]]:
        """Gate, measure, need, and whether a failure keeps the release out."""
        for gate, measures in self.gates.items():
            for measure, needs in measures.items():
                yield gate, measure, needs, gate not in self.marked


def must_pass(target: Target) -> frozenset[str]:
    """The measures, "integrity.captured_source", that a report for a target has to show as passed."""
    return frozenset(
        f"{gate}.{name}"
        for gate, measures in MEASURES.items()
        for name, measure in measures.items()
        if measure.stage == "paper" or measure.stage == target
    )


def must_ask(target: Target) -> frozenset[str]:
    """The measures that a policy for a target has to ask: those that must pass, and those that show an edge."""
    edge = {each for each in must_pass("live") if each.split(".")[0] in EDGE_GATES}
    return must_pass(target) | edge


def installed_policies() -> Path:
    """Folder of the policies that are installed here: the workspace's, else the repository's or the package's own.

    Raises
    ------
    ConfigError : neither is there, or what the workspace's settings say cannot be meant.
    """
    from sapphire.domain.workspace import find_workspace

    return policy_folder(find_workspace())


def policy_folder(workspace: Path | None) -> Path:
    """Where the policies are: the workspace's `mlflow/gates`, else that of the repository this package stands in.

    A package that was installed has them with it, in `mlflow_files`.

    Raises
    ------
    ConfigError : neither is there.
    """
    own = [Path(__file__).parents[2] / "mlflow" / "gates", Path(__file__).parent / "mlflow_files" / "gates"]
    places = [*([workspace / "mlflow" / "gates"] if workspace else []), *own]
    for place in places:
        if place.is_dir():
            return place
    raise ConfigError(
        "no gate policies",
        expected="a folder mlflow/gates with paper.yaml and live.yaml",
        got=" and ".join(str(place) for place in places) + " not there",
        next="copy mlflow/gates of the repository into the workspace",
    )


def load_policy(folder: Path, target: Target) -> Policy:
    """The policy for a target.

    Raises
    ------
    ConfigError : no such file, or something in it that is not a policy; names it.
    """
    path = folder / f"{target}.yaml"
    if target not in get_args(Target) or not path.is_file():
        raise ConfigError(f"no gate policy for {target}", expected=f"a file {path}", got="none")
    content = _read_yaml(path)
    marked = _read_marked(path, target, content.pop(_MARKED, []))
    settings = _read_settings(path, content.pop(_SETTINGS, {}))
    gates = {gate: _read_gate(path, gate, measures) for gate, measures in content.items()}
    asked = {f"{gate}.{measure}" for gate, measures in gates.items() for measure in measures}
    missing = sorted(must_ask(target) - asked)
    if missing:
        expected = f"each measure that {target} requires; a failed one of {' and '.join(EDGE_GATES)} may mark on paper"
        raise _wrong(path, f"leaves out {', '.join(missing)}", expected, "none")
    idle = [gate for gate in marked if gate not in gates]
    if idle:
        raise _wrong(path, f"marks {', '.join(idle)}, which it does not ask for", "gates of the file", ", ".join(gates))
    return Policy(target=target, gates=gates, marked=marked, settings=settings, path=path)


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    # doors read policies again and again: once through, by libyaml where PyYAML was built with it
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text("utf-8"))
    try:
        node = loader.get_single_node()
        _refuse_twice(path, node)
        content = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise _wrong(path, "is not YAML", "gate: {measure: need}", " ".join(str(error).split())) from None
    finally:
        loader.dispose()
    if not isinstance(content, dict):
        raise _wrong(path, "is not a policy", "gate: {measure: need}", type(content).__name__)
    return content


def _refuse_twice(path: Path, node: Any) -> None:
    """YAML lets the second of two equal keys win in silence."""
    pairs = node.value if node is not None and node.id == "mapping" else []
    seen: set[str] = set()
    for key, value in pairs:
        if str(key.value) in seen:
            line = key.start_mark.line + 1
            raise _wrong(path, f"has {key.value} twice", "each key once", f"again at line {line}")
        seen.add(str(key.value))
        _refuse_twice(path, value)


def _read_marked(path: Path, target: Target, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or any(gate not in EDGE_GATES for gate in value) or len(set(value)) != len(value):
        raise _wrong(path, f"has an odd {_MARKED}", f"a list of {' and '.join(EDGE_GATES)}, each once", repr(value))
    if value and target != "paper":
        raise _wrong(path, f"has {_MARKED}", "no marks: every gate keeps a release out", repr(value))
    return tuple(value)


def _read_settings(path: Path, value: object) -> dict[str, float]:
    if not isinstance(value, dict) or not set(value) <= set(SETTINGS):
        raise _wrong(path, f"has odd {_SETTINGS}", f"numbers for {', '.join(SETTINGS)}", repr(value))
    for name, number in value.items():
        above, most = SETTINGS[name]
        if isinstance(number, bool) or not isinstance(number, int | float) or not above < number <= most:
            raise _wrong(path, f"has an odd {name}", f"a number above {above:g}, up to {most:g}", repr(number))
    return {name: float(value.get(name, default)) for name, default in _DEFAULTS.items()}


def _read_gate(path: Path, gate: object, measures: object) -> dict[str, Need]:
    if not isinstance(gate, str) or gate not in MEASURES:
        raise _wrong(
            path, f"has an unknown gate {gate}", f"one of {', '.join(MEASURES)}, {_MARKED}, {_SETTINGS}", repr(gate)
        )
    if not isinstance(measures, dict) or not measures:
        raise _wrong(path, f"asks nothing in {gate}", "measure: need", repr(measures))
    return {str(measure): _read_need(path, gate, measure, needs) for measure, needs in measures.items()}


def _read_need(path: Path, gate: str, measure: object, needs: object) -> Need:
    known = MEASURES[gate]
    if not isinstance(measure, str) or measure not in known:
        raise _wrong(path, f"has an unknown measure {gate}.{measure}", f"one of {', '.join(known)}", repr(measure))
    kind = known[measure].kind
    name = f"{gate}.{measure}"
    if kind == "truth":
        if needs is not True:
            raise _wrong(path, f"asks {name} in another form", "true, or the line left out", repr(needs))
        return True
    if kind != "number":
        if needs != kind:
            raise _wrong(path, f"asks {name} in another form", f"{kind}, or the line left out", repr(needs))
        return kind
    expected = "one of {min: x}, {max: x}, {above: x}"
    if not isinstance(needs, dict) or len(needs) != 1:
        raise _wrong(path, f"asks {name} in another form", expected, repr(needs))
    ((bound, limit),) = needs.items()
    if bound not in _BOUNDS or isinstance(limit, bool) or not isinstance(limit, int | float) or limit - limit != 0:
        raise _wrong(path, f"asks {name} in another form", expected, repr(needs))
    loosest = known[measure].loosest
    if loosest is not None and not loosest.admits(bound, limit):
        raise _wrong(path, f"asks {name} too loosely", loosest.text, repr(needs))
    return {str(bound): float(limit)}


def _wrong(path: Path, what: str, expected: str, got: str) -> ConfigError:
    return ConfigError(
        f"gate policy {path.name} {what}",
        expected=expected,
        got=got,
        next=f"correct {path}; nothing is promoted to {path.stem} until then",
    )
