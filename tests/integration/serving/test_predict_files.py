"""`autoops predict` as a shell sees it: on the champion of a real MLflow, on what was served last, and by an API."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from autoops.mlflow_registry import MlflowRegistry
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.models.scoring import load_version
from autoops.serving.model.last_served import LastServed
from autoops.settings import CONFIG_VARIABLE, PREFIX, MLflow
from autoops.storage.predictions import LogSelection, PredictionLog
from autoops.usecase.columns import columns_of
from tests import verbs
from tests.bundles import synthetic_trips
from tests.conftest import CONFIG
from tests.integration.serving.conftest import Start
from tests.ports import free_port
from tests.taxi import as_sent
from tests.verbs import Run


@pytest.fixture
def trips(tmp_path: Path) -> pd.DataFrame:
    """Also as in.parquet."""
    made = synthetic_trips(rows=2500, seed=4)
    as_sent(made).to_parquet(tmp_path / "in.parquet")
    return made


def predict(home: Path, *arguments: str, apart: bool = False, **variables: str) -> Run:
    """In this process, or `apart` in one of its own."""
    words = ("predict", "--input", "in.parquet", "--output", "out.parquet", *arguments)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {CONFIG_VARIABLE: str(CONFIG), f"{PREFIX}STORAGE__HOME": str(home / "var")} | variables
    if not apart:
        return verbs.call(words, home, environment)
    command = [sys.executable, "-m", "autoops.cli", *words]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)


def said(run: Run) -> str:
    assert "Traceback" not in run.stderr
    return next(line for line in run.stderr.splitlines() if line.startswith("error: "))


def test_the_champion_predicts_and_without_the_registry_what_was_served_last(
    tmp_path: Path, mlflow_settings: MLflow, runs: list[TrainingRun], trips: pd.DataFrame
) -> None:
    registry = MlflowRegistry(mlflow_settings.experiment, mlflow_settings)
    name, uri = f"{PREFIX}MODEL__NAME", f"{PREFIX}MLFLOW__TRACKING_URI"
    there = {name: mlflow_settings.experiment, uri: mlflow_settings.tracking_uri}
    away = there | {uri: f"http://127.0.0.1:{free_port()}"}
    nothing = predict(tmp_path, **there)
    assert ("no version carries the alias champion" in said(nothing), nothing.returncode) == (True, 4)

    version = registry.register(runs[1])
    registry.set_alias(CHAMPION, version.number)
    run = predict(tmp_path, "--json", apart=True, **there)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"rows": 2500, "model_versions": [version.number], "output": "out.parquet"}
    out = pd.read_parquet(tmp_path / "out.parquet")
    expected = load_version(registry, version, tmp_path / "cache").predict_rows(columns_of(trips))
    assert np.array_equal(out["prediction"], expected)

    gone = predict(tmp_path, **away)
    assert (away[uri] in said(gone), gone.returncode) == (True, 6)
    LastServed(tmp_path / "var" / "models", mlflow_settings.experiment).remember(version)
    (tmp_path / "out.parquet").unlink()
    recalled = predict(tmp_path, apart=True, **away)
    assert recalled.returncode == 0, recalled.stderr
    assert f"version {version.number}, which this machine served last" in recalled.stderr
    assert np.array_equal(pd.read_parquet(tmp_path / "out.parquet")["prediction"], expected)


def test_by_an_api_they_are_logged_there(tmp_path: Path, start: Start, engine: sa.Engine, trips: pd.DataFrame) -> None:
    api = start(max_batch=1000)
    run = predict(tmp_path, "--url", str(api.base_url), **{f"{PREFIX}SERVING__MAX_BATCH": "1000"})
    assert run.returncode == 0, run.stderr
    assert run.stdout == "2500 trips predicted by version 1: out.parquet\n"
    out = pd.read_parquet(tmp_path / "out.parquet")
    logged = PredictionLog(engine).latest(LogSelection(1), 5000)
    assert [row.prediction for row in logged] == out["prediction"].tolist()
    assert [row.event_at for row in logged] == trips["event_at"].tolist()


def test_what_the_api_refuses_is_said(tmp_path: Path, api: httpx.Client, start: Start, trips: pd.DataFrame) -> None:
    small = start(max_batch=100)
    too_many = predict(tmp_path, "--url", str(small.base_url))
    assert "answers 413: body: at most 116736 bytes for this path" in said(too_many)
    assert too_many.returncode == 2
    nobody = predict(tmp_path, "--url", f"http://127.0.0.1:{free_port()}")
    assert ("does not answer" in said(nobody), nobody.returncode) == (True, 6)
    as_sent(trips).assign(pickup_location_id=0).to_parquet(tmp_path / "in.parquet")
    wrong = predict(tmp_path, "--url", str(small.base_url))
    assert ("pickup_location_id.0: expected at least 1" in said(wrong), wrong.returncode) == (True, 2)
    assert not (tmp_path / "out.parquet").exists()
