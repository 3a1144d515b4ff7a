"""The registry on a real MLflow server: what goes in comes back, and what fails is told quickly."""

import dataclasses
import json
import multiprocessing
import shutil
import socket
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import sklearn
from matplotlib.figure import Figure
from sklearn.ensemble import RandomForestRegressor

from autoops.errors import BundleError, InputError, NotFound, RegistryUnavailable, SettingsError
from autoops.mlflow_registry import MlflowRegistry
from autoops.models.bundle import MODEL
from autoops.models.registry import CHALLENGER, CHAMPION, NOTE, PREVIOUS, Dataset, TrainingRun
from autoops.models.scoring import load_version
from autoops.settings import MLflow, Settings
from autoops.usecase.columns import columns_of
from tests.bundles import FEATURES, register_small, small_training_run, synthetic_trips
from tests.eventually import eventually
from tests.ports import free_port
from tests.taxi import feature_matrix

TRIPS = columns_of(synthetic_trips(50, seed=3))


@pytest.fixture
def client(mlflow_uri: str) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(tracking_uri=mlflow_uri, registry_uri=mlflow_uri)


@pytest.fixture
def training(tmp_path: Path) -> TrainingRun:
    run = small_training_run(tmp_path / "made")
    return dataclasses.replace(
        run,
        tags={**run.tags, "training_months": "2023-01", "incident": 12},  # type: ignore[dict-item]
        figures={"importances.png": Figure()},
        datasets=[Dataset("green_tripdata_2023-01", "ab" * 32, 600, tmp_path / "2023-01.parquet")],
    )


def test_a_registered_version_comes_back_by_number_and_as_challenger(
    registry: MlflowRegistry, training: TrainingRun
) -> None:
    made = registry.register(training)
    assert made.number == 1
    assert registry.version(1) == registry.by_alias(CHALLENGER) == made
    assert made.tags["incident"] == "12"
    assert made.bundle_digest == training.tags["bundle_digest"]
    assert made.trained_until.isoformat() == training.tags["trained_until"]


def test_its_bundle_loads_and_answers_as_the_model(
    registry: MlflowRegistry, training: TrainingRun, tmp_path: Path
) -> None:
    version, threads = registry.register(training), threading.active_count()
    scorer = load_version(registry, version, tmp_path / "cache")
    assert registry.bundle_sizes(version.number)[MODEL] == (scorer.directory / MODEL).stat().st_size
    assert threading.active_count() == threads
    expected = training.model.predict(feature_matrix(TRIPS, FEATURES))
    assert np.abs(scorer.predict_rows(TRIPS) - expected).max() < 1e-4


