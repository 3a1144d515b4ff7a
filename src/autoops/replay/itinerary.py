"""The rows of a replay, month by month: the requests as clients send them, and the ground truth that follows."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.source import Source
from autoops.months import Month
from autoops.replay.tally import EPOCH
from autoops.usecase.columns import EVENT_AT, TARGET, Array, columns_of
from autoops.usecase.contract import Contract, Feature, Value

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Departure:
    """One row before its outcome: the body of its `/predict` request, its true target, and the label that tells it.

    Of a binary target `truth` is 1 for the positive value, and the label has the value itself.
    """

    event_at: datetime
    request: Mapping[str, object]
    truth: float
    label: Mapping[str, object]

    @property
    def request_id(self) -> str:
        """Return the row's id: the month and the row's position in it, such as `2023-01/42`."""
        return str(self.request["request_id"])


@dataclass(frozen=True)
class LoadedMonth:
    """A month's raw file and the rows to send.

    `trips` is a frame of them in event order, with the contract's features and the target. They are all rows that a
    client would send, also those whose target is outside the bounds of training. `rows` are their positions in the
    whole month, so that a row keeps its `request_id` whatever the sample.
    """

    contract: Contract
    month: Month
    raw: Path
    trips: pd.DataFrame
    rows: Rows

    def departures(self) -> Iterator[Departure]:
        """Yield the rows in event order."""
        contract, columns = self.contract, columns_of(self.trips)
        moments = columns[EVENT_AT].astype(np.int64).tolist()
        values = zip(*(_sent(feature, columns[name]) for name, feature in contract.features.items()), strict=True)
        truths = self.trips[TARGET].tolist()
        for row, moment, inputs, truth in zip(self.rows.tolist(), moments, values, truths, strict=True):
            event_at, own = EPOCH + timedelta(microseconds=moment), {"request_id": f"{self.month}/{row}"}
            request = dict(zip(contract.inputs, inputs, strict=True)) | own
            request[contract.event_time.column] = event_at.isoformat()
            yield Departure(event_at, request, truth, own | {contract.target.column: self._label(truth)})

    def _label(self, truth: float) -> Value:
        """Return the target as ground truth names it."""
        target = self.contract.target
        if self.contract.task != "binary":
            return truth
        assert target.positive is not None
        return target.positive if truth else target.other


def _sent(feature: Feature, values: Array) -> list[Value | None]:
    """Return the values of a feature as clients send them: frames hold booleans and nullable whole numbers as numbers.

    `tolist` makes plain numbers, because orjson refuses NumPy's.
    """
    if feature.is_text:
        return list(values.tolist())
    kind = {"float": float, "bool": bool}.get(feature.type, int)
    return [None if value != value else kind(value) for value in values.tolist()]


def load(source: Source, month: Month, directory: Path, contract: Contract, sample: int | None = None) -> LoadedMonth:
    """Fetch the raw month into `directory` and read its rows: all of them, or `sample` of them."""
    raw = directory / source.file_name(month)
    source.fetch(month, raw)
    trips = cleaner_of(contract, contract.target.accepts)(raw, month).rows
    rows = np.arange(len(trips)) if sample is None else spread(len(trips), sample)
    return LoadedMonth(contract, month, raw, trips.iloc[rows], rows)


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
