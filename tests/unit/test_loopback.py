"""A proxy of the environment is never asked for what is on this machine, by any of the clients that are used."""

import http.server
import threading
import urllib.request
from collections.abc import Iterator

import httpx
import pytest
import requests

from autoops import bootstrap, loopback
from autoops.mlflow_registry import MlflowRegistry
from autoops.services.environment import environment
from autoops.settings import Settings


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}'
        self.send_response(404 if self.path.startswith("/api") else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one that nobody answers at."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")


def test_every_client_reaches_this_machine(settings: Settings, service: http.server.ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{service.server_port}"
    mlflow = settings.mlflow.model_copy(update={"tracking_uri": url})
    bootstrap.figures(settings.model_copy(update={"mlflow": mlflow}))
    for host in ("127.0.0.1", "localhost"):
        at = f"http://{host}:{service.server_port}/ready"
        assert httpx.get(at).status_code == 200
        assert requests.get(at, timeout=5).status_code == 200
        with urllib.request.urlopen(at, timeout=5) as answer:
            assert answer.status == 200
    service.asked.clear()  # type: ignore[attr-defined]
    assert MlflowRegistry("any", mlflow).by_alias("champion") is None
    assert service.asked[0].startswith("/api/2.0/mlflow/")  # type: ignore[attr-defined]


def test_what_is_elsewhere_still_goes_through_the_proxy(settings: Settings) -> None:
    bootstrap.figures(settings)
    assert requests.utils.get_environ_proxies("http://mlflow.example/") != {}
    assert requests.utils.get_environ_proxies("http://127.0.0.1:5000/") == {}


def test_services_are_given_the_same_beside_what_was_excepted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "intern.example")
    serving = settings.serving.model_copy(update={"host": "127.0.0.2"})
    variables = environment(settings.model_copy(update={"serving": serving}))
    assert variables["no_proxy"] == variables["NO_PROXY"] == "intern.example,localhost,127.0.0.1,::1,127.0.0.2"


@pytest.mark.parametrize("variables", [{}, {"HTTP_PROXY": "http://p", "NO_PROXY": "*"}])
def test_nothing_is_changed_without_a_proxy_or_where_none_is_used(variables: dict[str, str]) -> None:
    before = dict(variables)
    loopback.spare(variables)
    assert variables == before
