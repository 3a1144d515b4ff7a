"""Clean months, one parquet file each; the facts about a month are in its file's own metadata.

So a month is there entirely or not at all, and its count of dropped rows can never belong to another file.
"""

import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from autoops.errors import CorruptFile, MonthError, NotFound, NotPublished, SourceUnavailable, StorageUnavailable
from autoops.ingestion.atomic_write import atomic_write
from autoops.ingestion.cleaned import Cleaned, Cleaner
from autoops.ingestion.profile import Profile
from autoops.ingestion.source import Progress, Source, SourceMetadata
from autoops.months import Month

logger = logging.getLogger(__name__)

Status = Literal["ingested", "unchanged", "republished"]

CLEANING = 3
"""Raise it when the rules of cleaning or the stored facts about a month change: older months are then fetched again."""

_KEY = b"autoops"


@dataclass(frozen=True)
class IngestedMonth:
    """A month in the store.

    `digest` is the sha256 of the clean values, whatever wrote the file. `metadata` is the raw file's, and `profile` is
    of its rows before cleaning.
    """

    month: Month
    path: Path
    rows: int
    rows_read: int
    dropped: dict[str, int]
    digest: str
    metadata: SourceMetadata
    profile: Profile
    status: Status = "unchanged"

    @property
    def kept_share(self) -> float:
        """Return the share of the raw rows that cleaning kept, from 0 to 1."""
        return self.rows / self.rows_read

    @property
    def content(self) -> str:
        """Return a name for all facts about the raw rows: months that differ in what was dropped differ here, too."""
        facts = json.dumps({"digest": self.digest, "profile": self.profile.to_json()}, sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:16]


class MonthStore:
    """A folder of clean months."""

    def __init__(self, directory: Path, clean: Cleaner) -> None:
        self._directory = directory
        self._clean = clean

    def ingest(
        self, source: Source, month: Month, progress: Progress | None = None, refetch: bool = False
    ) -> IngestedMonth:
        """Fetch and clean a month unless the source still has what was fetched before.

        A source that does not answer does not remove a stored month. After an error the stored month is as it was.

        Raises:
            NotPublished: the source does not hold the month.
            DataError: the file cannot be read or cleaned.
            SourceUnavailable: the source does not answer.
            StorageUnavailable: the month cannot be written or read back.
        """
        known = self.get(month)
        if known and not refetch and self._is_current(source, known):
            return known
        # A folder for each call, because several processes may ingest a month at once; the file
        # keeps the source's name, which error messages show.
        raw = self._directory / f".raw-{uuid.uuid4().hex}" / source.file_name(month)
        try:
            metadata = source.fetch(month, raw, progress)
            cleaned = self._clean(raw, month)
        finally:
            shutil.rmtree(raw.parent, ignore_errors=True)
        fresh = self._write(month, cleaned, metadata)
        return replace(fresh, status=_status(known, fresh))

    def months(self) -> list[IngestedMonth]:
        """Return the usable months in order, without unreadable ones, those of an older `CLEANING` and other files."""
        found = []
        for path in sorted(self._directory.glob("????-??.parquet")):
            # 2023-13.parquet fits the pattern and is no month.
            with suppress(MonthError):
                found.append(self.get(Month.parse(path.stem)))
        return [month for month in found if month]

    def get(self, month: Month) -> IngestedMonth | None:
        """Return a month of the store; None where it is not there, or not in a usable form."""
        path = self._path(month)
        try:
            known = json.loads(pq.read_schema(path).metadata[_KEY])
            if known.pop("cleaning") != CLEANING:
                return None
            # The key that stored files have: under another name every month would be fetched again.
            metadata = SourceMetadata(**known.pop("stamp"))
            profile = Profile.from_json(known.pop("profile"))
            return IngestedMonth(month, path, metadata=metadata, profile=profile, **known)
        except FileNotFoundError:
            return None
        # Raised by parquet files that the store did not write: no metadata, other JSON or keys.
        except (pa.ArrowException, OSError, AttributeError, TypeError, KeyError, ValueError) as error:
            logger.warning("%s cannot be read and counts as not ingested: %s", path, error)
            return None

    def delete(self, month: Month) -> None:
        """Delete a month; `ingest` fetches it again."""
        self._path(month).unlink(missing_ok=True)

    def load(self, months: Sequence[Month]) -> pd.DataFrame:
        """Return the rows of these months in order of time, with event time, features and target.

        Raises:
            NotFound: no month was named, or some are not ingested; the message names them.
            CorruptFile: a stored file is damaged.
        """
        wanted = sorted(set(months))
        missing = [str(month) for month in wanted if self.get(month) is None]
        if not wanted:
            raise NotFound("no month was named")
        if missing:
            again = f"run `autoops ingest --months {','.join(missing)}` first"
            raise NotFound(f"not ingested: {', '.join(missing)}; {again}")
        return pd.concat([self._rows(month) for month in wanted], ignore_index=True)

    def _rows(self, month: Month) -> pd.DataFrame:
        try:
            # Checksums are not verified by default: a flipped bit would be read as another value.
            frame: pd.DataFrame = pq.read_table(self._path(month), page_checksum_verification=True).to_pandas()
        except (pa.ArrowException, OSError) as error:
            again = f"run `autoops ingest --refetch --months {month}`"
            raise CorruptFile(f"{self._path(month)}: damaged on this disk; {again}") from error
        return frame

    def _path(self, month: Month) -> Path:
        return self._directory / f"{month}.parquet"

    def _is_current(self, source: Source, known: IngestedMonth) -> bool:
        try:
            return source.metadata(known.month).matches(known.metadata)
        except (NotPublished, SourceUnavailable) as error:
            logger.warning("%s stays as it was ingested: %s", known.month, error)
            return True

    def _write(self, month: Month, cleaned: Cleaned, metadata: SourceMetadata) -> IngestedMonth:
        facts = {
            "rows": len(cleaned.rows),
            "rows_read": cleaned.rows_read,
            "dropped": cleaned.dropped,
            "digest": _digest(cleaned.rows),
            "profile": cleaned.profile.to_json(),
        }
        known = json.dumps(facts | {"stamp": asdict(metadata), "cleaning": CLEANING})
        table = pa.Table.from_pandas(cleaned.rows, preserve_index=False)
        with atomic_write(self._path(month)) as file:
            pq.write_table(
                table.replace_schema_metadata({_KEY: known}), file, compression="zstd", write_page_checksum=True
            )
        written = self.get(month)
        if written is None:
            raise StorageUnavailable(f"{self._path(month)}: cannot be read back")
        return written


def _status(known: IngestedMonth | None, fresh: IngestedMonth) -> Status:
    if known is None:
        return "ingested"
    return "unchanged" if known.content == fresh.content else "republished"


def _digest(rows: pd.DataFrame) -> str:
    digest = hashlib.sha256()
    for name in rows.columns:
        values = rows[name]
        digest.update(name.encode())
        # Of times with a zone and of strings `to_numpy` returns Python objects, whose bytes are addresses.
        array = (values.dt.tz_localize(None) if name == "event_at" else values).to_numpy()
        if array.dtype == object:
            array = pd.util.hash_pandas_object(values, index=False).to_numpy()
        digest.update(array.tobytes())
    return digest.hexdigest()
