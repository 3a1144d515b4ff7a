"""Exits with 0 when a service does what its clients ask of it, not only when it lives; with 1 and a reason otherwise.

healthcheck.py api | exporter | console | mlflow | airflow COMPONENT. With the standard library alone: it runs every few
seconds.
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 8


def ask(url: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        return json.load(response)


def api() -> None:
    """A model is loaded and warm."""
    ask("http://127.0.0.1:8000/ready")


def exporter() -> None:
    """The database answers it."""
    with urllib.request.urlopen("http://127.0.0.1:9464/metrics", timeout=TIMEOUT_S) as response:
        if b"\nautoops_database_up 1.0" not in response.read():
            raise RuntimeError("the database does not answer")


def console() -> None:
    """The database answers it."""
    with urllib.request.urlopen("http://127.0.0.1:8010/health", timeout=TIMEOUT_S) as response:
        response.read()


def mlflow() -> None:
    """Under the name and with the credentials that clients use: /health is green on a server that refuses both."""
    user = f"{os.environ['MLFLOW_AUTH_ADMIN_USERNAME']}:{os.environ['MLFLOW_AUTH_ADMIN_PASSWORD']}"
    signed = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
    ask("http://mlflow:5000/api/2.0/mlflow/experiments/search", {"max_results": 1}, signed)


def airflow(component: str) -> None:
    """Its heartbeat reaches the database; of the server also: its user can sign in."""
    server = "http://airflow-apiserver:8080"
    said = ask(f"{server}/api/v2/monitor/health")[component]
    if said["status"] != "healthy":
        raise RuntimeError(f"{component}: {said}")
    if component == "metadatabase":
        names = ("AUTOOPS__AIRFLOW__USERNAME", "AUTOOPS__AIRFLOW__PASSWORD")
        ask(
            f"{server}/auth/token", dict(zip(("username", "password"), map(os.environ.__getitem__, names), strict=True))
        )


if __name__ == "__main__":
    # What Docker's client hands to containers as a proxy does not know the services.
    urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))
    try:
        known = {"api": api, "exporter": exporter, "console": console, "mlflow": mlflow, "airflow": airflow}
        known[sys.argv[1]](*sys.argv[2:])
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"{' '.join(sys.argv[1:])}: {error}")
