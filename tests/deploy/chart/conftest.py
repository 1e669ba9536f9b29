"""Each environment is rendered once."""

import pytest
from rendered import ENVIRONMENTS, rendered


@pytest.fixture(params=ENVIRONMENTS)
def objects(request):
    return rendered(request.param)


@pytest.fixture
def prod():
    return rendered("prod")
