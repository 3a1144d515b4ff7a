"""A log line as a JSON object of the Elastic Common Schema (ECS)."""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import ecs_logging

from autoops import __version__
from autoops.redaction import redact
from autoops.telemetry import tracing

_SAME_AS_MESSAGE = "log.original"


class EcsFormatter(ecs_logging.StdlibFormatter):
    """Formats records as ECS. `fields` maps names of the context to ECS fields; `about` returns the current context."""

    def __init__(self, program: str, fields: Mapping[str, str], about: Callable[[], Mapping[str, object]]) -> None:
        service = {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or f"autoops-{program}",
            "service.version": __version__,
            "event.dataset": f"autoops.{program}",
        }
        super().__init__(extra=service, exclude_fields=[_SAME_AS_MESSAGE])
        self._fields, self._about = fields, about

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of JSON, with secrets masked."""
        return redact(super().format(record))

    def format_to_ecs(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the ECS fields of the record and its context; a stack trace has all exceptions of the chain.

        The record itself stays unchanged, because other handlers may read it.
        """
        said = {**self._about(), **record.__dict__}
        about = {field: str(said.pop(name)) for name, field in self._fields.items() if name in said}
        told: dict[str, Any] = super().format_to_ecs(logging.makeLogRecord(said | about | tracing.ids()))
        if record.exc_info and record.exc_info[0]:
            told["error"]["stack_trace"] = self.formatException(record.exc_info)
        return told
