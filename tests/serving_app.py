"""The API as a process of its own: `python -m tests.serving_app`, or `uvicorn --factory tests.serving_app:create`.

Its settings come from the environment as always; REGISTRY names the folder of a DirectoryRegistry.
"""

import os
from pathlib import Path

from fastapi import FastAPI

from autoops import bootstrap
from autoops.serving import connections
from autoops.settings import Settings, load_settings
from tests.fakes import DirectoryRegistry

REGISTRY = "AUTOOPS_TEST_REGISTRY"


def _settings() -> Settings:
    return load_settings(Path(__file__).parent.parent / "config.yaml")


def create() -> FastAPI:
    return bootstrap.api_on(_settings(), DirectoryRegistry(Path(os.environ[REGISTRY])))


if __name__ == "__main__":
    connections.run(create(), _settings().serving)
