"""The room as a whole: its examples hold, and a release is loaded without a server or a registry."""

import doctest
import importlib
import pkgutil

import pytest

import sapphire.agents.release

MODULES = sorted(each.name for each in pkgutil.iter_modules(sapphire.agents.release.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_every_example_holds(name):
    assert doctest.testmod(importlib.import_module(f"sapphire.agents.release.{name}")).failed == 0


def test_the_agents_room_exports_the_loader():
    assert sapphire.agents.load_release is sapphire.agents.release.load_release
    assert sapphire.agents.freeze is sapphire.agents.release.freeze
