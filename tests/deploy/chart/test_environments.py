"""What differs between environments is what may: every other difference is one that nobody meant."""

from fnmatch import fnmatchcase

import pytest
import yaml
from rendered import ENVIRONMENTS, NAMESPACE, REPOSITORY, key, of_kind, rendered

FOLDER = REPOSITORY / "k8s/environments"
LINES = 40


def leaves(value, path=""):
    """Every plain value of an object, by its place; what has a name stands under it, not under its number."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{path}/{name}" if path else name)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            named = part.get("name", number) if isinstance(part, dict) else number
            yield from leaves(part, f"{path}/{named}")
    else:
        yield path, value


def differences(one, other):
    """Objects that one of them alone has, and places at which an object differs."""
    here, there = ({key(each): each for each in rendered(name)} for name in (one, other))
    found = {(name, "") for name in here.keys() ^ there.keys()}
    for name in here.keys() & there.keys():
        first, second = dict(leaves(here[name])), dict(leaves(there[name]))
        found |= {(name, place) for place in first.keys() | second.keys() if first.get(place) != second.get(place)}
    return found


@pytest.fixture(scope="module")
def allowed():
    return yaml.safe_load((FOLDER / "allowed_differences.yaml").read_text())


def is_allowed(row, difference):
    name, place = difference
    if row.get("whole"):
        return place == "" and any(fnmatchcase(name, pattern) for pattern in row["whole"])
    objects, places = row.get("objects", ["*"]), row["places"]
    return (
        place != ""
        and any(fnmatchcase(name, each) for each in objects)
        and any(fnmatchcase(place, each) for each in places)
    )


@pytest.mark.parametrize(("one", "other"), [("dev", "staging"), ("staging", "prod")])
def test_each_difference_between_two_environments_is_an_allowed_one(one, other, allowed):
    rows = allowed[f"{one} and {other}"]
    unmeant = sorted(each for each in differences(one, other) if not any(is_allowed(row, each) for row in rows))
    assert unmeant == []


@pytest.mark.parametrize(("one", "other"), [("dev", "staging"), ("staging", "prod")])
def test_no_row_of_the_list_allows_what_is_no_difference_and_each_has_its_reason(one, other, allowed):
    found = differences(one, other)
    for row in allowed[f"{one} and {other}"]:
        assert len(row["why"]) > 10
        for pattern in row.get("whole", row.get("places", ())):
            alone = row | ({"whole": [pattern]} if "whole" in row else {"places": [pattern]})
            assert any(is_allowed(alone, each) for each in found), f"{pattern} allows nothing"


def test_a_difference_that_nobody_meant_would_be_found(allowed):
    rows = allowed["staging and prod"]
    for unmeant in [
        ("StatefulSet/engine-paper", "spec/template/spec/securityContext/runAsNonRoot"),
        ("StatefulSet/engine-paper", "spec/template/spec/containers/engine/command/0"),
        ("NetworkPolicy/engine", "spec/egress/0/ports/0/port"),
        ("NetworkPolicy/more", ""),
        ("RoleBinding/more", ""),
    ]:
        assert not any(is_allowed(row, unmeant) for row in rows), unmeant


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_files_of_values_are_short(environment):
    assert len((FOLDER / f"{environment}.yaml").read_text().splitlines()) <= LINES


def test_there_are_three_environments_and_each_trades_paper():
    files = {path.stem for path in FOLDER.glob("*.yaml")} - {"allowed_differences"}
    assert files == set(ENVIRONMENTS)
    for environment in ENVIRONMENTS:
        values = yaml.safe_load((FOLDER / f"{environment}.yaml").read_text())
        assert {account["stage"] for account in values["accounts"].values()} == {"paper"}


def test_the_namespace_lets_restricted_pods_in_alone_and_is_kept(objects):
    (namespace,) = of_kind(objects, "Namespace")
    assert namespace["metadata"]["name"] == NAMESPACE
    assert namespace["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    labels = namespace["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "warn", "audit")} == {"restricted"}
