"""Who counts, witnesses, signs and tells the time is the platform's to say: nothing public takes it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sapphire.monitoring
import sapphire.registry
import sapphire.research
from sapphire.domain.errors import ConfigError
from sapphire.registry import EvidenceBundle, Registry, WalkForwardEvidence
from sapphire.registry._workings import Workings
from sapphire.research.ledger.counting import registry_of

PARTS = sorted(each.name for each in dataclasses.fields(Workings) if each.name != "home")


def public_callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function, class and method of the rooms from the registry up."""
    for room in (sapphire.registry, sapphire.research, sapphire.monitoring):
        for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if found.name.rpartition(".")[2].startswith("_"):
                continue
            module = importlib.import_module(found.name)
            for name in getattr(module, "__all__", ()):
                thing = getattr(module, name)
                yield f"{found.name}.{name}", thing
                if inspect.isclass(thing):
                    for member, value in vars(thing).items():
                        if inspect.isfunction(value) and not member.startswith("_"):
                            yield f"{found.name}.{name}.{member}", value


def test_nothing_public_that_gives_a_registry_takes_more_than_its_folder() -> None:
    made = {
        name: [each for each in inspect.signature(thing).parameters if each != "self"]
        for name, thing in public_callables()
        if thing is Registry or (inspect.isfunction(thing) and inspect.signature(thing).return_annotation == "Registry")
    }
    assert len(made) >= 3
    assert {name: parameters for name, parameters in made.items() if parameters != ["home"]} == {}


def test_the_study_that_submits_chooses_no_registry() -> None:
    from sapphire.research.evidence.submitting import submit

    assert list(inspect.signature(submit).parameters) == ["study", "agent"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("opened", [Registry, registry_of, sapphire.monitoring.witnessed_registry])
def test_a_part_that_a_notebook_hands_in_is_refused(tmp_path: Path, opened: Callable[..., Any], part: str) -> None:
    with pytest.raises(TypeError, match=part):
        opened(tmp_path, **{part: lambda *_: None})
    with pytest.raises(TypeError):
        dataclasses.replace(opened(tmp_path), **{part: lambda *_: None})


def test_a_count_of_one_s_own_signs_nothing(
    registry: Registry, freeze: Callable[..., Path], small: SimpleNamespace
) -> None:
    """With N = 1 this release would show skill; by the ledger's N it does not."""

    def one_trial(bundle: EvidenceBundle) -> WalkForwardEvidence:
        return dataclasses.replace(bundle.walk_forward, trials=1, variance_of_trials=0.0)

    folder = freeze(name="lonely")
    made = registry.register(folder, small.bundle_of(folder, walk_forward={"trials": 1_000}))
    with pytest.raises(TypeError, match="count"):
        Registry(registry.home, count=one_trial)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        registry.count = one_trial  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="no trial ledger to count on"):
        Registry(registry.home).gates(made.digest, to="paper")
    assert registry.store.reports(made.digest) == ()
    assert registry.gates(made.digest, to="paper").trials == 1_000
