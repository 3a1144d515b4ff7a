"""The prediction API through the gateway's published port."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.stack.traffic import trip

LABELS_PER_REQUEST = 1_000


class Api:
    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def predict(self, request_id: str | None = None) -> dict[str, Any]:
        """One answer; a given `request_id` always goes with the same trip."""
        asked = trip(random.Random(0)) | ({"request_id": request_id} if request_id else {})
        return self._json(self._http.post("/predict", json=asked))

    def info(self) -> dict[str, Any]:
        return self._json(self._http.get("/model/info"))

    def served(self) -> int:
        version: int = self.info()["model_version"]
        return version

    def lost(self, prediction_ids: Sequence[str]) -> list[str]:
        """Those of the acknowledged predictions that the log does not know: their ground truth stays pending."""
        unknown: list[str] = []
        for start in range(0, len(prediction_ids), LABELS_PER_REQUEST):
            part = prediction_ids[start : start + LABELS_PER_REQUEST]
            labels = [{"prediction_id": prediction_id, "trip_duration_minutes": 12.5} for prediction_id in part]
            receipt = self._json(self._http.post("/ground-truth", json={"labels": labels}))
            assert receipt["refused"] == []
            assert receipt["attached"] + len(receipt["pending"]) == len(part)
            unknown += [part[position] for position in receipt["pending"]]
        return unknown

    @staticmethod
    def _json(response: httpx.Response) -> dict[str, Any]:
        found: dict[str, Any] = response.raise_for_status().json()
        return found
