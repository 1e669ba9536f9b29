"""A control plane for the tests of a session, with nodes, and a namespace where a test makes what it likes."""

import time

import pytest
from cluster.client import has_condition
from cluster.control_plane import ControlPlane
from cluster.nodes import machines, storage_classes
from cluster.programs import build
from cluster.release import installed


@pytest.fixture(scope="session")
def control_plane(request, tmp_path_factory):
    """It runs; where a test failed, its logs are named."""
    built = build(lambda text: print(text, flush=True))
    folder = tmp_path_factory.mktemp("control-plane")
    failed = request.session.testsfailed
    with ControlPlane(built, folder) as plane:
        print(f"\ncontrol plane up in {plane.seconds:.1f} s, logs in {folder}")
        yield plane
        if request.session.testsfailed > failed:
            print(plane.logs())


@pytest.fixture(scope="session")
def cluster(control_plane):
    """The administrator's client of a control plane whose nodes are ready."""
    client, began = control_plane.client(), time.monotonic()
    nodes = machines()
    client.create(*storage_classes(), *nodes)
    client.wait(
        "/api/v1/nodes",
        lambda found: len(found) == len(nodes) and all(has_condition(each, "Ready") for each in found.values()),
        "nodes are ready",
    )
    print(f"{len(nodes)} nodes ready in {time.monotonic() - began:.1f} s")
    return client


@pytest.fixture(scope="session")
def prod(cluster):
    """The environment that has everything, installed once; a test that changes it takes the change back."""
    with installed(cluster, "prod") as release:
        yield release
