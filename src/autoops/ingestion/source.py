"""Sources of raw months: a directory, or a base URL, that holds a file of each month, week or day."""

import errno
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from autoops.errors import CorruptFile, DataError, MonthError, NotPublished, SourceUnavailable
from autoops.ingestion.atomic_write import atomic_write, check_parquet
from autoops.months import Month, Period
from autoops.usecase import declaration
from autoops.usecase.contract import CSV

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have arrived and the bytes to come in all, where that is known."""

CHUNK_BYTES = 1 << 16
FILES = declaration.load(declaration.DEFAULT).source.files
"""Those of the default use case."""

_OF_THE_FILE = (errno.ENOENT, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP)
"""Errors of one file: a link that leads nowhere or in a circle, a folder, missing permissions."""


@dataclass(frozen=True)
class SourceMetadata:
    """What a source reports about a file without sending it."""

    length: int | None = None
    etag: str | None = None
    last_modified: str | None = None

    def matches(self, other: "SourceMetadata") -> bool:
        """Return whether both are equal in all that both have: a server may leave out the length of one response."""
        pairs = zip(
            (self.length, self.etag, self.last_modified),
            (other.length, other.etag, other.last_modified),
            strict=True,
        )
        return all(mine == theirs for mine, theirs in pairs if mine is not None and theirs is not None)


class Source(ABC):
    """A source of raw months."""

    files = FILES
    """The name of a month's raw file, with `{period}` in the month's place."""

    def file_name(self, month: Period) -> str:
        """Return the name of the month's raw file."""
        return file_name(month, self.files)

    def path_of(self, month: Month) -> Path | None:
        """Return the path of the month's raw file, None where the source is not on this machine."""
        return None

    @abstractmethod
    def published(self) -> list[Month]:
        """Return the months that can be fetched, in order.

        Raises:
            SourceUnavailable: the source does not answer.
        """

    @abstractmethod
    def metadata(self, month: Month) -> SourceMetadata:
        """Return what the source reports about a month's file.

        Raises:
            NotPublished: the source does not hold the month.
            CorruptFile: the file cannot be read.
            SourceUnavailable: the source does not answer.
        """

    def _check(self, file: BinaryIO, name: str) -> None:
        """Require that a fetched file is whole; of CSV this shows when it is converted."""
        if not self.files.endswith(CSV):
            check_parquet(file, name)

    @abstractmethod
    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Put the month's raw file at `target`, whole and checked; otherwise `target` stays as it was.

        Raises:
            NotPublished: the source does not hold the month.
            CorruptFile: the file cannot be read, is truncated, or is no parquet file.
            EmptyMonth: the file holds no rows.
            SourceUnavailable: the source does not answer.
            StorageUnavailable: the target cannot be written, as on a full disk.
        """


def file_name(month: Period, files: str = FILES) -> str:
    """Return the name of the month's raw file."""
    return files.replace("{period}", str(month))


class RawFiles(Source):
    """A source with one raw file per period, which is a month unless `kind` is another; `AssembledSource` reads those.

    All of its methods take a period of that kind where others take a month.
    """

    kind: type[Period] = Month

    def published(self) -> list[Month]:
        """Return the months that have a file, in order; none where periods are shorter."""
        return [period for period in self.periods() if isinstance(period, Month)]

    @abstractmethod
    def periods(self) -> list[Period]:
        """Return the periods that have a file, in order; files of other names are left out.

        Raises:
            SourceUnavailable: the source does not answer.
        """

    def _periods_of(self, names: Iterable[str]) -> list[Period]:
        return sorted(filter(None, map(self._period_of, names)), key=lambda period: period.begins)

    def _period_of(self, name: str) -> Period | None:
        before, after = map(re.escape, self.files.split("{period}"))
        match = re.fullmatch(f"{before}(.*){after}", name)
        try:
            period = self.kind.parse(match[1]) if match else None
        except MonthError as error:
            if self.kind is not Month:
                logger.warning("data.source: %s is left out: %s", name, error)
            return None
        # Months parse with spaces around them, too.
        return period if period and self.file_name(period) == name else None

    @abstractmethod
    def metadata(self, month: Period) -> SourceMetadata:
        """Return what the source reports about a period's file."""

    @abstractmethod
    def fetch(self, month: Period, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Put the period's raw file at `target`."""


class DirectorySource(RawFiles):
    """A directory with one raw file per period, by default a month."""

    def __init__(self, directory: Path, files: str = FILES, kind: type[Period] = Month) -> None:
        self._directory = directory
        self.files, self.kind = files, kind

    def periods(self) -> list[Period]:
        """Return the periods that have a file in the directory, in order; files of other names are left out.

        Raises:
            SourceUnavailable: the directory does not exist, or cannot be listed.
        """
        self._require_directory()
        try:
            return self._periods_of(path.name for path in self._directory.iterdir())
        except OSError as error:
            raise SourceUnavailable(f"data.source: {self._directory} cannot be listed: {error.strerror}") from error

    def metadata(self, month: Period) -> SourceMetadata:
        """Return the file's length in bytes and its modification time in UTC; there is no `etag`.

        Raises:
            NotPublished: the directory has no file for the month.
            CorruptFile: the file cannot be read; its permissions, say, do not allow it.
            SourceUnavailable: the directory does not exist, or the disk fails.
        """
        try:
            status = self._path(month).stat()
        except OSError as error:
            raise self._refusal(month, error) from None
        modified_at = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC)
        return SourceMetadata(length=status.st_size, last_modified=modified_at.isoformat())

    def fetch(self, month: Period, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Copy the month's file to `target`, which stays as it was unless the copy is a whole parquet file."""
        # Before the copy: if the file is replaced meanwhile, the next ingestion finds other
        # metadata and fetches it again.
        metadata = self.metadata(month)
        with atomic_write(target) as file:
            for chunk in self._chunks(month):
                file.write(chunk)
                if progress:
                    progress(file.tell(), metadata.length)
            self._check(file, str(self._path(month)))
        return metadata

    def path_of(self, month: Period) -> Path:
        """Return the path of the month's raw file."""
        return self._path(month)

    def _path(self, month: Period) -> Path:
        return self._directory / self.file_name(month)

    def _chunks(self, month: Period) -> Iterator[bytes]:
        try:
            with self._path(month).open("rb") as file:
                yield from iter(partial(file.read, CHUNK_BYTES), b"")
        except OSError as error:
            raise self._refusal(month, error) from error

    def _require_directory(self) -> None:
        if not self._directory.is_dir():
            raise SourceUnavailable(f"data.source: {self._directory} is not a directory")

    def _refusal(self, month: Period, error: OSError) -> DataError | SourceUnavailable:
        # First: a missing directory, such as an unmounted volume, says nothing of its months.
        self._require_directory()
        path = self._path(month)
        # A link that leads nowhere raises the same error, and is a broken file.
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return NotPublished(f"{month} is not published: {self._directory} has no {self.file_name(month)}")
        kind = CorruptFile if error.errno in _OF_THE_FILE else SourceUnavailable
        return kind(f"{path}: cannot be read: {error.strerror}")
