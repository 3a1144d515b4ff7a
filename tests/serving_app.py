"""The API as a server of its own, with as many workers as its settings say: `python -m tests.serving_app`; or as one
process: `uvicorn --factory tests.serving_app:create`.

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
    """Imports here what it needs: the process that watches workers needs nothing of it."""
    from autoops import bootstrap
    from tests.fakes import DirectoryRegistry

    return bootstrap.api_on(_settings(), DirectoryRegistry(Path(os.environ[REGISTRY])))


if __name__ == "__main__":
    server.run("tests.serving_app:create", _settings().serving)
