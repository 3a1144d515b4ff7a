"""How mlflow is asked, and its errors as ours."""

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

RETRIES = 1
MOST_CHARACTERS = 300
CONNECT_S = 2


def environment(settings: MLflow) -> dict[str, str]:
    """mlflow takes these from the environment only, and telemetry from the moment of its import. Without a server
    it also looks up a logged model in the store that the process is set to, whatever store the client has."""
    return {
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.timeout_s),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(RETRIES),
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def require_listener(uri: str) -> None:
    """Raise RegistryUnavailable where nobody listens at a server's address; one behind a proxy is not looked at."""
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
    """Raises NotFound, InputError or RegistryUnavailable in place of mlflow's errors; `what` was asked for. A registry
    of its own is named beside the tracking server: which of them an error is of, mlflow does not say."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    uri = f"{tracking_uri}, registry {registry_uri}" if registry_uri else tracking_uri
    try:
        yield
    except RequestException as error:  # of artifacts, which mlflow leaves as it is
        raise RegistryUnavailable(f"MLflow at {uri}: {what}: {told(error)}") from error
    except MlflowException as error:
        if error.error_code == ABSENT:
            raise NotFound(f"{what}: {told(error)}") from error
        if error.error_code == INVALID:
            raise InputError(f"{what}: {told(error)}") from error
        raise RegistryUnavailable(f"MLflow at {uri}: {what}: {told(error)}") from error


@contextmanager
def tolerating(error_code: str) -> Iterator[None]:
    """Goes on after mlflow's error of this code."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != error_code:
            raise


def told(error: Exception) -> str:
    """Return what matters of an error of mlflow, whose messages run to pages: why there was no connection, or the first
    line, or of downloads that failed the first file with its reason."""
    if no_connection := _of_connection(error):
        return no_connection
    lines = str(error).splitlines() or [type(error).__name__]
    files = [number for number, line in enumerate(lines[:-1]) if line.startswith("##### File ")]
    first = f"{lines[files[0]].strip('# ')}: {lines[files[0] + 1]}" if files else lines[0]
    return shorten(first)


def _of_connection(error: BaseException) -> str | None:
    """Return why there was no connection; None where there was one. The libraries wrap the system's error thrice."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError | socket.gaierror | TimeoutError):
            return f"does not answer: {(cause.strerror or str(cause)).lower()}"
        cause = cause.__cause__ or cause.__context__
    return None


def shorten(line: str) -> str:
    """In the middle: what was asked stands at the beginning of such a message, and why it failed at the end."""
    half = MOST_CHARACTERS // 2
    return line if len(line) <= MOST_CHARACTERS else f"{line[:half]} ... {line[-half:]}"
