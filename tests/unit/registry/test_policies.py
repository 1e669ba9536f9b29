"""A policy says what it asks, in words that a risk officer can read, and nothing in it is guessed at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sapphire.domain.errors import ConfigError
from sapphire.domain.evidence import Target
from sapphire.registry import load_policy, policy_folder
from sapphire.registry.policies import MEASURES, must_ask, must_pass

POLICIES = Path(__file__).parents[3] / "mlflow" / "gates"
LIVE = (POLICIES / "live.yaml").read_text("utf-8")
(COST,) = (line for line in LIVE.splitlines() if "edge_survives_costs_times" in line)
PAPER = (POLICIES / "paper.yaml").read_text("utf-8")


def write(folder: Path, text: str, target: Target = "live") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{target}.yaml").write_text(text, "utf-8")
    return folder


def test_the_installed_policies_ask_what_the_design_says() -> None:
    live, paper = load_policy(POLICIES, "live"), load_policy(POLICIES, "paper")
    asked = {(gate, measure): (needs, refuses) for gate, measure, needs, refuses in live.rows()}
    assert all(refuses for _, refuses in asked.values())
    assert asked["skill", "deflated_sharpe"] == ({"min": 0.95}, True)
    assert asked["cost", "edge_survives_costs_times"] == ({"min": 2.0}, True)
    assert asked["skill", "deflated_active_sharpe"] == ({"min": 0.95}, True)
    assert asked["skill", "holdout_p_value_over_cash"] == ({"max": 0.2}, True)
    assert asked["integrity", "taker_fee_bps_over_published"] == ({"min": 0.0}, True)
    assert asked["parity", "paper_days"] == ({"min": 20.0}, True)
    assert asked["parity", "unexplained_lots"] == ({"max": 0.0}, True)
    assert asked["parity", "bars_decided"] == ({"min": 0.99}, True)
    assert asked["parity", "signals_taken"] == ({"min": 0.98}, True)
    assert asked["parity", "books_equal"] == asked["parity", "journals_replay"] == (True, True)
    assert asked["integrity", "clean_tree"] == (True, True)
    on_paper = {(gate, measure): refuses for gate, measure, _, refuses in paper.rows()}
    assert set(on_paper) <= set(asked)
    assert {gate for (gate, _), refuses in on_paper.items() if not refuses} == {"skill", "cost"}
    required = {gate for gate, measures in MEASURES.items() if any(each.stage for each in measures.values())}
    assert {gate for gate, _ in asked} == required == set(MEASURES) - {"calibration"}


def test_what_it_says_is_its_identity_and_how_is_not(tmp_path: Path) -> None:
    content = yaml.safe_load(LIVE)
    turned = yaml.safe_dump(dict(reversed(content.items())), sort_keys=False).replace("20", "20.0")
    digest = load_policy(POLICIES, "live").digest
    assert load_policy(write(tmp_path / "turned", "# another comment\n" + turned), "live").digest == digest
    for number, (old, new) in enumerate([("0.95", "0.94"), ("min: 20", "min: 19"), ("max: 0}", "max: 1}")]):
        assert old in LIVE
        assert load_policy(write(tmp_path / str(number), LIVE.replace(old, new)), "live").digest != digest


def test_a_mark_is_part_of_what_it_says(tmp_path: Path) -> None:
    unmarked = write(tmp_path / "a", PAPER.replace("marked: [skill, cost]", "marked: [cost]"), "paper")
    assert load_policy(unmarked, "paper").digest != load_policy(POLICIES, "paper").digest


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("skill:", "skil:", "an unknown gate skil"),
        ("deflated_sharpe:", "deflated_sharp:", "an unknown measure skill.deflated_sharp"),
        ("clean_tree: true", "clean_tree: false", "asks integrity.clean_tree in another form"),
        ("clean_tree: true", "clean_tree: 1", "asks integrity.clean_tree in another form"),
        ("truncation_test: pass", "truncation_test: skip", "asks integrity.truncation_test in another form"),
        ("{min: 0.95}", "0.95", "asks skill.deflated_sharpe in another form"),
        ("{min: 0.95}", "{min: .nan}", "asks skill.deflated_sharpe in another form"),
        ("{min: 0.95}", "{min: true}", "asks skill.deflated_sharpe in another form"),
        ("{min: 0.95}", "{about: 0.95}", "asks skill.deflated_sharpe in another form"),
        ("{min: 0.95}", "{min: 0.95, max: 1}", "asks skill.deflated_sharpe in another form"),
        ("  paper_days: {min: 20}", "  paper_days: {min: 20}\n  paper_days: {min: 0}", "has paper_days twice"),
        ("cost:", "integrity:", "has integrity twice"),
        (f"cost:\n{COST}", "", "leaves out cost"),
        (f"cost:\n{COST}", "cost:", "asks nothing in cost"),
        ("cost:", "marked: [skill]\ncost:", "has marked"),
        ("cost:", "force: true\ncost:", "an unknown gate force"),
        ("cost:", "cost: [", "is not YAML"),
        ("integrity:", "? [a, b]\n: 1\nintegrity:", "is not YAML"),
        ("integrity:", "1: {captured_source: true}\nintegrity:", "an unknown gate 1"),
    ],
)
def test_what_is_no_policy_is_refused_by_name(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in LIVE
    folder = write(tmp_path, LIVE.replace(old, new, 1))
    with pytest.raises(ConfigError) as refused:
        load_policy(folder, "live")
    assert named in str(refused.value)
    assert "live.yaml" in str(refused.value)


@pytest.mark.parametrize("side", ["maker", "taker"])
@pytest.mark.parametrize("needs", ["{min: -100}", "{min: -0.001}", "{above: -1}", "{max: 5}"])
def test_a_workspace_does_not_ask_for_fees_below_the_published_ones(tmp_path: Path, side: str, needs: str) -> None:
    asked = f"{side}_fee_bps_over_published: {{min: 0.0}}"
    assert asked in LIVE
    folder = write(tmp_path, LIVE.replace(asked, asked.replace("{min: 0.0}", needs)))
    with pytest.raises(ConfigError, match=f"asks integrity.{side}_fee_bps_over_published too loosely") as refused:
        load_policy(folder, "live")
    assert refused.value.expected == "{min: x}, x at least 0; or {above: x}, x at least 0"


LOOSE = [
    *((each, needs) for each in ("latency_ms", "folds") for needs in ("{min: 0}", "{min: -5}", "{above: 0}")),
    *((each, "{min: 0.49}") for each in ("deflated_sharpe", "deflated_active_sharpe")),
    *(("deflated_sharpe", needs) for needs in ("{above: 0}", "{above: -0.1}", "{max: 0.95}")),
    *((f"holdout_p_value_over_{each}", "{max: 0.51}") for each in ("cash", "buy_and_hold")),
    *((each, "{above: 0}") for each in ("tested_days", "holdout_days", "fills", "paper_days")),
    ("latency_ms", "{min: 0.000000001}"),
    ("holdout_p_value_over_cash", "{max: 0.9999999}"),
    ("fills", "{min: 0.5}"),
    ("holdout_p_value_over_cash", "{min: 0.2}"),
    ("paper_days", "{min: 0}"),
    ("edge_survives_costs_times", "{min: 0}"),
    ("unexplained_lots", "{min: 0}"),
    ("bars_decided", "{min: 0.0}"),
]


@pytest.mark.parametrize(("measure", "needs"), LOOSE)
def test_a_bound_that_nothing_can_fail_is_no_gate(tmp_path: Path, measure: str, needs: str) -> None:
    text = re.sub(rf"^(  {measure}:) {{.*?}}", rf"\1 {needs}", LIVE, flags=re.MULTILINE)
    assert text != LIVE
    with pytest.raises(ConfigError, match=rf"asks \w+\.{measure} too loosely"):
        load_policy(write(tmp_path, text), "live")


@pytest.mark.parametrize(
    ("measure", "needs"),
    [
        ("latency_ms", "{min: 0.1}"),
        ("maker_fee_bps_over_published", "{above: 0}"),
        ("deflated_sharpe", "{min: 0.5}"),
        ("deflated_active_sharpe", "{above: 0.5}"),
        ("holdout_p_value_over_cash", "{max: 0.5}"),
        ("fills", "{min: 1}"),
        ("folds", "{above: 1}"),
        ("unexplained_lots", "{max: 500}"),
    ],
)
def test_a_bound_that_something_fails_is_the_policy_s_own(tmp_path: Path, measure: str, needs: str) -> None:
    text = re.sub(rf"^(  {measure}:) {{.*?}}", rf"\1 {needs}", LIVE, flags=re.MULTILINE)
    load_policy(write(tmp_path, text), "live")


def test_every_number_has_a_loosest_bound() -> None:
    numbers = [each for measures in MEASURES.values() for each in measures.values() if each.kind == "number"]
    assert len(numbers) == 23
    assert all(each.loosest is not None for each in numbers)


def leave_out(text: str, measure: str) -> str:
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith(f"  {measure}:")]
    assert len(lines) == len(text.splitlines()) - 1, measure
    return "".join(lines)


@pytest.mark.parametrize("target", ["paper", "live"])
def test_a_policy_that_lacks_a_measure_of_its_stage_is_refused(tmp_path: Path, target: Target) -> None:
    """Each of them; for paper those of an edge as well, because what is not asked is not marked."""
    text = {"live": LIVE, "paper": PAPER}[target]
    for number, name in enumerate(sorted(must_ask(target))):
        gate, measure = name.split(".")
        folder = write(tmp_path / str(number), leave_out(text, measure), target)
        with pytest.raises(ConfigError) as refused:
            load_policy(folder, target)
        assert f"leaves out {name}" in str(refused.value) or f"asks nothing in {gate}" in str(refused.value)


def test_what_a_stage_requires_is_said_by_each_measure() -> None:
    assert "skill.deflated_sharpe" in must_pass("live")
    assert "skill.deflated_sharpe" not in must_pass("paper")
    assert must_pass("paper") < must_ask("paper") < must_pass("live") == must_ask("live")
    named = {f"{gate}.{name}" for gate, measures in MEASURES.items() for name in measures}
    optional = {f"{gate}.{name}" for gate, each in MEASURES.items() for name, one in each.items() if one.stage is None}
    assert named - optional == must_pass("live")


def test_how_long_a_report_permits_is_part_of_the_policy(tmp_path: Path) -> None:
    installed = load_policy(POLICIES, "live")
    assert installed.valid_ns == 7 * 86_400_000_000_000
    assert "valid_days: 7 " in LIVE
    shorter = load_policy(write(tmp_path / "a", LIVE.replace("valid_days: 7 ", "valid_days: 0.5 ")), "live")
    assert (shorter.valid_ns, shorter.digest != installed.digest) == (43_200_000_000_000, True)
    unsaid = load_policy(write(tmp_path / "b", LIVE.replace("settings:\n  valid_days: 7 ", "#")), "live")
    assert unsaid.digest == installed.digest


@pytest.mark.parametrize(
    "setting", ["valid_days: 0", "valid_days: 91", "valid_days: true", "valid_days: soon", "level: 0.1", "force: 1"]
)
def test_a_setting_that_is_none_is_refused(tmp_path: Path, setting: str) -> None:
    folder = write(tmp_path, LIVE.replace("valid_days: 7 ", f"{setting} # "))
    with pytest.raises(ConfigError, match=r"live\.yaml has (an )?odd"):
        load_policy(folder, "live")


@pytest.mark.parametrize("marks", ["integrity", "[integrity]", "[skill, skill]", "[parity]"])
def test_only_the_gates_of_an_edge_can_be_marks(tmp_path: Path, marks: str) -> None:
    folder = write(tmp_path, PAPER.replace("[skill, cost]", marks), "paper")
    with pytest.raises(ConfigError, match="odd marked"):
        load_policy(folder, "paper")


@pytest.mark.parametrize("text", ["", "- integrity", "no"])
def test_a_file_that_asks_nothing_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is not a policy"):
        load_policy(write(tmp_path, text), "live")


def test_a_missing_policy_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no gate policy for live"):
        load_policy(tmp_path, "live")


def test_a_workspace_may_have_its_own(tmp_path: Path) -> None:
    assert policy_folder(tmp_path) == policy_folder(None) == POLICIES
    (tmp_path / "mlflow" / "gates").mkdir(parents=True)
    assert policy_folder(tmp_path) == tmp_path / "mlflow" / "gates"
