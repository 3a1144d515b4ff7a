"""Stand-ins for outside systems; each subclasses the real interface."""

import copy
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from autoops.errors import BundleError, NotFound, RegistryUnavailable
from autoops.models.registry import CHALLENGER, CHAMPION, ModelVersion, Registry, TrainingRun


class HeldClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, **by: float) -> None:
        self._now += timedelta(**by)


class FakeRegistry(Registry):
    """A registry in memory; bundles are copied into `directory`, as MLflow keeps artifacts of its own.

    `down = True` makes every call raise RegistryUnavailable; what was logged stands in `runs`, `verdicts`, `checks`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.down = False
        self.calls: Counter[str] = Counter()
        self.aliases: dict[str, int] = {}
        self.runs: dict[int, TrainingRun] = {}
        self.verdicts: dict[tuple[int, str], Mapping[str, Any]] = {}
        self.checks: list[dict[str, Any]] = []
        self._tags: dict[int, dict[str, str]] = {}

    def _enter(self, name: str) -> None:
        self.calls[name] += 1
        if self.down:
            raise RegistryUnavailable("the fake registry is down")

    def _known(self, number: int) -> int:
        if number not in self._tags:
            raise NotFound(f"version {number} is not there")
        return number

    def bundle_of(self, number: int) -> Path:
        """Where the version's bundle is kept, for a test that breaks it."""
        return self.directory / str(number) / "bundle"

    def copied(self, directory: Path) -> Self:
        """One with the same state, whose bundles were copied into `directory`."""
        other = copy.deepcopy(self)
        other.directory = directory
        return other

    def register(self, training: TrainingRun) -> ModelVersion:
        self._enter("register")
        number = max(self._tags, default=0) + 1
        shutil.copytree(training.bundle, self.bundle_of(number))
        self.runs[number] = training
        self._tags[number] = dict(training.tags)
        self.aliases[CHALLENGER] = number
        return self._version(number)

    def _version(self, number: int) -> ModelVersion:
        return ModelVersion(number, f"run-{number}", dict(self._tags[self._known(number)]))

    def filled(self, runs: Iterable[TrainingRun]) -> Self:
        """Itself, with these versions registered and the first of them champion."""
        for run in runs:
            self.register(run)
        self.set_alias(CHAMPION, 1)
        return self

    def version(self, number: int) -> ModelVersion:
        self._enter("version")
        return self._version(number)

    def by_alias(self, alias: str) -> ModelVersion | None:
        self._enter("by_alias")
        return self._version(self.aliases[alias]) if alias in self.aliases else None

    def versions(self) -> list[ModelVersion]:
        self._enter("versions")
        return [self._version(number) for number in sorted(self._tags, reverse=True)]

    def set_alias(self, alias: str, number: int) -> None:
        self._enter("set_alias")
        self.aliases[alias] = self._known(number)

    def take_alias(self, alias: str, number: int) -> None:
        self._enter("take_alias")
        if self.aliases.get(alias) == number:
            del self.aliases[alias]

    def tag(self, number: int, tags: Mapping[str, str]) -> None:
        self._enter("tag")
        self._tags[self._known(number)].update(tags)

    def download_bundle(self, number: int, directory: Path) -> Path:
        self._enter("download_bundle")
        if not self.bundle_of(self._known(number)).is_dir():
            raise BundleError(f"version {number} has no bundle")
        return Path(shutil.copytree(self.bundle_of(number), directory / "bundle"))

    def bundle_sizes(self, number: int) -> dict[str, int]:
        self._enter("bundle_sizes")
        return {file.name: file.stat().st_size for file in self.bundle_of(self._known(number)).glob("*")}

    def log_verdict(self, number: int, name: str, verdict: Mapping[str, Any]) -> None:
        self._enter("log_verdict")
        self.verdicts[self._known(number), name] = json.loads(json.dumps(verdict))

    def log_check(
        self,
        name: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Sequence[Path],
    ) -> str:
        self._enter("log_check")
        self.checks.append(
            {"name": name, "metrics": dict(metrics), "tags": dict(tags), "files": [path.name for path in files]}
        )
        return f"check-{len(self.checks)}"

    def delete_version(self, number: int) -> None:
        self._enter("delete_version")
        del self._tags[self._known(number)]
        shutil.rmtree(self.directory / str(number))

    def delete_checks(self, before: datetime) -> int:
        self._enter("delete_checks")
        old = [check for check in self.checks if _time_of(check["name"]) < before]
        self.checks = [check for check in self.checks if check not in old]
        return len(old)


def _time_of(check: str) -> datetime:
    """From a name such as check-v1-20260101T000000."""
    return datetime.strptime(check.split("-")[2], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


class DirectoryRegistry(FakeRegistry):
    """A FakeRegistry that several processes share: its state stands in a file of `directory`."""

    def _enter(self, name: str) -> None:
        self._read()
        super()._enter(name)

    @property
    def _state(self) -> Path:
        return self.directory / "registry.json"

    def _read(self) -> None:
        if self._state.exists():
            state = json.loads(self._state.read_text())
            self.aliases, self.down = state["aliases"], state["down"]
            self._tags = {int(number): tags for number, tags in state["tags"].items()}

    def _write(self) -> None:
        state = {"aliases": self.aliases, "down": self.down, "tags": self._tags}
        temporary = self._state.with_suffix(".new")
        temporary.write_text(json.dumps(state))
        temporary.replace(self._state)

    def register(self, training: TrainingRun) -> ModelVersion:
        version = super().register(training)
        self._write()
        return version

    def set_alias(self, alias: str, number: int) -> None:
        super().set_alias(alias, number)
        self._write()

    def take_alias(self, alias: str, number: int) -> None:
        super().take_alias(alias, number)
        self._write()

    def tag(self, number: int, tags: Mapping[str, str]) -> None:
        super().tag(number, tags)
        self._write()

    def set_down(self, down: bool) -> None:
        self.down = down
        self._write()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Whoever asks in another process meanwhile waits for an answer."""
        state, pipe = self._state.read_text(), self._state.with_suffix(".pipe")
        os.mkfifo(pipe)
        pipe.replace(self._state)
        asked = os.open(self._state, os.O_RDWR)
        yield
        self._write()
        os.write(asked, state.encode())
        os.close(asked)
