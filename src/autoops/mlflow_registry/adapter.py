"""Versions, aliases, artifacts and runs of one registered model."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Self

import tenacity

from autoops import settings
from autoops.errors import BundleError, NotFound
from autoops.mlflow_registry import requirements
from autoops.mlflow_registry.answers import (
    ABSENT,
    EXISTS,
    INVALID,
    environment,
    require_listener,
    tolerating,
    translated,
)
from autoops.mlflow_registry.content import BUNDLE, log_training, texts
from autoops.models.registry import CHALLENGER, NOTE, ModelVersion, Registry, TrainingRun
from autoops.usecase.contract import Contract

MOST_VERSIONS_PER_PAGE = 1_000
MOST_RUNS_PER_PAGE = 100


class MlflowRegistry(Registry):
    """`Registry` on MLflow. Methods also raise InputError for a name that MLflow refuses."""

    def __init__(self, name: str, mlflow: settings.MLflow, contract: Contract | None = None) -> None:
        os.environ.update(environment(mlflow))
        self.name, self.contract = name, contract
        self._settings = mlflow

    @cached_property
    def _client(self) -> Any:
        """Return the client. The servers' ports are checked first, because the import of mlflow takes seconds.

        Raises:
            RegistryUnavailable: no server listens.
        """
        for uri in self._uris:
            require_listener(uri)
        return self._made()

    @property
    def _uris(self) -> list[str]:
        """Return the URI of the tracking server, and that of the registry if it is another."""
        return list(dict.fromkeys((self._settings.tracking_uri, self._settings.versions_uri)))

    def _made(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._settings.tracking_uri, registry_uri=self._settings.versions_uri)

    def load(self) -> Self:
        """Import mlflow now, whether its server answers or not, so that no request has to wait for the import."""
        # Fills the cached property, which by itself raises while no server listens.
        self.__dict__.setdefault("_client", self._made())
        return self

    def _asking(self, what: str) -> AbstractContextManager[None]:
        _ = self._client  # first, because `translated` imports mlflow
        return translated(self._settings.tracking_uri, what, self._settings.registry_uri)

    def require_usable(self) -> None:
        """Require servers that are new enough, and the library for the store of artifacts.

        Creates the experiment of the training runs if it does not exist: only then has it an artifact location.

        Raises:
            RegistryUnavailable: a server does not answer, or is too old.
            SettingsError: this installation lacks a library for the artifacts.
        """
        with self._asking("its version"):
            for uri in self._uris:
                requirements.require_version(uri)
            experiment = self._client.get_experiment(self._experiment_id(self._settings.experiment))
        requirements.require_library(str(experiment.artifact_location))

    def register(self, training: TrainingRun) -> ModelVersion:
        """Log the training in a run, register a version, creating the model if need be, and set `challenger` to it."""
        tags = texts(training.tags)
        with self._asking("registering a version"):
            with tolerating(EXISTS):
                self._client.create_registered_model(self.name)
            with self._run(self._settings.experiment, tags.get("training_months"), tags) as (experiment_id, run_id):
                model_id = log_training(self._client, training, experiment_id, run_id)
                created = self._client.create_model_version(
                    self.name, f"models:/{model_id}", run_id, tags=tags, model_id=model_id, await_creation_for=0
                )
            self._point(CHALLENGER, created.version)
        return ModelVersion(int(created.version), run_id, tags)

    def version(self, number: int) -> ModelVersion:
        """Return a version with its present tags; its `run_id` is empty if MLflow has none."""
        with self._asking(f"version {number} of {self.name}"):
            return _version(self._client.get_model_version(self.name, str(number)))

    def by_alias(self, alias: str) -> ModelVersion | None:
        """Return the version that has the alias, None if no version has it or the model does not exist."""
        # MLflow calls a missing alias an invalid parameter, and only a missing model absent.
        with self._asking(f"alias {alias} of {self.name}"), tolerating(ABSENT), tolerating(INVALID):
            return _version(self._client.get_model_version_by_alias(self.name, alias))
        return None

    def versions(self) -> list[ModelVersion]:
        """Return all versions, the highest number first."""
        found: list[ModelVersion] = []
        token = None
        with self._asking(f"versions of {self.name}"):
            while True:
                page = self._client.search_model_versions(
                    f"name = '{self.name}'", max_results=MOST_VERSIONS_PER_PAGE, page_token=token
                )
                found.extend(map(_version, page))
                token = page.token
                if not token:
                    return sorted(found, key=lambda version: version.number, reverse=True)

    def set_alias(self, alias: str, number: int) -> None:
        """Point the alias at the version; an alias belongs to one version at a time."""
        with self._asking(f"version {number} of {self.name}"):
            self._point(alias, str(number))

    def _point(self, alias: str, version: str) -> None:
        """Set the alias, again if another process sets it too: then MLflow's insert fails, and the retry updates it."""
        retrying = tenacity.Retrying(stop=tenacity.stop_after_attempt(3), reraise=True)
        unique = tenacity.retry_if_exception_message(match=r"(?s).*UNIQUE constraint")
        retrying.copy(retry=unique)(self._client.set_registered_model_alias, self.name, alias, version)

    def take_alias(self, alias: str, number: int) -> None:
        """Take the alias from the version, if it has it."""
        holder = self.by_alias(alias)
        if holder is not None and holder.number == number:
            with self._asking(f"alias {alias} of {self.name}"):
                self._client.delete_registered_model_alias(self.name, alias)

    def tag(self, number: int, tags: Mapping[str, str]) -> None:
        """Set the tags one after another, keeping all others; after an error some may be set."""
        with self._asking(f"version {number} of {self.name}"):
            for key, value in tags.items():
                self._client.set_model_version_tag(self.name, str(number), key, str(value))

    def download_bundle(self, number: int, directory: Path) -> Path:
        """Copy the version's `bundle/` into `directory` and return its path there.

        Raises:
            BundleError: the version has no bundle, or its run does not exist any more.
        """
        with self._artifacts(number) as artifacts:
            if artifacts is not None and artifacts.list_artifacts(BUNDLE):
                return Path(artifacts.download_artifacts(BUNDLE, str(directory)))
        raise BundleError(f"version {number} of {self.name} has no {BUNDLE}/ among its run's artifacts")

    def bundle_sizes(self, number: int) -> dict[str, int]:
        """Return the bytes by file name, without files whose size MLflow does not know; empty without a bundle."""
        with self._artifacts(number) as artifacts:
            found = [] if artifacts is None else artifacts.list_artifacts(BUNDLE)
        return {PurePosixPath(file.path).name: file.file_size for file in found if file.file_size}

    @contextmanager
    def _artifacts(self, number: int) -> Iterator[Any]:
        """Yield the artifact repository of the version's run, None without a run.

        It is not the client's own: the client keeps the repository of every run, with its threads, until the process
        ends.

        Raises:
            BundleError: the version's run does not exist any more.
        """
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        run_id = self.version(number).run_id
        try:
            with self._asking(f"bundle of version {number}"):
                if not run_id:
                    yield None
                    return
                uri = self._client.get_run(run_id).info.artifact_uri
                artifacts = get_artifact_repository(uri, tracking_uri=self._settings.tracking_uri)
                with artifacts.thread_pool:
                    yield artifacts
        except NotFound as error:
            raise BundleError(f"version {number} of {self.name} has lost its run: {error}") from error

    def log_verdict(self, number: int, name: str, verdict: Mapping[str, Any]) -> None:
        """Store the verdict as `NAME.json` in the version's training run, over an earlier one of this name."""
        run_id = self.version(number).run_id
        with self._asking(f"run of version {number}"):
            self._client.log_dict(run_id, dict(verdict), f"{name}.json")

    def describe(self, number: int, text: str) -> None:
        """Set the description of the version and the note of its run: the training's note, and below it `text`."""
        found = self.version(number)
        told = "\n\n".join(filter(None, (found.tags.get(NOTE), text)))
        with self._asking(f"description of version {number}"):
            self._client.update_model_version(self.name, str(number), told)
            if found.run_id:
                self._client.set_tag(found.run_id, NOTE, told)

    def log_figures(self, number: int, figures: Mapping[str, float], step: int) -> None:
        """Log figures of the version as metrics of its run."""
        run_id = self.version(number).run_id
        with self._asking(f"run of version {number}"):
            for key, figure in figures.items():
                self._client.log_metric(run_id, key, figure, step=step)

    def log_check(
        self,
        name: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Sequence[Path],
    ) -> str:
        """Log a check as a new run of the monitoring experiment, with `files` as artifacts; return the run id."""
        experiment = self._settings.monitoring_experiment
        with self._asking(f"check {name}"), self._run(experiment, name, texts(tags)) as (_, run_id):
            for key, number in metrics.items():
                self._client.log_metric(run_id, key, number)
            for path in files:
                self._client.log_artifact(run_id, str(path))
            return run_id

    def delete_version(self, number: int) -> None:
        """Delete the files first and the version last, so that a half deleted version can be deleted again."""
        found = self.version(number)
        with self._asking(f"deleting version {number} of {self.name}"):
            with suppress(BundleError), self._artifacts(number) as artifacts:
                if artifacts is not None:
                    artifacts.delete_artifacts(BUNDLE)
            run = self._client.get_run(found.run_id) if found.run_id else None
            for output in run.outputs.model_outputs if run and run.outputs else ():
                model = self._client.get_logged_model(output.model_id)
                self._delete_files(model.artifact_location)
                self._client.delete_logged_model(output.model_id)
            self._client.delete_model_version(self.name, str(number))

    def delete_checks(self, before: datetime) -> int:
        """Delete old runs with their files; MLflow's database keeps deleted runs until `mlflow gc`."""
        deleted = 0
        with self._asking("deleting old checks"):
            experiment = self._client.get_experiment_by_name(self._settings.monitoring_experiment)
            older = f"attributes.start_time < {int(before.timestamp() * 1000)}"
            while experiment is not None:
                # Always the first page, because a search does not find deleted runs.
                runs = self._client.search_runs([experiment.experiment_id], older, max_results=MOST_RUNS_PER_PAGE)
                for run in runs:
                    self._delete_files(run.info.artifact_uri)
                    self._client.delete_run(run.info.run_id)
                deleted += len(runs)
                if not runs:
                    break
        return deleted

    def _delete_files(self, uri: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        artifacts = get_artifact_repository(uri, tracking_uri=self._settings.tracking_uri)
        with artifacts.thread_pool:
            for file in artifacts.list_artifacts():
                artifacts.delete_artifacts(file.path)

    @contextmanager
    def _run(self, experiment: str, name: str | None, tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield the ids of the experiment and of a new run, which ends as FAILED after an error, else as FINISHED."""
        from mlflow.exceptions import MlflowException

        experiment_id = self._experiment_id(experiment)
        run_id = str(self._client.create_run(experiment_id, tags=tags, run_name=name).info.run_id)
        try:
            yield experiment_id, run_id
        except BaseException:
            # Also KeyboardInterrupt, after which MLflow would show the run as running for ever.
            with suppress(MlflowException):
                self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id, "FINISHED")

    def _experiment_id(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            with tolerating(EXISTS):
                return str(self._client.create_experiment(name))
            # Another process has just created it.
            found = self._client.get_experiment_by_name(name)
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def _version(found: Any) -> ModelVersion:
    return ModelVersion(int(found.version), found.run_id or "", dict(found.tags))
