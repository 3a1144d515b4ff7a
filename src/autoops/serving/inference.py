"""The Open Inference Protocol (version 2), as KServe and Triton speak it, beside the API's own endpoints.

It takes and returns JSON alone. The OpenAPI document describes the API's own endpoints and leaves these out.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from autoops import __version__
from autoops.errors import NotFound
from autoops.serving.auth.keys import KEY
from autoops.serving.http import problems
from autoops.serving.payloads.bodies import JSON, media_type_of, read_body
from autoops.serving.payloads.formats import Formats
from autoops.serving.predict.batches import Batches
from autoops.serving.predict.predictor import Predictor

Endpoint = Callable[[Request], Awaitable[Response]]

_BINARY_HEADER = "inference-header-content-length"


@dataclass(frozen=True)
class Inference:
    """The endpoints of the protocol; `model_name` is the registered model's."""

    predictor: Predictor
    batches: Batches
    formats: Formats
    model_name: str

    async def server(self, _request: Request) -> Response:
        """Return what this server is."""
        return _json({"name": "autoops", "version": __version__, "extensions": []})

    async def live(self, _request: Request) -> Response:
        """Report that the process is alive."""
        return _json({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Report that a model version is loaded and warm; 503 if none is."""
        self.predictor.loaded()
        return _json({"ready": True})

    async def model_ready(self, request: Request) -> Response:
        """Report that the version in the path, or any, is loaded and warm."""
        self._check_name(request)
        self.predictor.loaded(request.path_params.get("version"))
        return _json({"name": self.model_name, "ready": True})

    async def model(self, request: Request) -> Response:
        """Return the model's inputs and outputs, -1 for the number of rows."""
        self._check_name(request)
        version, tensors = request.path_params.get("version"), self.formats.tensors
        current = self.predictor.loaded(version) if version is not None else self.predictor.holder.current
        inputs = {name: datatypes[0] for name, datatypes in tensors.inputs.items()}
        described = {
            key: [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in of.items()]
            for key, of in (("inputs", inputs), ("outputs", tensors.outputs))
        }
        versions = [] if current is None else [str(current.version.number)]
        return _json({"name": self.model_name, "versions": versions, "platform": "onnx_onnxv1", **described})

    async def infer(self, request: Request) -> Response:
        """Predict the rows of the tensors, which are in the log before the response is sent.

        Raises:
            HTTPException: the body has binary tensors.
        """
        self._check_name(request)
        if _BINARY_HEADER in request.headers:
            raise HTTPException(415, "binary tensors are not taken: send the values as JSON in `data`")
        media_type_of(request, (JSON,))
        version = request.path_params.get("version")
        # Before a body of another version's is read; the prediction checks it once more.
        self.predictor.loaded(version)
        formats, run = self.formats, self.batches.run
        body = await read_body(request, formats.batch_bytes)
        asked = await run(formats.tensors.read, body, formats.max_batch)
        answer = await self.predictor.predict_batch(asked.batch, request.scope.get(KEY), version)
        return Response(await run(formats.tensors.write, answer, asked, self.model_name), media_type=JSON)

    def _check_name(self, request: Request) -> None:
        name = request.path_params["name"]
        if name != self.model_name:
            raise NotFound(f"no model {name[:100]!r} is served here: expected {self.model_name}")


def inference_router(inference: Inference) -> APIRouter:
    """Return the routes of the protocol. Metrics and scopes know them by the same paths, names in braces."""
    made = APIRouter(prefix="/v2")

    def route(path: str, endpoint: Endpoint, *methods: str) -> None:
        made.add_api_route(path, _with_error(endpoint), methods=list(methods), include_in_schema=False)

    for path, read in (("", inference.server), ("/health/live", inference.live), ("/health/ready", inference.ready)):
        route(path, read, "GET", "HEAD")
    for model in ("/models/{name}", "/models/{name}/versions/{version}"):
        route(model, inference.model, "GET", "HEAD")
        route(f"{model}/ready", inference.model_ready, "GET", "HEAD")
        route(f"{model}/infer", inference.infer, "POST")
    return made


def _with_error(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose problems also have the field `error`, where clients of the protocol look for it."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        # Whatever the API has no answer to goes on to its own handler.
        except Exception as error:
            response = problems.answer_to(error)
            if response is None:
                raise
        content = orjson.loads(response.body)
        response.body = orjson.dumps({"error": content["detail"], **content})
        response.headers["content-length"] = str(len(response.body))
        return response

    return answered


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type=JSON)
