"""A registry for one process: versions in memory, bundles as files."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from autoops.errors import BundleError, NotFound
from autoops.models.registry import CHALLENGER, ModelVersion, Registry, TrainingRun


class LocalRegistry(Registry):
    """A registry with its bundles in `directory`; no process writes into a bundle, so that copies may be hard links."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._aliases: dict[str, int] = {}
        self._tags: dict[int, dict[str, str]] = {}
        self._checks = 0

    def bundle_of(self, number: int) -> Path:
        """Return the path of a version's bundle, whether or not the version exists."""
        return self._directory / str(number) / "bundle"

    def register(self, training: TrainingRun) -> ModelVersion:
        """Register the bundle and the tags of a training, and make it the challenger; the rest is dropped."""
        return self.adopt(training.bundle, training.tags)

    def adopt(self, bundle: Path, tags: Mapping[str, str]) -> ModelVersion:
        """Register a bundle that was trained before, and make it the challenger."""
        number = max(self._tags, default=0) + 1
        copy_bundle(bundle, self.bundle_of(number))
        self._tags[number] = dict(tags)
        self._aliases[CHALLENGER] = number
        return self.version(number)

    def version(self, number: int) -> ModelVersion:
        """Return a version with a copy of its tags; its run id is made from its number."""
        return ModelVersion(number, f"run-{number}", dict(self._tags[self._known(number)]))

    def by_alias(self, alias: str) -> ModelVersion | None:
        """Return the version that an alias points at; None where the alias is not set."""
        return self.version(self._aliases[alias]) if alias in self._aliases else None

    def versions(self) -> list[ModelVersion]:
        """Return all versions, newest first."""
        return [self.version(number) for number in sorted(self._tags, reverse=True)]

    def set_alias(self, alias: str, number: int) -> None:
        """Point an alias at a version, whichever it pointed at before."""
        self._aliases[alias] = self._known(number)

    def take_alias(self, alias: str, number: int) -> None:
        """Take an alias from a version, if it has it."""
        if self._aliases.get(alias) == number:
            del self._aliases[alias]

    def tag(self, number: int, tags: Mapping[str, str]) -> None:
        """Add tags to a version; a tag of the same name is overwritten."""
        self._tags[self._known(number)].update(tags)

    def download_bundle(self, number: int, directory: Path) -> Path:
        """Copy the version's bundle to `bundle` in `directory`, which has none yet, and return that path.

        Raises:
            BundleError: the version has no bundle.
        """
        if not self.bundle_of(self._known(number)).is_dir():
            raise BundleError(f"version {number} has no bundle")
        return copy_bundle(self.bundle_of(number), directory / "bundle")

    def bundle_sizes(self, number: int) -> dict[str, int]:
        """Return the bytes of each file in the version's bundle, by file name; empty without a bundle."""
        return {file.name: file.stat().st_size for file in self.bundle_of(self._known(number)).glob("*")}

    def log_verdict(self, number: int, name: str, verdict: Mapping[str, Any]) -> None:
        """Write a verdict as `NAME.json` beside the version's bundle."""
        (self.bundle_of(self._known(number)).parent / f"{name}.json").write_text(json.dumps(verdict, indent=2))

    def log_check(self, name: str, metrics: Mapping[str, float], tags: Mapping[str, str], files: Sequence[Path]) -> str:
        """Return a new run id for a drift check; the check itself is not stored."""
        self._checks += 1
        return f"check-{self._checks}"

    def delete_version(self, number: int) -> None:
        """Delete a version with its tags, bundle and verdicts; an alias that points at it stays."""
        del self._tags[self._known(number)]
        shutil.rmtree(self.bundle_of(number).parent)

    def delete_checks(self, before: datetime) -> int:
        """Return 0: no check is stored, so none is deleted."""
        return 0  # a check leaves nothing here

    def _known(self, number: int) -> int:
        if number not in self._tags:
            raise NotFound(f"version {number} is not there")
        return number


def copy_bundle(bundle: Path, target: Path) -> Path:
    """Copy a bundle to `target`, which must not exist, and return `target`; files are hard links where possible."""
    return Path(shutil.copytree(bundle, target, copy_function=_link))


def _link(source: str, target: str) -> str:
    """Make a hard link, or a copy where the file system has no links or the two are on different ones."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
