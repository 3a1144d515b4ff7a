"""The bundle: the files of a model version that outlive its training run, in one directory.

    model.onnx         what serving runs
    golden.parquet     model inputs and the outputs expected for them, which a loaded model must reproduce
    reference.parquet  trips with prediction and target: `part` is `window` (a sample of what the model was
                       fitted on: the feature reference) or `holdout` (rows it never saw: the error reference)
    thresholds.json    the drift thresholds calibrated on this version's own history
    manifest.json      sha256 of each file, feature order, importances, `trained_until`, schema version

The sha256 of manifest.json is the bundle's digest, a tag of the version.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pydantic_core
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from autoops.errors import BundleError

SCHEMA_VERSION = 1
MODEL, GOLDEN, REFERENCE, THRESHOLDS, MANIFEST = (
    "model.onnx",
    "golden.parquet",
    "reference.parquet",
    "thresholds.json",
    "manifest.json",
)
EXPECTED = "expected"
"""The column of golden.parquet that holds the output; the others are the inputs in feature order."""

GOLDEN_TOLERANCE = 1e-4
"""Minutes by which a loaded model may differ from its golden rows."""


@dataclass(frozen=True)
class Manifest:
    """`importances` sum to 1 over feature groups (`features.GROUPS`); `trained_until` is event time, UTC."""

    features: tuple[str, ...]
    importances: Mapping[str, float]
    trained_until: AwareDatetime
    zones: tuple[int, ...]
    files: Mapping[str, str]
    schema_version: int = SCHEMA_VERSION


_MANIFEST = TypeAdapter(Manifest)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file's content, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(
    directory: Path,
    features: tuple[str, ...],
    importances: Mapping[str, float],
    trained_until: datetime,
    zones: tuple[int, ...],
) -> str:
    """Write the manifest of the files in `directory`; return the bundle's digest."""
    files = {name: sha256_of(directory / name) for name in (MODEL, GOLDEN, REFERENCE, THRESHOLDS)}
    manifest = Manifest(features, dict(importances), trained_until, zones, files)
    content = asdict(manifest) | {"trained_until": trained_until.isoformat()}
    path = directory / MANIFEST
    path.write_text(json.dumps(content, indent=2, sort_keys=True))
    return sha256_of(path)


def verify(directory: Path, digest: str) -> Manifest:
    """Return the manifest, after comparing its digest with `digest` and every file's with the manifest's.

    Raises:
        BundleError: a file is missing, a digest differs, or the manifest is not valid.
    """
    manifest_path = directory / MANIFEST
    if not manifest_path.is_file():
        raise BundleError(f"bundle: {MANIFEST} is missing")
    if sha256_of(manifest_path) != digest:
        raise BundleError(f"bundle: {MANIFEST} does not have the digest {digest[:12]} that its version names")
    manifest = _parse(manifest_path)
    for name, expected in manifest.files.items():
        path = directory / name
        if not path.is_file():
            raise BundleError(f"bundle: {name} is missing")
        if sha256_of(path) != expected:
            raise BundleError(f"bundle: {name} is not the file that was registered (sha256 differs)")
    return manifest


def _parse(path: Path) -> Manifest:
    content = path.read_bytes()
    try:
        # Before the validation, which would complain of fields and not name the other version.
        version = pydantic_core.from_json(content)["schema_version"]
        if version != SCHEMA_VERSION:
            raise BundleError(f"bundle: schema version {version}, this Auto-Ops reads {SCHEMA_VERSION}")
        manifest = _MANIFEST.validate_json(content, strict=True)
        manifest = replace(manifest, trained_until=manifest.trained_until.astimezone(UTC))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise BundleError(f"bundle: {MANIFEST} does not read: {where}: {found['msg']}") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise BundleError(f"bundle: {MANIFEST} does not read: {error!r}") from error
    unsealed = {MODEL, GOLDEN, REFERENCE, THRESHOLDS} - set(manifest.files)
    if unsealed:
        raise BundleError(f"bundle: {MANIFEST} names no digest of {', '.join(sorted(unsealed))}")
    return manifest
