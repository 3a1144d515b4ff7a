"""The API as a process of its own: `uvicorn --factory tests.serving_app:create`.

Its settings come from the environment as always; REGISTRY names the folder of a DirectoryRegistry.
"""

import os
from pathlib import Path

from fastapi import FastAPI

from autoops import database
from autoops.clock import SystemClock
from autoops.predictions import Instances, PredictionLog
from autoops.serving.app import create_app
from autoops.settings import load_settings
from tests.fakes import DirectoryRegistry

REGISTRY = "AUTOOPS_TEST_REGISTRY"


def create() -> FastAPI:
    settings = load_settings(Path(__file__).parent.parent / "config.yaml")
    engine = database.connect(settings)
    database.upgrade(engine)
    registry = DirectoryRegistry(Path(os.environ[REGISTRY]))
    return create_app(settings, registry, PredictionLog(engine), Instances(engine), SystemClock())
