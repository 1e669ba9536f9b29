"""The packaged model, loaded once for all tests of a worker."""

import pytest

from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.in_process import TransformersBackend
from sapphire.agents.llm.packaged import packaged_model


@pytest.fixture(scope="session")
def packaged():
    """The packaged model in this process."""
    return TransformersBackend(PACKAGED, packaged_model())
