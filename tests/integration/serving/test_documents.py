"""What a browser or a load balancer asks for: HEAD, /docs, the OpenAPI document, and both behind a proxy's prefix."""

import gzip
import json
import re
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.serving.app import create_app
from autoops.settings import Settings
from autoops.storage.instances import Instances
from autoops.storage.predictions import PredictionLog
from tests.fakes import FakeRegistry
from tests.integration.serving.conftest import TRIP, Start
from tests.integration.serving.test_bad_input import problem_of

PREFIX = "/models/taxi"
COMMITTED = Path(__file__).parent / "openapi.json"


READ = ("/health", "/ready", "/metrics", "/model/info", "/openapi.json", "/docs", "/docs/assets/swagger-ui.css")
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
    the_page_loads_nothing_from_elsewhere(api)
    every_operation_is_in_a_group(first.json())
    every_example_is_answered(api, first.json())
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


class Page(HTMLParser):
    """Collects what a page refers to, what its scripts contain, and its content security policy."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline = self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert not [name for name in given if name.startswith("on")]
        self.addresses += [given[name] for name in ("src", "href", "data-document") if name in given]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_data(self, data: str) -> None:
        if self.lasttag in ("script", "style"):
            self.inline += data.strip()


SOURCES = {"'none'", "'self'", "'unsafe-inline'", "data:"}


def the_page_loads_nothing_from_elsewhere(api: httpx.Client) -> None:
    """The bundle of Swagger UI names other hosts, for example of schemas; the policy forbids to ask them."""
    page = Page(api.get("/docs").text)
    policy = {name: set(sources) for name, *sources in map(str.split, page.policy.split(";"))}
    assert policy["default-src"] == {"'none'"}
    assert policy["script-src"] == policy["connect-src"] == {"'self'"}
    assert set().union(*policy.values()) <= SOURCES
    assert page.inline == ""
    assert len(page.addresses) == 5
    loaded = {address: api.get(urljoin("/docs", address)) for address in page.addresses}
    for address, answer in loaded.items():
        assert not re.match(r"[a-z]+:|//", address), address
        assert answer.status_code == 200, address
        cached = "private, max-age=86400" if "assets" in address else "no-store"
        assert answer.headers["cache-control"] == cached
    assert set(re.findall(r"url\([\"']?(\w+:?)", loaded["docs/assets/swagger-ui.css"].text)) == {"data:"}
    assert "@import" not in loaded["docs/assets/swagger-ui.css"].text
    assert "//" not in loaded["docs/assets/start.js"].text
    reads_openapi_3_1 = "spec.openapis.org/oas/3.1" in loaded["docs/assets/swagger-ui-bundle.js"].text
    assert reads_openapi_3_1


def every_operation_is_in_a_group(document: dict[str, Any]) -> None:
    groups = {tag["name"] for tag in document["tags"]}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert len(operation["tags"]) == 1, path
            assert operation["tags"][0] in groups, path


def every_example_is_answered(api: httpx.Client, document: dict[str, Any]) -> None:
    """Twice, because a button can be pressed twice."""
    for path in POSTED:
        examples = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
        assert examples
        for example in [*examples.values()] * 2:
            assert api.post(path, json=example["value"]).status_code == 200, (path, example)
    label = examples["labels"]["value"]
    assert api.post("/ground-truth", json=label).json()["attached"] == 1


def test_the_document_of_the_taxi_is_the_committed_one(settings: Settings, engine: sa.Engine, tmp_path: Path) -> None:
    """What clients were generated from; the version of the package is left out."""
    app = create_app(settings, FakeRegistry(tmp_path), PredictionLog(engine), Instances(engine), SystemClock())
    derived = json.loads(json.dumps(app.openapi()))
    del derived["info"]["version"]
    if derived != json.loads(COMMITTED.read_text()):
        renewed = tmp_path / COMMITTED.name
        renewed.write_text(json.dumps(derived, indent=1, ensure_ascii=False) + "\n")
        pytest.fail(f"the OpenAPI document has changed; if that is meant: cp {renewed} {COMMITTED}, and see git diff")


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


def test_behind_a_prefix_the_page_finds_its_assets_and_the_document_the_api(proxy: str) -> None:
    page = f"{proxy}{PREFIX}/docs"
    for address in Page(httpx.get(page).text).addresses:
        assert httpx.get(urljoin(page, address)).is_success, address
    document = httpx.get(urljoin(page, "openapi.json")).json()
    (server,) = document["servers"]
    predict = urljoin(proxy, server["url"]) + "/predict"
    assert httpx.post(predict, json=TRIP).is_success
