"""Clients that ask `/predict` all the time, do not retry, and remember what was acknowledged."""

import itertools
import random
import threading
import uuid
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from tests.stack.compose import Stack
from tests.stack.waiting import eventually

CLIENTS = 3
PAUSE_S = 0.05
"""Between an answer and the next question: steady traffic, not a load test."""


@dataclass(frozen=True)
class Answer:
    prediction_id: str
    request_id: str
    model_version: int


def trip(rng: random.Random) -> dict[str, Any]:
    """With a request_id of its own."""
    return {
        "pickup_at": f"2023-05-{rng.randint(1, 28):02}T{rng.randint(6, 23):02}:30:00",
        "trip_distance": round(rng.uniform(0.5, 12), 2),
        "passenger_count": rng.randint(1, 4),
        "pickup_location_id": rng.randint(1, 260),
        "dropoff_location_id": rng.randint(1, 260),
        "request_id": f"traffic/{uuid.uuid4()}",
    }


class Traffic:
    """Use as a context manager. An answer is a 200 that named its prediction; everything else has failed."""

    def __init__(self, stack: Stack) -> None:
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self._url, self._headers = stack.url("API"), stack.api_headers
        self._over = threading.Event()
        self._clients = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(CLIENTS)]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for client in self._clients:
            client.join()

    @property
    def versions(self) -> list[int]:
        """That answered, in order, each stretch once."""
        return [version for version, _ in itertools.groupby(self.answers, key=lambda answer: answer.model_version)]

    def flow(self, more: int = 100) -> None:
        """Waits for so many more answers."""
        enough = len(self.answers) + more
        eventually(lambda: len(self.answers) >= enough, 180, f"{more} more answers")

    def _ask(self, seed: int) -> None:
        rng = random.Random(seed)
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=30, trust_env=False) as http:
            while not self._over.wait(PAUSE_S):
                try:
                    self._take(http.post("/predict", json=(asked := trip(rng))), asked["request_id"])
                except httpx.HTTPError as error:
                    self.failures.append(f"{type(error).__name__}: {error}")

    def _take(self, response: httpx.Response, request_id: str) -> None:
        if response.status_code == httpx.codes.OK:
            answer = response.json()
            self.answers.append(Answer(answer["prediction_id"], request_id, answer["model_version"]))
        else:
            self.failures.append(f"{response.status_code}: {response.text[:200]}")
