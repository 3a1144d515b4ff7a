"""What one prediction costs over HTTP, logged and committed: `scripts/bench.sh serving`.

The API is asked in turn with a FastAPI endpoint that takes and returns the same models and does nothing, so that the
ratio says what the prediction, the log and the swap-safe model add, whatever else the machine is doing. Both are real
uvicorn processes with one worker; the client is a plain socket, which costs less than either. Batches follow, in
`benchmarks.batches`.
"""

import asyncio
import json
import os
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI

from autoops.registry import CHAMPION
from autoops.serving.schemas import Prediction, Trip
from benchmarks import batches
from benchmarks.servers import ask, post, server
from tests.bundles import small_forest, small_training_run, synthetic_trips, write_small_bundle
from tests.fakes import DirectoryRegistry

TREES = 100
ROUNDS = 15
REQUESTS = {1: 400, 32: 2400}
"""Requests of a round, by connections."""

BODY = json.dumps(
    {
        "pickup_at": "2023-01-10T10:30:00",
        "trip_distance": 2.3,
        "passenger_count": 1,
        "pickup_location_id": 74,
        "dropoff_location_id": 41,
    }
).encode()


def noop() -> FastAPI:
    """What FastAPI itself takes to read the one model and write the other."""
    app = FastAPI()
    answer = Prediction(
        prediction_id="0" * 36,
        trip_duration_minutes=12.5,
        model_version=1,
        event_at=datetime(2023, 1, 10, tzinfo=UTC),
        known_zones=True,
        repeated=False,
    )

    @app.post("/predict")
    async def predict(trip: Trip) -> Prediction:
        return answer

    @app.get("/ready")
    async def ready() -> None:
        return None

    return app


def write_registry(directory: Path) -> DirectoryRegistry:
    """One champion: a forest of TREES trees."""
    trips = synthetic_trips(rows=20_000)
    digest = write_small_bundle(directory / "bundle", small_forest(trips, TREES), trips)
    run = small_training_run(directory / "small")
    registry = DirectoryRegistry(directory)
    registry.register(replace(run, bundle=directory / "bundle", tags=dict(run.tags) | {"bundle_digest": digest}))
    registry.set_alias(CHAMPION, 1)
    return registry


def compare(ports: dict[str, int], connections: int) -> None:
    """Prints both and their ratio; rounds alternate, and the first warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ports}
    rates: dict[str, list[float]] = {name: [] for name in ports}
    request = post("/predict", "application/json", BODY)
    for number in range(ROUNDS + 1):
        for name, port in ports.items():
            of_round, rate = asyncio.run(ask(port, request, connections, REQUESTS[connections]))
            if number:
                seconds[name] += of_round
                rates[name].append(rate)
    print(f"{connections} connection{'s' if connections > 1 else ''}")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    per_second = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in seconds.items():
        p99 = sorted(values)[int(len(values) * 0.99)]
        print(f"  {name:5} median {medians[name] * 1e3:6.3f} ms   p99 {p99 * 1e3:6.2f} ms   {per_second[name]:6.0f} /s")
    latency, rate = medians["api"] / medians["no-op"], per_second["api"] / per_second["no-op"]
    print(f"  ratio  median latency {latency:.2f}   requests per second {rate:.2f}", flush=True)


def main() -> None:
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; one worker each; a forest of {TREES} trees", flush=True
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        write_registry(Path(folder))
        ports = {
            "no-op": servers.enter_context(server("benchmarks.serving:noop", Path(folder))),
            "api": servers.enter_context(server("tests.serving_app:create", Path(folder))),
        }
        for connections in REQUESTS:
            compare(ports, connections)
    batches.main()


if __name__ == "__main__":
    main()
