"""Log lines: for people, or as JSON with the field names of the Elastic Common Schema (ECS); the same in every process.

The subject of a line (a request, an incident) is in a context variable, so that code that logs need not know it.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from autoops.errors import SettingsError
from autoops.redaction import redact
from autoops.settings import Logs, load_settings

FIELDS = {"request_id": "http.request.id", "incident_id": "labels.incident_id", "model_version": "labels.model_version"}
"""Subjects of a line, from its context or its own `extra`, and the ECS field of each."""

_FORMAT_VARIABLE = "AUTOOPS__LOGS__FORMAT"
_NOISY = ("httpx", "alembic", "skl2onnx", "matplotlib")
_FOR_JSON = {"MLFLOW_CONFIGURE_LOGGING": "false", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
"""Keeps MLflow's client from installing a log handler and printing progress bars."""

_about: ContextVar[Mapping[str, object]] = ContextVar("autoops_about", default=MappingProxyType({}))
_json = False


def configure(program: str, level: int = logging.INFO) -> None:
    """Log to stderr in `logs.format`; `program` is api, exporter, console or cli. Noisy libraries log warnings only."""
    global _json
    _json = _settings().format == "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_ecs(program) if _json else _Text())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(_json)
    if _json:
        os.environ |= _FOR_JSON
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def as_json() -> bool:
    """Return whether log lines are JSON. Then text for people has to become a log line too."""
    return _json


def bind(**about: object) -> None:
    """Add subjects to the log lines from now to the end of this task or thread."""
    # A new dict, because tasks that were started earlier share the present one.
    _about.set({**_about.get(), **about})
    if "structlog.contextvars" in sys.modules:  # a task of Airflow, which logs through structlog
        sys.modules["structlog.contextvars"].bind_contextvars(**about)


@contextmanager
def about(**subject: object) -> Iterator[None]:
    """Add subjects to the log lines within the `with` block; restore the earlier ones at its end."""
    before = _about.get()
    bind(**subject)
    try:
        yield
    finally:
        _about.set(before)
        if "structlog.contextvars" in sys.modules:
            structlog = sys.modules["structlog.contextvars"]
            structlog.unbind_contextvars(*subject)
            structlog.bind_contextvars(**{name: before[name] for name in subject if name in before})


def request_id() -> str | None:
    """Return the id of the request that this context answers, None outside one."""
    found = _about.get().get("request_id")
    return None if found is None else str(found)


def _settings() -> Logs:
    """Return the log settings. If settings are invalid, the code that needs them reports it, in this format."""
    try:
        return load_settings().logs
    except SettingsError:
        return Logs(format="json" if os.environ.get(_FORMAT_VARIABLE) == "json" else "text")


class _Text(logging.Formatter):
    """Time, level, logger and message, then the subjects."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of logging.Formatter
        subject = "".join(
            f" [{name.removesuffix('_id').replace('_', ' ')} {what}]" for name, what in _about.get().items()
        )
        return super().formatMessage(record) + subject

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _ecs(program: str) -> logging.Formatter:
    from autoops.telemetry.ecs import EcsFormatter

    return EcsFormatter(program, FIELDS, _about.get)
