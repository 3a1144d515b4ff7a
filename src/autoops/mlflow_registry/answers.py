"""How mlflow is asked, and its errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from autoops.errors import InputError, NotFound, RegistryUnavailable
from autoops.settings import MLflow

ABSENT = "RESOURCE_DOES_NOT_EXIST"
EXISTS = "RESOURCE_ALREADY_EXISTS"
INVALID = "INVALID_PARAMETER_VALUE"

RETRIES = 1
MOST_CHARACTERS = 300


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


@contextmanager
def translated(uri: str, what: str) -> Iterator[None]:
    """Raises NotFound, InputError or RegistryUnavailable in place of mlflow's errors; `what` was asked for."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

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
    """mlflow's messages run to pages: the first line, or of downloads that failed the first file with its reason."""
    lines = str(error).splitlines() or [type(error).__name__]
    files = [number for number, line in enumerate(lines[:-1]) if line.startswith("##### File ")]
    first = f"{lines[files[0]].strip('# ')}: {lines[files[0] + 1]}" if files else lines[0]
    return shorten(first)


def shorten(line: str) -> str:
    """In the middle: what was asked stands at the beginning of such a message, and why it failed at the end."""
    half = MOST_CHARACTERS // 2
    return line if len(line) <= MOST_CHARACTERS else f"{line[:half]} ... {line[-half:]}"
