"""Load on an API that may be killed at any moment, and what it acknowledged."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import sqlalchemy as sa

from autoops.storage import tables

TRIP = {
    "pickup_at": "2023-01-10T10:30:00",
    "passenger_count": 1,
    "pickup_location_id": 74,
    "dropoff_location_id": 41,
}
_REFUSED_PAUSE_S = 0.05


@dataclass(frozen=True)
class Figures:
    """What a log has of what was acknowledged."""

    acknowledged: int
    labels: int
    lost: int
    duplicated: int
    labels_lost: int
    labels_duplicated: int

    @property
    def perfect(self) -> bool:
        return not (self.lost or self.duplicated or self.labels_lost or self.labels_duplicated)


@dataclass
class Acknowledged:
    """Every trip has a distance of its own, every second a request id, every label a duration of its own, so that rows
    can be told apart whatever their ids are. A trip with a request id that was cut off is sent again."""

    predictions: list[str] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)
    refused: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _cut_off: list[int] = field(default_factory=list)

    async def ask(self, client: httpx.AsyncClient) -> None:
        """Until the process dies."""
        while True:
            number = self._cut_off.pop() if self._cut_off else next(self._numbers)
            named = {"request_id": f"ride-{number}"} if number % 2 else {}
            trip = TRIP | named | {"trip_distance": 1 + number * 1e-6}
            try:
                answer = await client.post("/predict", json=trip)
            except httpx.TransportError:
                if named:
                    self._cut_off.append(number)
                return
            if not self._granted(answer):
                await asyncio.sleep(_REFUSED_PAUSE_S)
                continue
            prediction_id = answer.json()["prediction_id"]
            self.predictions.append(prediction_id)
            if number % 5 == 0 and not await self._label(client, prediction_id, 1 + number * 1e-6):
                return

    async def _label(self, client: httpx.AsyncClient, prediction_id: str, minutes: float) -> bool:
        """False: the process died."""
        label = {"prediction_id": prediction_id, "trip_duration_minutes": minutes}
        try:
            if self._granted(await client.post("/ground-truth", json={"labels": [label]})):
                self.labels.append(minutes)
        except httpx.TransportError:
            return False
        return True

    def _granted(self, answer: httpx.Response) -> bool:
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
            self.refused += 1
        return answer.status_code == 200

    def figures(self, engine: sa.Engine) -> Figures:
        with engine.connect() as connection:
            rows = connection.execute(sa.select(tables.predictions.c.id, tables.predictions.c.inputs)).all()
            minutes = list(connection.scalars(sa.select(tables.ground_truth.c.target)))
        return Figures(
            len(self.predictions),
            len(self.labels),
            lost=len(set(self.predictions) - {row.id for row in rows}),
            duplicated=len(rows) - len({row.inputs[0] for row in rows}),
            labels_lost=len(set(self.labels) - set(minutes)),
            labels_duplicated=len(minutes) - len(set(minutes)),
        )


async def ask_until_killed(url: str, acknowledged: Acknowledged, connections: int = 8) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        await asyncio.gather(*(acknowledged.ask(client) for _ in range(connections)))
