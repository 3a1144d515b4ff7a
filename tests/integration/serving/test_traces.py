"""A server span for each request, as a collector gets it from a real server."""

import signal
from pathlib import Path

import httpx

from tests.fakes import DirectoryRegistry
from tests.integration.serving.conftest import TRIP
from tests.integration.serving.test_durability import process, shared_registry  # noqa: F401  a fixture
from tests.otlp import receiving

CLIENT_TRACE, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER = 2
"""The kind of a span."""


def test_a_request_continues_its_clients_trace(
    settings: object,
    tmp_path: Path,
    shared_registry: DirectoryRegistry,  # noqa: F811
) -> None:
    headers = {"X-Request-Id": "ride-7", "traceparent": f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-01"}
    with (
        receiving() as receiver,
        process(tmp_path, shared_registry, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url) as (server, url),
    ):
        assert httpx.post(f"{url}/predict", json=TRIP, headers=headers).is_success
        assert httpx.post(f"{url}/predict", json={}).status_code == 422
        assert httpx.get(f"{url}/health").is_success
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=120)

    continued, own = receiver.spans
    assert (continued.service, continued.name, continued.kind) == ("autoops-api", "POST /predict", SERVER)
    assert (continued.trace_id, continued.parent_id) == (CLIENT_TRACE, CLIENT_SPAN)
    assert continued.attributes["http.route"] == "/predict"
    assert continued.attributes["http.request.id"] == "ride-7"
    assert (own.parent_id, own.trace_id == CLIENT_TRACE) == ("", False)
