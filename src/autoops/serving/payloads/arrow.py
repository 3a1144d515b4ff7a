"""Rows in Arrow IPC streams from clients.

A stream is untrusted. Its schema is checked before any of its data is touched. Compressed buffers and dictionaries are
rejected, because few bytes of them may stand for gigabytes. Each record batch is validated in full, because Arrow's own
functions trust types and offsets, and wrong ones crash the process.
"""

import struct
from collections.abc import Iterator

import pyarrow as pa

from autoops.serving.payloads.arrow_columns import ArrowColumns
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.row_models import RowModels
from autoops.serving.payloads.validation_errors import BrokenStream, TooManyRows, ValidationErrors

MEDIA_TYPE = "application/vnd.apache.arrow.stream"

_NO_STREAM = "the body is not a whole Arrow IPC stream"
_OLD_COMPRESSION = b"ARROW:experimental_compression"
"""Marks compression in streams of Arrow before 1.0, which Arrow still reads."""

_BROKEN = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError, struct.error)
"""Exceptions that Arrow raises on invalid bytes."""


class ArrowReader:
    """Reads streams of a use case's columns."""

    def __init__(self, models: RowModels) -> None:
        self._columns = ArrowColumns(models)
        self._noun = models.contract.row

    def read(self, body: bytes, max_rows: int) -> Batch:
        """Return the rows in a stream.

        Raises:
            BrokenStream: the body is not one complete stream, or the stream is compressed or big-endian.
            TooManyRows: the stream has more than `max_rows` rows, or too many record batches.
            InvalidRows: there are no rows, or columns or rows are outside the contract.
        """
        try:
            table = _table(self._columns, body, max_rows)
        except _BROKEN:
            raise BrokenStream(_NO_STREAM) from None
        errors = ValidationErrors()
        if not table.num_rows:
            errors.column("body", f"expected at least one {self._noun}")
            errors.check()
        return self._columns.batch_of(table, errors)


def write(table: pa.Table) -> bytes:
    """Return the table as a stream that `ArrowReader` takes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _table(columns: ArrowColumns, body: bytes, max_rows: int) -> pa.Table:
    source = pa.BufferReader(body)
    # Message by message: `pa.ipc.open_stream` decompresses a batch before it can be checked.
    messages = _messages(source)
    first = next(messages, None)
    if first is None or first.type != "schema":
        raise BrokenStream(_NO_STREAM)
    if _is_big_endian(first.metadata.to_pybytes()):
        raise BrokenStream("the Arrow IPC stream is big-endian; send it as little-endian")
    schema = pa.ipc.read_schema(first)
    columns.check_schema(schema)
    batches: list[pa.RecordBatch] = []
    rows = 0
    for message in messages:
        batch = _record_batch(message, schema)
        rows += batch.num_rows
        # Batches are counted too, because an empty one also costs a little.
        if max(rows, len(batches)) > max_rows:
            raise TooManyRows(f"rows: at most {max_rows} in one request, got more")
        batch.validate(full=True)
        batches.append(batch)
    if source.tell() != len(body):
        raise BrokenStream("the body goes on after the end of its Arrow IPC stream")
    return pa.Table.from_batches(batches, schema)


def _messages(source: pa.BufferReader) -> Iterator[pa.Message]:
    reader = pa.ipc.MessageReader.open_stream(source)
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        yield message


def _record_batch(message: pa.Message, schema: pa.Schema) -> pa.RecordBatch:
    if message.type != "record batch":
        raise BrokenStream(f"the Arrow IPC stream has a {message.type} where a record batch is expected")
    if _is_compressed(message.metadata.to_pybytes()):
        raise BrokenStream("the Arrow IPC stream is compressed; send its buffers as they are")
    return pa.ipc.read_record_batch(message, schema)


def _is_compressed(metadata: bytes) -> bool:
    """Return whether the record batch of a message is compressed.

    Message.fbs: the third field of a Message is its header, the fourth of a RecordBatch its compression. Arrow has
    verified the flatbuffer, but does not expose this field.
    """
    if _OLD_COMPRESSION in metadata:
        return True
    return _field(metadata, _header(metadata), 3) is not None


def _is_big_endian(metadata: bytes) -> bool:
    """Return whether the schema of a message is big-endian.

    Schema.fbs: the first field of a Schema is its endianness. Arrow swaps the bytes only if it reads the whole stream
    itself.
    """
    position = _field(metadata, _header(metadata), 0)
    return position is not None and struct.unpack_from("<H", metadata, position)[0] != 0


def _header(metadata: bytes) -> int:
    """Return the position of the table of a Message's header.

    Raises:
        BrokenStream: the Message has no header.
    """
    header = _field(metadata, struct.unpack_from("<I", metadata)[0], 2)
    if header is None:
        raise BrokenStream(_NO_STREAM)
    return header + int(struct.unpack_from("<I", metadata, header)[0])


def _field(buffer: bytes, table: int, index: int) -> int | None:
    """Return the position of a field of a flatbuffers table, None if it was left out."""
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    size = struct.unpack_from("<H", buffer, vtable)[0]
    slot = 4 + 2 * index
    offset = struct.unpack_from("<H", buffer, vtable + slot)[0] if slot < size else 0
    return table + offset if offset else None
