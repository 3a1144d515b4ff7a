"""What the API's image installs is enough to serve, and holds nothing of the pipeline.

The same lock and the package go into an environment of their own; a real champion on a real MLflow is served from it.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from autoops.mlflow_registry import MlflowRegistry
from autoops.models.registry import CHAMPION
from autoops.settings import CONFIG_VARIABLE, PREFIX
from tests.bundles import register_small
from tests.conftest import CONFIG
from tests.eventually import eventually
from tests.integration.serving.conftest import TRIP
from tests.ports import free_port

pytestmark = pytest.mark.system

ROOT = CONFIG.parent
PACKAGE = ("src", "pyproject.toml", "README.md", "LICENSE")
PIPELINE = (
    "airflow",
    "apprise",
    "evidently",
    "matplotlib",
    "onnx",
    "pandas",
    "plotly",
    "psutil",
    "scipy",
    "skl2onnx",
    "sklearn",
)
STARTS_WITHIN_S = 300


@pytest.fixture(scope="module")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment made as the image makes its own: the lock, and the package without more."""
    home = tmp_path_factory.mktemp("slim")
    source = home / "package"
    source.mkdir()
    for name in PACKAGE:
        place = ROOT / name
        (shutil.copytree if place.is_dir() else shutil.copy)(place, source / name)
    python = home / "venv" / "bin" / "python"
    _uv("venv", "--python", sys.executable, str(home / "venv"))
    _uv("pip", "sync", "--python", str(python), str(ROOT / "docker" / "requirements" / "api.txt"))
    _uv("pip", "install", "--python", str(python), "--no-deps", str(source))
    return python.parent


def _uv(*arguments: str) -> None:
    run = subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def _run(slim: Path, *words: str) -> str:
    run = subprocess.run([slim / words[0], *words[1:]], cwd=slim, env={}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@contextmanager
def served(slim: Path, home: Path, registry: MlflowRegistry, mlflow_uri: str) -> Iterator[httpx.Client]:
    """`autoops serve` as a process that has nothing of this one's environment."""
    port = free_port()
    variables = {
        CONFIG_VARIABLE: str(CONFIG),
        f"{PREFIX}STORAGE__HOME": str(home / "var"),
        f"{PREFIX}MLFLOW__TRACKING_URI": mlflow_uri,
        f"{PREFIX}MODEL__NAME": registry.name,
        f"{PREFIX}SERVING__PORT": str(port),
    }
    log = home / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen([slim / "autoops", "serve"], cwd=home, env=variables, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            eventually(lambda: process.poll() is not None or _ready(client), STARTS_WITHIN_S)
            assert process.poll() is None, log.read_text()
            yield client
    finally:
        process.terminate()
        process.wait(timeout=120)


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").is_success
    except httpx.TransportError:
        return False


def test_the_champion_is_served(slim: Path, registry: MlflowRegistry, mlflow_uri: str, tmp_path: Path) -> None:
    register_small(registry, tmp_path / "bundle")
    registry.set_alias(CHAMPION, 1)
    with served(slim, tmp_path, registry, mlflow_uri) as client:
        assert client.get("/ready").json()["model_version"] == 1
        answer = client.post("/predict", json=TRIP).raise_for_status().json()
        assert client.get("/docs/assets/swagger-ui-bundle.js").is_success
    assert answer["model_version"] == 1
    assert 1 <= answer["trip_duration_minutes"] <= 60


def test_nothing_of_the_pipeline_is_there(slim: Path) -> None:
    look = f"import json; from importlib.util import find_spec; print(json.dumps([*filter(find_spec, {PIPELINE})]))"
    assert json.loads(_run(slim, "python", "-c", look)) == []


def test_it_speaks_to_postgresql_without_the_systems_library(slim: Path) -> None:
    assert _run(slim, "python", "-c", "import psycopg; print(psycopg.pq.__impl__)").strip() == "binary"


def test_the_command_line_starts(slim: Path) -> None:
    assert {"serve", "train"} <= set(_run(slim, "autoops", "--help").split())
