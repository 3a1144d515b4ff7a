"""The endpoints: parse, call one use case, translate. All `async def`: a thread costs more than the work."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from autoops.serving.auth.keys import KEY, Scope
from autoops.serving.http.direct import Direct
from autoops.serving.http.openapi import Documents, JsonSchema, problems
from autoops.serving.metrics import Metrics
from autoops.serving.model.holder import Outcome
from autoops.serving.payloads import schemas
from autoops.serving.payloads.batch_bodies import MEDIA_TYPES, kinds_of
from autoops.serving.payloads.bodies import JSON, media_type_of, parse_json, read_body
from autoops.serving.payloads.formats import Formats
from autoops.serving.predict.batches import Batches
from autoops.serving.predict.predictor import Predictor

_SMALL_BODY = 16 * 1024
"""Labels of so many bytes are read on the event loop; to hand them over would cost more."""

NEEDED_SCOPES: Mapping[str, Scope] = {
    "/predict": "predict",
    "/predict/batch": "predict",
    "/ground-truth": "feedback",
    "/model/reload": "admin",
    "/v2/models/{name}/infer": "predict",
    "/v2/models/{name}/versions/{version}/infer": "predict",
}
"""Of a key, where keys are configured, by path as `route_of` returns it. What is read of the rest tells of the service
and of no row."""


@dataclass(frozen=True)
class Endpoints:
    """The endpoints of one app and their dependencies."""

    predictor: Predictor
    check_registry: Callable[[], Awaitable[Outcome]]
    prometheus: Metrics
    batches: Batches
    formats: Formats
    follows: str
    instance_id: str
    started_at: datetime

    async def predict(self, request: Request) -> Response:
        """Predict one row; the prediction is in the log before the response is sent."""
        media_type_of(request, (JSON,))
        row = parse_json(await read_body(request, self.formats.row_bytes), self.formats.models.row)
        answer = await self.predictor.predict(row, request.scope.get(KEY))
        return _json(self.formats.answers.one(answer.logged, answer.known, answer.repeated))

    async def predict_batch(self, request: Request) -> Response:
        """Predict many rows with one version, all or none; respond in the kind of the request, or as Accept says."""
        kind, media_type = kinds_of(request)
        body = await read_body(request, self.formats.batch_bytes)
        batch, form = await self.batches.run(self.formats.bodies.read, body, kind, self.formats.max_batch)
        answer = await self.predictor.predict_batch(batch, request.scope.get(KEY))
        encoded = form if MEDIA_TYPES[media_type] == "json" else "arrow"
        content = await self.batches.run(self.formats.answers.batch, answer, encoded)
        return Response(content, media_type=media_type)

    async def ground_truth(self, request: Request) -> Response:
        """Store ground truth. A label for an id that is not known yet is kept; of two labels for one prediction the
        later counts; a malformed one is refused by position and the rest stored."""
        media_type_of(request, (JSON,))
        body = await read_body(request, self.formats.batch_bytes)
        key = request.scope.get(KEY)
        if len(body) <= _SMALL_BODY:
            labels = self.formats.labels.read(body, self.formats.max_batch, key)
        else:
            labels = await self.batches.run(self.formats.labels.read, body, self.formats.max_batch, key)
        receipt = await self.predictor.take_ground_truth(labels)
        return Response(receipt.model_dump_json(), media_type=JSON)

    async def model_info(self) -> schemas.ModelInfo:
        """Return which version answers, since when, and why the followed one does not where it does not."""
        holder = self.predictor.holder
        # `current` is read before `failure`, which a swap clears first. In the other order a new
        # version could stand beside the failure that it has ended.
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
            quarantined=[
                schemas.BlockedVersion(model_version=broken.version, reason=broken.reason, since=broken.at)
                for broken in holder.quarantine.broken
            ],
            instance_id=self.instance_id,
            started_at=self.started_at,
        )

    async def reload(self) -> schemas.Reload:
        """Check the registry now, and try a version again that failed before."""
        holder = self.predictor.holder
        outcome = await self.check_registry()
        loaded, failure = holder.current, holder.failure
        return schemas.Reload(
            model_version=loaded.version.number if loaded else None,
            swapped=outcome in ("swapped", "reverted"),
            outcome=outcome,
            last_error=failure.reason if failure else None,
        )

    async def health(self) -> schemas.Alive:
        """Report that the process is alive."""
        return schemas.Alive()

    async def ready(self) -> schemas.Ready:
        """Report that a model version is loaded and warm."""
        return schemas.Ready(model_version=self.predictor.loaded().version.number)

    async def metrics(self) -> Response:
        """Return the metrics of this process, for Prometheus."""
        return Response(self.prometheus.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def router(endpoints: Endpoints) -> APIRouter:
    """Return the routes of all endpoints; those for GET also take HEAD, which OpenAPI does not list."""
    made = APIRouter()
    faults, documents = problems(400, 413, 415, 422, 503), Documents(endpoints.formats)
    models = endpoints.formats.models

    def post(path: str, endpoint: Any, description: str, body: type[BaseModel], model: type[BaseModel]) -> None:
        made.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            tags=["predictions"],
            description=description,
            response_model=model,
            responses=faults,
            openapi_extra=documents.body_of(body),
            route_class_override=Direct,
        )

    post("/predict", endpoints.predict, documents.predict, models.row, models.prediction)
    made.add_api_route(
        "/predict/batch",
        endpoints.predict_batch,
        methods=["POST"],
        tags=["predictions"],
        description=documents.predict_batch,
        route_class_override=Direct,
        response_class=Response,
        responses=documents.batch_answers() | problems(400, 406, 413, 415, 422, 503),
        openapi_extra=documents.batch_body(),
    )
    labels = models.ground_truth_batch
    post("/ground-truth", endpoints.ground_truth, documents.labels, labels, schemas.GroundTruthReceipt)

    def get(path: str, endpoint: Any, **declared: Any) -> None:
        """Answers HEAD as GET, without the body."""
        made.add_api_route(path, endpoint, **declared)
        # A route of its own: OpenAPI would list both methods of one route, with one operation id.
        made.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)

    get("/model/info", endpoints.model_info, tags=["model"])
    made.add_api_route("/model/reload", endpoints.reload, methods=["POST"], tags=["model"], responses=problems(503))
    get("/health", endpoints.health, tags=["operations"])
    get("/ready", endpoints.ready, tags=["operations"], responses=problems(503))
    text: dict[int | str, JsonSchema] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
    get("/metrics", endpoints.metrics, tags=["operations"], response_class=Response, responses=text)
    return made


def _json(content: Mapping[str, object]) -> Response:
    """Past FastAPI's own serialisation, which would validate every row once more; a test holds it to the schema."""
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), media_type=JSON)
