"""Health of services. Each probe sends a request as clients do, not only one for a sign of life."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

import httpx

from autoops.errors import AutoOpsError, ServiceUnavailable
from autoops.services import credentials
from autoops.services.airflow import AirflowClient
from autoops.services.programs import API_SERVER, DAG_PROCESSOR, SCHEDULER, TRIGGERER
from autoops.settings import Settings

DAGS = ("approve", "drift_monitor", "prune", "retrain", "watchdog")


def complaint(program: str, settings: Settings, since: datetime | None = None) -> str | None:
    """Return why the program cannot be used, None if it can.

    Airflow's heartbeats and parsed DAGs from before `since` belong to an earlier run and do not count.
    """
    try:
        _PROBES[program](settings, since)
    except AutoOpsError as error:
        return str(error)
    return None


def airflow_client(settings: Settings) -> AirflowClient:
    """Return a client that signs in as the user of the settings."""
    return AirflowClient(
        settings.airflow_url, settings.airflow.username, credentials.airflow_password(settings), timeout_s=30
    )


def _mlflow(settings: Settings, _since: datetime | None) -> None:
    """Search experiments, because `/health` is 200 even on a server that refuses every API call for its host name."""
    _answers("POST", f"{settings.mlflow.tracking_uri}/api/2.0/mlflow/experiments/search", {"max_results": 1})


def _api(settings: Settings, _since: datetime | None) -> None:
    _answers("GET", f"{settings.api_url}/health")


def _exporter(settings: Settings, _since: datetime | None) -> None:
    _answers("GET", f"{settings.exporter_url}/metrics")


def _console(settings: Settings, _since: datetime | None) -> None:
    _answers("GET", f"{settings.console_url}/health")


def _api_server(settings: Settings, _since: datetime | None) -> None:
    with airflow_client(settings) as client:
        _healthy("metadatabase", client.health()["metadatabase"], None)


def _beats(component: str, settings: Settings, since: datetime | None) -> None:
    with airflow_client(settings) as client:
        _healthy(component, client.health()[component], since)


def _dag_processor(settings: Settings, since: datetime | None) -> None:
    with airflow_client(settings) as client:
        _healthy("dag_processor", client.health()["dag_processor"], since)
        for dag_id in DAGS:
            parsed_at = client.dag(dag_id)["last_parsed_time"]
            if since and (parsed_at is None or datetime.fromisoformat(parsed_at) < since):
                raise ServiceUnavailable(f"DAG {dag_id} has not been read yet")
        for file, traceback in client.import_errors().items():
            raise ServiceUnavailable(f"{file} cannot be imported: {traceback}")


def _healthy(component: str, said: dict[str, str | None], since: datetime | None) -> None:
    beat = said.get(f"latest_{component}_heartbeat")
    if said["status"] != "healthy":
        raise ServiceUnavailable(f"Airflow says of its {component}: {said['status']}, last heartbeat {beat or 'never'}")
    if since and (beat is None or datetime.fromisoformat(beat) < since):
        raise ServiceUnavailable(f"the {component} has not sent a heartbeat yet")


def _answers(method: str, url: str, body: object = None) -> None:
    try:
        response = httpx.request(method, url, json=body, timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        raise ServiceUnavailable(f"{url} does not answer: {error}") from error
    if not response.is_success:
        raise ServiceUnavailable(f"{url} answers {response.status_code}: {response.text[:300]}")


_PROBES: dict[str, Callable[[Settings, datetime | None], None]] = {
    "mlflow": _mlflow,
    "api": _api,
    "exporter": _exporter,
    "console": _console,
    API_SERVER: _api_server,
    SCHEDULER: partial(_beats, "scheduler"),
    DAG_PROCESSOR: _dag_processor,
    TRIGGERER: partial(_beats, "triggerer"),
}
