"""What a browser or a load balancer asks for: HEAD, the OpenAPI document, and both behind a proxy's prefix."""

import gzip
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.integration.serving.conftest import TRIP, Start
from tests.integration.serving.test_bad_input import problem_of

PREFIX = "/models/taxi"


READ = ("/health", "/ready", "/metrics", "/model/info", "/openapi.json", "/docs")
POSTED = ("/predict", "/predict/batch", "/ground-truth")


def test_what_is_read_and_what_is_refused(api: httpx.Client) -> None:
    """One server for all of it: a start takes longer than the requests."""
    for path in READ:
        head_is_answered_as_get(api, path)
    first = api.get("/openapi.json")
    assert "head" not in first.json()["paths"]["/health"]
    assert api.get("/openapi.json").content == first.content
    for path in POSTED:
        refused_with_what_is_taken(api, path)
    with socket.create_connection((api.base_url.host, api.base_url.port or 0), timeout=10) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: api\r\nContent-Length: 10\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def head_is_answered_as_get(api: httpx.Client, path: str) -> None:
    head, get = api.head(path), api.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def refused_with_what_is_taken(api: httpx.Client, path: str) -> None:
    compressed = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = api.post(path, content=gzip.compress(b"{}"), headers=compressed)
    assert "content-encoding: expected none, got gzip" in problem_of(answer, 415).detail
    assert answer.headers["accept-encoding"] == "identity"
    answer = api.post(path, content=b"a,b", headers={"content-type": "text/csv"})
    assert "content-type: expected application/json" in problem_of(answer, 415).detail
    assert "application/json" in answer.headers["accept"]


@pytest.fixture
def proxy(start: Start) -> Iterator[str]:
    """The URL under which a proxy offers the API, without the prefix to the API itself."""
    api = start(root_path=PREFIX)

    class Strip(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            length = int(self.headers.get("content-length") or 0)
            headers = {"content-type": self.headers.get("content-type") or ""}
            path = self.path.removeprefix(PREFIX)
            answer = api.request(self.command, path, content=self.rfile.read(length), headers=headers)
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Strip)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_behind_a_prefix_the_page_finds_the_document_and_the_document_the_api(proxy: str) -> None:
    page = httpx.get(f"{proxy}{PREFIX}/docs").text
    assert f"'{PREFIX}/openapi.json'" in page
    document = httpx.get(f"{proxy}{PREFIX}/openapi.json").json()
    (server,) = document["servers"]
    predict = urljoin(proxy, server["url"]) + "/predict"
    assert httpx.post(predict, json=TRIP).is_success
