"""The programs of `autoops up`. No DAG defers a task, but without a triggerer Airflow's home page shows a failure."""

import sys
import sysconfig
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from autoops.errors import InputError, SettingsError
from autoops.redaction import public_url
from autoops.serving.shutdown import stops_within_s
from autoops.settings import Settings

SERVICES = ("mlflow", "api", "exporter", "console", "airflow")
"""Services that `without` may name; Airflow is four programs."""

API_SERVER, SCHEDULER = "airflow-api-server", "airflow-scheduler"
DAG_PROCESSOR, TRIGGERER = "airflow-dag-processor", "airflow-triggerer"


@dataclass(frozen=True)
class Listens:
    """An address that a program binds, and the setting that changes it."""

    host: str
    port: int
    setting: str


@dataclass(frozen=True)
class Program:
    """One supervised process; `stop_timeout_s` after SIGTERM it and its process group are killed."""

    name: str
    service: str
    command: tuple[str, ...]
    url: str
    listens: Listens | None = None
    stop_timeout_s: int = 10


def programs(settings: Settings, without: Collection[str] = ()) -> list[Program]:
    """Return all programs but those of the services in `without`.

    Raises:
        InputError: a service is unknown.
        SettingsError: no server can be started on `mlflow.tracking_uri`.
    """
    unknown = sorted(set(without) - set(SERVICES))
    if unknown:
        raise InputError(f"no such service: {', '.join(unknown)}; expected some of {', '.join(SERVICES)}")
    build = {"mlflow": _mlflow, "api": _api, "exporter": _exporter, "console": _console, "airflow": _airflow}
    return [program for name in SERVICES if name not in without for program in build[name](settings)]


def may_start_mlflow(settings: Settings) -> bool:
    """Return whether `mlflow.tracking_uri` is an address on which a server could be started."""
    try:
        parts = urlsplit(settings.mlflow.tracking_uri)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False


def _mlflow(settings: Settings) -> list[Program]:
    uri = settings.mlflow.tracking_uri
    if not may_start_mlflow(settings):
        raise SettingsError(
            f"mlflow.tracking_uri: {uri} is nothing to start a server on; expected http://127.0.0.1:PORT, "
            "or leave MLflow out (--without mlflow) when you run your own"
        )
    parts = urlsplit(uri)
    home, host, port = settings.storage.home, str(parts.hostname), int(parts.port or 0)
    # MLflow refuses other Host headers. Clients send theirs with or without the port.
    names = dict.fromkeys(["localhost", "127.0.0.1", f"[{host}]" if ":" in host else host])
    return [
        Program(
            name="mlflow",
            service="mlflow",
            command=(
                *_python("mlflow", "server"),
                *("--host", host, "--port", str(port), "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}"),
                *("--artifacts-destination", str(home / "mlflow-artifacts")),
                *("--allowed-hosts", ",".join(f"{name},{name}:*" for name in names)),
            ),
            url=public_url(uri),
            listens=Listens(host, port, "mlflow.tracking_uri"),
        )
    ]


def _api(settings: Settings) -> list[Program]:
    listens = Listens(settings.serving.host, settings.serving.port, "serving.port")
    patience_s = stops_within_s(settings)
    return [Program("api", "api", _verb("serve"), settings.api_url, listens, patience_s)]


def _exporter(settings: Settings) -> list[Program]:
    listens = Listens(settings.exporter.host, settings.exporter.port, "exporter.port")
    return [Program("exporter", "exporter", _verb("exporter"), f"{settings.exporter_url}/metrics", listens)]


def _console(settings: Settings) -> list[Program]:
    listens = Listens(settings.console.host, settings.console.port, "console.port")
    return [Program("console", "console", _verb("console"), settings.console_url, listens)]


def _airflow(settings: Settings) -> list[Program]:
    """Return Airflow's four programs.

    The log servers stay off: they would listen on every interface, and the API server reads the logs of this machine
    from disk. The scheduler waits for running tasks until its stop timeout. Tasks are repeatable, and the next
    scheduler starts them again.
    """
    url = settings.airflow_url
    listens = Listens(settings.airflow.host, settings.airflow.port, "airflow.port")
    return [
        Program(API_SERVER, "airflow", _python("airflow", "api-server"), url, listens),
        Program(SCHEDULER, "airflow", _python("airflow", "scheduler", "--skip-serve-logs"), url, stop_timeout_s=4),
        Program(DAG_PROCESSOR, "airflow", _python("airflow", "dag-processor"), url),
        Program(TRIGGERER, "airflow", _python("airflow", "triggerer", "--skip-serve-logs"), url),
    ]


def _verb(name: str) -> tuple[str, ...]:
    # By its path: in PATH there may be another `autoops`, or none.
    return (str(Path(sysconfig.get_path("scripts")) / "autoops"), name)


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)
