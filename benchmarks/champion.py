"""The model that every server answers with: trained and promoted by the command line, and the same forest as others
keep it, on one thread."""

import logging
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from autoops.mlflow_registry import MlflowRegistry
from autoops.models import bundle
from autoops.models.registry import CHAMPION
from autoops.models.scoring import Scorer, load_version
from autoops.settings import PREFIX, MLflow, load_settings
from autoops.usecase.columns import columns_of
from benchmarks.servers import clean_environment, ended, until_answered
from tests.ports import free_port
from tests.taxi import TRIP_COLUMNS, feature_matrix

AUTOOPS = str(Path(sysconfig.get_path("scripts")) / "autoops")
MONTHS, NEWEST = "2022-11..2023-01", "2023-01"
SAMPLE_TRIPS = 65_000
"""A month, about as many as real ones have, which makes a forest of the size that real ones make."""

MLFLOW_MODEL, MLSERVER_MODEL = "forest", "mlserver"
JOBLIB = "model.joblib"


@dataclass(frozen=True)
class Champion:
    home: Path
    """With the forest in MLFLOW_MODEL as MLflow saves it, and as JOBLIB in MLSERVER_MODEL."""
    environment: Mapping[str, str]
    """Of an API that serves it."""
    scorer: Scorer
    trips: pd.DataFrame
    """Of the newest month, mixed."""
    trained_on: str
    model_mb: float

    def matrix(self, trips: pd.DataFrame) -> npt.NDArray[np.float32]:
        return feature_matrix(columns_of(trips), self.scorer.manifest.features)


@contextmanager
def champion(home: Path, source: str | None) -> Iterator[Champion]:
    """Trained on real months of `source`, else on a made-up city; its MLflow runs as long as the block."""
    with mlflow_server(home) as tracking_uri:
        environment = {
            f"{PREFIX}MLFLOW__TRACKING_URI": tracking_uri,
            f"{PREFIX}STORAGE__HOME": str(home / "var"),
            f"{PREFIX}DATA__SOURCE": source or str(home / "months"),
        }
        if not source:
            many = ("--trips-per-month", str(SAMPLE_TRIPS))
            _autoops({}, "sample", "--months", MONTHS, "--output", str(home / "months"), *many)
        _autoops(environment, "train", "--months", MONTHS)
        name = load_settings().model.name
        registry = MlflowRegistry(name, MLflow(tracking_uri=tracking_uri))
        version = registry.by_alias(CHAMPION)
        assert version is not None
        scorer = load_version(registry, version, home / "models")
        _save_forest(f"models:/{name}@{CHAMPION}", tracking_uri, home, scorer.manifest.features)
        trips = pq.read_table(home / "var" / "months" / f"{NEWEST}.parquet", columns=list(TRIP_COLUMNS)).to_pandas()
        yield Champion(
            home,
            environment,
            scorer,
            trips.sample(frac=1, random_state=7, ignore_index=True),
            f"{MONTHS}, {'real months' if source else 'a made-up city'}",
            (scorer.directory / bundle.MODEL).stat().st_size / 1e6,
        )


@contextmanager
def mlflow_server(home: Path) -> Iterator[str]:
    port = free_port()
    stores = ("--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", str(home / "artifacts"))
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (home / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *stores],
            env=clean_environment() | quiet,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with ended(process):
        until_answered(process, port, b"GET /health HTTP/1.1\r\nHost: bench\r\n\r\n", home / "mlflow.log")
        yield f"http://127.0.0.1:{port}"


def _autoops(environment: Mapping[str, str], *arguments: str) -> None:
    subprocess.run([AUTOOPS, *arguments], env=clean_environment() | dict(environment), check=True)


def _save_forest(uri: str, tracking_uri: str, home: Path, features: tuple[str, ...]) -> None:
    """As a pickle, of which MLflow warns, and which the peers need nothing more to load than scikit-learn."""
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(tracking_uri)
    forest: Any = mlflow.sklearn.load_model(uri)
    forest.n_jobs = 1
    row = pd.DataFrame(np.ones((1, len(features))), columns=list(features))
    mlflow.sklearn.save_model(
        forest,
        str(home / MLFLOW_MODEL),
        signature=mlflow.models.infer_signature(row, forest.predict(row.to_numpy())),
        pip_requirements=["mlflow", "scikit-learn"],
        serialization_format="cloudpickle",
    )
    (home / MLSERVER_MODEL).mkdir()
    joblib.dump(forest, home / MLSERVER_MODEL / JOBLIB)
