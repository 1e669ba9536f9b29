"""A protocol is what its numbers are, and reads as it was written."""

import json

import pytest

from sapphire.domain.canonical import canonical_json
from sapphire.domain.errors import EvidenceRefused, ValueRefused
from sapphire.domain.protocols import Protocol

COSTS = {"maker_bps": 10.0, "taker_bps": 10.0, "slippage_bps": 1.0, "latency_ms": (5.0, 50.0), "tier": "regular"}
SETTINGS = {
    "costs": COSTS,
    "published": COSTS,
    "split": {"kind": "WalkForward", "train": 1, "test": 2},
    "holdout_ns": 3,
    "seeds": {"study": 7},
    "sizing": {"name": "equal_weight", "parameters": {}},
    "limits": {"order": 10.0},
    "execution": {"retry_ns": 5},
    "when_views_stop": {"hold_bars": 3},
    "starting_cash": "100000",
}
OTHERS = {
    "costs": COSTS | {"taker_bps": 0.0},
    "published": COSTS | {"tier": "vip"},
    "split": {"kind": "WalkForward", "train": 1, "test": 3},
    "holdout_ns": 4,
    "seeds": {"study": 8},
    "sizing": {"name": "equal_weight", "parameters": {"cost_bps": 1}},
    "limits": {"order": 9.0},
    "execution": {"retry_ns": 6},
    "when_views_stop": {"hold_bars": 4},
    "starting_cash": "50000",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_is_part_of_its_identity(name):
    one = Protocol(**SETTINGS)
    assert Protocol(**SETTINGS).digest == one.digest
    assert Protocol(**{**SETTINGS, name: OTHERS[name]}).digest != one.digest


def test_it_reads_as_it_was_written():
    one = Protocol(**SETTINGS)
    assert Protocol.parse(one.canonical) == one
    assert Protocol.from_dict(json.loads(one.canonical)).digest == one.digest


@pytest.mark.parametrize(
    "wrong", [{"holdout_ns": -1}, {"costs": {"taker_bps": 1.0}}, {"seeds": {"study": float("nan")}}]
)
def test_a_setting_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValueRefused):
        Protocol(**{**SETTINGS, **wrong})


@pytest.mark.parametrize("change", [{"format": "PROTOCOL@0"}, {"author": "me"}, {"costs": None}])
def test_what_is_none_does_not_read(change):
    with pytest.raises(EvidenceRefused):
        Protocol.parse(canonical_json({**json.loads(Protocol(**SETTINGS).canonical), **change}))
    with pytest.raises(EvidenceRefused):
        Protocol.parse(b"[]")
