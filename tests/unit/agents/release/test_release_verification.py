"""A release is verified to the last byte before any of its code runs; a refusal names the file."""

import json
import os
from dataclasses import replace

import pytest

from sapphire.agents.agent_files import load_agent_source
from sapphire.agents.release import load_release
from sapphire.domain import AgentError, EvidenceRefused
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.releases import Manifest

MARKED = """
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from sapphire.agents import Agent

Path({marker!r}).open("a").write("ran ")

@dataclass(frozen=True)
class Marked(Agent):
    warmup: int = 2
    horizon: timedelta = timedelta(minutes=15)

    def views(self, window):
        score = window.panel("close").iloc[-1] / window.panel("close").iloc[-2] - 1.0
        return window.views(score=score, horizon=self.horizon)
"""


@pytest.fixture
def marked(bars, frozen, tmp_path):
    """A release whose source leaves a mark when it runs, with a calibration; and the mark."""
    from sapphire.agents import Calibrated

    mark = tmp_path / "ran"
    cls = load_agent_source(MARKED.format(marker=str(mark)), tmp_path / "marked.py")
    folder = frozen(Calibrated(cls()).fit(bars, seed=7))
    mark.unlink()
    return folder, mark


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def fresh(folder):
    """Forgets the module of the release's source, as a new process would."""
    import sys

    for name in [name for name in sys.modules if name.startswith("sapphire_release_")]:
        del sys.modules[name]
    return folder


def rewritten(folder, **changed):
    """The release with another manifest that fits its files."""
    manifest = Manifest.parse((folder / "manifest.json").read_bytes())
    changed = {key: value(manifest) for key, value in changed.items()}
    (folder / "manifest.json").write_bytes(replace(manifest, **changed).canonical)
    return folder


def test_the_mark_shows_that_the_release_runs_its_own_source(marked):
    folder, mark = marked
    load_release(fresh(folder))
    assert mark.read_text() == "ran "


def test_one_byte_changed_in_any_file_is_refused_by_name_before_the_source_runs(marked):
    folder, mark = marked
    files = [path for path in files_of(folder) if path.name != "manifest.json"]
    assert len(files) == 5
    for path in files:
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(EvidenceRefused) as refused:
                load_release(fresh(folder))
            assert path.relative_to(folder).as_posix() in refused.value.got
        path.write_bytes(whole)
    assert not mark.exists()


def test_a_changed_manifest_is_refused_before_the_source_runs(marked):
    folder, mark = marked
    path = folder / "manifest.json"
    whole = path.read_bytes()
    for data in (whole + b"\n", whole.replace(b'"name":"trend"', b'"name" :"trend"'), whole[:-2], b"{}"):
        path.write_bytes(data)
        with pytest.raises(EvidenceRefused):
            load_release(fresh(folder))
    path.write_bytes(whole.replace(b'"warmup":2', b'"warmup":3'))
    with pytest.raises(EvidenceRefused, match="another release"):
        load_release(fresh(folder), expected_digest=folder.name)
    assert not mark.exists()


def test_a_missing_file_is_named(marked):
    folder, mark = marked
    for path in files_of(folder):
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(EvidenceRefused) as refused:
            load_release(fresh(folder))
        assert path.name in str(refused.value)
        path.write_bytes(whole)
    assert not mark.exists()


def test_a_foreign_file_or_link_is_named(marked, tmp_path):
    folder, mark = marked
    for extra in (folder / "notes.txt", folder / "agents/marked/helper.py", folder / "agents/other/source.py"):
        extra.parent.mkdir(exist_ok=True)
        extra.write_text("")
        with pytest.raises(EvidenceRefused) as refused:
            load_release(fresh(folder))
        assert extra.relative_to(folder).as_posix() in refused.value.got
        extra.unlink()
    source = folder / "agents/marked/source.py"
    source.rename(tmp_path / "moved.py")
    source.symlink_to(tmp_path / "moved.py")
    with pytest.raises(EvidenceRefused) as refused:
        load_release(fresh(folder))
    assert "source.py (link)" in refused.value.got
    assert not mark.exists()


def test_another_release_than_expected_is_refused(marked):
    folder, mark = marked
    with pytest.raises(EvidenceRefused, match="another release") as refused:
        load_release(fresh(folder), expected_digest="c" * 64)
    assert folder.name in refused.value.got
    assert not mark.exists()


def test_no_release_is_said_so(tmp_path):
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(EvidenceRefused, match="no release here"):
            load_release(folder)


def test_a_damaged_release_is_not_taken_for_frozen(bars, cross, frozen):
    folder = frozen(cross)
    (folder / "agents/moving-average-cross/card.json").write_text("{}")
    with pytest.raises(EvidenceRefused, match="not those of its manifest"):
        frozen(cross)


