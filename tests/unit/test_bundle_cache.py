"""Bundles on disk: whole or not there, few, and nothing beside them."""

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autoops.errors import BundleError, RegistryUnavailable
from autoops.models import bundle
from autoops.models.bundle_cache import KEPT, fetch_bundle, sweep, touch
from autoops.models.registry import ModelVersion
from autoops.serving.model.budget import Budget
from autoops.usecase.contract import Feature
from tests.bundles import register_small, small_training_run
from tests.fakes import FakeRegistry
from tests.open_files import open_files
from tests.taxi import CONTRACT


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    return FakeRegistry(tmp_path / "registry")


@pytest.fixture
def version(registry: FakeRegistry, tmp_path: Path) -> ModelVersion:
    return register_small(registry, tmp_path / "made")


def test_a_bundle_is_downloaded_once(registry: FakeRegistry, version: ModelVersion, tmp_path: Path) -> None:
    first = fetch_bundle(registry, version, tmp_path / "cache")
    registry.down = True
    assert fetch_bundle(registry, version, tmp_path / "cache") == first
    assert registry.calls["download_bundle"] == 1


def test_a_cached_bundle_that_broke_is_fetched_again(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    place = fetch_bundle(registry, version, tmp_path / "cache").directory
    (place / bundle.MODEL).write_bytes(b"")
    fetch_bundle(registry, version, tmp_path / "cache")
    assert registry.calls["download_bundle"] == 2


def test_a_broken_download_never_enters_the_cache(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    (registry.bundle_of(1) / bundle.MODEL).write_bytes(b"half a mod")
    with pytest.raises(BundleError, match=r"model\.onnx is not the file"):
        fetch_bundle(registry, version, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_version_of_another_use_case_is_refused(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    registry.contract = CONTRACT.model_copy(update={"name": "car_loan"})
    with pytest.raises(BundleError, match=r"version 1 is of the use case nyc_taxi_trip_duration, .* is car_loan"):
        fetch_bundle(registry, version, tmp_path / "cache")
    registry.contract = CONTRACT
    assert fetch_bundle(registry, version, tmp_path / "cache").manifest.contract == CONTRACT


@pytest.mark.parametrize("change", [None, {"type": "category"}])
def test_a_version_that_needs_what_rows_do_not_have_is_refused(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path, change: dict[str, str] | None
) -> None:
    features = {name: feature for name, feature in CONTRACT.features.items() if name != "passenger_count"}
    if change is not None:
        features["passenger_count"] = Feature.model_validate(change)
    registry.contract = CONTRACT.model_copy(update={"features": features})
    with pytest.raises(BundleError, match=r"version 1 needs the feature passenger_count \(numbers\)"):
        fetch_bundle(registry, version, tmp_path / "cache")


def test_a_registry_that_does_not_answer_leaves_the_cache_empty(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    registry.down = True
    with pytest.raises(RegistryUnavailable):
        fetch_bundle(registry, version, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_version_that_somebody_else_registered_is_a_broken_one(registry: FakeRegistry, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="version 9 names no bundle_digest"):
        fetch_bundle(registry, ModelVersion(9, "run"), tmp_path / "cache")


def test_the_cache_keeps_what_is_in_use_and_little_else(registry: FakeRegistry, tmp_path: Path) -> None:
    run = small_training_run(tmp_path / "made")
    cache = tmp_path / "cache"
    served = fetch_bundle(registry, registry.register(run), cache).directory
    for _ in range(2 * KEPT):
        touch(served)
        newest = fetch_bundle(registry, registry.register(run), cache).directory
    places = set(cache.iterdir())
    assert {served, newest} < places
    assert len(places) == KEPT


def test_what_is_taken_from_the_cache_is_in_use(registry: FakeRegistry, tmp_path: Path) -> None:
    run, cache = small_training_run(tmp_path / "made"), tmp_path / "cache"
    versions = [registry.register(run) for _ in range(KEPT + 1)]
    for version in (*versions[:KEPT], versions[0], versions[KEPT]):
        fetch_bundle(registry, version, cache)
    assert {place.name.partition("-")[0] for place in cache.iterdir()} == {"1", "3", "4", "5"}


class Held(FakeRegistry):
    """Sends a bundle when it is told to."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.go_on = threading.Event()

    def download_bundle(self, number: int, directory: Path) -> Path:
        downloaded = super().download_bundle(number, directory)
        assert self.go_on.wait(30)
        return downloaded


def test_of_those_that_want_a_bundle_at_once_one_downloads_it_and_nobody_waits_for_another(tmp_path: Path) -> None:
    registry, cache = Held(tmp_path / "registry"), tmp_path / "cache"
    run = small_training_run(tmp_path / "made")
    there, wanted = (registry.register(run) for _ in range(2))
    registry.go_on.set()
    fetch_bundle(registry, there, cache)
    registry.go_on.clear()
    with ThreadPoolExecutor(max_workers=4) as pool:
        try:
            fetching = [pool.submit(fetch_bundle, registry, wanted, cache) for _ in range(3)]
            deadline = time.monotonic() + 120
            while open_files().count(cache.resolve()) < 3:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            pool.submit(fetch_bundle, registry, there, cache).result(300)
        finally:
            registry.go_on.set()
        assert len({found.result(300).directory for found in fetching}) == 1
    assert registry.calls["download_bundle"] == 2


class Endless(FakeRegistry):
    """Sends half a bundle, and nothing more."""

    def download_bundle(self, number: int, directory: Path) -> Path:
        (directory / bundle.MODEL).write_bytes(b"half a mod")
        time.sleep(600)
        raise AssertionError("it was not killed")


def test_what_a_killed_download_leaves_is_swept_and_what_a_running_one_has_is_not(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    fork = multiprocessing.get_context("fork")
    downloading = fork.Process(target=fetch_bundle, args=(Endless(tmp_path / "registry"), version, cache))
    downloading.start()
    deadline = time.monotonic() + 120
    while not list(cache.glob(f".*/{bundle.MODEL}")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sweep(cache)
    assert len(list(cache.iterdir())) == 1
    downloading.kill()
    downloading.join()
    assert len(list(cache.iterdir())) == 1
    sweep(cache)
    assert list(cache.iterdir()) == []
    assert fetch_bundle(registry, version, cache).directory.is_dir()


def test_a_model_over_the_budget_is_refused_before_and_after_its_download(
    registry: FakeRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    tight = Budget(0.001).admit
    refused = r"the model of version 1 has 0\.\d MB, serving\.max_model_mb is 0\.001"
    with pytest.raises(BundleError, match=refused):
        fetch_bundle(registry, version, tmp_path / "cache", tight)
    assert registry.calls["download_bundle"] == 0
    fetch_bundle(registry, version, tmp_path / "cache")
    with pytest.raises(BundleError, match=refused):
        fetch_bundle(registry, version, tmp_path / "cache", tight)
