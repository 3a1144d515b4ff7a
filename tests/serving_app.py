"""The API as a server of its own: `python -m tests.serving_app`.

Its settings come from the environment as always; REGISTRY names the folder of a DirectoryRegistry.
"""

import os
from pathlib import Path

from fastapi import FastAPI

from autoops import bootstrap
from autoops.serving.http import server
from autoops.settings import Settings, load_settings
from autoops.telemetry import logs
from tests.fakes import DirectoryRegistry

REGISTRY = "AUTOOPS_TEST_REGISTRY"


def _settings() -> Settings:
    return load_settings(Path(__file__).parent.parent / "config.yaml")


def create() -> FastAPI:
    return bootstrap.api_on(_settings(), DirectoryRegistry(Path(os.environ[REGISTRY])))


def run(app: FastAPI) -> None:
    """As `autoops serve` does."""
    logs.configure("api")
    server.run(app, _settings().serving)


if __name__ == "__main__":
    run(create())
