"""Sources whose files are no parquet of one period: one file of many periods, CSV, rows that `prepare` must make."""

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from autoops.arrow_values import is_number
from autoops.clock import Clock, SystemClock
from autoops.errors import CorruptFile, DataError, NotPublished, SchemaError, SourceUnavailable
from autoops.ingestion.atomic_write import atomic_write, check_parquet
from autoops.ingestion.declared import event_times, months_of
from autoops.ingestion.raw_files import PIECE_ROWS, pieces, require_columns, write_pieces
from autoops.ingestion.source import Progress, Source, SourceMetadata
from autoops.months import FIRST_YEAR, LAST_YEAR, Month
from autoops.usecase.contract import Contract

logger = logging.getLogger(__name__)

_ANY = Month(2009, 1)
"""A source whose file's name has no period returns the one file for every month."""
_YEARS = range(FIRST_YEAR, LAST_YEAR + 1)
_OFFSET = timedelta(days=2)
"""More than any time zone is away from UTC."""


class ConvertedSource(Source):
    """A file per period that is CSV, or that `prepare` reads: fetched as parquet in the declared raw columns."""

    def __init__(self, raw: Source, contract: Contract) -> None:
        self._raw = raw
        self._contract = contract
        self.files = contract.source.fetched

    def published(self) -> list[Month]:
        """Return the months that have a raw file, in order."""
        return self._raw.published()

    def metadata(self, month: Month) -> SourceMetadata:
        """Return what the source reports about the raw file."""
        return self._raw.metadata(month)

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Put the month's rows at `target`, as parquet.

        Raises:
            SchemaError: a column is missing or has another type than declared, or `prepare` fails.
        """
        with tempfile.TemporaryDirectory(prefix="autoops-") as folder:
            raw = Path(folder) / self._raw.file_name(month)
            metadata = self._raw.fetch(month, raw, progress)
            _convert(self._contract, raw, target)
        return metadata


class OneFileSource(Source):
    """One file that holds many periods, which are split by event time.

    A month that is not over yet is not published, for each new row would publish it again; nor is one that lies ahead,
    as that of a row whose time is wrong. `whole` finds the same file for every month. Unless that is parquet in a
    folder, it is fetched and converted once for each of its editions.
    """

    def __init__(self, whole: Source, contract: Contract, clock: Clock | None = None) -> None:
        self._whole = whole
        self._contract = contract
        self._clock = clock or SystemClock()
        self._opened: _Table | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.files = contract.source.fetched

    def published(self) -> list[Month]:
        """Return the months that are over and have rows, in order.

        Raises:
            SourceUnavailable: the file is not there, or cannot be read.
        """
        try:
            return self._over(self._table())
        except DataError as error:
            raise SourceUnavailable(f"data.source: {error}") from error

    def metadata(self, month: Month) -> SourceMetadata:
        """Return a digest of the month's rows as `etag`: of a file that changed only some months are new."""
        table = self._holding(month)
        return table.metadata_of(month)

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Write the month's rows to `target`, in the declared raw columns."""
        table, digest = self._holding(month), Digest()
        with atomic_write(target) as file:
            write_pieces(digest.over(table.rows_of(month)), file, target.name)
            check_parquet(file, target.name)
            if progress:
                progress(file.tell(), file.tell())
        return digest.metadata

    def _over(self, table: "_Table") -> list[Month]:
        now = Month.of(self._clock.now(), self._contract.zone)
        return [month for month in table.months if month < now]

    def _holding(self, month: Month) -> "_Table":
        table = self._table()
        if month not in (over := self._over(table)):
            held = f"{over[0]} to {over[-1]}" if over else "no month that is over"
            raise NotPublished(f"{month} is not published: {self._contract.source.files} holds {held}")
        return table

    def _table(self) -> "_Table":
        """Return the file as it is now.

        Raises:
            SourceUnavailable: it is not there.
        """
        try:
            edition = self._whole.metadata(_ANY)
        except NotPublished as error:
            raise SourceUnavailable(f"data.source: {self._contract.source.files} is not there: {error}") from error
        if self._opened is None or not self._opened.edition.matches(edition):
            self._opened = _Table.of(self._contract, self._local(), edition)
        return self._opened

    def _local(self) -> Path:
        """Return the path of the file as parquet with the declared raw columns."""
        declared, path = self._contract.source, self._whole.path_of(_ANY)
        as_it_is = not self._contract.is_converted
        if path and as_it_is:
            return path
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="autoops-")
        fetched = Path(self._folder.name) / declared.files
        self._whole.fetch(_ANY, fetched)
        if as_it_is:
            return fetched
        converted = fetched.with_name(f"{declared.files}.parquet")
        _convert(self._contract, fetched, converted)
        fetched.unlink()
        return converted


