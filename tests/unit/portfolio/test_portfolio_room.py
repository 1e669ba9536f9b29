"""The room keeps its own promises: a light import, sizings that can be written down and made again."""

import importlib
import inspect
import json
import pkgutil

import pytest

import sapphire.portfolio as room
from sapphire.domain import ValueRefused
from sapphire.portfolio import EqualWeight, FixedFraction, Sizing, VolatilityTarget, make_sizing

MODULES = [f"{room.__name__}.{module.name}" for module in pkgutil.iter_modules(room.__path__)]
SIZINGS = [
    VolatilityTarget(
        annual=0.15, full_conviction=2.0, max_weight=0.4, max_gross=0.9, rebalance_band=0, long_only=False
    ),
    EqualWeight(max_gross=0.5, hold=False, rebalance_band=0.2),
    FixedFraction(fraction=0.3, max_gross=0.6, rebalance_band=0.05, long_only=False),
]


@pytest.mark.parametrize("heavy", ["scipy", "pandas", "arch", "pydantic"])
def test_import_of_the_room_is_light(fresh_interpreter, heavy):
    assert heavy not in fresh_interpreter.modules_after("import sapphire.portfolio")


@pytest.mark.parametrize("sizing", SIZINGS, ids=lambda sizing: sizing.name)
def test_a_sizing_survives_being_written_down(sizing):
    assert isinstance(sizing, Sizing)
    written = json.loads(json.dumps({"name": sizing.name, "parameters": sizing.parameters}))
    assert make_sizing(written["name"], written["parameters"]) == sizing
    assert make_sizing(sizing.name, {}) == type(sizing)()


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("kelly", {}, "volatility_target or equal_weight or fixed_fraction"),
        ("volatility_target", {"yearly": 0.2}, "yearly = 0.2"),
        ("volatility_target", {"annual": "0.2"}, "annual = '0.2'"),
        ("volatility_target", {"annual": True}, "annual = True"),
        ("equal_weight", {"hold": 1}, "hold = 1"),
        ("fixed_fraction", {"fraction": 1.5}, "fraction=1.5"),
    ],
)
def test_what_is_no_sizing_is_refused(name, parameters, message):
    with pytest.raises(ValueRefused) as refusal:
        make_sizing(name, parameters)
    assert message in str(refusal.value)


def test_nothing_of_the_room_can_tell_the_time_or_throw_dice():
    for name in MODULES:
        source = inspect.getsource(importlib.import_module(name))
        for forbidden in ("import time\n", "import random", "np.random", ".now(", "utcnow", "environ"):
            assert forbidden not in source, (name, forbidden)
