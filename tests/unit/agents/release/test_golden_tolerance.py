"""Golden tolerances fit the type of the numbers, lie in the release, and are bounded by what its files compute in."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from sapphire.agents import Agent, Calibrated, load_agent_source
from sapphire.agents.release import load_release, read_release
from sapphire.agents.release.code import AgentCode
from sapphire.agents.release.numbers import WIDEST, Numbers
from sapphire.agents.worker import ReleaseWorker
from sapphire.domain import EvidenceRefused
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.releases import Manifest

LOOSE = """
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar
from sapphire import Agent
from sapphire.agents.agent import fitted
from sapphire.agents.arrays import Arrays
import numpy as np


@dataclass(frozen=True)
class Loose(Agent):
    twin_tolerance: ClassVar[float] = 0.5
    golden_tolerance: ClassVar[float] = 0.5
    horizon: timedelta = timedelta(minutes=15)
    weights: Arrays = fitted()

    @property
    def warmup(self):
        return 2

    def fit(self, train, seed):
        from dataclasses import replace
        return replace(self, weights=Arrays({{"w": np.ones(1, dtype="{dtype}")}}))

    def views(self, window):
        {inside}
        close = window.panel("close") * float(self.weights["w"][0])
        return window.views(mean_bps=close.iloc[-1] * 0.01, std_bps=close.iloc[-1], horizon=self.horizon)
