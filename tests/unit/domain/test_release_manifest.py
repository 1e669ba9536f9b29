"""The same decision is the same release; anything else is another or none."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import pytest

from sapphire.domain.canonical import canonical_json
from sapphire.domain.errors import EvidenceRefused, ValueRefused
from sapphire.domain.releases import Manifest
from sapphire.domain.stopped_views import WhenViewsStop


def changed(manifest: Manifest, path: str, value: Any) -> bytes:
    """The manifest's JSON with one value changed; a value of None takes the key out."""
    whole = json.loads(manifest.canonical)
    *way, last = path.split(".")
    inner = whole
    for key in way:
        inner = inner[int(key)] if key.isdigit() else inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return canonical_json(whole)


def test_the_digest_is_that_of_the_file(manifest: Manifest) -> None:
    assert manifest.digest == hashlib.sha256(manifest.canonical).hexdigest()
    assert Manifest.parse(manifest.canonical) == manifest


def test_the_same_decision_in_other_words_is_the_same_release(manifest: Manifest) -> None:
    agent = manifest.agents[0]
    again = dataclasses.replace(agent, parameters=dict(reversed(agent.parameters.items())))
    assert dataclasses.replace(manifest, agents=(again,)).digest == manifest.digest
    listed = dataclasses.replace(agent, parameters={"lags": (1, 2)})
    assert listed == dataclasses.replace(agent, parameters={"lags": [1, 2]})


DECIDES = [
    "name",
    "universe",
    "interval",
    "agents.0.parameters.fast",
    "agents.0.source_sha256",
    "agents.0.arrays_sha256",
    "agents.0.prompt_version",
    "agents.0.max_age_ns",
    "sizing.parameters.annual",
    "limits.max_gross",
    "execution.time_to_live",
    "lock_sha256",
    "engine_version",
]


@pytest.mark.parametrize("path", DECIDES)
def test_whatever_decides_is_in_the_digest(manifest: Manifest, path: str) -> None:
    other: dict[str, Any] = {"name": "trend-2", "universe": ["BTC/USDT", "ETH/USDT"], "interval": "4h"}
    value = other.get(path, "ab" * 32 if path.endswith("sha256") else "2h" if path.endswith("live") else 7)
    value = "v2" if path.endswith("version") else value
    assert Manifest.parse(changed(manifest, path, value)).digest != manifest.digest


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("run_id", "m-1", "unknown run_id"),
        ("lock_sha256", None, "no lock_sha256"),
        ("format", "RELEASE@1", "another format"),
        ("agents.0.modules", ["desk.py"], "modules of agent"),
        ("agents.0.modules", {"../desk.py": "a" * 64}, "module of agent"),
        ("agents.0.modules", {"/desk.py": "a" * 64}, "module of agent"),
        ("agents.0.modules", {"desk/a.txt": "a" * 64}, "module of agent"),
        ("agents.0.modules", {"desk.py": "AB"}, "module desk.py of agent"),
        ("name", "Trend One", "name of release"),
        ("name", "../up", "name of release"),
        ("universe", [], "universe of release"),
        ("universe", "BTC/USDT", "universe in manifest"),
        ("agents", [], "agents of release"),
        ("agents.0.name", "a/b", "name of agent"),
        ("agents.0.source_sha256", "AB" * 32, "source_sha256 of agent"),
        ("agents.0.class", "os.system", "class of agent"),
        ("agents.0.warmup", 4.5, "warmup of agent"),
        ("agents.0.max_age_ns", 0, "max_age_ns of agent"),
        ("agents.0.trained_at", "now", "unknown trained_at"),
        ("sizing.class", "", "class of sizing"),
        ("sizing", [1], "sizing in manifest.json is not an object"),
        ("pooling", {"method": "linear"}, "pooling of release"),
        ("limits", [1], "limits of release"),
    ],
)
def test_a_manifest_that_is_none_is_refused_by_name(manifest: Manifest, path: str, value: Any, named: str) -> None:
    with pytest.raises(EvidenceRefused) as refused:
        Manifest.parse(changed(manifest, path, value))
    assert named in str(refused.value)


def test_several_agents_are_pooled_and_one_is_not(manifest: Manifest) -> None:
    one = manifest.agents[0]
    two = (one, dataclasses.replace(one, name="other"))
    with pytest.raises(ValueRefused, match="pooling"):
        dataclasses.replace(manifest, agents=two)
    pooled = dataclasses.replace(manifest, agents=two, pooling={"method": "linear"})
    assert Manifest.parse(pooled.canonical) == pooled
    with pytest.raises(ValueRefused, match="agents"):
        dataclasses.replace(manifest, agents=(one, one), pooling={"method": "linear"})


def test_a_folder_is_the_release_to_the_last_file(manifest: Manifest) -> None:
    files = manifest.files
    assert set(files) == {
        f"agents/moving-average-cross/{name}"
        for name in (
            "source.py",
            "card.json",
            "calibration.safetensors",
            "golden_inputs.safetensors",
            "golden_outputs.json",
        )
    }
    manifest.verify_files(files)
    source = "agents/moving-average-cross/source.py"
    for wrong, named in (
        ({**files, source: "0" * 64}, f"{source} has sha256 000000000000"),
        ({key: files[key] for key in files if key != source}, f"{source} is missing"),
        ({**files, "agents/extra.py": "0" * 64}, "agents/extra.py is not in the manifest"),
    ):
        with pytest.raises(EvidenceRefused) as refused:
            manifest.verify_files(wrong)
        assert named in str(refused.value)


def test_the_rule_for_views_that_stop_is_part_of_the_decision(manifest: Manifest) -> None:
    assert manifest.as_dict()["when_views_stop"] == {"hold_bars": 3, "reduce_bars": 3}
    other = dataclasses.replace(manifest, when_views_stop=WhenViewsStop(hold_bars=0, reduce_bars=5))
    assert other.digest != manifest.digest
    assert Manifest.parse(other.canonical) == other


@pytest.mark.parametrize("rule", [None, {}, {"hold_bars": 1}, {"hold_bars": -1, "reduce_bars": 0}, {"hold_bars": 1.5}])
def test_a_manifest_without_a_sound_rule_is_refused(manifest: Manifest, rule: object) -> None:
    written = manifest.as_dict() | {"when_views_stop": rule}
    with pytest.raises(EvidenceRefused, match="rule for views that stop"):
        Manifest.parse(canonical_json(written))
    del written["when_views_stop"]
    with pytest.raises(EvidenceRefused, match="other keys"):
        Manifest.parse(canonical_json(written))
