"""A version that is a pickle is refused like any other that is no ONNX, and nothing in it is run."""

import pickle
import shutil
from pathlib import Path

import httpx

from autoops.models import bundle
from autoops.models.registry import CHAMPION, TrainingRun
from tests.bundles import seal, synthetic_trips
from tests.eventually import eventually
from tests.fakes import FakeRegistry
from tests.integration.serving.conftest import TRIP


class Trap:
    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.sprung,)


def poisoned(run: TrainingRun, directory: Path, sprung: Path) -> TrainingRun:
    """The same run with a pickle in the place of each of its files, sealed and registered as it should be."""
    shutil.copytree(run.bundle, directory)
    for name in (bundle.MODEL, bundle.GOLDEN, bundle.REFERENCE, bundle.THRESHOLDS):
        (directory / name).write_bytes(pickle.dumps(Trap(sprung)))
    digest = seal(directory, {}, synthetic_trips())
    return TrainingRun(**{**vars(run), "bundle": directory, "tags": {**run.tags, "bundle_digest": digest}})


def test_a_pickle_is_quarantined_and_never_run(
    api: httpx.Client, registry: FakeRegistry, runs: list[TrainingRun], tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    version = registry.register(poisoned(runs[0], tmp_path / "poisoned", sprung))
    registry.set_alias(CHAMPION, version.number)
    eventually(lambda: api.get("/model/info").json()["failed_version"] == version.number)
    assert "golden.parquet does not read" in api.get("/model/info").json()["last_error"]
    assert api.post("/predict", json=TRIP).json()["model_version"] == 1
    assert not sprung.exists()
    pickle.loads((tmp_path / "poisoned" / bundle.MODEL).read_bytes())
    assert sprung.exists()
