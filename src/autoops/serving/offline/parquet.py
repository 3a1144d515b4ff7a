"""Parquet files of rows, of any size: read, scored and written in pieces, so that memory does not grow with them.

The columns are those of the contract, or those of a raw period; other columns are copied. Unlike a request, a file must
have the event times: "now" would be a silent mistake there. A raw period has rows that are outside the contract and
that `autoops ingest` would drop: they get no prediction, and are counted.
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
from autoops.models.scoring import Scorer, ScoringThreads
from autoops.serving.payloads.arrow_columns import NO_VALUE, ArrowColumns
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.row_models import RowModels
from autoops.serving.payloads.validation_errors import Skipped, ValidationErrors
from autoops.usecase.contract import Contract

ADDED = {"prediction": pa.float64(), "model_version": pa.int32()}
_READ_AHEAD_BYTES = 1 << 20

Report = Callable[[int, int | None], None]


class Model(Protocol):
    """Predicts the rows in a piece of a file: a version loaded here, or a remote API."""

    def predict(self, batch: Batch) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the predictions and their model versions, both of shape `(rows,)`."""


@dataclass(frozen=True)
class LocalModel:
    """A version loaded in this process. Its predictions are not logged."""

    scorer: Scorer
    number: int
    cores: ScoringThreads

    def predict(self, batch: Batch) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the predictions and this version's number for each row, both of shape `(rows,)`."""
        matrix = self.scorer.encoder.matrix(batch.columns())
        return self.cores.predict(self.scorer, matrix), np.full(len(batch), self.number, dtype=np.int32)


@dataclass(frozen=True)
class Scored:
    """What `score` has done.

    `skipped` counts rows of a raw period without a prediction, by the column that is outside the contract.
    """

    rows: int
    model_versions: tuple[int, ...]
    skipped: dict[str, int] = field(default_factory=dict)


class FileScorer:
    """Scores files of a use case's rows; `raw_names` are the contract's columns by their names in raw files."""

    def __init__(self, contract: Contract) -> None:
        self._columns = ArrowColumns(RowModels.of(contract))
        self._event_column = contract.event_time.column
        self._raw_names = contract.raw_names
        self._required = tuple(dict.fromkeys((self._event_column, *self._columns.required)))

    def score(self, source: Path, target: Path, model: Model, piece_rows: int, report: Report) -> Scored:
        """Write the rows of `source` with `prediction` and `model_version` to `target`, which appears when complete.

        Raises:
            InputError: `source` does not exist, `target` cannot be written, or rows are outside the contract.
            CorruptFile: `source` cannot be read.
        """
        if not source.is_file():
            raise InputError(f"{source}: no such file")
        with self._open(source) as file:
            try:
                return self._write(file, target, model, piece_rows, report)
            except OSError as error:
                raise InputError(f"{target} cannot be written: {error.strerror or error}") from error

    def _open(self, source: Path) -> pq.ParquetFile:
        """Open the file, and check its columns.

        Raises:
            CorruptFile: the file cannot be read.
            InvalidRows: a column is missing, there twice or of the wrong type, or already has the name of an added one.
        """
        try:
            # Not buffered whole: memory must not grow with the file.
            file = pq.ParquetFile(source, buffer_size=_READ_AHEAD_BYTES, pre_buffer=False)
            self._check(file.schema_arrow)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise CorruptFile(f"{source} does not read: {error}") from error
        return file

    def _check(self, schema: pa.Schema) -> None:
        errors = ValidationErrors()
        for name in ADDED:
            if name in schema.names:
                errors.column(name, "the file has this column already")
        errors.check()
        self._columns.check_schema(self._contract(schema), required=self._required, file=True)

    def _is_raw(self, schema: pa.Schema) -> bool:
        named = self._raw_names and self._event_column not in schema.names
        return bool(named) and all(schema.names.count(name) == 1 for name in self._raw_names)

    def _contract(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema with a raw period's columns named as in the contract."""
        if not self._is_raw(schema):
            return schema
        return pa.schema([column.with_name(self._raw_names.get(column.name, column.name)) for column in schema])

    def _write(self, file: pq.ParquetFile, target: Path, model: Model, piece_rows: int, report: Report) -> Scored:
        schema = file.schema_arrow
        for name, kind in ADDED.items():
            schema = schema.append(pa.field(name, kind, nullable=self._is_raw(file.schema_arrow)))
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with pq.ParquetWriter(temporary, schema) as writer:
                scored = self._write_pieces(file, writer, model, piece_rows, report)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return scored

    def _write_pieces(
        self, file: pq.ParquetFile, writer: pq.ParquetWriter, model: Model, piece_rows: int, report: Report
    ) -> Scored:
        done, versions, skipped = 0, set[int](), Counter[str]()
        raw, names = self._is_raw(file.schema_arrow), self._contract(file.schema_arrow).names
        for piece in _pieces(file, piece_rows):
            rows = pa.Table.from_arrays(piece.columns, names)
            rows = rows.select([name for name in self._columns.columns if name in names])
            added, numbers = self._predict_fitting(rows, model, skipped) if raw else self._predict(rows, done, model)
            writer.write_batch(pa.RecordBatch.from_arrays([*piece.columns, *added], schema=writer.schema))
            versions.update(numbers)
            done += len(piece)
            report(done, file.metadata.num_rows)
        return Scored(done, tuple(sorted(versions)), dict(skipped))

    def _predict(self, rows: pa.Table, first_row: int, model: Model) -> "Added":
        """Predict all rows.

        Raises:
            InvalidRows: rows are outside the contract; their positions are those in the file.
        """
        errors = ValidationErrors(first_row=first_row)
        batch = self._columns.batch_of(rows, errors)
        errors.rows(self._event_column, np.isnat(batch.event_at), NO_VALUE)
        errors.check()
        predictions, numbers = model.predict(batch)
        return [pa.array(predictions), pa.array(numbers)], set(np.unique(numbers).tolist())

    def _predict_fitting(self, rows: pa.Table, model: Model, skipped: Counter[str]) -> "Added":
        """Predict the rows that are within the contract, and count the others."""
        found = Skipped(rows.num_rows)
        batch = self._columns.batch_of(rows, found)
        found.rows(self._event_column, np.isnat(batch.event_at) & ~found.mask, NO_VALUE)
        skipped.update(found.reasons)
        predictions, numbers = np.full(len(batch), np.nan), np.zeros(len(batch), dtype=np.int32)
        fitting = ~found.mask
        if fitting.any():
            predictions[fitting], numbers[fitting] = model.predict(batch.taken(fitting))
        versions = set(np.unique(numbers[fitting]).tolist())
        return [pa.array(predictions, mask=found.mask), pa.array(numbers, mask=found.mask)], versions


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
