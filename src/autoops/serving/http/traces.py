"""A span for each request, if tracing is on."""

import os
from typing import TYPE_CHECKING

from fastapi import FastAPI

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

INSTRUMENTATION = "opentelemetry.instrumentation.fastapi"

_WATCHED = "/health,/ready,/metrics"
"""Paths without spans: monitoring requests them every few seconds."""


def trace(app: FastAPI, provider: "TracerProvider | None") -> None:
    """Record a span for each request; it continues the client's trace if the headers name one."""
    if provider is None:
        return
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    excluded = os.environ.get("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", _WATCHED)
    # Without `exclude_spans` every ASGI message is a span of its own.
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, excluded_urls=excluded, exclude_spans=["receive", "send"]
    )
