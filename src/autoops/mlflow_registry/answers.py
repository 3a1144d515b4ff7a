"""Settings of mlflow's client, and translation of its errors into those of Auto-Ops."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from autoops.errors import InputError, NotFound, RegistryUnavailable
from autoops.settings import MLflow

ABSENT = "RESOURCE_DOES_NOT_EXIST"
EXISTS = "RESOURCE_ALREADY_EXISTS"
INVALID = "INVALID_PARAMETER_VALUE"

# By default mlflow tries 7 times again, which takes some four minutes.
RETRIES = 1
MOST_CHARACTERS = 300
CONNECT_S = 2


def environment(settings: MLflow) -> dict[str, str]:
    """Return variables of the client that mlflow reads from the environment only, that for telemetry at its import.

    Without a server, mlflow also looks up a logged model in MLFLOW_TRACKING_URI's store, whatever store the client has.
    """
    return {
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.timeout_s),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(RETRIES),
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def require_listener(uri: str) -> None:
    """Require that a server listens at the address; a server behind a proxy is not checked.

    Raises:
        RegistryUnavailable: no server listens.
    """
    address = urlsplit(uri)
    if address.scheme not in ("http", "https") or not address.hostname:
        return
    if address.scheme in getproxies() and not proxy_bypass(address.netloc.rpartition("@")[2]):
        return
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    try:
        socket.create_connection((address.hostname, port), timeout=CONNECT_S).close()
    except OSError as error:
        raise RegistryUnavailable(f"MLflow at {uri}: {_of_connection(error) or error}") from error


@contextmanager
def translated(tracking_uri: str, what: str, registry_uri: str | None = None) -> Iterator[None]:
    """Translate mlflow's errors; `what` names the request in their messages.

    A separate registry is named beside the tracking server, because mlflow's errors do not tell which of them failed.

    Raises:
        NotFound: what was requested does not exist.
        InputError: MLflow refuses a parameter, such as a name.
        RegistryUnavailable: any other error of MLflow or of the connection.
    """
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    uri = f"{tracking_uri}, registry {registry_uri}" if registry_uri else tracking_uri
    try:
        yield
    except RequestException as error:  # from requests for artifacts, which mlflow does not translate
        raise RegistryUnavailable(f"MLflow at {uri}: {what}: {told(error)}") from error
    except MlflowException as error:
        if error.error_code == ABSENT:
            raise NotFound(f"{what}: {told(error)}") from error
        if error.error_code == INVALID:
            raise InputError(f"{what}: {told(error)}") from error
        raise RegistryUnavailable(f"MLflow at {uri}: {what}: {told(error)}") from error


@contextmanager
def tolerating(error_code: str) -> Iterator[None]:
    """Suppress mlflow's error of this code.

    Raises:
        MlflowException: an error of another code.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != error_code:
            raise


def told(error: Exception) -> str:
    """Return a short reason of an error of mlflow, whose messages may fill pages.

    It is why there was no connection, else the first failed download with its reason, else the first line.
    """
    if no_connection := _of_connection(error):
        return no_connection
    lines = str(error).splitlines() or [type(error).__name__]
    files = [number for number, line in enumerate(lines[:-1]) if line.startswith("##### File ")]
    first = f"{lines[files[0]].strip('# ')}: {lines[files[0] + 1]}" if files else lines[0]
    return shorten(first)


def _of_connection(error: BaseException) -> str | None:
    """Return why there was no connection, None if there was one. Libraries wrap the system's error several times."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError | socket.gaierror | TimeoutError):
            return f"does not answer: {(cause.strerror or str(cause)).lower()}"
        cause = cause.__cause__ or cause.__context__
    return None


def shorten(line: str) -> str:
    """Return the line, shortened in the middle: the request is at its beginning and the reason at its end."""
    half = MOST_CHARACTERS // 2
    return line if len(line) <= MOST_CHARACTERS else f"{line[:half]} ... {line[-half:]}"
