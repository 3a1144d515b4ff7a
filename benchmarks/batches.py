"""What is left of the model's own speed when 1000 trips at a time come over HTTP, logged and committed: the second
part of `scripts/bench.sh serving`.

Rows per second of the API, for each form of body, against the model on the same rows in process, with as many threads
that do nothing else. Rounds of all of them alternate, so that the ratio of medians holds whatever else the machine is
doing.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.ensemble import RandomForestRegressor

from autoops import bundle
from autoops.features import feature_matrix
from autoops.registry import CHAMPION
from autoops.scoring import Cores, Scorer
from autoops.serving import arrow, bodies
from autoops.settings import Model
from autoops.trips import TARGET, TRIP_COLUMNS, columns_of
from benchmarks.servers import ask, post, server
from tests.bundles import FEATURES, small_training_run, synthetic_trips, write_small_bundle
from tests.fakes import DirectoryRegistry

ROWS = 1000
ROUNDS = 9
BATCHES = 24
"""Of a round, for each form of body."""

CONNECTIONS = (1, 8)
FITTED_ON = 100_000
"""Trips, which with the default parameters make a forest of the size that real months make."""


def write_default_forest(directory: Path) -> DirectoryRegistry:
    trips = synthetic_trips(rows=FITTED_ON)
    forest = RandomForestRegressor(**Model().parameters).fit(feature_matrix(columns_of(trips), FEATURES), trips[TARGET])
    forest.n_jobs = 1
    digest = write_small_bundle(directory / "bundle", forest, trips)
    run = small_training_run(directory / "small")
    registry = DirectoryRegistry(directory)
    registry.register(replace(run, bundle=directory / "bundle", tags=dict(run.tags) | {"bundle_digest": digest}))
    registry.set_alias(CHAMPION, 1)
    return registry


def bodies_of(trips: pd.DataFrame) -> dict[str, bytes]:
    """The same rows as requests, by form."""
    frame = trips[list(TRIP_COLUMNS)]
    texts = frame.assign(pickup_at=[moment.isoformat() for moment in frame["pickup_at"]])
    table = pa.Table.from_pandas(frame, preserve_index=False)
    contents = {
        "JSON rows": (bodies.JSON, json.dumps({"trips": texts.to_dict("records")}).encode()),
        "JSON columns": (bodies.JSON, json.dumps({"columns": texts.to_dict("list")}).encode()),
        "Arrow": (arrow.MEDIA_TYPE, arrow.write(table)),
    }
    return {name: post("/predict/batch", media_type, body) for name, (media_type, body) in contents.items()}


def kernel(scorer: Scorer, matrix: npt.NDArray[np.float32], threads: int) -> float:
    """Rows per second of as many threads as the API has, of the same priority, that always have a batch to score."""
    cores = Cores(threads)
    with ThreadPoolExecutor(2 * threads) as callers:
        began = time.perf_counter()
        list(callers.map(lambda _: cores.predict(scorer, matrix), range(BATCHES)))
        rate = BATCHES * len(matrix) / (time.perf_counter() - began)
    cores.stop()
    return rate


def compare(port: int, scorer: Scorer, threads: int) -> None:
    trips = synthetic_trips(rows=ROWS, seed=9)
    matrix = feature_matrix(columns_of(trips), FEATURES)
    ways: dict[str, Callable[[], float]] = {"in process": lambda: kernel(scorer, matrix, threads)}
    for connections in CONNECTIONS:
        for name, request in bodies_of(trips).items():
            ways[f"{name}, {connections} connection{'s'[: connections > 1]}"] = (
                lambda request=request, many=connections: ROWS * asyncio.run(ask(port, request, many, BATCHES))[1]
            )
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            rate = way()
            if number:
                rates[name].append(rate)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{ROWS} rows, {threads} thread{'s'[: threads > 1]}", flush=True)
    for name, rate in medians.items():
        print(f"  {name:28} {rate:7.0f} rows/s   ratio {rate / medians['in process']:.2f}", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        registry = write_default_forest(Path(folder))
        place = registry.bundle_of(1)
        scorer = Scorer(place, bundle.verify(place, registry.version(1).bundle_digest))
        size = (place / bundle.MODEL).stat().st_size / 1e6
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; the default forest, {size:.0f} MB", flush=True)
        for threads in sorted({1, 2, len(os.sched_getaffinity(0))}):
            with server("tests.serving_app:create", Path(folder), SERVING__BATCH_THREADS=str(threads)) as port:
                compare(port, scorer, threads)


if __name__ == "__main__":
    main()
