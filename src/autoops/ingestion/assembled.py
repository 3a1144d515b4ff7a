"""Months that are put together from the files of weeks or of days."""

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from autoops.clock import Clock, SystemClock
from autoops.errors import DataError, EmptyMonth, NotPublished, SchemaError
from autoops.ingestion.atomic_write import atomic_write, check_parquet
from autoops.ingestion.declared import event_times, months_of
from autoops.ingestion.raw_files import pieces, write_pieces
from autoops.ingestion.source import Progress, RawFiles, Source, SourceMetadata
from autoops.months import Month, Period, covering, month_range
from autoops.usecase.contract import Contract

logger = logging.getLogger(__name__)

_ASKED_AT_ONCE = 12


class AssembledSource(Source):
    """Files of weeks or days, whose rows go to the months of their event times.

    A month has the rows of the files with one of its days, which must all be there, and those that the files before
    and after hold of it: another time zone than the declared one may have cut them. A row that is of no month near
    its file goes to the month in which that begins, where cleaning drops and counts it.
    """

    def __init__(self, raw: RawFiles, contract: Contract, clock: Clock | None = None) -> None:
        self._raw = raw
        self._contract = contract
        self._clock = clock or SystemClock()
        self.files = contract.source.fetched

    def published(self) -> list[Month]:
        """Return the months between the first file and the last one of those that have begun, in order.

        So the newest month is open until its last file is there. One with a gap is listed, and cannot be fetched.
        """
        today = self._clock.now().astimezone(self._contract.zone).date()
        there = {period for period in self._raw.periods() if period.begins <= today}
        if not there:
            return []
        first, last = (end(period.begins for period in there) for end in (min, max))
        of_each = {month: self._own(month) for month in month_range(Month.holding(first), Month.holding(last))}
        return [
            month
            for month, own in of_each.items()
            if own[0].begins >= first and own[-1].begins <= last and there.intersection(own)
        ]

    def metadata(self, month: Month) -> SourceMetadata:
        """Return a digest of what the source reports about the month's files as `etag`.

        Raises:
            NotPublished: a file of the month is missing; the message names it.
        """
        return _as_one(self._editions(month))

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Write the month's rows to `target`, in the declared raw columns.

        Raises:
            NotPublished: a file of the month is missing; the message names it.
            SchemaError: a column is missing in a file, or has another type than in the files before.
        """
        editions = self._editions(month)
        with tempfile.TemporaryDirectory(prefix="autoops-") as folder, atomic_write(target) as file:
            write_pieces(self._rows(month, list(editions), Path(folder)), file, target.name)
            check_parquet(file, target.name)
            if progress:
                progress(file.tell(), file.tell())
        return _as_one(editions)

    def _own(self, month: Month) -> list[Period]:
        return covering(self._raw.kind, month)

    def _editions(self, month: Month) -> dict[Period, SourceMetadata]:
        """Return what the source reports about the month's files, and those before and after where they are there.

        Raises:
            NotPublished: a file of the month is missing.
        """
        own = self._own(month)
        wanted = [own[0].plus(-1), *own, own[-1].plus(1)]
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            found = dict(zip(wanted, pool.map(self._edition, wanted), strict=True))
        if missing := [self._raw.file_name(period) for period in own if found[period] is None]:
            raise NotPublished(
                f"{month} is not published as a whole: there is no {', '.join(missing)}; "
                "a period without rows needs a file without rows"
            )
        return {period: edition for period, edition in found.items() if edition}

    def _edition(self, period: Period) -> SourceMetadata | None:
        try:
            return self._raw.metadata(period)
        except NotPublished:
            return None

    def _rows(self, month: Month, periods: list[Period], folder: Path) -> Iterator[pa.Table]:
        """Yield the month's rows of the files, in the types of the first one.

        Raises:
            DataError: a file of the month cannot be read; of the files beside it this is logged.
        """
        own, schema = set(self._own(month)), None
        for period in periods:
            path = folder / self._raw.file_name(period)
            try:
                self._raw.fetch(period, path)
                for part in self._of_file(month, period, path, period in own):
                    schema = schema or part.schema
                    yield _cast(part, schema, path.name)
            except EmptyMonth:
                continue
            except DataError as error:
                if period in own:
                    raise
                logger.warning("%s is assembled without the file beside it: %s", month, error)

    def _of_file(self, month: Month, period: Period, path: Path, own: bool) -> Iterator[pa.Table]:
        name = self._contract.raw_event_time
        with closing(pieces(self._contract, path, typed=True)) as parts:
            for part in parts:
                event_at = event_times(self._contract, part, path.name)
                months = months_of(self._contract, event_at)
                mask = months == np.datetime64(str(month), "M")
                if own and Month.holding(period.begins) == month:
                    mask |= ~_near(period, months)
                if self._contract.clean is None:
                    times = pa.array(event_at, pa.timestamp("us", "UTC"))
                    part = part.set_column(part.column_names.index(name), name, times)
                if mask.any():
                    yield part.filter(pa.array(mask))


def _near(period: Period, months: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return a mask of the months that read the period's file; False for NaT."""
    first, last = period.plus(-1).begins, period.plus(2).begins - timedelta(days=1)
    return np.asarray((months >= np.datetime64(first, "M")) & (months <= np.datetime64(last, "M")))


def _cast(part: pa.Table, schema: pa.Schema, file: str) -> pa.Table:
    try:
        return part.cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise SchemaError(f"{file}: a column has another type than in the files before: {error}") from error


def _as_one(editions: dict[Period, SourceMetadata]) -> SourceMetadata:
    reported = {str(period): asdict(edition) for period, edition in editions.items()}
    return SourceMetadata(etag=hashlib.sha256(json.dumps(reported).encode()).hexdigest())
