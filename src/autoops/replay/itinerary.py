"""The trips of a replay, month by month: the requests as clients send them, and the ground truth that follows."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.ingestion.source import Source, file_name
from autoops.months import Month
from autoops.replay.tally import EPOCH
from autoops.usecase.columns import EVENT_AT, TARGET, columns_of
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.trips import LABEL_MINUTES

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Departure:
    """One trip about to begin: the body of its `/predict` request, and its true duration in minutes."""

    event_at: datetime
    request: Mapping[str, object]
    truth: float

    @property
    def request_id(self) -> str:
        """Return the trip's id: the month and the trip's position in it, such as `2023-01/42`."""
        return str(self.request["request_id"])


@dataclass(frozen=True)
class LoadedMonth:
    """A month's raw file and the trips to send.

    `trips` has one row per trip in event order, with TRIP_COLUMNS and the target in minutes. They are all trips that a
    client would send, also those that take too long to be trained on. `rows` are their positions in the whole month, so
    that a trip keeps its `request_id` whatever the sample.
    """

    month: Month
    raw: Path
    trips: pd.DataFrame
    rows: Rows

    def departures(self) -> Iterator[Departure]:
        """Yield the trips in event order."""
        columns = columns_of(self.trips)
        moments = columns[EVENT_AT].astype(np.int64).tolist()
        # `tolist` makes plain numbers: orjson refuses NumPy's.
        fields = [name for name in columns if name != EVENT_AT]
        values = zip(*(columns[name].tolist() for name in fields), strict=True)
        truths = self.trips[TARGET].tolist()
        for row, moment, trip, truth in zip(self.rows.tolist(), moments, values, truths, strict=True):
            event_at = EPOCH + timedelta(microseconds=moment)
            request = dict(zip(fields, trip, strict=True))
            request |= {"pickup_at": event_at.isoformat(), "request_id": f"{self.month}/{row}"}
            yield Departure(event_at, request, truth)


def load(source: Source, month: Month, directory: Path, sample: int | None = None) -> LoadedMonth:
    """Fetch the raw month into `directory` and read its trips: all of them, or `sample` of them."""
    raw = directory / file_name(month)
    source.fetch(month, raw)
    trips = clean(raw, month, LABEL_MINUTES).rows
    rows = np.arange(len(trips)) if sample is None else spread(len(trips), sample)
    return LoadedMonth(month, raw, trips.iloc[rows], rows)


def spread(rows: int, sample: int) -> Rows:
    """Return the positions of `sample` of so many rows; all of them where there are no more.

    They are spread evenly over the rows, so that the sample follows the traffic over the days and is the same each
    time.
    """
    if sample >= rows:
        return np.arange(rows)
    return ((2 * np.arange(sample) + 1) * rows // (2 * sample)).astype(np.int64)


def publish(raw: Path, directory: Path) -> Path:
    """Copy a raw month to a source's directory atomically: the source never shows half a file."""
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / raw.name
    # Hidden and with another ending: a source takes only exact file names for months.
    partial = directory / f".{raw.name}.{os.getpid()}"
    shutil.copyfile(raw, partial)
    partial.replace(target)
    return target
