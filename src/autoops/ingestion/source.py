"""Where raw months come from: a directory, or a base URL, that holds green_tripdata_YYYY-MM.parquet."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import httpx
import tenacity

from autoops.errors import DataError, MonthError, NotPublished, SettingsError, SourceUnavailable
from autoops.ingestion.landing import check_parquet, landing
from autoops.months import Month
from autoops.settings import Data

logger = logging.getLogger(__name__)

KNOWN_MONTH = Month(2022, 1)
"""Published for good by the TLC: while a URL answers for it, a refusal of another month means not published."""

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have arrived and the bytes to come in all, where that is known."""

T = TypeVar("T")

_CHUNK = 1 << 18
_MISSING = (403, 404)
_PROBED_AT_ONCE = 12
_GAP = 3


@dataclass(frozen=True)
class Stamp:
    """What a source says of a file without sending it."""

    length: int | None = None
    etag: str | None = None
    last_modified: str | None = None

    def matches(self, other: "Stamp") -> bool:
        """Equal in all that both of them know: a server may leave out the length of one answer."""
        pairs = zip(
            (self.length, self.etag, self.last_modified),
            (other.length, other.etag, other.last_modified),
            strict=True,
        )
        return all(mine == theirs for mine, theirs in pairs if mine is not None and theirs is not None)


class Source(ABC):
    """Raises SourceUnavailable where the source itself does not answer."""

    @abstractmethod
    def published(self) -> list[Month]:
        """The months that can be fetched, in order."""

    @abstractmethod
    def stamp(self, month: Month) -> Stamp:
        """Raises NotPublished for a month that the source does not hold."""

    @abstractmethod
    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> Stamp:
        """Puts the month's raw file at `target`, whole and checked; otherwise `target` stays as it was.

        Raises NotPublished, CorruptFile, EmptyMonth, or StorageUnavailable when the disk does not take it.
        """


def open_source(data: Data) -> Source:
    """The source that `data.source` names: http:// and https:// are URLs, all else is a directory."""
    if not re.match("https?://", data.source, re.IGNORECASE):
        return DirectorySource(Path(data.source).expanduser())
    try:
        httpx.URL(data.source)
    except httpx.InvalidURL as error:
        raise SettingsError(f"data.source: {data.source!r} is no URL: {error}") from None
    return UrlSource(data.source, timeout_s=data.timeout_s, attempts=data.attempts)


def file_name(month: Month) -> str:
    return f"green_tripdata_{month}.parquet"


class DirectorySource(Source):
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def published(self) -> list[Month]:
        self._require_directory()
        return sorted(filter(None, map(_month_of, self._directory.iterdir())))

    def stamp(self, month: Month) -> Stamp:
        try:
            status = self._path(month).stat()
        except OSError as error:
            raise self._refusal(month, error) from None
        modified_at = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC)
        return Stamp(length=status.st_size, last_modified=modified_at.isoformat())

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> Stamp:
        stamp = self.stamp(month)
        with landing(target) as file:
            for chunk in self._chunks(month):
                file.write(chunk)
                if progress:
                    progress(file.tell(), stamp.length)
            check_parquet(file, str(self._path(month)))
        return stamp

    def _path(self, month: Month) -> Path:
        return self._directory / file_name(month)

    def _chunks(self, month: Month) -> Iterator[bytes]:
        try:
            with self._path(month).open("rb") as file:
                yield from iter(partial(file.read, _CHUNK), b"")
        except OSError as error:
            raise self._refusal(month, error) from error

    def _require_directory(self) -> None:
        if not self._directory.is_dir():
            raise SourceUnavailable(f"data.source: {self._directory} is not a directory")

    def _refusal(self, month: Month, error: OSError) -> DataError | SourceUnavailable:
        self._require_directory()
        if isinstance(error, FileNotFoundError):
            return NotPublished(f"{month} is not published: {self._directory} has no {file_name(month)}")
        return SourceUnavailable(f"{self._path(month)}: cannot be read: {error.strerror}")


