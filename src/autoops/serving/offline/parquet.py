"""Parquet files of trips, of any size: read, scored and written in pieces, so that memory does not grow with them.

The columns are those of the contract, or those of a month as the TLC publishes it; other columns are copied. Unlike a
request, a file must have the pickup times: "now" would be a silent mistake there. A raw month has rows that are outside
the contract and that `autoops ingest` would drop: they get no prediction, and are counted.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from autoops.errors import CorruptFile, InputError
from autoops.features import feature_matrix
from autoops.models.scoring import Scorer, ScoringThreads
from autoops.serving.payloads import arrow_columns
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.validation_errors import Skipped, ValidationErrors

ADDED = {"prediction": pa.float64(), "model_version": pa.int32()}
_REQUIRED = ("pickup_at", *arrow_columns.REQUIRED)
_RAW_NAMES = {
    "lpep_pickup_datetime": "pickup_at",
    "PULocationID": "pickup_location_id",
    "DOLocationID": "dropoff_location_id",
}
"""The TLC's columns that have another name in the contract, with that name."""

_READ_AHEAD_BYTES = 1 << 20

Report = Callable[[int, int | None], None]


class Model(Protocol):
    """Predicts the trips in a piece of a file: a version loaded here, or a remote API."""

    def predict(self, batch: Batch) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the predictions in minutes and their model versions, both of shape `(rows,)`."""


@dataclass(frozen=True)
class LocalModel:
    """A version loaded in this process. Its predictions are not logged."""

    scorer: Scorer
    number: int
    cores: ScoringThreads

    def predict(self, batch: Batch) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the predictions in minutes and this version's number for each row, both of shape `(rows,)`."""
        matrix = feature_matrix(batch.columns(), self.scorer.manifest.features)
        return self.cores.predict(self.scorer, matrix), np.full(len(batch), self.number, dtype=np.int32)


@dataclass(frozen=True)
class Scored:
    """What `score` has done.

    `skipped` counts rows of a raw month without a prediction, by the column that is outside the contract.
    """

    rows: int
    model_versions: tuple[int, ...]
    skipped: dict[str, int] = field(default_factory=dict)


def score(source: Path, target: Path, model: Model, piece_rows: int, report: Report) -> Scored:
    """Write the rows of `source` with `prediction` and `model_version` to `target`, which appears when it is complete.

    Raises:
        InputError: `source` does not exist, `target` cannot be written, or trips are outside the contract.
        CorruptFile: `source` cannot be read.
    """
    if not source.is_file():
        raise InputError(f"{source}: no such file")
    with _open(source) as file:
        try:
            return _write(file, target, model, piece_rows, report)
        except OSError as error:
            # Errors of reading are CorruptFile by now, so this one is of `target`.
            raise InputError(f"{target} cannot be written: {error.strerror or error}") from error


def _open(source: Path) -> pq.ParquetFile:
    """Open the file, and check its columns.

    Raises:
        CorruptFile: the file cannot be read.
        InvalidTrips: a column is missing, there twice or of the wrong type, or already has the name of an added one.
    """
    try:
        # Both bound memory: otherwise Arrow reads whole column chunks, and others ahead.
        file = pq.ParquetFile(source, buffer_size=_READ_AHEAD_BYTES, pre_buffer=False)
        _check(file.schema_arrow)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{source} does not read: {error}") from error
    return file


def _check(schema: pa.Schema) -> None:
    errors = ValidationErrors()
    for name in ADDED:
        if name in schema.names:
            errors.column(name, "the file has this column already")
    errors.check()
    arrow_columns.check_schema(_contract(schema), required=_REQUIRED, file=True)


def _is_raw(schema: pa.Schema) -> bool:
    return "pickup_at" not in schema.names and all(schema.names.count(name) == 1 for name in _RAW_NAMES)


def _contract(schema: pa.Schema) -> pa.Schema:
    """Return the schema with a raw month's columns named as in the contract."""
    if not _is_raw(schema):
        return schema
    return pa.schema([column.with_name(_RAW_NAMES.get(column.name, column.name)) for column in schema])


def _write(file: pq.ParquetFile, target: Path, model: Model, piece_rows: int, report: Report) -> Scored:
    schema = file.schema_arrow
    for name, kind in ADDED.items():
        schema = schema.append(pa.field(name, kind, nullable=_is_raw(file.schema_arrow)))
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(temporary, schema) as writer:
            scored = _write_pieces(file, writer, model, piece_rows, report)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return scored


def _write_pieces(
    file: pq.ParquetFile, writer: pq.ParquetWriter, model: Model, piece_rows: int, report: Report
) -> Scored:
    done, versions, skipped = 0, set[int](), Counter[str]()
    raw, names = _is_raw(file.schema_arrow), _contract(file.schema_arrow).names
    for piece in _pieces(file, piece_rows):
        trips = pa.Table.from_arrays(piece.columns, names)
        trips = trips.select([name for name in arrow_columns.COLUMNS if name in names])
        added, numbers = _predict_fitting(trips, model, skipped) if raw else _predict(trips, done, model)
        writer.write_batch(pa.RecordBatch.from_arrays([*piece.columns, *added], schema=writer.schema))
        versions.update(numbers)
        done += len(piece)
        report(done, file.metadata.num_rows)
    return Scored(done, tuple(sorted(versions)), dict(skipped))


def _pieces(file: pq.ParquetFile, rows: int) -> Iterator[pa.RecordBatch]:
    pieces, done = file.iter_batches(batch_size=rows), 0
    while True:
        try:
            piece = next(pieces, None)
            if piece is None:
                return
            # The strings in a file may not be valid UTF-8.
            piece.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise CorruptFile(f"the rows from {done} on do not read: {error}") from error
        yield piece
        done += len(piece)


Added = tuple[list[pa.Array], set[int]]
"""The columns `ADDED` for the rows of a piece, and the versions in them."""


def _predict(trips: pa.Table, first_row: int, model: Model) -> Added:
    """Predict all rows.

    Raises:
        InvalidTrips: rows are outside the contract; their positions are those in the file.
    """
    errors = ValidationErrors(first_row=first_row)
    batch = arrow_columns.batch_of(trips, errors)
    errors.rows("pickup_at", np.isnat(batch.pickup_at), arrow_columns.NO_VALUE)
    errors.check()
    minutes, numbers = model.predict(batch)
    return [pa.array(minutes), pa.array(numbers)], set(np.unique(numbers).tolist())


def _predict_fitting(trips: pa.Table, model: Model, skipped: Counter[str]) -> Added:
    """Predict the rows that are within the contract, and count the others."""
    found = Skipped(trips.num_rows)
    batch = arrow_columns.batch_of(trips, found)
    found.rows("pickup_at", np.isnat(batch.pickup_at) & ~found.mask, arrow_columns.NO_VALUE)
    skipped.update(found.reasons)
    minutes, numbers = np.full(len(batch), np.nan), np.zeros(len(batch), dtype=np.int32)
    fitting = ~found.mask
    if fitting.any():
        minutes[fitting], numbers[fitting] = model.predict(batch.taken(fitting))
    versions = set(np.unique(numbers[fitting]).tolist())
    return [pa.array(minutes, mask=found.mask), pa.array(numbers, mask=found.mask)], versions
