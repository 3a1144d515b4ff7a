"""Small raw months and an API that answers in process, for replays without a network."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from autoops.ingestion.source import file_name
from autoops.months import Month


def write_month(directory: Path, month: Month, trips: int = 60, minutes: float = 10.0) -> Path:
    """A raw month of equally spaced trips that all last `minutes`; the file is not sorted, as real ones are not."""
    begin, end = pd.Timestamp(str(month)), pd.Timestamp(str(month.plus(1)))
    pickup = pd.Series([begin + (end - begin) * (n + 0.5) / trips for n in range(trips)]).dt.round("s")
    columns = {
        "lpep_pickup_datetime": pickup,
        "lpep_dropoff_datetime": pickup + pd.Timedelta(minutes=minutes),
        "PULocationID": 74,
        "DOLocationID": 75,
        "passenger_count": 1.0,
        "trip_distance": [1.0 + n / trips for n in range(trips)],
    }
    frame = pd.DataFrame(columns).iloc[::-1]
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / file_name(month)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    return path


class AnsweringApi(httpx.AsyncBaseTransport):
    """Predicts 12 minutes as `version`, accepts labels, and remembers all it was sent, in order."""

    def __init__(self, version: int = 1, answer: Callable[[httpx.Request], httpx.Response | None] | None = None):
        self.version = version
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.at_once = 0
        self.most_at_once = 0
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.sent.append((request.url.path, json.loads(request.content)))
        await asyncio.sleep(0.001)
        self.at_once -= 1
        special = self._answer(request) if self._answer else None
        return special or httpx.Response(200, json=self._usual(request.url.path))

    def _usual(self, path: str) -> dict[str, Any]:
        if path == "/ground-truth":
            return {"stored": 1, "attached": 1, "pending": [], "refused": []}
        return {"trip_duration_minutes": 12.0, "model_version": self.version}

    @property
    def trips(self) -> list[dict[str, Any]]:
        return [body for path, body in self.sent if path == "/predict"]

    @property
    def labels(self) -> list[dict[str, Any]]:
        return [label for path, body in self.sent if path == "/ground-truth" for label in body["labels"]]


def moments(trips: list[dict[str, Any]]) -> list[datetime]:
    return [datetime.fromisoformat(trip["pickup_at"]) for trip in trips]