"""


@pytest.fixture
def loose(bars, frozen, tmp_path):
    """Freezes an agent that asks for half of everything; gives the folder of its release."""

    def make(dtype="float64", inside="pass"):
        text = LOOSE.format(dtype=dtype, inside=inside)
        return frozen(Calibrated(load_agent_source(text, tmp_path / "loose.py")()).fit(bars, seed=7))

    return make


def outputs_of(folder):
    (path,) = folder.glob("agents/*/golden_outputs.json")
    return path, json.loads(path.read_text())


def with_outputs(folder, outputs):
    """The same release with other golden outputs, which its manifest names."""
    path, _ = outputs_of(folder)
    path.write_bytes(canonical_json(outputs))
    manifest = Manifest.parse((folder / "manifest.json").read_bytes())
    entry = replace(manifest.agents[0], golden_outputs_sha256=sha256_of(path.read_bytes()))
    (folder / "manifest.json").write_bytes(replace(manifest, agents=(entry,)).canonical)
    return folder


def moved(outputs, factor):
    made = json.loads(json.dumps(outputs))
    for views in (*made["agent"], *made["release"]):
        for view in views:
            for key in view.keys() & {"score", "mean_bps", "std_bps"}:
                view[key] *= factor
    return made


@pytest.mark.parametrize(
    ("text", "arrays", "numbers"),
    [
        ("", {}, ("numpy", "float64")),
        ("import numpy as np", {"w": np.zeros(2)}, ("numpy", "float64")),
        ("", {"w": np.zeros(2, np.float32), "n": np.zeros(2, np.int8)}, ("numpy", "float32")),
        ("", {"a": np.zeros(2, np.float32), "w": np.zeros(2, np.float16)}, ("numpy", "float16")),
        ("x = table.bfloat16", {}, ("numpy", "float64")),
        ("import torch", {}, ("torch", "float64")),
        ("def views():\n    from torch import nn", {"w": np.zeros(2, np.float32)}, ("torch", "float32")),
        ("import torch\nkind = torch.float16", {"w": np.zeros(2, np.float32)}, ("torch", "float16")),
        ("import torch\nnet = net.half()", {}, ("torch", "float16")),
        ("import torch\nnet = net.to(torch.bfloat16)", {"w": np.zeros(2, np.float16)}, ("torch", "bfloat16")),
    ],
)
def test_numbers_are_those_of_the_arrays_and_of_what_the_code_runs_on(text, arrays, numbers):
    assert Numbers.of(arrays, AgentCode("one.py", text, "One", {})) == Numbers(*numbers)


def test_coarser_types_have_wider_tolerances_and_half_of_everything_is_none():
    for types in WIDEST.values():
        assert list(types.values()) == sorted(types.values())
    assert WIDEST["numpy"]["float64"] == 0.0
    assert max(max(types.values()) for types in WIDEST.values()) < 0.1


def test_the_tolerance_lies_in_the_release_and_is_that_of_its_numbers(cross, llama, frozen, loose):
    for folder, numbers, tolerance in (
        (frozen(cross), {"runtime": "numpy", "type": "float64"}, 0.0),
        (frozen(llama), {"runtime": "torch", "type": "float32"}, 1e-9),  # its own is closer than its type's
        (loose(), {"runtime": "numpy", "type": "float64"}, 0.0),
        (loose("float32"), {"runtime": "numpy", "type": "float32"}, 1e-5),
        (loose("float32", "import torch"), {"runtime": "torch", "type": "float32"}, 1e-5),
        (loose("float64", "import torch; torch.bfloat16"), {"runtime": "torch", "type": "bfloat16"}, 5e-2),
    ):
        _, outputs = outputs_of(folder)
        assert (outputs["format"], outputs["numbers"], outputs["tolerance"]) == ("GOLDEN@2", numbers, tolerance)
        assert read_release(folder).tolerance == tolerance


@pytest.mark.parametrize("loaded", [load_release, lambda folder: ReleaseWorker(read_release(folder))])
def test_what_is_checked_is_the_tolerance_that_the_release_states(loose, loaded):
    folder = loose("float32")
    _, outputs = outputs_of(folder)
    assert loaded(with_outputs(folder, moved(outputs, 1 + 5e-6))).check_golden() > 0
    with pytest.raises(EvidenceRefused, match="says something else") as refused:
        loaded(with_outputs(folder, moved(outputs, 1 + 5e-5))).check_golden()
    assert "within 1e-05" in refused.value.expected
    with pytest.raises(EvidenceRefused, match="says something else"):
        loaded(with_outputs(folder, moved(outputs, 1 + 5e-6) | {"tolerance": 1e-9})).check_golden()


@pytest.mark.parametrize(
    "stated",
    [
        {"tolerance": 1e-9},
        {"tolerance": 0.5},
        {"tolerance": -1e-9},
        {"tolerance": 5e-2, "numbers": {"runtime": "torch", "type": "bfloat16"}},
    ],
)
def test_a_release_cannot_grant_itself_a_wider_one(loose, stated):
    folder = loose()
    _, outputs = outputs_of(folder)
    with pytest.raises(EvidenceRefused, match=r"golden tolerance of release .*/loose") as refused:
        read_release(with_outputs(folder, outputs | stated))
    assert "to the last bit: its arrays and its code compute in float64 by numpy" in refused.value.expected


@pytest.mark.parametrize(
    "stated",
    [
        {"tolerance": 0},
        {"tolerance": "0"},
        {"tolerance": None},
        {"numbers": {"runtime": "numpy", "type": "bfloat16"}},
        {"numbers": {"runtime": "abacus", "type": "float64"}},
        {"numbers": {"runtime": "numpy"}},
        {"format": "GOLDEN@3"},
        {"format": "GOLDEN@4"},
        {"calls": []},
        {"format": "GOLDEN@3", "calls": [{"no": "call"}]},
    ],
)
def test_what_states_no_tolerance_that_can_be_read_is_refused(loose, stated):
    folder = loose()
    _, outputs = outputs_of(folder)
    with pytest.raises(EvidenceRefused, match=r"golden values of release .*/loose do not read"):
        read_release(with_outputs(folder, outputs | stated))


def test_a_release_of_the_format_before_loads_and_is_held_to_the_rule_of_then(cross, llama, frozen):
    for agent, near, far in ((cross, None, 1 + 2**-52), (llama, 1 + 1e-12, 1 + 1e-6)):
        folder = frozen(agent)
        _, outputs = outputs_of(folder)
        before = {key: outputs[key] for key in ("agent", "release")} | {"format": "GOLDEN@1"}
        assert load_release(with_outputs(folder, before)).check_golden() > 0
        if near is not None:
            assert load_release(with_outputs(folder, moved(before, near))).check_golden() > 0
        with pytest.raises(EvidenceRefused, match="says something else"):
            load_release(with_outputs(folder, moved(before, far))).check_golden()


def test_a_pool_is_held_to_the_widest_of_its_agents_and_each_agent_to_its_own(pool, frozen):
    release = read_release(frozen(pool))
    assert {name: golden.tolerance for name, golden in release.golden.items()} == {
        "moving-average-cross": 0.0,
        "lag-llama": 1e-9,
        "moving-average-cross-2": 0.0,
        "random-walk": 0.0,
    }
    assert release.tolerance == 1e-9


def test_an_agent_asks_for_none_unless_it_says_so():
    assert Agent.golden_tolerance == math.inf
