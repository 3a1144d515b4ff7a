"""The endpoints: parse, call one use case, translate. All `async def`: a thread costs more than the work."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from autoops.serving import schemas
from autoops.serving.predictor import Answer, Predictor
from autoops.serving.problems import documented

_JSON = "application/json"


@dataclass(frozen=True)
class Endpoints:
    predictor: Predictor
    max_batch: int
    follows: str
    instance_id: str
    started_at: datetime

    async def predict(self, trip: schemas.Trip) -> Response:
        """Predicts one trip's duration; the answer is in the log before it is sent."""
        _, answers = await self.predictor.predict([trip])
        return _json(_prediction(answers[0]))

    async def predict_batch(self, batch: schemas.TripBatch) -> Response:
        """Predicts many trips with one version, all or none."""
        self._limit(len(batch.trips), "trips")
        version, answers = await self.predictor.predict(batch.trips)
        return _json({"model_version": version, "predictions": [_prediction(answer) for answer in answers]})

    async def ground_truth(self, batch: schemas.GroundTruthBatch) -> schemas.GroundTruthReceipt:
        """Takes what trips really took. A label for an id that is not known yet is kept; of two labels for one
        prediction the later counts; a malformed one is refused by position and the rest stored."""
        self._limit(len(batch.labels), "labels")
        return await self.predictor.take_ground_truth(batch.labels)

    async def model_info(self) -> schemas.ModelInfo:
        """Which version answers, since when, and why the followed one does not where it does not."""
        holder = self.predictor.holder
        loaded, previous, failure = holder.current, holder.previous, holder.failure
        manifest = loaded.scorer.manifest if loaded else None
        return schemas.ModelInfo(
            model_version=loaded.version.number if loaded else None,
            previous_version=previous.version.number if previous else None,
            follows=self.follows,
            source=loaded.source if loaded else None,
            loaded_at=loaded.loaded_at if loaded else None,
            trained_until=manifest.trained_until.astimezone(UTC) if manifest else None,
            features=list(manifest.features) if manifest else [],
            bundle_digest=loaded.version.bundle_digest if loaded else None,
            last_error=failure.reason if failure else None,
            last_error_at=failure.at if failure else None,
            failed_version=failure.version if failure else None,
            instance_id=self.instance_id,
            started_at=self.started_at,
        )

    async def reload(self) -> schemas.Reload:
        """Looks at the registry now, and tries a version again that failed before."""
        holder = self.predictor.holder
        outcome = await asyncio.to_thread(holder.refresh, insist=True)
        loaded, failure = holder.current, holder.failure
        return schemas.Reload(
            model_version=loaded.version.number if loaded else None,
            swapped=outcome in ("swapped", "reverted"),
            outcome=outcome,
            last_error=failure.reason if failure else None,
        )

    async def health(self) -> schemas.Alive:
        """The process is alive."""
        return schemas.Alive()

    async def ready(self) -> schemas.Ready:
        """A model version is loaded and warm."""
        return schemas.Ready(model_version=self.predictor.loaded().version.number)

    async def metrics(self) -> Response:
        """For Prometheus."""
        return Response(self.predictor.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _limit(self, count: int, what: str) -> None:
        if count > self.max_batch:
            raise HTTPException(413, f"{what}: at most {self.max_batch} in one request, got {count}")


def router(endpoints: Endpoints) -> APIRouter:
    made = APIRouter()
    bad, busy = documented(400, 413, 415, 422), documented(503)

    def add(method: str, path: str, endpoint: Any, model: Any, responses: dict[int | str, dict[str, Any]]) -> None:
        made.add_api_route(path, endpoint, methods=[method], response_model=model, responses=responses)

    add("POST", "/predict", endpoints.predict, schemas.Prediction, bad | busy)
    add("POST", "/predict/batch", endpoints.predict_batch, schemas.PredictionBatch, bad | busy)
    add("POST", "/ground-truth", endpoints.ground_truth, schemas.GroundTruthReceipt, bad | busy)
    add("GET", "/model/info", endpoints.model_info, schemas.ModelInfo, {})
    add("POST", "/model/reload", endpoints.reload, schemas.Reload, {})
    add("GET", "/health", endpoints.health, schemas.Alive, {})
    add("GET", "/ready", endpoints.ready, schemas.Ready, busy)
    made.add_api_route(
        "/metrics",
        endpoints.metrics,
        methods=["GET"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    return made


def _prediction(answer: Answer) -> dict[str, Any]:
    logged = answer.logged
    return {
        "prediction_id": logged.id,
        "trip_duration_minutes": logged.prediction,
        "model_version": logged.model_version,
        "event_at": logged.event_at,
        "known_zones": answer.known_zones,
        "repeated": answer.repeated,
    }


def _json(content: dict[str, Any]) -> Response:
    """Past FastAPI's own serialisation, which would validate every row once more; a test holds it to the schema."""
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), media_type=_JSON)
