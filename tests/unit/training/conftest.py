"""One thread for scikit-learn: on a busy machine its OpenMP threads wait for each other a thousand times longer."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield
