"""The bundles on this machine's disk. All processes of a home share them, and of each file only one downloads it."""

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

KEPT = 4
"""Bundles that stay: what is served, the one before, a challenger, and one that is on its way."""

_DOWNLOAD = ".download-"

Admit = Callable[[ModelVersion, int], None]
"""Of a version and the bytes of its model."""


@dataclass(frozen=True)
class CachedBundle:
    """It had its digest when it was taken from the cache."""

    directory: Path
    manifest: bundle.Manifest


def fetch_bundle(registry: Registry, version: ModelVersion, cache: Path, admit: Admit | None = None) -> CachedBundle:
    """The version's verified bundle, downloaded when it is not there yet; raises BundleError when that fails, and what
    `admit` raises of the size of its model, before the download where the registry knows it.

    A download is verified before it is renamed into place, so the cache never holds half a bundle; one that no
    longer verifies is fetched again. What was used least lately makes room.
    """
    if "bundle_digest" not in version.tags:
        raise BundleError(f"version {version.number} names no bundle_digest: it was not registered by Auto-Ops")
    place = cache / f"{version.number}-{version.bundle_digest[:12]}"
    found = _verified(place, version)
    if found is None:
        with _locked(cache):
            found = _verified(place, version) or _download(registry, version, place, admit)
            touch(place)
            _prune(cache)
    touch(place)
    if admit is not None:
        admit(version, (place / bundle.MODEL).stat().st_size)
    return found


def touch(place: Path) -> None:
    """Says that a bundle is in use, where the disk can be written to and still has it."""
    with contextlib.suppress(OSError):
        os.utime(place)


def sweep(cache: Path) -> None:
    """Removes what killed downloads left, unless one is running now, which does so itself."""
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
    """The only process that changes the cache; raises OSError when it does not `wait` and there is another. The system
    releases the lock of a process that is killed."""
    cache.mkdir(parents=True, exist_ok=True)
    folder = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(folder)


def _remove_leftovers(cache: Path) -> None:
    """Whoever is alone may: a download runs under the lock."""
    for leftover in cache.glob(f"{_DOWNLOAD}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _prune(cache: Path) -> None:
    places = [place for place in cache.iterdir() if place.is_dir() and not place.name.startswith(".")]
    by_use = sorted(places, key=lambda place: place.stat().st_mtime_ns, reverse=True)
    for place in by_use[KEPT:]:
        shutil.rmtree(place, ignore_errors=True)
