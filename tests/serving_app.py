"""The API as a server of its own: `python -m tests.serving_app`, or one worker `uvicorn --factory
tests.serving_app:create`.

Its settings come from the environment as always; REGISTRY names the folder of a DirectoryRegistry.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from autoops.serving import server
from autoops.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

REGISTRY = "AUTOOPS_TEST_REGISTRY"


def _settings() -> Settings:
    return load_settings(Path(__file__).parent.parent / "config.yaml")


def create() -> "FastAPI":
    """Imports here what it needs: the process that only watches workers needs nothing of it."""
    from autoops import database
    from autoops.clock import SystemClock
    from autoops.predictions import Instances, PredictionLog
    from autoops.serving.app import create_app
    from tests.fakes import DirectoryRegistry

    settings = _settings()
    engine = database.connect(settings)
    database.upgrade(engine)
    registry = DirectoryRegistry(Path(os.environ[REGISTRY]))
    return create_app(
        settings, registry, PredictionLog(engine), Instances(engine), SystemClock(), server.shared_folder()
    )


if __name__ == "__main__":
    server.run("tests.serving_app:create", _settings().serving)
