"""Versions in a real MLflow that take turns as the champion: forests of the default size, and a far larger one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

from autoops.mlflow_registry import MlflowRegistry
from autoops.models import bundle
from autoops.models.bundle_cache import KEPT
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.settings import MLflow, Model, load_settings
from autoops.training import trees
from autoops.usecase.columns import TARGET, columns_of
from benchmarks.champion import mlflow_server
from benchmarks.client import post
from tests.bundles import FEATURES, NO_THRESHOLDS, seal, small_training_run, synthetic_trips
from tests.taxi import as_sent, feature_matrix

VERSIONS = KEPT + 1
"""So many that the next one is neither loaded nor on disk any more: each swap downloads, verifies and loads."""

TRIPS = 65_000
REFERENCE_ROWS = 60_000
GOLDEN_ROWS = 200


@dataclass
class Rotation:
    registry: MlflowRegistry
    tracking_uri: str
    numbers: Sequence[int]
    model_mb: float

    def __post_init__(self) -> None:
        self._turn = cycle(self.numbers)

    def promote(self, number: int | None = None) -> int:
        """Points the alias at the version whose turn it is."""
        number = next(self._turn) if number is None else number
        self.registry.set_alias(CHAMPION, number)
        return number


@contextmanager
def rotation(home: Path) -> Iterator[Rotation]:
    """The first version is the champion; MLflow runs as long as the block."""
    with mlflow_server(home) as tracking_uri:
        registry = MlflowRegistry(load_settings().model.name, MLflow(tracking_uri=tracking_uri))
        small = small_training_run(home / "small")
        trips = synthetic_trips(rows=TRIPS)
        made = [write_bundle(home / f"made-{seed}", trips, {"random_state": seed}) for seed in range(VERSIONS)]
        numbers = [register(registry, small, directory) for directory in made]
        turns = Rotation(registry, tracking_uri, numbers, (made[0] / bundle.MODEL).stat().st_size / 1e6)
        turns.promote()
        yield turns


def register(registry: MlflowRegistry, small: TrainingRun, directory: Path) -> int:
    """The bundle is what serving takes; what is logged beside it is the small run's."""
    tags = dict(small.tags) | {"bundle_digest": bundle.sha256_of(directory / bundle.MANIFEST)}
    return registry.register(replace(small, bundle=directory, tags=tags)).number


def write_bundle(directory: Path, trips: pd.DataFrame, changes: Mapping[str, object]) -> Path:
    """Of a forest with the default parameters but for `changes`."""
    directory.mkdir()
    inputs = feature_matrix(columns_of(trips), FEATURES)
    forest = RandomForestRegressor(**(Model().parameters | changes)).fit(inputs, trips[TARGET])
    (directory / bundle.MODEL).write_bytes(trees.convert(forest).SerializeToString())
    expected = forest.predict(inputs[:REFERENCE_ROWS])
    golden = pd.DataFrame(inputs[:GOLDEN_ROWS], columns=list(FEATURES))
    golden.assign(**{bundle.EXPECTED: expected[:GOLDEN_ROWS]}).to_parquet(directory / bundle.GOLDEN, index=False)
    reference = trips[:REFERENCE_ROWS]
    part = np.where(np.arange(len(reference)) % 4 < 3, "window", "holdout")
    reference.assign(prediction=expected, part=part).to_parquet(directory / bundle.REFERENCE, index=False)
    (directory / bundle.THRESHOLDS).write_text(NO_THRESHOLDS)
    seal(directory, {"trip_distance": 1.0}, trips)
    return directory


def requests(count: int = 500) -> list[bytes]:
    """Trips, one in each."""
    trips = as_sent(synthetic_trips(rows=count).drop(columns=TARGET))
    texts = trips.assign(pickup_at=[moment.isoformat() for moment in trips["pickup_at"]])
    return [post("/predict", "application/json", json.dumps(row).encode()) for row in texts.to_dict("records")]
