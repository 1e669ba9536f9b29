"""What containers ask for in the chart is twice what the pods' run measured (measured.json, of `make test-pods`)."""

import json
import math
from pathlib import Path

import pytest
import yaml
from rendered import CHART
from translation import bytes_of, milli_of

MEASURED = json.loads((Path(__file__).parent / "measured.json").read_text())
ROWS = yaml.safe_load((CHART / "values.yaml").read_text())["global"]["resources"]
LEAST = {"cpu": 25, "memory": 64}
"""Millicores and MiB: less is asked for nobody, a pod that starts needs as much."""
AUTOSCALED = {"mlflow": 250}
"""Millicores at least of what an autoscaler counts shares of, and nobody asks in that run."""
WITHIN = 1.6
"""A request may be this much above or below: the machine of the run is busy with other things."""
UNMEASURED = {
    "runner-cpu-torch", "runner-vllm", "weights", "prometheus", "lab", "research", "research-gpu", "gaps",
    "reports", "check",
}  # fmt: skip
"""What that run does not play: estimates."""


def test_each_row_is_measured_or_an_estimate():
    assert MEASURED["rows"].keys() | UNMEASURED == ROWS.keys()
    assert not MEASURED["rows"].keys() & UNMEASURED


@pytest.mark.parametrize("row", sorted(MEASURED["rows"]))
def test_a_request_is_twice_what_was_measured(row):
    seen = MEASURED["rows"][row]
    asked = {"cpu": milli_of(ROWS[row]["cpu"]), "memory": bytes_of(ROWS[row]["memory"]) / (1 << 20)}
    wanted = {"cpu": 2 * seen["cpu_m"], "memory": 2 * seen["memory_mib"]}
    for what, value in wanted.items():
        value = max(value, LEAST[what], AUTOSCALED.get(row, 0) if what == "cpu" else 0)
        assert value / WITHIN <= asked[what] <= value * WITHIN, f"{what} of {row}: {asked[what]:g}, measured {value:g}"


@pytest.mark.parametrize("row", sorted(MEASURED["rows"]))
def test_a_limit_leaves_room_above_the_most_that_was_seen(row):
    most = MEASURED["rows"][row]["peak_memory_mib"] * (1 << 20)
    assert bytes_of(ROWS[row]["memoryLimit"]) >= 1.5 * most


def test_every_pod_came_back_within_a_minute():
    recovered = MEASURED["recovery_s"]
    assert len(recovered) == 11
    assert all(math.isfinite(value) and value < 60 for found in recovered.values() for value in found.values())
