"""MLflow is down, silent, forbids, breaks off, or holds a version that must not be served: the API goes on."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from autoops.mlflow_registry import MlflowRegistry
from autoops.models import bundle
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.serving.http.middleware import STOPPING
from autoops.serving.shutdown import stops_within_s
from autoops.settings import Serving, Settings, Storage
from tests.bundles import FEATURES, small_forest, synthetic_trips, write_small_bundle
from tests.eventually import eventually
from tests.faults.conftest import Api, Serve
from tests.faults.proxy import Fault, Proxy

pytestmark = [pytest.mark.faults, pytest.mark.quick]

ARTIFACTS = b"GET [^ ]*mlflow-artifacts"
MODEL = ARTIFACTS + rb"[^ ]*model\.onnx"


def answers_with(api: Api, version: int) -> bool:
    return {api.predict() for _ in range(5)} == {version}


@pytest.mark.parametrize(
    "fault",
    [
        Fault("close"),
        Fault("stall"),
        Fault("answer", status=403),
        Fault("answer", ARTIFACTS, status=403),
        Fault("answer", ARTIFACTS, status=503),
        Fault("stall", MODEL),
        Fault("cut off", MODEL, cut_bytes=2_000),
    ],
    ids=["down", "silent", "403", "artifacts 403", "artifacts 503", "download stalls", "download breaks off"],
)
def test_the_old_version_goes_on_and_the_new_one_comes_when_mlflow_is_well(
    serve: Serve, registry: MlflowRegistry, mlflow_proxy: Proxy, fault: Fault
) -> None:
    with serve() as api:
        with mlflow_proxy.put(fault):
            registry.set_alias(CHAMPION, 2)
            eventually(fault.met.is_set)
            eventually(lambda: api.info()["last_error"])
            assert answers_with(api, 1)
            assert api.is_ready()
            assert "MLflow at http://127.0.0.1" in api.info()["last_error"]
            assert api.info()["quarantined"] == [], "nothing is wrong with the version"
        eventually(lambda: answers_with(api, 2))
        assert api.info()["last_error"] is None


def test_reloads_that_wait_for_a_silent_mlflow_hold_up_no_stop(
    serve: Serve, mlflow_proxy: Proxy, tmp_path: Path
) -> None:
    """Twelve of them, each of which would wait for two requests of 30 s."""
    patience = {"storage__timeout_s": 1, "serving__timeout_s": 1}
    same = Settings(storage=Storage(timeout_s=1), serving=Serving(timeout_s=1))
    with serve(mlflow__timeout_s=30, **patience) as api, ThreadPoolExecutor(12) as operators:
        with mlflow_proxy.put(silent := Fault("stall")):
            asked = [operators.submit(api.http.post, "/model/reload") for _ in range(12)]
            assert silent.met.wait(30)
            assert answers_with(api, 1)
            eventually(lambda: "autoops_http_requests_in_flight 12.0" in api.http.get("/metrics").text)
            api.process.terminate()
            assert api.process.wait(timeout=stops_within_s(same)) == 0
        answers = [reload.result() for reload in asked]
        assert [answer.status_code for answer in answers] == [503] * 12
        assert {answer.json()["detail"] for answer in answers} == {STOPPING}
    assert "Traceback" not in (tmp_path / "var" / "api.log").read_text()


def test_a_kill_while_mlflow_is_down_is_survived_by_what_was_served_last(
    serve: Serve, registry: MlflowRegistry, mlflow_proxy: Proxy
) -> None:
    with serve() as api:
        assert answers_with(api, 1)
        api.process.kill()
    with mlflow_proxy.put(Fault("close")), serve() as api:
        assert answers_with(api, 1)
        assert api.info()["source"] == "cache"


def corrupt(registry: MlflowRegistry, run: TrainingRun, scratch: Path) -> int:
    """What MLflow stores is changed after the version was registered."""
    number = registry.register(run).number
    damaged = scratch / bundle.MODEL
    damaged.write_bytes((run.bundle / bundle.MODEL).read_bytes()[:-100] + bytes(100))
    registry._client.log_artifact(registry.version(number).run_id, str(damaged), "bundle")
    return number


def another_signature(registry: MlflowRegistry, run: TrainingRun, scratch: Path) -> int:
    """Whole and sealed, but the model takes fewer inputs than the manifest names."""
    trips = synthetic_trips()
    fewer = FEATURES[:-1]
    write_small_bundle(scratch / "fewer", small_forest(trips, features=fewer), trips, fewer)
    return sealed(registry, run, scratch, model=scratch / "fewer" / bundle.MODEL)


def poisoned(registry: MlflowRegistry, run: TrainingRun, scratch: Path) -> int:
    """Whole and sealed, but the model is not the one of the golden rows."""
    trips = synthetic_trips(minutes_per_mile=20)
    write_small_bundle(scratch / "other", small_forest(trips), trips)
    return sealed(registry, run, scratch, model=scratch / "other" / bundle.MODEL)


def sealed(registry: MlflowRegistry, run: TrainingRun, scratch: Path, model: Path) -> int:
    """The run's bundle with another model in it, and a digest that fits."""
    directory = Path(shutil.copytree(run.bundle, scratch / "sealed"))
    manifest = bundle.verify(directory, run.tags["bundle_digest"])
    shutil.copy(model, directory)
    digest = bundle.seal(directory, manifest)
    return registry.register(replace(run, bundle=directory, tags={**run.tags, "bundle_digest": digest})).number


@pytest.mark.parametrize(
    ("break_one", "why"),
    [
        (corrupt, "model.onnx is not the file that was registered"),
        (another_signature, "takes 5 inputs, its manifest names 6"),
        (poisoned, "golden rows"),
    ],
)
def test_a_version_that_must_not_be_served_is_not(
    serve: Serve,
    registry: MlflowRegistry,
    runs: list[TrainingRun],
    tmp_path: Path,
    break_one: Callable[[MlflowRegistry, TrainingRun, Path], int],
    why: str,
) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    number = break_one(registry, runs[2], scratch)
    with serve() as api:
        registry.set_alias(CHAMPION, number)
        eventually(lambda: api.info()["quarantined"])
        assert answers_with(api, 1)
        (bad,) = api.info()["quarantined"]
        assert bad["model_version"] == number
        assert why in bad["reason"]
        assert "autoops_quarantined_versions 1.0" in api.http.get("/metrics").text
        registry.set_alias(CHAMPION, 2)
        eventually(lambda: answers_with(api, 2))


def test_a_champion_alias_that_is_deleted_stops_nobody(serve: Serve, registry: MlflowRegistry) -> None:
    with serve() as api:
        registry._client.delete_registered_model_alias(registry.name, CHAMPION)
        eventually(lambda: api.info()["last_error"])
        assert "promote" in api.info()["last_error"]
        assert answers_with(api, 1)
        registry.set_alias(CHAMPION, 2)
        eventually(lambda: answers_with(api, 2))
