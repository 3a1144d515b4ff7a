"""A source that shows only the months published so far, one that keeps what it fetched, and a clock to be set."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from autoops.clock import Clock
from autoops.errors import NotPublished
from autoops.ingestion.atomic_write import atomic_write
from autoops.ingestion.source import Progress, Source, SourceMetadata
from autoops.months import Month


class MovedClock(Clock):
    """A clock that stands still until the simulation moves it."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the time that the simulation has reached."""
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Move the clock to `moment`; leave it as it is if that is earlier."""
        self._now = max(self._now, moment)

    def advance(self, seconds: float) -> None:
        """Move the clock on by `seconds`."""
        self._now += timedelta(seconds=seconds)


class PublishedSoFar(Source):
    """The months from `first` up to the last published one, and no later one."""

    def __init__(self, whole: Source, first: Month, until: Month) -> None:
        self._whole = whole
        self.files = whole.files
        self._first = first
        self._until = until

    def publish(self, month: Month) -> None:
        """Publish all months up to this one; an earlier month changes nothing."""
        self._until = max(self._until, month)

    def published(self) -> list[Month]:
        """Return the months of the whole source that are published so far, in order."""
        return [month for month in self._whole.published() if self._is_out(month)]

    def metadata(self, month: Month) -> SourceMetadata:
        """Return what the whole source reports about a month's file; only for a month published so far."""
        self._refuse_what_is_not_out(month)
        return self._whole.metadata(month)

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Fetch a month's raw file from the whole source to `target`; only for a month published so far."""
        self._refuse_what_is_not_out(month)
        return self._whole.fetch(month, target, progress)

    def _is_out(self, month: Month) -> bool:
        return self._first <= month <= self._until

    def _refuse_what_is_not_out(self, month: Month) -> None:
        if not self._is_out(month):
            raise NotPublished(f"{month} is not published: the walk has come to {self._until}")


class KeptFiles(Source):
    """A source that keeps each raw file it fetches in a folder, under the name that the source has for it."""

    def __init__(self, whole: Source, folder: Path) -> None:
        self._whole = whole
        self.files = whole.files
        self._folder = folder

    def published(self) -> list[Month]:
        """Return the months of the whole source."""
        return self._whole.published()

    def metadata(self, month: Month) -> SourceMetadata:
        """Return what the whole source reports about a month's file."""
        return self._whole.metadata(month)

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        """Fetch a month's raw file once, into the folder, and copy it to `target`."""
        kept = self.kept(month)
        metadata = self._whole.fetch(month, kept, progress)
        with kept.open("rb") as raw, atomic_write(target) as file:
            shutil.copyfileobj(raw, file)
        return metadata

    def kept(self, month: Month) -> Path:
        """Return where the month's raw file is kept once it was fetched."""
        return self._folder / self.file_name(month)
