"""Months from an object store: S3, Google Cloud Storage or Azure, through fsspec and the environment's credentials."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from autoops.errors import CorruptFile, NotPublished, SettingsError, SourceUnavailable
from autoops.ingestion.atomic_write import atomic_write
from autoops.ingestion.source import CHUNK_BYTES, FILES, Progress, RawFiles, SourceMetadata
from autoops.ingestion.url_source import Again, retrying
from autoops.months import Month, Period

T = TypeVar("T")

_TIMEOUTS: dict[str, Callable[[float], dict[str, Any]]] = {
    "s3": lambda seconds: {
        # Without botocore's own attempts, each of which would count as several of ours.
        "config_kwargs": {"connect_timeout": seconds, "read_timeout": seconds, "retries": {"max_attempts": 0}}
    },
    "gs": lambda seconds: {"requests_timeout": seconds},
    "az": lambda seconds: {"connection_timeout": math.ceil(seconds), "read_timeout": math.ceil(seconds)},
}
"""How each library is told the silence, in seconds, after which a request has failed."""
SCHEMES = tuple(_TIMEOUTS)


class StoreSource(RawFiles):
    """A folder of a bucket with one file per period; whoever reads it must be allowed to list it, too."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        attempts: int,
        backoff_s: float = 0.5,
        files: str = FILES,
        kind: type[Period] = Month,
    ) -> None:
        self._url = url.rstrip("/")
        self._attempts = attempts
        self._backoff_s = backoff_s
        self.files, self.kind = files, kind
        scheme = url.partition(":")[0].lower()
        # Otherwise gcsfs asks before each call what kind of bucket it is, which takes a permission that readers lack.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        try:
            from fsspec.core import url_to_fs

            self._store, self._root = url_to_fs(url, skip_instance_cache=True, **_TIMEOUTS[scheme](timeout_s))
        except ImportError as error:
            raise SettingsError(
                f"data.source: {scheme}:// needs the extra `stores`: pip install 'autoops[stores]' ({error})"
            ) from None
        # No account of Azure is named, say; each library raises what it likes.
        except Exception as error:
            raise SettingsError(f"data.source: {self._url} cannot be opened: {error}") from error
        if not self._root.strip("/"):
            raise SettingsError(f"data.source: {url!r} names no bucket: expected {scheme}://BUCKET/FOLDER")

    def periods(self) -> list[Period]:
        """Return the periods that have a file in the folder, in order; files of other names are left out.

        Raises:
            SourceUnavailable: the bucket does not exist, may not be listed, or its endpoint does not answer.
        """
        return self._periods_of(self._names())

    def metadata(self, month: Period) -> SourceMetadata:
        """Return length, entity tag and time of modification of the month's object."""
        try:
            return self._attempt(partial(self._reported, month))
        except (FileNotFoundError, PermissionError) as error:
            raise self._refusal(month, error) from error

    def fetch(self, month: Period, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Download the month's object to `target`, all of it from one edition."""
        with atomic_write(target) as file:
            try:
                metadata = self._attempt(partial(self._download, month, file, progress))
            except (FileNotFoundError, PermissionError) as error:
                raise self._refusal(month, error) from error
            self._check(file, f"{self._url}/{self.file_name(month)}")
        return metadata

    def _path(self, month: Period) -> str:
        return f"{self._root.rstrip('/')}/{self.file_name(month)}"

    def _names(self) -> list[str]:
        try:
            listed = self._attempt(_reading()(lambda: self._store.ls(self._root, detail=False)))
        except FileNotFoundError:
            raise SourceUnavailable(f"data.source: {self._url} does not exist, or holds no file") from None
        except PermissionError as error:
            raise SourceUnavailable(f"data.source: {self._url}: no permission to list it: {error}") from error
        return [path.rpartition("/")[2] for path in listed]

    def _reported(self, month: Period) -> SourceMetadata:
        with _reading():
            found = self._store.info(self._path(month))
        modified_at = found.get("LastModified") or found.get("last_modified") or found.get("updated")
        return SourceMetadata(
            length=found.get("size"),
            etag=found.get("ETag") or found.get("etag"),
            last_modified=None if modified_at is None else str(modified_at),
        )

    def _chunks(self, month: Period) -> Iterator[bytes]:
        with _reading(), self._store.open(self._path(month), "rb") as file:
            yield from iter(partial(file.read, CHUNK_BYTES), b"")

    def _download(self, month: Period, file: BinaryIO, progress: Progress | None) -> SourceMetadata:
        file.seek(0)
        file.truncate()
        metadata = self._reported(month)
        for chunk in self._chunks(month):
            file.write(chunk)
            if progress:
                progress(file.tell(), metadata.length)
        # An object is read in several requests, between which it may be replaced.
        if self._reported(month) != metadata:
            raise Again("it changed while it was read")
        if metadata.length not in (None, file.tell()):
            raise Again(f"{file.tell()} of {metadata.length} bytes arrived")
        return metadata

    def _attempt(self, request: Callable[[], T]) -> T:
        def fresh() -> T:
            # fsspec keeps listings, also of objects that were replaced since.
            self._store.invalidate_cache()
            return request()

        try:
            return retrying(self._attempts, self._backoff_s, Again)(fresh)
        except Again as error:
            raise SourceUnavailable(
                f"data.source: {self._url}: {error}, in the last of {self._attempts} attempts"
            ) from error

    def _refusal(self, month: Period, error: OSError) -> NotPublished | CorruptFile:
        """Return the error for an object that is missing or forbidden.

        Raises:
            SourceUnavailable: the bucket is.
        """
        name = self.file_name(month)
        if name in self._names():
            return CorruptFile(f"{self._url}/{name}: cannot be read: {error}")
        return NotPublished(f"{month} is not published: {self._url} has no {name}")


@contextmanager
def _reading() -> Iterator[None]:
    """Turn what the libraries raise into `Again`, but for an object that is missing or forbidden.

    Raises:
        Again: another attempt may succeed.
        FileNotFoundError: the object is missing.
        PermissionError: it is forbidden.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError, Again):
        raise
    except Exception as error:
        raise Again(f"{type(error).__name__}: {error}") from error
