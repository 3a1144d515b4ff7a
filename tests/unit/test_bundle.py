"""A bundle is whole and the one that its version names, or it is not used."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from autoops.drift.monitor import Reference
from autoops.errors import BundleError
from autoops.models import bundle
from tests.taxi import CONTRACT

FILES = (bundle.MODEL, bundle.GOLDEN, bundle.REFERENCE, bundle.THRESHOLDS)
TRAINED_UNTIL = datetime(2023, 1, 25, 4, 59, 52, 123456, tzinfo=UTC)
ZONES = {"pickup_location_id": (1, 74), "dropoff_location_id": (1, 265)}

DETECTABLE = (
    bundle.Detectable("larger errors", "a week", 0.2, 0.5, 0.17),
    bundle.Detectable("larger errors", "two windows", None, None, None),
)


def manifest_of(features: tuple[str, ...], importances: dict[str, float], **more: object) -> bundle.Manifest:
    given = {"contract": CONTRACT, "vocabularies": ZONES, "files": {}} | more
    return bundle.Manifest(features, importances, TRAINED_UNTIL, **given)  # type: ignore[arg-type]


def sealed(directory: Path) -> str:
    for name in FILES:
        (directory / name).write_text(f"contents of {name}")
    return bundle.seal(directory, manifest_of(("trip_distance", "hour"), {"trip_distance": 0.9}, detectable=DETECTABLE))


def test_what_is_sealed_is_read_back(tmp_path: Path) -> None:
    manifest = bundle.verify(tmp_path, sealed(tmp_path))
    assert manifest.features == ("trip_distance", "hour")
    assert manifest.importances == {"trip_distance": 0.9}
    assert manifest.trained_until == TRAINED_UNTIL
    assert manifest.contract == CONTRACT
    assert manifest.vocabularies == ZONES
    assert set(manifest.files) == set(FILES)
    assert manifest.detectable == DETECTABLE


def test_a_manifest_of_an_earlier_release_knows_no_detectable_change(tmp_path: Path) -> None:
    sealed(tmp_path)
    content = json.loads((tmp_path / bundle.MANIFEST).read_text())
    del content["detectable"]
    (tmp_path / bundle.MANIFEST).write_text(json.dumps(content))
    assert bundle.verify(tmp_path, bundle.sha256_of(tmp_path / bundle.MANIFEST)).detectable == ()


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
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 3}))
    with pytest.raises(BundleError, match="schema version 3, this Auto-Ops reads 1 and 2"):
        bundle.verify(tmp_path, bundle.sha256_of(path))


def test_a_bundle_without_a_contract_is_one_of_taxis(tmp_path: Path) -> None:
    """As releases sealed it that knew one use case: `zones` occurred at either end of a trip."""
    now = bundle.verify(tmp_path, sealed(tmp_path))
    path = tmp_path / bundle.MANIFEST
    content = json.loads(path.read_text())
    kept = {name: content[name] for name in ("features", "importances", "trained_until", "files")}
    path.write_text(json.dumps(kept | {"schema_version": 1, "zones": [1, 265]}))
    before = bundle.verify(tmp_path, bundle.sha256_of(path))
    assert before.vocabularies == dict.fromkeys(ZONES, (1, 265))
    older = {"vocabularies": before.vocabularies, "schema_version": bundle.WITHOUT_CONTRACT, "detectable": ()}
    assert before == replace(now, **older)


def test_the_reference_of_a_bundle_without_a_contract_has_the_columns_of_any_use_case(tmp_path: Path) -> None:
    at = pd.to_datetime(["2023-01-01", "2023-01-02"]).tz_localize("UTC")
    parts = ["window", "holdout"]
    rows = pd.DataFrame({"event_at": at, "trip_distance": [1.5, 2.5], "target": [7.0, 9.0], "part": parts})
    before = rows.rename(columns={"event_at": "pickup_at", "target": "trip_duration_minutes"})
    for schema, stored in ((bundle.SCHEMA_VERSION, rows), (bundle.WITHOUT_CONTRACT, before)):
        stored.to_parquet(tmp_path / bundle.REFERENCE, index=False)
        manifest = manifest_of(("trip_distance",), {}, schema_version=schema)
        read = Reference.read(tmp_path, manifest)
        assert read.contract == CONTRACT
        pd.testing.assert_frame_equal(pd.concat([read.window, read.holdout]), rows)


@pytest.mark.parametrize(
    "content",
    ["no json", "[]", '{"schema_version": 1}', '{"schema_version": 2}'],
    ids=["text", "list", "keys missing before contracts", "keys missing"],
)
def test_a_manifest_that_does_not_parse_is_a_broken_bundle(tmp_path: Path, content: str) -> None:
    path = tmp_path / bundle.MANIFEST
    path.write_text(content)
    with pytest.raises(BundleError, match=r"bundle: manifest\.json"):
        bundle.verify(tmp_path, bundle.sha256_of(path))


def test_the_digest_follows_the_contents(tmp_path: Path) -> None:
    first = sealed(tmp_path)
    assert sealed(tmp_path) == first
    (tmp_path / bundle.THRESHOLDS).write_text("others")
    others = bundle.seal(tmp_path, manifest_of(("trip_distance", "hour"), {"trip_distance": 0.9}))
    assert others != first
    assert bundle.seal(tmp_path, manifest_of(("trip_distance",), {})) not in (first, others)
