"""The version that this machine served last, in a small file beside the cached bundles."""

import contextlib
import logging
import os
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from autoops.models.bundle_cache import sweep
from autoops.models.registry import ModelVersion

logger = logging.getLogger(__name__)

FILE = "serving.json"
_UNFINISHED = f".{FILE}."
_OLD_S = 60


class _Note(BaseModel):
    model_config = ConfigDict(strict=True)

    model: str
    number: int
    run_id: str
    tags: dict[str, str]


class LastServed:
    """The file with that version. `cache` is the folder of the bundles; the file of another model is ignored."""

    def __init__(self, cache: Path, model_name: str) -> None:
        self.cache = cache
        self._model_name = model_name

    def remember(self, version: ModelVersion) -> None:
        """Replace the file in one step. An error of the disk is only logged: serving does not need the file."""
        note = _Note(model=self._model_name, number=version.number, run_id=version.run_id, tags=dict(version.tags))
        temporary = self.cache / f"{_UNFINISHED}{os.getpid()}"
        try:
            temporary.write_text(note.model_dump_json(indent=2))
            temporary.replace(self.cache / FILE)
        except OSError as error:
            logger.warning("%s could not be written: %s", self.cache / FILE, error)

    def sweep(self) -> None:
        """Remove files that killed processes left; a young one stays, because its process may still be writing it."""
        sweep(self.cache)
        for note in self.cache.glob(f"{_UNFINISHED}*"):
            with contextlib.suppress(OSError):
                if time.time() - note.stat().st_mtime > _OLD_S:
                    note.unlink()

    def recall(self) -> ModelVersion | None:
        """Return the version in the file, None if the file is missing, invalid or of another model."""
        try:
            note = _Note.model_validate_json((self.cache / FILE).read_bytes())
        except (OSError, ValidationError):
            return None
        return ModelVersion(note.number, note.run_id, note.tags) if note.model == self._model_name else None