def _month_of(path: Path) -> Month | None:
    match = re.fullmatch(r"green_tripdata_(.{7})\.parquet", path.name)
    try:
        return Month.parse(match[1]) if match else None
    except MonthError:
        return None


class _Again(Exception):
    """An answer that another attempt may better."""


class UrlSource(Source):
    """`timeout_s` is the silence after which one attempt has failed; `backoff_s` precedes the second and doubles."""

    def __init__(
        self, base: str, *, timeout_s: float, attempts: int, backoff_s: float = 0.5, known: Month = KNOWN_MONTH
    ) -> None:
        self._base = base.rstrip("/")
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._known = known

    def published(self) -> list[Month]:
        """Probes month after month from the known one on, until three in a row are missing."""
        found: list[Month] = []
        month = self._known
        with self._client() as client, ThreadPoolExecutor(_PROBED_AT_ONCE) as pool:
            self._require_known(client)
            while True:
                block = [month.plus(count) for count in range(_PROBED_AT_ONCE)]
                stamps = list(pool.map(partial(self._head, client), block))
                found += [month for month, stamp in zip(block, stamps, strict=True) if stamp]
                if not any(stamps[-_GAP:]):
                    return found
                month = month.plus(_PROBED_AT_ONCE)

    def stamp(self, month: Month) -> Stamp:
        with self._client() as client:
            return self._head(client, month) or self._refuse(client, month)

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> Stamp:
        with self._client() as client, landing(target) as file:
            download = partial(self._download, client, month, file, progress)
            stamp = self._attempt(download, month) or self._refuse(client, month)
            check_parquet(file, self._url(month))
        return stamp

    def _url(self, month: Month) -> str:
        return f"{self._base}/{file_name(month)}"

    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=self._timeout_s, follow_redirects=True, headers={"accept-encoding": "identity"})

    def _head(self, client: httpx.Client, month: Month) -> Stamp | None:
        return self._attempt(lambda: _stamp_of(client.head(self._url(month))), month)

    def _download(self, client: httpx.Client, month: Month, file: BinaryIO, progress: Progress | None) -> Stamp | None:
        file.seek(0)
        file.truncate()
        with client.stream("GET", self._url(month)) as response:
            stamp = _stamp_of(response)
            if stamp is None:
                return None
            for chunk in response.iter_raw(_CHUNK):
                file.write(chunk)
                if progress:
                    progress(file.tell(), stamp.length)
        if stamp.length not in (None, file.tell()):
            raise _Again(f"{file.tell()} of {stamp.length} bytes arrived")
        return stamp

    def _attempt(self, request: Callable[[], T], month: Month) -> T:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((httpx.TransportError, _Again)),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=tenacity.wait_exponential_jitter(self._backoff_s, max=30, jitter=self._backoff_s),
            before_sleep=tenacity.before_sleep_log(logger, logging.WARNING),
            reraise=True,
        )
        try:
            return attempts(request)
        except (httpx.HTTPError, _Again) as error:
            reason = str(error) or type(error).__name__
            raise SourceUnavailable(
                f"{self._url(month)}: {reason}, in the last of {self._attempts} attempts"
            ) from error

    def _require_known(self, client: httpx.Client) -> None:
        if self._head(client, self._known) is None:
            raise SourceUnavailable(
                f"data.source: {self._base} refuses even {file_name(self._known)}, which is known to be published"
            )

    def _refuse(self, client: httpx.Client, month: Month) -> Stamp:
        self._require_known(client)
        raise NotPublished(f"{month} is not published at {self._base}")


def _stamp_of(response: httpx.Response) -> Stamp | None:
    """None where the server does not have the file, or says so by refusing it."""
    status = response.status_code
    if status in _MISSING:
        return None
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
        raise _Again(f"HTTP {status}")
    if not response.is_success:
        raise SourceUnavailable(f"{response.url}: HTTP {status}")
    length = response.headers.get("content-length", "")
    return Stamp(
        length=int(length) if length.isdecimal() else None,
        etag=response.headers.get("etag"),
        last_modified=response.headers.get("last-modified"),
    )
