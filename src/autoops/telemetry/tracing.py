"""OpenTelemetry traces: off unless one of the standard variables asks for them; the SDK reads the others itself.

The provider is our own and not the global one of the process, which in a task of Airflow is Airflow's.
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

# opentelemetry is an optional extra, so that functions import it only if traces are on.
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
    """Return the variable that switches traces on, None if traces are off."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get(EXPORTER) == "none":
        return None
    return next((name for name in (EXPORTER, *_ENDPOINTS) if os.environ.get(name)), None)


def start(program: str, *needed: str) -> None:
    """Create the trace provider, once per process and only if a variable asks for traces.

    `needed` are modules that traces depend on.

    Raises:
        SettingsError: a module or exporter is not installed; the message says what to install.
    """  # noqa: DOC501 - the function that is raised returns it
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
    """Return the trace provider, None if traces are off."""
    return _provider


@contextmanager
def span(name: str, parent: Mapping[str, Any] | None = None, **attributes: object) -> Iterator[None]:
    """Trace one step, as a context manager or as a decorator.

    `parent` is the result of `carried` in another process. The outermost span sends all spans when it ends, because the
    process of a task may end without notice.
    """
    if _provider is None:
        yield
        return
    told = {f"autoops.{key}": str(value) for key, value in attributes.items() if value is not None}
    outermost = not _within.get()
    token = _within.set(True)
    try:
        tracer = _provider.get_tracer("autoops")
        # The SDK's own record of an exception would quote passwords in its message.
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
    """Record the exception as the SDK does, with redacted texts."""
    from opentelemetry.trace import StatusCode

    message = redact(str(error))
    about = {"type": type(error).__name__, "message": message, "stacktrace": redact(traceback.format_exc())}
    current.add_event("exception", {f"exception.{key}": value for key, value in about.items()})
    current.set_status(StatusCode.ERROR, f"{type(error).__name__}: {message}")


def mark(name: str, value: str) -> None:
    """Set an attribute of the current span."""
    if _provider is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attribute(name, value)


def ids() -> dict[str, str]:
    """Return the ids of the current trace and span by their ECS names; empty outside a span."""
    if _provider is None:
        return {}
    from opentelemetry import trace

    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return {}
    return {"trace.id": trace.format_trace_id(current.trace_id), "span.id": trace.format_span_id(current.span_id)}


class Carrier(TypedDict, total=False):
    """The W3C Trace Context by which spans of another process join this trace."""

    traceparent: str


def carried() -> Carrier:
    """Return what another process needs to join this trace; empty if traces are off."""
    found: dict[str, str] = {}
    if _provider is not None:
        _propagator().inject(found)
    return {"traceparent": found[_PARENT]} if _PARENT in found else {}


def _context(parent: Mapping[str, Any] | None) -> Any:
    """Return the context of `parent`; None means the current context."""
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
    # OTEL_SERVICE_NAME takes precedence; without it the SDK writes "unknown_service".
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: f"autoops-{program}"}))
    made = TracerProvider(resource=resource)
    for exporter in (os.environ.get(EXPORTER) or "otlp").split(","):
        made.add_span_processor(BatchSpanProcessor(_exporter(exporter.strip())))
    return made


def _exporter(name: str) -> Any:
    """Return the exporter of this standard name, found as the SDK's own setup finds it.

    Raises:
        ModuleNotFoundError: no installed package has this exporter.
    """
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
