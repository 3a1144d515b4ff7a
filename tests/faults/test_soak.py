"""Half a minute of what `scripts/bench.sh soak` does for an hour: a mix of everything at half of capacity, while the
champion changes three times and the database is stopped and started."""

from pathlib import Path

import pytest

from autoops.mlflow_registry import MlflowRegistry
from autoops.models.registry import TrainingRun
from autoops.settings import MLflow
from benchmarks.rotation import Rotation
from benchmarks.soaking import report
from benchmarks.soaking.stage import Plan, soak
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.faults, pytest.mark.quick]

GROWS_BY_MB = 40
"""At most, of some 200, and with versions this small: what is kept of each of these requests would be more."""

PLAN = Plan(seconds=32, capacity_s=5, away_s=6, sample_every_s=0.5)


@pytest.fixture
def turns(mlflow_uri: str, request: pytest.FixtureRequest, runs: list[TrainingRun]) -> Rotation:
    name = request.node.name
    registry = MlflowRegistry(name, MLflow(tracking_uri=mlflow_uri, experiment=name))
    numbers = [registry.register(run).number for run in (*runs, runs[0])]
    found = Rotation(registry, mlflow_uri, numbers, model_mb=0)
    found.promote()
    return found


def test_a_soak_loses_nothing_that_was_acknowledged_and_fails_nobody(
    turns: Rotation, postgres: PostgresServer, tmp_path: Path
) -> None:
    outcome = soak(tmp_path, turns, postgres, PLAN)
    print(report.table(outcome))
    assert report.failures(outcome.asked) == {}
    assert outcome.found.perfect, outcome.found
    assert set(outcome.found.by_version) == set(turns.numbers)
    assert max(sample.waiting_rows for sample in outcome.happened.samples) > 0, "the database was never away"
    assert (outcome.exit_code, outcome.outboxes_left) == (0, 0)
    first, last = report.thirds(outcome)
    assert last - first < GROWS_BY_MB
