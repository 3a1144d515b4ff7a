"""Models as large as replicas load, in the memory that a replica is said to need for them."""

from pathlib import Path

import psutil
import pytest

from autoops.mlflow_registry import MlflowRegistry
from autoops.models import bundle
from autoops.models.registry import CHAMPION
from autoops.serving.model.budget import needed_mb
from autoops.settings import Serving
from benchmarks.rotation import register, write_bundle
from tests.bundles import small_training_run, synthetic_trips
from tests.eventually import eventually
from tests.faults.conftest import Serve
from tests.faults.memory import limited

pytestmark = pytest.mark.faults

MB = 1_000_000
SWAPS = 20
GROWN = {"n_estimators": 50, "max_depth": None, "min_samples_leaf": 1}
"""Close to the limit, with the trips below."""


def test_a_replica_swaps_the_largest_models_within_the_memory_that_it_is_said_to_need(
    serve: Serve, registry: MlflowRegistry, tmp_path: Path
) -> None:
    """By turns three, of which each swap loads one anew; the kernel ends a process that takes more."""
    most_mb = Serving().max_model_mb
    trips = synthetic_trips(rows=60_000)
    made = [write_bundle(tmp_path / f"large-{seed}", trips, GROWN | {"random_state": seed}) for seed in range(3)]
    for directory in made:
        assert 0.9 * most_mb < (directory / bundle.MODEL).stat().st_size / MB <= most_mb
    small = small_training_run(tmp_path / "small")
    numbers = [register(registry, small, directory) for directory in made]
    with serve() as api:
        within = needed_mb(most_mb) * MB - psutil.Process(api.process.pid).memory_info().rss
        with limited(api.process.pid, more_bytes=int(within)):
            for turn in range(SWAPS):
                number = numbers[turn % len(numbers)]
                registry.set_alias(CHAMPION, number)
                eventually(lambda number=number: api.info()["model_version"] == number)
                assert api.predict() == number
            assert api.info()["last_error"] is None
            assert api.process.poll() is None
