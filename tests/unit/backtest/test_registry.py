"""The walk's registry keeps the promises of the interface."""

from pathlib import Path

import pytest

from autoops.backtest.registry import LocalRegistry
from autoops.errors import BundleError, NotFound
from autoops.models.registry import CHALLENGER, CHAMPION


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    place = tmp_path / "made"
    place.mkdir()
    (place / "model.onnx").write_bytes(b"a model")
    return place


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


def test_versions_count_up_and_the_newest_is_challenger(registry: LocalRegistry, bundle: Path) -> None:
    first, second = registry.adopt(bundle, {"a": "1"}), registry.adopt(bundle, {"a": "2"})
    assert (first.number, second.number) == (1, 2)
    assert [version.number for version in registry.versions()] == [2, 1]
    assert registry.by_alias(CHALLENGER) == second
    assert registry.by_alias(CHAMPION) is None
    registry.set_alias(CHAMPION, 1)
    registry.tag(1, {"b": "3"})
    assert registry.by_alias(CHAMPION) == registry.version(1)
    assert registry.version(1).tags == {"a": "1", "b": "3"}


def test_a_bundle_outlives_the_place_that_it_came_from(registry: LocalRegistry, bundle: Path, tmp_path: Path) -> None:
    registry.adopt(bundle, {})
    (bundle / "model.onnx").unlink()
    downloaded = registry.download_bundle(1, tmp_path)
    assert (downloaded / "model.onnx").read_bytes() == b"a model"
    assert downloaded != registry.bundle_of(1)


def test_what_is_not_there_is_not_found(registry: LocalRegistry, bundle: Path, tmp_path: Path) -> None:
    for asked in (lambda: registry.version(1), lambda: registry.set_alias(CHAMPION, 1), lambda: registry.tag(1, {})):
        with pytest.raises(NotFound, match="version 1"):
            asked()
    registry.adopt(bundle, {})
    (registry.bundle_of(1) / "model.onnx").unlink()
    registry.bundle_of(1).rmdir()
    with pytest.raises(BundleError, match="no bundle"):
        registry.download_bundle(1, tmp_path)