@dataclass
class _Table:
    """One edition of the file. `months` counts rows; digests are taken when they are asked for, all at once."""

    contract: Contract
    path: Path
    edition: SourceMetadata
    months: dict[Month, int] = field(default_factory=dict)
    digests: "dict[Month, Digest] | None" = None

    @classmethod
    def of(cls, contract: Contract, path: Path, edition: SourceMetadata) -> "_Table":
        """Return the file, after reading its event times.

        Raises:
            CorruptFile: the file is truncated, or no parquet file.
            SchemaError: the column of event times is missing, or holds none.
        """
        table, counts, rows = cls(contract, path, edition), Counter[Month](), 0
        for part in table._read([contract.raw_event_time]):
            rows += len(part)
            months, of_each = np.unique(table._months(part), return_counts=True)
            counts.update(dict(zip(map(_month, months), of_each.tolist(), strict=True)))
        table.months = {month: counts[month] for month in sorted(counts) if month.year in _YEARS}
        if rows and not table.months:
            name = contract.raw_event_time
            raise SchemaError(f"{path.name}: column {name} holds no time of {_YEARS[0]} to {_YEARS[-1]}, as ISO 8601")
        if lost := rows - sum(table.months.values()):
            logger.warning("%s: %d of %d rows belong to no month: their time is missing", path.name, lost, rows)
        return table

    def metadata_of(self, month: Month) -> SourceMetadata:
        """Return the digest of a month's rows."""
        if self.digests is None:
            digests = {held: Digest() for held in self.months}
            for part in self._read(self._columns):
                hashes, months = _hashes(part), self._months(part)
                for held in np.unique(months):
                    if (month_held := _month(held)) in digests:
                        digests[month_held].add(hashes[months == held])
            self.digests = digests
        return self.digests[month].metadata

    def rows_of(self, month: Month) -> Iterator[pa.Table]:
        """Yield the rows of a month."""
        for part in self._read(self._columns, month):
            if (mask := self._months(part) == np.datetime64(str(month), "M")).any():
                yield part.filter(pa.array(mask))

    @property
    def _columns(self) -> list[str] | None:
        return None if self.contract.clean else list(self.contract.raw_columns)

    def _months(self, part: pa.Table) -> npt.NDArray[Any]:
        return months_of(self.contract, event_times(self.contract, part, self.path.name))

    def _read(self, columns: list[str] | None, month: Month | None = None) -> Iterator[pa.Table]:
        """Yield the columns in pieces, None for all; those row groups that may hold rows of the month.

        Raises:
            CorruptFile: the file cannot be read as parquet.
        """
        time = self.contract.raw_event_time
        try:
            with pq.ParquetFile(self.path) as file:
                require_columns(columns or [time], file.schema_arrow.names, self.path.name)
                groups = [
                    one for one in range(file.num_row_groups) if month is None or _may_hold(file, one, time, month)
                ]
                for batch in file.iter_batches(PIECE_ROWS, row_groups=groups, columns=columns):
                    yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise CorruptFile(f"{self.path.name}: truncated, or not a parquet file") from error


class Digest:
    """A digest of rows, whatever their order and the pieces that they come in."""

    def __init__(self) -> None:
        self._rows, self._sum = 0, 0

    def add(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Add the hashes of rows."""
        self._rows += len(hashes)
        self._sum = (self._sum + int(hashes.sum(dtype=np.uint64))) % 2**64

    def over(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Yield the tables, and add their rows."""
        for table in tables:
            self.add(_hashes(table))
            yield table

    @property
    def metadata(self) -> SourceMetadata:
        """Return the digest as a source's report."""
        return SourceMetadata(etag=f"{self._rows}-{self._sum:016x}")


def _convert(contract: Contract, raw: Path, target: Path) -> None:
    with atomic_write(target) as file, closing(pieces(contract, raw)) as tables:
        write_pieces(tables, file, raw.name)
        check_parquet(file, raw.name)


def _hashes(table: pa.Table) -> npt.NDArray[np.uint64]:
    columns = {}
    for position, column in enumerate(table.columns):
        # pandas has integers and booleans as other types where a piece has a null.
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        columns[position] = (column.cast(pa.float64(), safe=False) if is_number(column.type) else column).to_pandas()
    return np.asarray(pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy())


def _month(value: np.datetime64) -> Month:
    """Return the month of a datetime64[M]; one of the year 0 for NaT."""
    if np.isnat(value):
        return Month(0, 1)
    since_1970 = int(value.astype(np.int64))
    return Month(1970 + since_1970 // 12, since_1970 % 12 + 1)


def _may_hold(file: pq.ParquetFile, group: int, time: str, month: Month) -> bool:
    """Return whether the statistics of a row group allow for rows of the month."""
    of_group = file.metadata.row_group(group)
    columns = map(of_group.column, range(of_group.num_columns))
    known = next((column.statistics for column in columns if column.path_in_schema == time), None)
    if known is None or not known.has_min_max or not isinstance(known.min, datetime):
        return True
    least, most = (end.replace(tzinfo=None) for end in (known.min, known.max))
    begin, end = (datetime(one.year, one.month, 1) for one in (month, month.plus(1)))
    return bool(least < end + _OFFSET and most > begin - _OFFSET)
