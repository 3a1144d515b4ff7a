"""An API client for replays: it does not retry, and it counts what failed."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from autoops.errors import ServiceUnavailable
from autoops.usecase.contract import Contract

_REQUEST_ID = re.compile(r',?"request_id":"[^"]*"')


class ApiClient:
    """A client with at most `connections` requests at a time.

    A request has failed if its response is no 2xx, or did not come.
    """

    def __init__(
        self,
        url: str,
        contract: Contract,
        connections: int = 16,
        timeout_s: float = 10,
        transport: httpx.AsyncBaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._field = "probability" if contract.task == "binary" else contract.target.column
        self.requests = 0
        self.failures: Counter[str] = Counter()
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._http = httpx.AsyncClient(
            base_url=url, headers=headers, limits=limits, timeout=timeout_s, transport=transport, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def predict(self, row: Mapping[str, object]) -> tuple[float, int] | None:
        """Return the prediction and the version that answered; None when the request failed.

        Of a binary target the prediction is the probability of the positive value.
        """
        answer = await self._post("/predict", row)
        return None if answer is None else (answer[self._field], answer["model_version"])

    async def send_labels(self, labels: Sequence[Mapping[str, object]]) -> bool:
        """Send labels, and return whether the API accepted the request.

        Labels that the API refuses by position count as failures, too.
        """
        answer = await self._post("/ground-truth", {"labels": labels})
        if answer is not None and answer["refused"]:
            self.failures["label refused"] += len(answer["refused"])
        return answer is not None

    async def _post(self, path: str, body: Mapping[str, object]) -> dict[str, Any] | None:
        self.requests += 1
        try:
            response = await self._http.post(
                path, content=orjson.dumps(body), headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError as error:
            self.failures[f"{path}: {type(error).__name__}"] += 1
            return None
        if not response.is_success:
            # Without the id that each answer has, and cut: long answers that differ at their ends are one failure.
            text = _REQUEST_ID.sub("", response.text)[:200]
            self.failures[f"{path}: {response.status_code} {text}"] += 1
            return None
        answer: dict[str, Any] = orjson.loads(response.content)
        return answer


def served_version(url: str, transport: httpx.BaseTransport | None = None) -> int | None:
    """Return the version that the API serves now, None before the first.

    Raises:
        ServiceUnavailable: the API does not answer, or answers with an error.
    """
    try:
        with httpx.Client(base_url=url, timeout=10, trust_env=False, transport=transport) as http:
            version: int | None = http.get("/model/info").raise_for_status().json()["model_version"]
    except httpx.HTTPError as error:
        raise ServiceUnavailable(f"the API at {url} does not say which version it serves: {error}") from error
    return version
