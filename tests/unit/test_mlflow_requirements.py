"""What MLflow lacks is said before a training, with what helps."""

import http.server
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoops.errors import RegistryUnavailable, SettingsError
from autoops.mlflow_registry.requirements import require_library, require_version
from tests.conftest import configured


@contextmanager
def server_of(version: str, status: int = 200) -> Iterator[str]:
    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/version" else 404)
            self.send_header("content-length", str(len(version)))
            self.end_headers()
            self.wfile.write(version.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_is_too_old_is_refused_by_its_version() -> None:
    with server_of("2.22.0") as uri, pytest.raises(RegistryUnavailable, match=r"version 2\.22\.0: upgrade .* 3\.0"):
        require_version(uri)


@pytest.mark.parametrize(("version", "status"), [("3.0.0", 200), ("3.17.2", 200), ("dev", 200), ("gone", 404)])
def test_others_and_those_that_do_not_say_are_taken(version: str, status: int) -> None:
    with server_of(version, status) as uri:
        require_version(uri)


def test_a_database_has_no_server_to_ask() -> None:
    require_version("sqlite:///mlflow.db")


@pytest.mark.parametrize(
    ("place", "package", "extra"),
    [
        ("s3://bucket/1", "boto3", "s3"),
        ("gs://bucket/1", "google-cloud-storage", "gcs"),
        ("wasbs://c@a/1", "azure-storage-blob", "azure"),
    ],
)
def test_a_store_without_its_library_is_refused_with_the_extra_that_has_it(
    place: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The development environment has some of them, for sources in object stores.
    for module in ("boto3", "google.cloud.storage", "azure.storage.blob"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingsError, match=rf"{package} is not installed: pip install '\.\[{extra}\]' in"):
        require_library(place)
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    wanted = pyproject["project"]["optional-dependencies"][extra]
    assert package in [requirement.partition(">=")[0] for requirement in wanted]


def test_artifacts_that_the_server_passes_on_need_no_library() -> None:
    require_library("mlflow-artifacts:/1")
    require_library("/var/lib/artifacts")


@pytest.mark.parametrize("setting", ["mlflow.tracking_uri", "mlflow.registry_uri"])
def test_unity_catalog_is_refused_with_what_works_instead(setting: str) -> None:
    said = rf"{setting}: .* Unity Catalog.* expected a workspace's: databricks"
    with pytest.raises(SettingsError, match=said), configured({setting: "databricks-uc"}):
        pass
    with configured({setting: "databricks"}) as settings:
        assert settings.mlflow.versions_uri == "databricks" or setting == "mlflow.tracking_uri"


@pytest.mark.parametrize("uri", ["mlflow.example:5000", "./mlruns", "gopher://mlflow"])
def test_a_tracking_uri_that_mlflow_cannot_track_at_is_refused_at_start(uri: str) -> None:
    said = r"mlflow\.tracking_uri: .* begins with one of http, https"
    with pytest.raises(SettingsError, match=said), configured({"mlflow.tracking_uri": uri}):
        pass
