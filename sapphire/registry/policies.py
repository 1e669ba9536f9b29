"""Policies: what a release must show, from a file that a risk officer can read.

A policy is `mlflow/gates/TARGET.yaml`: gate to measure to need. Nothing in it is guessed at: an unknown gate or
measure, a need of the wrong form, a key given twice, or a gate left out that the target cannot do without is an error
that names it. The identity of a policy is the digest of what it says, so comments and order do not change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.errors import ConfigError
from sapphire.domain.evidence import EDGE_GATES, Target
from sapphire.domain.needs import Need

__all__ = ["MEASURES", "Policy", "load_policy", "policy_folder"]

Kind = Literal["truth", "pass", "recorded", "number"]
"""What a measure's need looks like: `true`, the word `pass`, the word `recorded`, or one bound on a number."""

MEASURES: Mapping[str, Mapping[str, Kind]] = {
    "integrity": {
        "captured_source": "truth",
        "snapshot_pinned": "truth",
        "lock_pinned": "truth",
        "clean_tree": "truth",
        "recorded_data": "truth",
        "isolated": "truth",
        "truncation_test": "pass",
        "future_test": "pass",
        "twin_test": "pass",
        "warmup_test": "pass",
        "fit_test": "pass",
        "feature_parity": "pass",
        "asked_again": "pass",
        "another_process": "pass",
        "symbol_order": "pass",
        "duplicate_rows": "pass",
        "shuffled_rows": "pass",
        "golden_vectors": "pass",
        "maker_fee_bps_over_published": "number",
        "taker_fee_bps_over_published": "number",
        "latency_ms": "number",
    },
    "replay": {"walk_forward": "recorded", "holdout": "recorded", "doubled_costs": "recorded"},
    "skill": {
        "deflated_sharpe": "number",
        "deflated_active_sharpe": "number",
        "holdout_p_value_over_cash": "number",
        "holdout_p_value_over_buy_and_hold": "number",
        "folds": "number",
        "tested_days": "number",
        "holdout_days": "number",
        "trades": "number",
    },
    "cost": {"edge_survives_costs_times": "number"},
    "parity": {
        "unexplained_lots": "number",
        "bars_decided": "number",
        "signals_taken": "number",
        "books_equal": "truth",
        "journals_replay": "truth",
        "paper_days": "number",
    },
}
"""Every gate and measure that there is."""
REQUIRED: Mapping[Target, tuple[str, ...]] = {
    "paper": ("integrity", "replay"),
    "live": ("integrity", "replay", "skill", "cost", "parity"),
}
"""Gates that a policy for the target must have."""

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
    path : the file.
    """

    target: Target
    gates: Mapping[str, Mapping[str, Need]] = field(hash=False)
    marked: tuple[str, ...]
    path: Path

    @property
    def digest(self) -> str:
        """sha256 of what the policy says."""
        gates = {gate: dict(measures) for gate, measures in self.gates.items()}
        return sha256_of(canonical_json({"target": self.target, "gates": gates, "marked": sorted(self.marked)}))

    def rows(self) -> Iterator[tuple[str, str, Need, bool]]:
        """Gate, measure, need, and whether a failure keeps the release out."""
        for gate, measures in self.gates.items():
            for measure, needs in measures.items():
                yield gate, measure, needs, gate not in self.marked


def policy_folder(workspace: Path | None) -> Path:
    """Where the policies are: the workspace's `mlflow/gates`, else that of the repository this package stands in.

    Raises
    ------
    ConfigError : neither is there.
    """
    own = Path(__file__).parents[2] / "mlflow" / "gates"
    places = [*([workspace / "mlflow" / "gates"] if workspace else []), own]
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
    if target not in REQUIRED or not path.is_file():
        raise ConfigError(f"no gate policy for {target}", expected=f"a file {path}", got="none")
    content = _read_yaml(path)
    marked = _read_marked(path, target, content.pop(_MARKED, []))
    gates = {gate: _read_gate(path, gate, measures) for gate, measures in content.items()}
    missing = [gate for gate in REQUIRED[target] if gate not in gates]
    if missing:
        raise _wrong(path, f"leaves out {', '.join(missing)}", f"the gates {', '.join(REQUIRED[target])}", "none")
    idle = [gate for gate in marked if gate not in gates]
    if idle:
        raise _wrong(path, f"marks {', '.join(idle)}, which it does not ask for", "gates of the file", ", ".join(gates))
    return Policy(target=target, gates=gates, marked=marked, path=path)


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    text = path.read_text("utf-8")
    try:
        _refuse_twice(path, yaml.compose(text, Loader=yaml.SafeLoader))
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _wrong(path, "is not YAML", "gate: {measure: need}", " ".join(str(error).split())) from None
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


def _read_gate(path: Path, gate: object, measures: object) -> dict[str, Need]:
    if not isinstance(gate, str) or gate not in MEASURES:
        raise _wrong(path, f"has an unknown gate {gate}", f"one of {', '.join(MEASURES)}, {_MARKED}", repr(gate))
    if not isinstance(measures, dict) or not measures:
        raise _wrong(path, f"asks nothing in {gate}", "measure: need", repr(measures))
    return {str(measure): _read_need(path, gate, measure, needs) for measure, needs in measures.items()}


def _read_need(path: Path, gate: str, measure: object, needs: object) -> Need:
    known = MEASURES[gate]
    if not isinstance(measure, str) or measure not in known:
        raise _wrong(path, f"has an unknown measure {gate}.{measure}", f"one of {', '.join(known)}", repr(measure))
    kind = known[measure]
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
    return {str(bound): float(limit)}


def _wrong(path: Path, what: str, expected: str, got: str) -> ConfigError:
    return ConfigError(
        f"gate policy {path.name} {what}",
        expected=expected,
        got=got,
        next=f"correct {path}; nothing is promoted to {path.stem} until then",
    )
