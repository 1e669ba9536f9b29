"""The packaged model, loaded once for all tests of a worker."""

import pytest

from sapphire.agents.llm.in_process import TransformersBackend
from sapphire.agents.llm.packaged import PACKAGED, packaged_model


@pytest.fixture(scope="session")
def packaged():
    """The packaged model in this process."""
    return TransformersBackend(PACKAGED, packaged_model())
