"""One deployment in pods, which all of these tests look at in turn."""

import subprocess

import pytest
from restless import restless
from trading import TAG, Trading

from sapphire.deployment.images.podman import Podman

__all__ = ["restless"]


@pytest.fixture(scope="session")
def podman(tmp_path_factory):
    """Podman with a configuration of these tests' own."""
    return Podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="session")
def trading(podman, restless, tmp_path_factory):
    """A paper account that trades in pods, all of them ready. Everything is removed behind it."""
    home, digest = restless
    deployment = Trading(podman, tmp_path_factory.mktemp("trading"), home, digest)
    images = {c.image for pod in deployment.pods.values() for c in (*pod.first, *pod.containers)}
    missing = sorted(image for image in images if not podman.has(image))
    assert not missing, f"no images {', '.join(missing)}: run make images{'' if TAG == 'dev' else f' TAG={TAG}'}"
    with deployment.node:
        deployment.begin()
        yield deployment


@pytest.fixture(scope="session", autouse=True)
def nothing_stays_mounted(tmp_path_factory):
    """What these tests mount, they unmount."""
    yield
    mounted = subprocess.run(("mount",), capture_output=True, text=True, check=True).stdout
    assert str(tmp_path_factory.getbasetemp()) not in mounted
