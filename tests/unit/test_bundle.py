"""A bundle is whole and the one that its version names, or it is not used."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from autoops.errors import BundleError
from autoops.models import bundle

FILES = (bundle.MODEL, bundle.GOLDEN, bundle.REFERENCE, bundle.THRESHOLDS)
TRAINED_UNTIL = datetime(2023, 1, 25, 4, 59, 52, 123456, tzinfo=UTC)


def sealed(directory: Path) -> str:
    for name in FILES:
        (directory / name).write_text(f"contents of {name}")
    return bundle.seal(directory, ("trip_distance", "hour"), {"trip_distance": 0.9}, TRAINED_UNTIL, (1, 265))


def test_what_is_sealed_is_read_back(tmp_path: Path) -> None:
    manifest = bundle.verify(tmp_path, sealed(tmp_path))
    assert manifest.features == ("trip_distance", "hour")
    assert manifest.importances == {"trip_distance": 0.9}
    assert manifest.trained_until == TRAINED_UNTIL
    assert manifest.zones == (1, 265)
    assert set(manifest.files) == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_noticed_by_name(tmp_path: Path, name: str) -> None:
    digest = sealed(tmp_path)
    with (tmp_path / name).open("a") as file:
        file.write(" ")
    with pytest.raises(BundleError, match=f"{name} is not the file that was registered"):
        bundle.verify(tmp_path, digest)


@pytest.mark.parametrize("name", [*FILES, bundle.MANIFEST])
def test_a_missing_file_is_noticed_by_name(tmp_path: Path, name: str) -> None:
    digest = sealed(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        bundle.verify(tmp_path, digest)


def test_another_versions_manifest_is_noticed(tmp_path: Path) -> None:
    sealed(tmp_path)
    with pytest.raises(BundleError, match="does not have the digest 0000"):
        bundle.verify(tmp_path, "0" * 64)


def test_a_bundle_of_a_later_schema_is_refused(tmp_path: Path) -> None:
    sealed(tmp_path)
    path = tmp_path / bundle.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 2}))
    with pytest.raises(BundleError, match="schema version 2, this Auto-Ops reads 1"):
        bundle.verify(tmp_path, bundle.sha256_of(path))


@pytest.mark.parametrize("content", ["no json", "[]", '{"schema_version": 1}'], ids=["text", "list", "keys missing"])
def test_a_manifest_that_does_not_parse_is_a_broken_bundle(tmp_path: Path, content: str) -> None:
    path = tmp_path / bundle.MANIFEST
    path.write_text(content)
    with pytest.raises(BundleError, match=r"bundle: manifest\.json"):
        bundle.verify(tmp_path, bundle.sha256_of(path))


def test_the_digest_follows_the_contents(tmp_path: Path) -> None:
    first = sealed(tmp_path)
    assert sealed(tmp_path) == first
    (tmp_path / bundle.THRESHOLDS).write_text("others")
    assert bundle.seal(tmp_path, ("trip_distance",), {}, TRAINED_UNTIL, ()) != first
