"""The API as a process of its own: `uvicorn --factory tests.serving_app:create`.

Its settings come from the environment as always; REGISTRY names the folder of a DirectoryRegistry.
"""

import os
from pathlib import Path

from fastapi import FastAPI

from autoops import bootstrap
from autoops.settings import load_settings
from tests.fakes import DirectoryRegistry

REGISTRY = "AUTOOPS_TEST_REGISTRY"


def create() -> FastAPI:
    settings = load_settings(Path(__file__).parent.parent / "config.yaml")
    return bootstrap.api_on(settings, DirectoryRegistry(Path(os.environ[REGISTRY])))
