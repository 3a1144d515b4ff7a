"""Tiny real bundles: a small forest on synthetic trips, converted and sealed as a training would."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestRegressor

from autoops.models import bundle
from autoops.models.registry import ModelVersion, Registry, TrainingRun
from autoops.settings import Model
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.encoding import vocabularies_of
from tests.taxi import CONTRACT, feature_matrix

FEATURES = Model().features
BEGINS_AT = datetime(2023, 1, 1, 5, tzinfo=UTC)
NO_THRESHOLDS = '{"window_size": 1000, "false_alarms_per_year": 1, "windows_per_year": 365, "limits": []}'


def synthetic_trips(
    rows: int = 600, seed: int = 7, begins_at: datetime = BEGINS_AT, days: int = 28, minutes_per_mile: float = 4.0
) -> pd.DataFrame:
    """Cleaned trips, sorted by event time; the duration follows distance, hour and pickup zone."""
    draw = np.random.default_rng(seed)
    seconds = np.sort(draw.uniform(0, days * 86_400, rows))
    distance = draw.gamma(2.0, 1.3, rows).clip(0.1, 30)
    pickup = draw.choice([41, 42, 74, 75, 95], rows)
    hour = (seconds // 3600) % 24
    minutes = 3 + minutes_per_mile * distance * (1 + 0.2 * np.sin(hour / 24 * 2 * np.pi)) + (pickup % 7)
    moments = pd.Timestamp(begins_at) + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame(
        {
            "event_at": pd.Series(moments).dt.as_unit("us"),
            "trip_distance": distance,
            "passenger_count": draw.integers(0, 5, rows).astype("int16"),
            "pickup_location_id": pickup.astype("int16"),
            "dropoff_location_id": draw.choice([7, 41, 74, 166, 244], rows).astype("int16"),
            TARGET: (minutes + draw.normal(0, 1, rows)).clip(1, 60),
        }
    )


def small_forest(trips: pd.DataFrame, trees: int = 5, features: tuple[str, ...] = FEATURES) -> RandomForestRegressor:
    forest = RandomForestRegressor(n_estimators=trees, max_depth=6, min_samples_leaf=5, random_state=7, n_jobs=1)
    return forest.fit(feature_matrix(columns_of(trips), features), trips[TARGET])


def write_small_bundle(
    directory: Path, forest: RandomForestRegressor, trips: pd.DataFrame, features: tuple[str, ...] = FEATURES
) -> str:
    """The five files of a bundle in `directory`; returns the digest."""
    directory.mkdir(parents=True, exist_ok=True)
    inputs = feature_matrix(columns_of(trips), features)
    predictions = forest.predict(inputs)
    onnx = convert_sklearn(forest, initial_types=[("input", FloatTensorType([None, len(features)]))])
    (directory / bundle.MODEL).write_bytes(onnx.SerializeToString())
    golden = pd.DataFrame(inputs[:50], columns=list(features)).assign(**{bundle.EXPECTED: predictions[:50]})
    golden.to_parquet(directory / bundle.GOLDEN, index=False)
    parts = np.where(np.arange(len(trips)) < len(trips) * 3 // 4, "window", "holdout")
    trips.assign(prediction=predictions, part=parts).to_parquet(directory / bundle.REFERENCE, index=False)
    (directory / bundle.THRESHOLDS).write_text(NO_THRESHOLDS)
    importances = {"trip_distance": 0.8, "zones": 0.1, "hour": 0.05, "day_of_week": 0.03, "passenger_count": 0.02}
    return seal(directory, importances, trips, features)


def seal(
    directory: Path, importances: dict[str, float], trips: pd.DataFrame, features: tuple[str, ...] = FEATURES
) -> str:
    """Seals a bundle of a model that was fitted on these trips; returns the digest."""
    trained_until, seen = trips["event_at"].iloc[-1].to_pydatetime(), vocabularies_of(CONTRACT, columns_of(trips))
    return bundle.seal(directory, bundle.Manifest(features, importances, trained_until, CONTRACT, seen, {}))


def small_training_run(directory: Path, seed: int = 7, minutes_per_mile: float = 4.0) -> TrainingRun:
    """A run ready for `Registry.register`; another seed or speed gives a model that answers differently."""
    trips = synthetic_trips(seed=seed, minutes_per_mile=minutes_per_mile)
    forest = small_forest(trips)
    digest = write_small_bundle(directory, forest, trips)
    inputs = feature_matrix(columns_of(trips), FEATURES)[:5]
    return TrainingRun(
        model=forest,
        input_example=pd.DataFrame(inputs, columns=list(FEATURES)),
        prediction_example=forest.predict(inputs),
        parameters=forest.get_params(),
        metrics={"mae": 1.0, "baseline_mae": 6.0},
        tags={"bundle_digest": digest, "trained_until": trips["event_at"].iloc[-1].isoformat(), "months": "2023-01"},
        figures={},
        datasets=(),
        bundle=directory,
    )


def three_speeds(home: Path) -> list[TrainingRun]:
    """Three runs whose models answer differently: 4, 6 and 9 minutes a mile."""
    return [small_training_run(home / str(speed), minutes_per_mile=speed) for speed in (4.0, 6.0, 9.0)]


def register_small(registry: Registry, directory: Path, seed: int = 7, minutes_per_mile: float = 4.0) -> ModelVersion:
    """Trains, seals and registers a small version; its bundle is made in `directory`."""
    return registry.register(small_training_run(directory, seed, minutes_per_mile))


def make_endless(directory: Path) -> str:
    """Turn a bundle into one whose model loads and never answers; return its new digest."""
    content = json.loads((directory / bundle.MANIFEST).read_text())
    features = len(content["features"])
    boolean = helper.make_tensor("value", TensorProto.BOOL, [], [True])
    body = helper.make_graph(
        [helper.make_node("Identity", ["condition"], ["goes_on"]), helper.make_node("Neg", ["before"], ["after"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [None, features]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [None, features]),
        ],
    )
    nodes = [
        helper.make_node("Constant", [], ["always"], value=boolean),
        helper.make_node("Loop", ["", "always", "input"], ["turned"], body=body),
        helper.make_node("ReduceSum", ["turned"], ["output"], keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        "endless",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (directory / bundle.MODEL).write_bytes(model.SerializeToString())
    content["files"][bundle.MODEL] = bundle.sha256_of(directory / bundle.MODEL)
    (directory / bundle.MANIFEST).write_text(json.dumps(content, indent=2, sort_keys=True))
    return bundle.sha256_of(directory / bundle.MANIFEST)
