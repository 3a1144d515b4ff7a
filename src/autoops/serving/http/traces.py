"""A span for each request, where traces are on."""

import os
from typing import TYPE_CHECKING

from fastapi import FastAPI

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

INSTRUMENTATION = "opentelemetry.instrumentation.fastapi"

_WATCHED = "/health,/ready,/metrics"
"""What is asked every few seconds and is nobody's request."""


def trace(app: FastAPI, provider: "TracerProvider | None") -> None:
    """Continues the client's trace, where its headers name one."""
    if provider is None:
        return
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    excluded = os.environ.get("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", _WATCHED)
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, excluded_urls=excluded, exclude_spans=["receive", "send"]
    )
