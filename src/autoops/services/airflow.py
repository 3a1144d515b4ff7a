"""A client of Airflow's REST API, as far as the loop, the CLI and the demo need it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import tenacity

from autoops.errors import Conflict, InputError, NotFound, ServiceUnavailable

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
"""Components whose health Airflow reports."""


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG. `state` is queued, running, success or failed; `run_type` is such as manual or scheduled."""

    run_id: str
    state: str
    run_type: str
    conf: Mapping[str, Any]

    @property
    def finished(self) -> bool:
        """Return whether the run has ended, with success or without."""
        return self.state in ("success", "failed")


_patiently = tenacity.Retrying(
    retry=tenacity.retry_if_result(lambda response: response.status_code == httpx.codes.INTERNAL_SERVER_ERROR),
    stop=tenacity.stop_after_attempt(4),
    wait=tenacity.wait_fixed(0.5),
    # The last response, so that `_check` reports it; by default tenacity raises RetryError.
    retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
)


class AirflowClient:
    """Signs in on the first call and again after the token has expired.

    Every method raises ServiceUnavailable if Airflow does not answer, and NotFound if a DAG or run does not exist.
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        timeout_s: float = 10,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._credentials = {"username": username, "password": password}
        self._http = httpx.Client(base_url=url, timeout=timeout_s, trust_env=False, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self._http.close()

    def health(self) -> dict[str, Any]:
        """Return the health that Airflow reports of its components; needs no sign-in.

        Raises:
            ServiceUnavailable: the server that answers is no Airflow.
        """
        response = self._send("GET", "/api/v2/monitor/health", None)
        _check(response)
        try:
            said = response.json()
            return {component: {"status": "not reported", **said.get(component, {})} for component in COMPONENTS}
        except (ValueError, AttributeError, TypeError):
            raise ServiceUnavailable(f"{self._http.base_url} answers, but is no Airflow") from None

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run and return its id; `run_id` is an idempotency key.

        Raises:
            Conflict: `run_id` was used before.
            InputError: `conf` does not fit the DAG's parameters.
        """
        # Airflow refuses a body without `logical_date`, and takes null.
        body = {"logical_date": None, "conf": dict(conf or {})} | ({"dag_run_id": run_id} if run_id else {})
        return str(self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def runs(self, dag_id: str) -> list[DagRun]:
        """Return the latest hundred runs, newest first."""
        found = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns?order_by=-run_after&limit=100")
        return [_run(one) for one in found["dag_runs"]]

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """Return the run with its present state."""
        return _run(self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"))

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state by task id; None for a task that is not scheduled yet."""
        found = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {one["task_id"]: one["state"] for one in found["task_instances"]}

    def dag(self, dag_id: str) -> dict[str, Any]:
        """Return Airflow's JSON on the DAG, with `is_paused` and `last_parsed_time` among its fields."""
        return self.call("GET", f"/api/v2/dags/{dag_id}")

    def import_errors(self) -> dict[str, str]:
        """Return the traceback by DAG file, for the files that Airflow could not import."""
        found = self.call("GET", "/api/v2/importErrors")
        return {one["filename"]: one["stack_trace"] for one in found["import_errors"]}

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Send a signed-in request; return the JSON of the response."""
        if "Authorization" not in self._http.headers:
            self._sign_in()
        response = self._send_patiently(method, path, body)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._sign_in()
            response = self._send_patiently(method, path, body)
        _check(response)
        content: dict[str, Any] = response.json()
        return content

    def _send_patiently(self, method: str, path: str, body: object) -> httpx.Response:
        """Send the request, again after a 500.

        On SQLite, Airflow responds so if another component holds the lock, and has then done nothing.
        """
        return _patiently(self._send, method, path, body)

    def _sign_in(self) -> None:
        self._http.headers.pop("Authorization", None)
        response = self._send("POST", "/auth/token", self._credentials)
        _check(response)
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"

    def _send(self, method: str, path: str, body: object) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ServiceUnavailable(f"Airflow at {self._http.base_url} does not answer: {error}") from error


def _run(found: Mapping[str, Any]) -> DagRun:
    return DagRun(found["dag_run_id"], found["state"], found["run_type"], found["conf"] or {})


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    kinds = {401: InputError, 403: InputError, 404: NotFound, 409: Conflict, 400: InputError, 422: InputError}
    kind = kinds.get(response.status_code, ServiceUnavailable)
    raise kind(f"Airflow, {response.request.method} {response.url.path}: {response.status_code} {_detail(response)}")


def _detail(response: httpx.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return response.text[:300]
    return detail if isinstance(detail, str) else str(detail)
