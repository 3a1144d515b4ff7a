"""Parquet files of trips, of any size: read, scored and written in pieces, so that memory does not grow with them.

The columns are those of the contract; whatever else a file has is carried along. Unlike a request, a file must say when
its trips begin: "now" would be a silent mistake there.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from autoops.errors import CorruptFile, InputError
from autoops.features import feature_matrix
from autoops.scoring import Cores, Scorer
from autoops.serving import arrow_columns
from autoops.serving.batch import Batch
from autoops.serving.refusals import Refusals

ADDED = {"prediction": pa.float64(), "model_version": pa.int32()}
_REQUIRED = ("pickup_at", *arrow_columns.REQUIRED)
_READ_AHEAD_BYTES = 1 << 20

Report = Callable[[int, int | None], None]


class Model(Protocol):
    """Whatever answers a piece of a file: a version loaded here, or an API elsewhere."""

    def predict(self, trips: pa.Table, batch: Batch) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Minutes, and the version of each."""


@dataclass(frozen=True)
class LocalModel:
    """A version in this process. What it predicts is not logged."""

    scorer: Scorer
    number: int
    cores: Cores

    def predict(self, trips: pa.Table, batch: Batch) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        matrix = feature_matrix(batch.columns(), self.scorer.manifest.features)
        return self.cores.predict(self.scorer, matrix), np.full(len(batch), self.number, dtype=np.int32)


@dataclass(frozen=True)
class Scored:
    rows: int
    model_versions: tuple[int, ...]


def score(source: Path, target: Path, model: Model, piece_rows: int, report: Report) -> Scored:
    """Writes the rows of `source` with `prediction` and `model_version` to `target`, which appears when it is whole.
    Raises InputError for files that are not there or cannot be written and for trips outside the contract, CorruptFile
    for a file that does not read."""
    if not source.is_file():
        raise InputError(f"{source}: no such file")
    with _open(source) as file:
        try:
            return _write(file, target, model, piece_rows, report)
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror or error}") from error


def _open(source: Path) -> pq.ParquetFile:
    """With the columns that it must have. Raises InvalidTrips too."""
    try:
        file = pq.ParquetFile(source, buffer_size=_READ_AHEAD_BYTES, pre_buffer=False)
        _check(file.schema_arrow)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{source} does not read: {error}") from error
    return file


def _check(schema: pa.Schema) -> None:
    refusals = Refusals()
    for name in ADDED:
        if name in schema.names:
            refusals.column(name, "the file has this column already")
    refusals.check()
    arrow_columns.check_schema(schema, required=_REQUIRED, others=True)


def _write(file: pq.ParquetFile, target: Path, model: Model, piece_rows: int, report: Report) -> Scored:
    schema = file.schema_arrow
    for name, kind in ADDED.items():
        schema = schema.append(pa.field(name, kind, nullable=False))
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
    done, versions = 0, set[int]()
    for piece in _pieces(file, piece_rows):
        minutes, numbers = _predict(pa.Table.from_batches([piece]), done, model)
        added = [pa.array(minutes), pa.array(numbers)]
        writer.write_batch(pa.RecordBatch.from_arrays([*piece.columns, *added], schema=writer.schema))
        versions.update(np.unique(numbers).tolist())
        done += len(piece)
        report(done, file.metadata.num_rows)
    return Scored(done, tuple(sorted(versions)))


def _pieces(file: pq.ParquetFile, rows: int) -> Iterator[pa.RecordBatch]:
    pieces, done = file.iter_batches(batch_size=rows), 0
    while True:
        try:
            piece = next(pieces, None)
            if piece is None:
                return
            # A file's strings may be no text.
            piece.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise CorruptFile(f"the rows from {done} on do not read: {error}") from error
        yield piece
        done += len(piece)


def _predict(piece: pa.Table, first_row: int, model: Model) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    """Raises InvalidTrips with positions in the file."""
    trips = piece.select([name for name in arrow_columns.COLUMNS if name in piece.column_names])
    batch = arrow_columns.batch_of(trips, Refusals(first_row=first_row))
    refusals = Refusals(first_row=first_row)
    refusals.rows("pickup_at", np.isnat(batch.pickup_at), arrow_columns.NO_VALUE)
    refusals.check()
    return model.predict(trips, batch)
