"""Serving on a real MLflow server: its versions, aliases and artifacts are what the fake says they are."""

import httpx
import pytest
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.mlflow_registry import MlflowRegistry
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.settings import MLflow, Settings
from autoops.storage.instances import Instances
from autoops.storage.predictions import PredictionLog
from tests.eventually import eventually
from tests.integration.serving.conftest import TRIP, serving, with_serving


@pytest.fixture
def mlflow_registry(mlflow_settings: MLflow) -> MlflowRegistry:
    return MlflowRegistry(mlflow_settings.experiment, mlflow_settings)


def test_an_alias_moved_in_mlflow_swaps_and_reverts_the_model(
    settings: Settings, mlflow_registry: MlflowRegistry, runs: list[TrainingRun], engine: sa.Engine
) -> None:
    first, second = (mlflow_registry.register(run).number for run in runs[:2])

    def answer(api: httpx.Client) -> tuple[int, float]:
        body = api.post("/predict", json=TRIP).json()
        return body["model_version"], body["trip_duration_minutes"]

    log, instances = PredictionLog(engine), Instances(engine)
    with serving(with_serving(settings), mlflow_registry, log, instances, SystemClock()) as api:
        eventually(lambda: api.get("/model/info").json()["last_error"])
        mlflow_registry.set_alias(CHAMPION, first)
        eventually(lambda: api.get("/ready").is_success)
        before = answer(api)
        mlflow_registry.set_alias(CHAMPION, second)
        assert api.post("/model/reload").json()["model_version"] == second
        after = answer(api)
        mlflow_registry.set_alias(CHAMPION, first)
        eventually(lambda: answer(api) == before)
    assert (before[0], after[0]) == (first, second)
    assert before[1] != after[1]