def test_a_manifest_that_fits_its_files_but_not_its_agent_is_refused(marked):
    folder, _ = marked
    changes = {
        "warmup": lambda entry: replace(entry, warmup=3),
        "horizon": lambda entry: replace(entry, horizon_ns=1_000_000),
        "class": lambda entry: replace(entry, class_name="Agent"),
        "parameter": lambda entry: replace(entry, parameters={**entry.parameters, "depth": 3}),
    }
    whole = (folder / "manifest.json").read_bytes()
    for change in changes.values():
        rewritten(folder, agents=lambda manifest, change=change: tuple(map(change, manifest.agents)))
        with pytest.raises((EvidenceRefused, AgentError)):
            load_release(fresh(folder))
        (folder / "manifest.json").write_bytes(whole)


def test_golden_outputs_that_differ_in_the_last_bit_are_found(marked):
    folder, _ = marked
    path = folder / "agents/marked/golden_outputs.json"
    outputs = json.loads(path.read_text())
    view = outputs["agent"][2][0]
    view["score"] = float.fromhex((view["score"]).hex().replace("p", "8p", 1)) if view["score"] == 0 else (
        view["score"] * (1 + 2**-52)
    )  # fmt: skip
    path.write_bytes(canonical_json(outputs))
    digest = sha256_of(path.read_bytes())
    rewritten(folder, agents=lambda manifest: (replace(manifest.agents[0], golden_outputs_sha256=digest),))
    with pytest.raises(EvidenceRefused, match="agent marked of release trend") as refused:
        load_release(fresh(folder)).check_golden()
    assert "to the last bit" in refused.value.expected
    assert "BTC/USDT" in refused.value.got


@pytest.mark.parametrize("key", ["agent", "release"])
def test_a_golden_view_that_is_missing_or_of_another_horizon_is_found(marked, key):
    folder, _ = marked
    path = folder / "agents/marked/golden_outputs.json"
    whole = json.loads(path.read_text())
    for spoil in (lambda views: views.pop(), lambda views: views[0].update(horizon_ns=60_000_000_000)):
        outputs = json.loads(json.dumps(whole))
        for views in outputs[key]:
            spoil(views)
        path.write_bytes(canonical_json(outputs))
        digest = sha256_of(path.read_bytes())
        rewritten(folder, agents=lambda manifest, d=digest: (replace(manifest.agents[0], golden_outputs_sha256=d),))
        with pytest.raises(EvidenceRefused, match="says something else"):
            load_release(fresh(folder)).check_golden()


def test_a_learned_agent_is_held_to_its_own_tolerance(frozen, llama):
    folder = frozen(llama)
    path = folder / "agents/lag-llama/golden_outputs.json"
    outputs = json.loads(path.read_text())

    def with_factor(factor):
        changed = json.loads(json.dumps(outputs))
        for key in ("agent", "release"):
            for views in changed[key]:
                for view in views:
                    view["std_bps"] *= factor
        path.write_bytes(canonical_json(changed))
        digest = sha256_of(path.read_bytes())
        return rewritten(folder, agents=lambda m: (replace(m.agents[0], golden_outputs_sha256=digest),))

    assert load_release(with_factor(1 + 1e-12)).check_golden() > 0
    with pytest.raises(EvidenceRefused, match="within 1e-09"):
        load_release(with_factor(1 + 1e-6)).check_golden()


def test_golden_values_that_do_not_read_are_refused(marked):
    folder, _ = marked
    for name, key in (("golden_outputs.json", "golden_outputs_sha256"),
                      ("golden_inputs.safetensors", "golden_inputs_sha256")):  # fmt: skip
        path = folder / "agents/marked" / name
        whole, manifest = path.read_bytes(), (folder / "manifest.json").read_bytes()
        path.write_bytes(b'{"format":"GOLDEN@2"}')
        changed = {key: sha256_of(path.read_bytes())}
        rewritten(folder, agents=lambda m, changed=changed: (replace(m.agents[0], **changed),))
        with pytest.raises(EvidenceRefused):
            load_release(fresh(folder))
        path.write_bytes(whole)
        (folder / "manifest.json").write_bytes(manifest)


def test_a_source_that_does_not_run_here_names_what_it_lacks(frozen, bars, tmp_path):
    text = MARKED.format(marker=os.devnull).replace("from pathlib", "import NEEDED\nfrom pathlib")
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "odd_library.py").write_text("")
    import sys

    sys.path.insert(0, str(installed))
    try:
        from sapphire.agents import Calibrated

        cls = load_agent_source(text.replace("NEEDED", "odd_library"), tmp_path / "marked.py")
        folder = frozen(Calibrated(cls()).fit(bars, seed=7))
    finally:
        sys.path.remove(str(installed))
        sys.modules.pop("odd_library", None)
    with pytest.raises(AgentError, match="does not run here") as refused:
        load_release(fresh(folder))
    assert "odd_library" in refused.value.got
