"""The bundle: the files of a model version that outlive its training run, in one directory.

    model.onnx         what serving runs
    golden.parquet     model inputs and the outputs expected for them, which a loaded model must reproduce
    reference.parquet  rows with prediction and target: `part` is `window` (a sample of what the model was
                       fitted on: the feature reference) or `holdout` (rows it never saw: the error reference)
    thresholds.json    the drift thresholds calibrated on this version's own history
    manifest.json      the contract, vocabularies, sha256 of each file, feature order, importances, `trained_until`

The sha256 of manifest.json is the bundle's digest, a tag of the version.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

import pydantic_core
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from autoops.errors import BundleError
from autoops.usecase import declaration
from autoops.usecase.contract import Contract, Value

SCHEMA_VERSION = 2
WITHOUT_CONTRACT = 1
"""Schema of bundles that are older than contracts: they are those of the default use case."""
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
"""By how much the model of a bundle without a `tolerance` may differ from its golden rows."""


@dataclass(frozen=True)
class Detectable:
    """The smallest lasting change that a detector finds in time; None where it finds none, however large.

    `detector` is an alarm type. `change` is one of the level of errors, or of the logarithm of their size. `loss` is
    what it adds to the mean loss of a model without bias, `share` the same as a share of the holdout's loss.
    """

    detector: str
    within: str
    change: float | None
    loss: float | None
    share: float | None


@dataclass(frozen=True)
class Manifest:
    """`importances` sum to 1 over groups of features; `trained_until` is event time, UTC.

    A loaded model may differ from its golden rows by `tolerance`. Manifests of earlier releases have no `detectable`.

    `vocabularies` are the values of each category that the version was trained on, in the order of their codes.
    """

    features: tuple[str, ...]
    importances: Mapping[str, float]
    trained_until: AwareDatetime
    contract: Contract
    vocabularies: Mapping[str, tuple[Value, ...]]
    files: Mapping[str, str]
    tolerance: float = GOLDEN_TOLERANCE
    schema_version: int = SCHEMA_VERSION
    detectable: tuple[Detectable, ...] = ()


@dataclass(frozen=True)
class _OldManifest:
    """A manifest without a contract; `zones` are the values of its categories in the training data."""

    features: tuple[str, ...]
    importances: Mapping[str, float]
    trained_until: AwareDatetime
    zones: tuple[int, ...]
    files: Mapping[str, str]
    schema_version: int


_MANIFEST, _OLD_MANIFEST = TypeAdapter(Manifest), TypeAdapter(_OldManifest)


def _with_contract(old: _OldManifest) -> Manifest:
    """Return the manifest with the contract of the default use case, of which all older versions are."""
    contract = declaration.load(declaration.DEFAULT)
    vocabularies: dict[str, tuple[Value, ...]] = dict.fromkeys(contract.told_apart, old.zones)
    return Manifest(
        old.features,
        old.importances,
        old.trained_until,
        contract,
        vocabularies,
        old.files,
        schema_version=old.schema_version,
    )


def _check(manifest: Manifest) -> None:
    """Require inputs and vocabularies that fit the manifest's contract.

    Raises:
        BundleError: a feature is none of the contract's, or a vocabulary is not that of one of its categories.
    """
    contract = manifest.contract
    unknown = [name for name in manifest.features if name not in contract.features and name not in contract.derived]
    if unknown:
        raise BundleError(f"its manifest names features that this Auto-Ops does not know: {', '.join(unknown)}")
    for name, values in manifest.vocabularies.items():
        feature = contract.features.get(name)
        if feature is None or feature.type != "category":
            raise BundleError(
                f"bundle: {MANIFEST} does not read: vocabularies.{name}: its contract has no such category"
            )
        odd = [value for value in values if not (isinstance(value, str) if feature.is_text else _is_whole(value))]
        if odd:
            raise BundleError(f"bundle: {MANIFEST} does not read: vocabularies.{name}: {odd[0]!r} is no value of it")


def _is_whole(value: Value) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file's content, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(directory: Path, manifest: Manifest) -> str:
    """Write the manifest with the digests of the files in `directory`; return the bundle's digest."""
    files = {name: sha256_of(directory / name) for name in (MODEL, GOLDEN, REFERENCE, THRESHOLDS)}
    content = vars(replace(manifest, files=files)) | {
        "trained_until": manifest.trained_until.isoformat(),
        "contract": manifest.contract.to_json(),
        "detectable": [vars(each) for each in manifest.detectable],
    }
    path = directory / MANIFEST
    # Not sorted: the order of the contract's features is that of logged values.
    path.write_text(json.dumps(content, indent=2))
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
        if version not in (SCHEMA_VERSION, WITHOUT_CONTRACT):
            raise BundleError(
                f"bundle: schema version {version}, this Auto-Ops reads {WITHOUT_CONTRACT} and {SCHEMA_VERSION}"
            )
        if version == WITHOUT_CONTRACT:
            manifest = _with_contract(_OLD_MANIFEST.validate_json(content, strict=True))
        else:
            manifest = _MANIFEST.validate_json(content, strict=True)
        manifest = replace(manifest, trained_until=manifest.trained_until.astimezone(UTC))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise BundleError(f"bundle: {MANIFEST} does not read: {where}: {found['msg']}") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise BundleError(f"bundle: {MANIFEST} does not read: {error!r}") from error
    _check(manifest)
    unsealed = {MODEL, GOLDEN, REFERENCE, THRESHOLDS} - set(manifest.files)
    if unsealed:
        raise BundleError(f"bundle: {MANIFEST} names no digest of {', '.join(sorted(unsealed))}")
    return manifest
