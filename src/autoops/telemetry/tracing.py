"""OpenTelemetry traces: off, until one of the standard variables asks for them; the SDK reads the others itself.

The provider is ours and not the process's global one: within a task of Airflow, that would be Airflow's.
"""

import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypedDict

from autoops.errors import SettingsError
from autoops.redaction import redact

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span


EXPORTER = "OTEL_TRACES_EXPORTER"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTERS = "opentelemetry_traces_exporter"
_OTLP = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_PARENT = "traceparent"

_provider: "TracerProvider | None" = None
_within: ContextVar[bool] = ContextVar("autoops_within_a_span", default=False)


def asked_for() -> str | None:
    """The variable that switches traces on, if one does."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get(EXPORTER) == "none":
        return None
    return next((name for name in (EXPORTER, *_ENDPOINTS) if os.environ.get(name)), None)


def start(program: str, *needed: str) -> None:
    """Once in a process, where traces are asked for; `needed` are modules without which there would be none. Raises
    SettingsError that says what to install."""
    global _provider
    variable = asked_for()
    if variable is None or _provider is not None:
        return
    try:
        for module in needed:
            __import__(module)
        _provider = _made(program)
    except ModuleNotFoundError as error:
        raise _missing(variable, str(error.name)) from None


def provider() -> "TracerProvider | None":
    """None where traces are off."""
    return _provider


@contextmanager
def span(name: str, parent: Mapping[str, Any] | None = None, **attributes: object) -> Iterator[None]:
    """Around one step; also a decorator. `parent` is what `carried` gave in another process. What is over is sent at
    once, because a task's process ends without notice."""
    if _provider is None:
        yield
        return
    told = {f"autoops.{key}": str(value) for key, value in attributes.items() if value is not None}
    outermost = not _within.get()
    token = _within.set(True)
    try:
        tracer = _provider.get_tracer("autoops")
        # The SDK's own record of an exception would quote it with the passwords in it.
        with tracer.start_as_current_span(
            name, context=_context(parent), attributes=told, record_exception=False, set_status_on_exception=False
        ) as current:
            try:
                yield
            except Exception as error:
                _record_failure(current, error)
                raise
    finally:
        _within.reset(token)
        if outermost:
            _provider.force_flush()


def _record_failure(current: "Span", error: Exception) -> None:
    """As the SDK does, with the texts redacted."""
    from opentelemetry.trace import StatusCode

    message = redact(str(error))
    about = {"type": type(error).__name__, "message": message, "stacktrace": redact(traceback.format_exc())}
    current.add_event("exception", {f"exception.{key}": value for key, value in about.items()})
    current.set_status(StatusCode.ERROR, f"{type(error).__name__}: {message}")


def mark(name: str, value: str) -> None:
    """An attribute of the current span."""
    if _provider is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attribute(name, value)


def ids() -> dict[str, str]:
    """For a log line, in ECS's names."""
    if _provider is None:
        return {}
    from opentelemetry import trace

    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return {}
    return {"trace.id": trace.format_trace_id(current.trace_id), "span.id": trace.format_span_id(current.span_id)}


class Carrier(TypedDict, total=False):
    """What makes spans of another process parts of this trace (W3C Trace Context)."""

    traceparent: str


def carried() -> Carrier:
    """Return what another process needs to go on with this trace; nothing where traces are off."""
    found: dict[str, str] = {}
    if _provider is not None:
        _propagator().inject(found)
    return {"traceparent": found[_PARENT]} if _PARENT in found else {}


def _context(parent: Mapping[str, Any] | None) -> Any:
    """None is the current one."""
    if parent is None or _PARENT not in parent:
        return None
    return _propagator().extract({_PARENT: parent[_PARENT]})


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()


def _made(program: str) -> "TracerProvider":
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: f"autoops-{program}"}))
    made = TracerProvider(resource=resource)
    for exporter in (os.environ.get(EXPORTER) or "otlp").split(","):
        made.add_span_processor(BatchSpanProcessor(_exporter(exporter.strip())))
    return made


def _exporter(name: str) -> Any:
    """By the name that the standard gives it, as the SDK's own start would find it."""
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    chosen = _OTLP.get(protocol or "http/protobuf", str(protocol)) if name == "otlp" else name
    found = next(iter(entry_points(group=_EXPORTERS, name=chosen)), None)
    if found is None:
        raise ModuleNotFoundError(name=f"exporter {chosen}")
    return found.load()()


def _missing(variable: str, what: str) -> SettingsError:
    return SettingsError(
        f"{variable} asks for traces, and this installation lacks {what}: pip install '.[tracing]' in the checkout, "
        "or OTEL_SDK_DISABLED=true to go without"
    )