def test_its_run_holds_all_that_it_was_made_of(
    registry: MlflowRegistry, training: TrainingRun, client: mlflow.MlflowClient
) -> None:
    run = client.get_run(registry.register(training).run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "2023-01"
    assert run.data.params["n_estimators"] == "5"
    assert run.data.metrics == {"mae": 1.0, "baseline_mae": 6.0}
    assert run.data.tags.items() >= {"incident": "12", "training_months": "2023-01"}.items()
    found = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert found >= {"bundle", "figures"}
    (dataset,) = [given.dataset for given in run.inputs.dataset_inputs]
    assert dataset.name == "green_tripdata_2023-01"
    assert json.loads(dataset.profile) == {"num_rows": 600, "digest": "ab" * 32}


def test_the_model_loads_with_mlflow_and_has_a_signature(
    registry: MlflowRegistry,
    training: TrainingRun,
    mlflow_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.register(training)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{registry.name}/1", dst_path=str(tmp_path))
    assert loaded.metadata.signature.inputs.input_names() == list(FEATURES)
    assert loaded.predict(training.input_example) == pytest.approx(training.prediction_example)
    (saved,) = tmp_path.rglob("model.skops")
    assert {part.compress_type for part in zipfile.ZipFile(saved).infolist()} == {zipfile.ZIP_DEFLATED}
    (requirements,) = tmp_path.rglob("requirements.txt")
    assert f"scikit-learn=={sklearn.__version__}" in requirements.read_text().split()


def test_without_a_server_the_registry_is_a_file(
    training: TrainingRun, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "replaced and restored")
    file = settings.mlflow.model_copy(update={"tracking_uri": f"sqlite:///{tmp_path}/registry.db"})
    registered = MlflowRegistry("without_a_server", file).register(training)
    assert registered.number == 1
    assert "mlflow.db" not in {path.name for path in tmp_path.iterdir()}


def test_versions_come_newest_first(registry: MlflowRegistry, tmp_path: Path) -> None:
    assert registry.versions() == []
    for seed in range(3):
        register_small(registry, tmp_path / str(seed), seed)
    assert [version.number for version in registry.versions()] == [3, 2, 1]
    assert registry.by_alias(CHALLENGER) == registry.versions()[0]


def test_an_alias_is_taken_from_the_version_that_has_it_alone(registry: MlflowRegistry, tmp_path: Path) -> None:
    for seed in range(2):
        register_small(registry, tmp_path / str(seed), seed)
    registry.take_alias(CHALLENGER, 1)
    assert registry.by_alias(CHALLENGER) == registry.version(2)
    registry.take_alias(CHALLENGER, 2)
    registry.take_alias(CHALLENGER, 2)
    assert registry.by_alias(CHALLENGER) is None


def test_the_pages_of_a_version_say_what_became_of_it(
    registry: MlflowRegistry, training: TrainingRun, client: mlflow.MlflowClient
) -> None:
    noted = dataclasses.replace(training, tags={**training.tags, NOTE: "Blind to nothing."})
    version = registry.register(noted)
    registry.log_figures(version.number, {"gate_loss": 2.5}, 3)
    for told in ("**Gate: promote**: better", "**Promoted**: better"):
        registry.describe(version.number, told)
    run = client.get_run(version.run_id)
    description = client.get_model_version(registry.name, "1").description
    assert run.data.tags[NOTE] == description == "Blind to nothing.\n\n**Promoted**: better"
    assert [(one.value, one.step) for one in client.get_metric_history(version.run_id, "gate_loss")] == [(2.5, 3)]


def test_aliases_move_apart_from_each_other(registry: MlflowRegistry, tmp_path: Path) -> None:
    assert registry.by_alias(CHAMPION) is None
    for seed in range(2):
        register_small(registry, tmp_path / str(seed), seed)
    assert registry.by_alias(CHAMPION) is None
    registry.set_alias(CHAMPION, 1)
    registry.set_alias(CHAMPION, 2)
    registry.set_alias(PREVIOUS, 1)
    numbers = [version.number if version else None for version in map(registry.by_alias, (CHAMPION, PREVIOUS))]
    assert numbers == [2, 1]


def test_tags_are_added_and_replaced(registry: MlflowRegistry, training: TrainingRun) -> None:
    registry.register(training)
    registry.tag(1, {"gate": "reject"})
    registry.tag(1, {"gate": "promote", "rolled_back": "no"})
    assert registry.version(1).tags == {
        **{key: str(value) for key, value in training.tags.items()},
        "gate": "promote",
        "rolled_back": "no",
    }


@pytest.mark.parametrize(
    "ask",
    [
        lambda registry, place: registry.version(7),
        lambda registry, place: registry.set_alias(CHAMPION, 7),
        lambda registry, place: registry.tag(7, {"a": "b"}),
        lambda registry, place: registry.log_verdict(7, "gate", {}),
        lambda registry, place: registry.download_bundle(7, place),
    ],
    ids=["version", "set_alias", "tag", "log_verdict", "download_bundle"],
)
def test_a_version_that_is_not_there_is_not_found(
    registry: MlflowRegistry, training: TrainingRun, tmp_path: Path, ask: Callable[[MlflowRegistry, Path], object]
) -> None:
    registry.register(training)
    with pytest.raises(NotFound, match="version 7"):
        ask(registry, tmp_path)


def test_a_verdict_stands_beside_the_run(
    registry: MlflowRegistry, training: TrainingRun, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    made = registry.register(training)
    registry.log_verdict(1, "gate", {"decision": "reject", "interval": [-0.1, 0.2]})
    read = Path(client.download_artifacts(made.run_id, "gate.json", str(tmp_path)))
    assert json.loads(read.read_text()) == {"decision": "reject", "interval": [-0.1, 0.2]}


def test_a_check_is_a_run_of_the_monitoring_experiment(
    registry: MlflowRegistry, mlflow_settings: MLflow, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html>")
    run = client.get_run(registry.log_check("check 1", {"distance": 0.25}, {"verdict": "drift"}, [page]))
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == mlflow_settings.monitoring_experiment
    assert run.data.metrics == {"distance": 0.25}
    assert run.data.tags["verdict"] == "drift"
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["page.html"]


def test_a_first_training_is_asked_about_its_artifacts_too(
    registry: MlflowRegistry, client: mlflow.MlflowClient, mlflow_settings: MLflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they will lie is known once the experiment is there."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    registry.require_usable()
    experiment = client.get_experiment_by_name(mlflow_settings.experiment)
    assert experiment.artifact_location.startswith("mlflow-artifacts:")
    client.delete_experiment(experiment.experiment_id)
    elsewhere = client.create_experiment(f"{mlflow_settings.experiment}-s3", artifact_location="s3://bucket/1")
    named = client.get_experiment(elsewhere).name
    with pytest.raises(SettingsError, match="boto3"):
        MlflowRegistry("s3", mlflow_settings.model_copy(update={"experiment": named})).require_usable()


def test_versions_may_stand_in_another_registry_than_where_their_runs_are(
    mlflow_settings: MLflow, mlflow_db: Path, training: TrainingRun, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    elsewhere = f"sqlite:///{shutil.copy(mlflow_db, tmp_path / 'registry.db')}"
    registry = MlflowRegistry("apart", mlflow_settings.model_copy(update={"registry_uri": elsewhere}))
    registry.require_usable()
    made = registry.register(training)
    registry.set_alias(CHAMPION, made.number)
    assert client.search_model_versions("name = 'apart'") == []
    assert client.get_run(made.run_id).data.metrics == {"mae": 1.0, "baseline_mae": 6.0}

    again = MlflowRegistry("apart", registry._settings)
    assert again.by_alias(CHAMPION) == made
    assert load_version(again, made, tmp_path / "cache").predict_rows(TRIPS).shape == (len(TRIPS["trip_distance"]),)
    again.delete_version(made.number)
    assert again.versions() == []


def test_a_deleted_version_leaves_its_metrics_and_no_files(
    registry: MlflowRegistry, training: TrainingRun, client: mlflow.MlflowClient
) -> None:
    made = registry.register(training)
    kept = registry.register(training)
    (output,) = client.get_run(made.run_id).outputs.model_outputs
    place = client.get_logged_model(output.model_id).artifact_location
    registry.delete_version(made.number)
    assert registry.versions() == [kept]
    assert client.get_run(made.run_id).data.metrics == {"mae": 1.0, "baseline_mae": 6.0}
    assert client.list_artifacts(made.run_id, "bundle") == []
    assert mlflow.artifacts.list_artifacts(artifact_uri=place, tracking_uri=registry._settings.tracking_uri) == []
    assert registry.bundle_sizes(kept.number)
    with pytest.raises(NotFound):
        registry.delete_version(made.number)


def test_checks_that_are_old_are_deleted_with_their_files(
    registry: MlflowRegistry, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html>")
    old = registry.log_check("old", {}, {}, [page])
    before = datetime.now(UTC) + timedelta(milliseconds=5)
    time.sleep(0.01)
    new = registry.log_check("new", {}, {}, [page])
    assert registry.delete_checks(before - timedelta(days=1)) == 0
    assert (registry.delete_checks(before), registry.delete_checks(before)) == (1, 0)
    assert (client.get_run(old).info.lifecycle_stage, client.list_artifacts(old)) == ("deleted", [])
    assert [item.path for item in client.list_artifacts(new)] == ["page.html"]


def test_a_version_without_a_bundle_is_a_broken_one(
    registry: MlflowRegistry, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    run_id = registry.log_check("no training", {}, {}, [])
    client.create_registered_model(registry.name)
    client.create_model_version(registry.name, f"runs:/{run_id}/model", run_id)
    logged = client.create_logged_model("0")
    client.create_model_version(registry.name, f"models:/{logged.model_id}", model_id=logged.model_id)
    for number in (1, 2):
        with pytest.raises(BundleError, match=f"version {number} .* has no bundle/"):
            registry.download_bundle(number, tmp_path)


def test_a_model_that_cannot_be_saved_leaves_a_failed_run_and_no_version(
    registry: MlflowRegistry, training: TrainingRun, client: mlflow.MlflowClient, mlflow_settings: MLflow
) -> None:
    class Unknown(RandomForestRegressor):
        pass

    unknown = Unknown(2).fit(feature_matrix(TRIPS, FEATURES), TRIPS["trip_distance"])
    with pytest.raises(BundleError, match="Unknown cannot be saved"):
        registry.register(dataclasses.replace(training, model=unknown))
    assert registry.versions() == []
    experiment = client.get_experiment_by_name(mlflow_settings.experiment)
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]


def register_together(settings: MLflow, home: Path, seed: int) -> int:
    run = small_training_run(home / str(seed), seed)
    registry = MlflowRegistry("raced", settings).load()
    ready = home / f"{seed}.ready"
    ready.touch()
    eventually(lambda: len(list(home.glob("*.ready"))) == 4)
    return registry.register(run).number


def test_first_versions_registered_at_once_get_a_number_each(mlflow_settings: MLflow, tmp_path: Path) -> None:
    """By processes: in threads of one, what skops and the AST of Python 3.11 do is not safe."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(4, processes) as pool:
        registered = [pool.submit(register_together, mlflow_settings, tmp_path, seed) for seed in range(4)]
        assert sorted(one.result() for one in registered) == [1, 2, 3, 4]


def test_a_deleted_experiment_is_taken_up_again(
    registry: MlflowRegistry, training: TrainingRun, client: mlflow.MlflowClient, mlflow_settings: MLflow
) -> None:
    client.delete_experiment(client.create_experiment(mlflow_settings.experiment))
    assert registry.register(training).number == 1


def test_a_name_that_mlflow_refuses_is_an_input_error(mlflow_settings: MLflow, training: TrainingRun) -> None:
    with pytest.raises(InputError, match="a/b"):
        MlflowRegistry("a/b", mlflow_settings).register(training)


def test_nothing_is_left_behind_in_folders_or_in_the_process(
    registry: MlflowRegistry, training: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cwd", "tmp", "download"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    before = mlflow.get_tracking_uri()
    registry.register(training)
    registry.log_verdict(1, "gate", {})
    registry.download_bundle(1, tmp_path / "download")
    assert list((tmp_path / "cwd").iterdir()) == list((tmp_path / "tmp").iterdir()) == []
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], MlflowRegistry]:
    """Registries on a port, with a timeout of a second that ends with the test."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    return lambda port: MlflowRegistry("m", MLflow(tracking_uri=f"http://127.0.0.1:{port}", timeout_s=1))


ASKS: list[Callable[[MlflowRegistry, Any], object]] = [
    lambda registry, training: registry.by_alias(CHAMPION),
    lambda registry, training: registry.versions(),
    lambda registry, training: registry.register(training),
    lambda registry, training: registry.log_check("c", {}, {}, []),
    lambda registry, training: registry.download_bundle(1, Path("unused")),
]


@pytest.mark.parametrize("ask", ASKS)
def test_a_server_that_is_gone_is_told_at_once(
    impatient: Callable[[int], MlflowRegistry], training: TrainingRun, ask: Callable[[MlflowRegistry, Any], object]
) -> None:
    port = free_port()
    registry = impatient(port)
    asked_at = time.monotonic()
    with pytest.raises(RegistryUnavailable, match=f"MLflow at http://127.0.0.1:{port}: "):
        ask(registry, training)
    assert time.monotonic() - asked_at < 3


def test_a_server_that_does_not_answer_is_told_after_two_timeouts(
    impatient: Callable[[int], MlflowRegistry], silent_port: int
) -> None:
    registry = impatient(silent_port)
    asked_at = time.monotonic()
    with pytest.raises(RegistryUnavailable):
        registry.by_alias(CHAMPION)
    assert time.monotonic() - asked_at < 5
