"""The servers that are compared, each with the same forest and the same trips in the form that it wants."""

import json
import sys
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from autoops.serving.payloads import arrow
from autoops.settings import PREFIX
from benchmarks.champion import AUTOOPS, JOBLIB, MLFLOW_MODEL, MLSERVER_MODEL, Champion
from benchmarks.client import post
from benchmarks.peers import environments
from benchmarks.peers.environments import NotInstalled
from benchmarks.servers import Server
from tests.ports import free_ports
from tests.taxi import TRIP_COLUMNS, as_sent

OURS, NOOP, MLFLOW, MLSERVER, NAIVE = "Auto-Ops", "no-op FastAPI", "mlflow models serve", "MLServer", "naive FastAPI"
DIFFERENT = 500
"""Trips that single requests take turns with."""

ROWS = 1000
"""Of a batch."""

JSON = "application/json"
QUIET = ("--log-level", "warning", "--no-access-log")


def ours(champion: Champion, **settings: object) -> Server:
    """`autoops serve` as it is deployed, on SQLite; `settings` as in AUTOOPS__SECTION__KEY."""
    given = {f"{PREFIX}{name}": str(value) for name, value in settings.items()}
    trips = as_sent(champion.trips[list(TRIP_COLUMNS)])
    return Server(
        OURS,
        lambda port: [AUTOOPS, "serve"],
        [post("/predict", JSON, body) for body in _singles(trips)],
        _batches(trips[:ROWS]),
        lambda port: {**champion.environment, **given, f"{PREFIX}SERVING__PORT": str(port)},
    )


def noop(champion: Champion) -> Server:
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.noop:create", *QUIET]
    return Server(NOOP, lambda port: [*command, "--port", str(port)], ours(champion).single)


def installed(champion: Champion) -> tuple[list[Server], dict[str, str]]:
    """The peers that there are, and why there are no others."""
    makers: dict[str, Callable[[Champion], Server]] = {MLFLOW: _mlflow, MLSERVER: _mlserver, NAIVE: _naive}
    servers, missing = [], {}
    for name, make in makers.items():
        try:
            servers.append(make(champion))
        except NotInstalled as error:
            missing[name] = str(error)
    return servers, missing


def _mlflow(champion: Champion) -> Server:
    """One worker, scikit-learn on one thread."""
    program = environments.programs("mlflow") / "mlflow"
    words = ["models", "serve", "--model-uri", str(champion.home / MLFLOW_MODEL), "--env-manager", "local"]

    def request(rows: npt.NDArray[np.float32]) -> bytes:
        split = {"columns": list(champion.scorer.manifest.features), "data": rows.tolist()}
        return post("/invocations", JSON, json.dumps({"dataframe_split": split}).encode())

    return Server(
        MLFLOW,
        lambda port: [str(program), *words, "--workers", "1", "--port", str(port)],
        [request(row[None]) for row in champion.matrix(champion.trips[:DIFFERENT])],
        {"dataframe_split": request(champion.matrix(champion.trips[:ROWS]))},
        _alone,
    )


def _mlserver(champion: Champion) -> Server:
    """Its runtime for scikit-learn, without debugging, and in one process, which is faster on one core than
    its default, a process of its own for inference."""
    program = environments.programs("mlserver") / "mlserver"
    place = champion.home / MLSERVER_MODEL
    parameters = {"uri": f"./{JOBLIB}"}
    model = {"name": "trips", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": parameters}
    (place / "model-settings.json").write_text(json.dumps(model))
    (place / "settings.json").write_text(json.dumps({"debug": False, "parallel_workers": 0}))

    def request(rows: npt.NDArray[np.float32]) -> bytes:
        tensor = {"name": "trips", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}
        return post("/v2/models/trips/infer", JSON, json.dumps({"inputs": [tensor]}).encode())

    def environment(port: int) -> Mapping[str, str]:
        grpc, metrics = free_ports(2)
        ports = {"HTTP": port, "GRPC": grpc, "METRICS": metrics}
        return _alone(port) | {f"MLSERVER_{kind}_PORT": str(number) for kind, number in ports.items()}

    return Server(
        MLSERVER,
        lambda port: [str(program), "start", str(place)],
        [request(row[None]) for row in champion.matrix(champion.trips[:DIFFERENT])],
        {"tensor": request(champion.matrix(champion.trips[:ROWS]))},
        environment,
    )


def _naive(champion: Champion) -> Server:
    program = environments.programs("naive") / "uvicorn"
    names = champion.scorer.manifest.features
    frame = pd.DataFrame(champion.matrix(champion.trips[: max(DIFFERENT, ROWS)]), columns=list(names))
    rows = frame.astype({name: int for name in names if name != "trip_distance"}).to_dict("records")
    return Server(
        NAIVE,
        lambda port: [
            str(program),
            "naive:app",
            "--app-dir",
            str(environments.HERE),
            "--port",
            str(port),
            *QUIET,
        ],
        [post("/predict", JSON, json.dumps(row).encode()) for row in rows[:DIFFERENT]],
        {"JSON rows": post("/predict/batch", JSON, json.dumps({"trips": rows[:ROWS]}).encode())},
        lambda port: {**_alone(port), "MODEL": str(champion.home / MLSERVER_MODEL / JOBLIB)},
    )


def _alone(_port: int) -> dict[str, str]:
    """Nothing of this project's packages."""
    return {"PYTHONPATH": "", "MLFLOW_DISABLE_TELEMETRY": "true"}


def _singles(trips: pd.DataFrame) -> list[bytes]:
    texts = trips[:DIFFERENT].assign(pickup_at=[moment.isoformat() for moment in trips["pickup_at"][:DIFFERENT]])
    return [json.dumps(row).encode() for row in texts.to_dict("records")]


def _batches(trips: pd.DataFrame) -> dict[str, bytes]:
    """The same rows by form."""
    texts = trips.assign(pickup_at=[moment.isoformat() for moment in trips["pickup_at"]])
    table = arrow.write(pa.Table.from_pandas(trips, preserve_index=False))
    return {
        "JSON rows": post("/predict/batch", JSON, json.dumps({"trips": texts.to_dict("records")}).encode()),
        "JSON columns": post("/predict/batch", JSON, json.dumps({"columns": texts.to_dict("list")}).encode()),
        "Arrow": post("/predict/batch", arrow.MEDIA_TYPE, table),
    }
