"""The Containerfiles and their locks, as far as reading them can tell. `make images` builds them and looks inside."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sapphire.deployment.images.catalogue import IMAGES, catalogue
from sapphire.deployment.images.debian import wanted
from sapphire.domain import ConfigError

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "k8s" / "images"
FILES = sorted(FOLDER.glob("*/Containerfile*"))
OF_IMAGES = [file for file in FILES if file.parent.name != "base"]
PYTHON = sorted(FOLDER.glob("*/requirements.lock"))
DEBIAN = sorted(FOLDER.glob("*/debian.in"))


def named(path):
    return path.relative_to(FOLDER).as_posix()


def pins(path):
    return dict(re.findall(r"(?m)^([a-z0-9._-]+)==([^\s;\\]+)", path.read_text()))


def instructions(file):
    """The instructions of a Containerfile, each on one line."""
    text = re.sub(r"(?m)^\s*#.*\n", "", file.read_text())
    return [line.split(maxsplit=1) for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]


def test_every_image_has_a_containerfile_and_every_containerfile_an_image():
    assert {image.containerfile for image in IMAGES} == set(OF_IMAGES)
    assert len(FILES) == len(OF_IMAGES) + 2
    with pytest.raises(ConfigError, match="no image is called kernel"):
        catalogue(("engine", "kernel"))


def test_hadolint_finds_nothing():
    found = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert found, "hadolint comes with the development packages: make .venv/.dev"
    done = subprocess.run([found, "--no-color", *map(str, FILES)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


LINKS = sorted(path for room in ("sapphire", "bentos") for path in (ROOT / room).rglob("*") if path.is_symlink())


@pytest.mark.parametrize("file", [file for file in OF_IMAGES if "pip wheel" in file.read_text()], ids=named)
def test_what_the_package_links_to_is_there_where_it_is_built(file):
    """A link that leads nowhere is left out of a wheel without a word."""
    copied = [rest.split()[0] for word, rest in instructions(file) if word == "COPY" and not rest.startswith("--from")]
    assert LINKS
    for link in LINKS:
        target = link.resolve(strict=True).relative_to(ROOT)
        assert any(target.is_relative_to(folder) for folder in copied), f"{link.relative_to(ROOT)} -> {target}"


@pytest.mark.parametrize("file", FILES, ids=named)
def test_what_a_stage_begins_with_is_an_argument_or_an_earlier_stage_or_nothing(file):
    stages = {"scratch"}
    for word, rest in instructions(file):
        if word != "FROM":
            continue
        source, *names = rest.split(" AS ")
        assert source in stages or re.fullmatch(r"\$\{[A-Z_]+\}", source), rest
        stages |= set(names)
    assert [rest for word, rest in instructions(file) if word == "ARG" and "_IMAGE=" in rest] == []


@pytest.mark.parametrize("file", OF_IMAGES, ids=named)
def test_an_image_is_put_together_from_nothing_for_one_user_and_says_what_it_is(file):
    rows = instructions(file)
    last = max(place for place, (word, _) in enumerate(rows) if word == "FROM")
    assert rows[last][1] == "scratch", "no package manager, shell or build tool of a base comes along"
    stage = rows[last:]
    assert [rest for word, rest in stage if word == "RUN"] == []
    assert [rest for word, rest in stage if word == "USER"] == ["10001:10001"]
    labels = " ".join(rest for word, rest in stage if word == "LABEL")
    wanted = ("title", "description", "licenses", "version", "revision")
    assert all(f"org.opencontainers.image.{name}=" in labels for name in wanted)
    assert all(rest.startswith("[") for word, rest in stage if word in {"CMD", "ENTRYPOINT"}), "no shell starts it"


@pytest.mark.parametrize("file", [*FILES, *PYTHON, *FOLDER.rglob("debian.*")], ids=named)
def test_no_address_of_an_index_or_a_registry_is_written_down(file):
    assert "://" not in file.read_text()
    assert not re.search(r"(docker|gcr|ghcr|quay|pkg)\.(io|dev)", file.read_text())


@pytest.mark.parametrize("lock", PYTHON, ids=named)
def test_every_python_pin_is_the_project_s_and_has_a_digest(lock):
    project, own = pins(ROOT / "requirements.lock"), pins(lock)
    assert {name: version for name, version in own.items() if project.get(name) != version} == {}
    assert not {"torch", "triton", "vectorbt", "jupyterlab", "bentoml", "skfolio"} & set(own)
    assert ("mlflow" in own) == (lock.parent.name == "mlflow")
    assert all(
        "--hash=sha256:" in stanza for stanza in re.split(r"(?m)^(?=[a-z0-9])", lock.read_text()) if "==" in stanza
    )
    asked = {re.split(r"[\[<>=]", line)[0] for line in lock.with_suffix(".in").read_text().split("\n") if line}
    assert {name for name in asked if not name.startswith("#")} <= set(own), "make lock"


@pytest.mark.parametrize("file", DEBIAN, ids=named)
def test_every_debian_package_that_is_wanted_is_locked_by_version_and_digest(file):
    locked = [line.split() for line in file.with_suffix(".lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9.+-]+=\S+", name) and re.fullmatch(r"[0-9a-f]{64}", sha) for name, sha in locked)
    names = [name.split("=")[0] for name, _ in locked]
    asked, left_out = wanted(file)
    assert set(asked) <= set(names), "make lock-images"
    assert not left_out & set(names)
    assert not {"apt", "dpkg", "perl-base", "gcc", "python3-pip"} & set(names)


def test_torch_from_an_index_of_its_own_leaves_out_what_only_its_other_build_needs(tmp_path):
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\necho "$@" >> "$SAID"\n')
    uv.chmod(0o755)
    lock, calls = tmp_path / "requirements.lock", tmp_path / "said"
    shutil.copy(ROOT / "bentos" / "cpu_torch" / "requirements.lock", lock)
    words = [FOLDER / "runner" / "install", lock, "http://127.0.0.1:1/cpu"]
    subprocess.run(words, env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SAID": str(calls)}, check=True)
    rest, torch = calls.read_text().splitlines()
    assert "--require-hashes" in rest
    assert torch.endswith(f"--no-deps --index-url http://127.0.0.1:1/cpu torch=={pins(lock)['torch']}")
    kept, all_of_it = pins(lock.with_name("requirements.lock.rest")), pins(lock)
    left_out = set(all_of_it) - set(kept)
    assert {"torch", "triton", "nvidia-cublas", "cuda-toolkit"} <= left_out
    assert all(re.match(r"torch$|triton$|nvidia-|cuda-", name) for name in left_out)
    assert "nvidia-ml-py" in kept, "BentoML asks for it"


def test_a_build_sees_the_sources_and_no_state():
    lines = (ROOT / ".containerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert {"**/target", "**/__pycache__", "**/*.so"} <= set(lines)
    assert not [line for line in lines if re.match(r"!(\.sapphire|\.venv|\.git|tests)", line)]
