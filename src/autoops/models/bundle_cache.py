"""The bundles on this machine's disk. All processes of a home share them, and one at a time downloads."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autoops.errors import BundleError
from autoops.models import bundle
from autoops.models.registry import ModelVersion, Registry
from autoops.usecase.contract import Contract

KEPT = 4
"""Bundles that stay: the served one, the one before, a challenger, and one that is being downloaded."""

_DOWNLOAD = ".download-"

Admit = Callable[[ModelVersion, int], None]
"""Called with a version and the size of its model in bytes (0 if not known yet); raises to refuse it."""


@dataclass(frozen=True)
class CachedBundle:
    """A bundle in the cache; its digest was verified when it was fetched."""

    directory: Path
    manifest: bundle.Manifest


def fetch_bundle(registry: Registry, version: ModelVersion, cache: Path, admit: Admit | None = None) -> CachedBundle:
    """Return the version's verified bundle, downloading it if it is not in the cache.

    A download is verified before it is renamed into place, so the cache never holds half a bundle; a bundle that no
    longer verifies is downloaded again. Of more than `KEPT` bundles the least recently used are deleted. `admit` is
    called with the size of the model, before a download with the size that the registry knows; what it raises is
    passed on.

    Raises:
        BundleError: the version has no bundle, it does not verify, or it is of another use case, or needs a feature
            that this installation does not declare.
        RegistryUnavailable: the registry does not answer, and the bundle is not in the cache.
    """
    if "bundle_digest" not in version.tags:
        raise BundleError(f"version {version.number} names no bundle_digest: it was not registered by Auto-Ops")
    # With the digest, because a registry that was set up anew counts from 1 again.
    place = cache / f"{version.number}-{version.bundle_digest[:12]}"
    found = _verified(place, version)
    if found is None:
        with _locked(cache):
            # Another process may have downloaded it while this one waited for the lock.
            found = _verified(place, version) or _download(registry, version, place, admit)
            # Before `_prune`, which deletes what was used least recently.
            touch(place)
            _prune(cache)
    if registry.contract is not None:
        _check_contract(version, found.manifest, registry.contract)
    touch(place)
    if admit is not None:
        admit(version, (place / bundle.MODEL).stat().st_size)
    return found


def _check_contract(version: ModelVersion, manifest: bundle.Manifest, own: Contract) -> None:
    """Require a version of this installation's use case, whose inputs it still declares.

    Raises:
        BundleError: it is of another, or rows of this installation lack one of its inputs.
    """
    declared = manifest.contract
    if declared.name != own.name:
        raise BundleError(
            f"version {version.number} is of the use case {declared.name}, and this installation's is {own.name}: give "
            "each a `model.name` of its own"
        )
    for name in manifest.features:
        feature, here = declared.features.get(name), own.features.get(name)
        if feature is not None and (here is None or here.is_text != feature.is_text):
            kind = "a category of strings" if feature.is_text else "numbers"
            raise BundleError(
                f"version {version.number} needs the feature {name} ({kind}), which the use case of this process does "
                "not declare so: declare it, or restart a process that began before it was declared"
            )


def touch(place: Path) -> None:
    """Mark a bundle as used now, if it still exists and the disk can be written to."""
    with contextlib.suppress(OSError):
        os.utime(place)


def sweep(cache: Path) -> None:
    """Remove the remains of killed downloads, unless a download is running, which removes them itself."""
    with contextlib.suppress(OSError), _locked(cache, wait=False):
        _remove_leftovers(cache)


def _verified(place: Path, version: ModelVersion) -> CachedBundle | None:
    try:
        return CachedBundle(place, bundle.verify(place, version.bundle_digest))
    except (BundleError, OSError):
        return None


def _download(registry: Registry, version: ModelVersion, place: Path, admit: Admit | None) -> CachedBundle:
    _remove_leftovers(place.parent)
    if place.is_dir():
        shutil.rmtree(place)
    if admit is not None:
        admit(version, registry.bundle_sizes(version.number).get(bundle.MODEL, 0))
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=_DOWNLOAD) as temporary:
        downloaded = registry.download_bundle(version.number, Path(temporary))
        manifest = bundle.verify(downloaded, version.bundle_digest)
        downloaded.rename(place)
    return CachedBundle(place, manifest)


@contextlib.contextmanager
def _locked(cache: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of the cache, so that no other process changes it. The kernel releases a killed process's lock.

    Raises:
        OSError: another process holds it and `wait` is false, or the folder cannot be made or opened.
    """
    cache.mkdir(parents=True, exist_ok=True)
    folder = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(folder)


def _remove_leftovers(cache: Path) -> None:
    """Remove unfinished downloads. Only under the lock: a running download holds it."""
    for leftover in cache.glob(f"{_DOWNLOAD}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _prune(cache: Path) -> None:
    places = [place for place in cache.iterdir() if place.is_dir() and not place.name.startswith(".")]
    by_use = sorted(places, key=lambda place: place.stat().st_mtime_ns, reverse=True)
    for place in by_use[KEPT:]:
        shutil.rmtree(place, ignore_errors=True)
