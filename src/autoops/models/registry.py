"""The model registry as a port. The rest of the system uses only `Registry`; its adapter is MLflow."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from autoops.errors import NoChampion
from autoops.usecase.contract import Contract

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
NOTE = "mlflow.note.content"
"""Tag that MLflow shows as the description of a run."""
PROMOTED_AT = "promoted_at"
"""Tag of each version that was ever promoted: the time of its last promotion."""
CPU_SECONDS = "cpu_seconds"
"""Tag, metric and evidence: what loading the rows, training and export took. Older versions have none."""


@dataclass(frozen=True)
class ModelVersion:
    """A registered version with its tags; `trained_until` is the event time of the newest row that it was fitted on."""

    number: int
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def trained_until(self) -> datetime:
        """Return the newest event time of the training window, UTC-aware, from the version's tag."""
        return datetime.fromisoformat(self.tags["trained_until"])

    @property
    def bundle_digest(self) -> str:
        """Return the SHA-256 of the bundle's manifest as hex digits, from the version's tag."""
        return self.tags["bundle_digest"]


@dataclass(frozen=True)
class Dataset:
    """An input of a training run: one cleaned month."""

    name: str
    digest: str
    rows: int
    path: Path


@dataclass(frozen=True)
class TrainingRun:
    """Everything of one training that goes into MLflow.

    `bundle` is a directory with the files of a bundle (see `models.bundle`); `figures` are matplotlib figures by file
    name.
    """

    model: Any
    input_example: Any
    prediction_example: Any
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    figures: Mapping[str, Any]
    datasets: Sequence[Dataset]
    bundle: Path


class Registry(ABC):
    """Versions, aliases and artifacts.

    Every method raises RegistryUnavailable if the registry does not answer in time, and NotFound for a version that
    does not exist. `contract` is that of the installation, which
    uses no versions of another use case; None: it uses any.
    """

    contract: Contract | None = None

    def require_usable(self) -> None:  # noqa: B027 - a registry may have no conditions
        """Require, before a training, that the registry can take its result.

        Raises:
            RegistryUnavailable: the registry does not answer, or its server is too old.
            SettingsError: this installation lacks a library for the artifacts.
        """

    @abstractmethod
    def register(self, training: TrainingRun) -> ModelVersion:
        """Log the run with model and bundle, register a version and point `challenger` at it."""

    @abstractmethod
    def version(self, number: int) -> ModelVersion:
        """Return the version with its current tags."""

    @abstractmethod
    def by_alias(self, alias: str) -> ModelVersion | None:
        """Return the version that carries the alias; None if there is none."""

    @abstractmethod
    def versions(self) -> list[ModelVersion]:
        """Return all versions, newest first."""

    @abstractmethod
    def set_alias(self, alias: str, number: int) -> None:
        """Point the alias at the version; the version that had it loses it."""

    @abstractmethod
    def take_alias(self, alias: str, number: int) -> None:
        """Take the alias from the version; nothing changes where another one has it, or none."""

    @abstractmethod
    def tag(self, number: int, tags: Mapping[str, str]) -> None:
        """Set these tags of the version; its other tags stay."""

    @abstractmethod
    def download_bundle(self, number: int, directory: Path) -> Path:
        """Copy the version's `bundle/` into `directory` and return its path there.

        Raises:
            BundleError: the version has no bundle.
        """

    @abstractmethod
    def bundle_sizes(self, number: int) -> Mapping[str, int]:
        """Return the bytes of each file in the version's `bundle/` that the registry knows; empty without a bundle."""

    @abstractmethod
    def log_verdict(self, number: int, name: str, verdict: Mapping[str, Any]) -> None:
        """Store a verdict as `NAME.json` in the version's training run."""

    def describe(self, number: int, text: str) -> None:  # noqa: B027 - a registry may have no pages
        """Say on the pages of the version and of its run what became of it, below the training's note.

        It replaces what was said before.
        """

    def log_figures(self, number: int, figures: Mapping[str, float], step: int) -> None:  # noqa: B027 - as above
        """Log figures of the version in its training run, as metrics at `step`."""

    @abstractmethod
    def log_check(
        self,
        name: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Sequence[Path],
    ) -> str:
        """Log a drift check as a run of the monitoring experiment; return the run id."""

    @abstractmethod
    def delete_version(self, number: int) -> None:
        """Delete a version with its model and bundle; parameters, metrics and tags of its run stay."""

    @abstractmethod
    def delete_checks(self, before: datetime) -> int:
        """Delete the runs of checks that began before `before`, with their files; return how many."""


def champion_of(registry: Registry) -> ModelVersion:
    """Return the champion.

    Raises:
        NoChampion: no version has the alias; the message says what to do.
    """
    champion = registry.by_alias(CHAMPION)
    if champion is None:
        lost = lost_champion(registry)
        if lost is not None:
            raise NoChampion(lost_champion_message(lost))
        raise NoChampion("no version carries the alias champion yet: train and promote one (autoops retrain)")
    return champion


def lost_champion(registry: Registry) -> ModelVersion | None:
    """Return the version that was promoted last if none is champion, else None.

    Such a version means that a person has deleted the alias, or that the first promotion is about to set it.
    """
    if registry.by_alias(CHAMPION) is not None:
        return None
    promoted = [version for version in registry.versions() if PROMOTED_AT in version.tags]
    # The tags are ISO 8601 in UTC, which sorts as text.
    return max(promoted, key=lambda version: version.tags[PROMOTED_AT], default=None)


def lost_champion_message(lost: ModelVersion) -> str:
    """Return a message on the lost champion, with the command that restores it."""
    return (
        f"version {lost.number} was promoted last, and no version in MLflow has the alias champion: "
        f'autoops promote {lost.number} --reason "..." puts it back'
    )
