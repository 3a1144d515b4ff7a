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
import pyarrow as pa
import pyarrow.parquet as pq

from autoops.errors import SchemaError
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.declared import event_times, months_of
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

    `frame` has them in event order, with the contract's features and the target. They are all rows that a
    client would send, also those whose target is outside the bounds of training. `rows` are their positions in the
    whole month, so that a row keeps its `request_id` whatever the sample.
    """

    contract: Contract
    month: Month
    raw: Path
    frame: pd.DataFrame
    rows: Rows

    def departures(self) -> Iterator[Departure]:
        """Yield the rows in event order."""
        contract, columns = self.contract, columns_of(self.frame)
        moments = columns[EVENT_AT].astype(np.int64).tolist()
        values = zip(*(_sent(feature, columns[name]) for name, feature in contract.features.items()), strict=True)
        truths = self.frame[TARGET].tolist()
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
    frame = cleaner_of(contract, contract.target.accepts)(raw, month).rows
    rows = np.arange(len(frame)) if sample is None else spread(len(frame), sample)
    return LoadedMonth(contract, month, raw, frame.iloc[rows], rows)


def spread(rows: int, sample: int) -> Rows:
    """Return the positions of `sample` of so many rows; all of them where there are no more.

    They are spread evenly over the rows, so that the sample follows the traffic over the days and is the same each
    time.
    """
    if sample >= rows:
        return np.arange(rows)
    return ((2 * np.arange(sample) + 1) * rows // (2 * sample)).astype(np.int64)


def publish(raw: Path, month: Month, directory: Path, contract: Contract) -> Path:
    """Add a raw month to a source's directory atomically: the source never shows half a file.

    It is a file of its own, or takes the month's place in the one file of a use case that has only one.

    Raises:
        SchemaError: that file has other columns, so no replay has made it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    in_one = "{period}" not in contract.source.files
    target = directory / (contract.source.files if in_one else raw.name)
    # Hidden and with another ending: a source takes only exact file names for months.
    partial = directory / f".{target.name}.{os.getpid()}"
    if in_one and target.exists():
        _merge(raw, month, target, contract, partial)
    else:
        shutil.copyfile(raw, partial)
    partial.replace(target)
    return target


def _merge(raw: Path, month: Month, target: Path, contract: Contract, partial: Path) -> None:
    added, there = pq.read_table(raw), pq.read_table(target)
    if added.column_names != there.column_names:
        raise SchemaError(f"{target}: no replay has made this file; name another folder to publish to")
    other = months_of(contract, event_times(contract, there, target.name)) != np.datetime64(str(month), "M")
    pq.write_table(pa.concat_tables([there.filter(pa.array(other)), added], promote_options="permissive"), partial)
