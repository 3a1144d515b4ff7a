"""Trips as Arrow IPC streams, well formed and otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa


def trip_table(rows: int = 3, **columns: Any) -> pa.Table:
    """Valid trips; an argument replaces a column or adds one, None leaves it out."""
    made: dict[str, Any] = {
        "pickup_at": pa.array(["2023-01-10T10:30:00"] * rows, pa.string()),
        "trip_distance": pa.array([0.5 + 0.01 * (i % 5000) for i in range(rows)], pa.float64()),
        "passenger_count": pa.array([i % 6 for i in range(rows)], pa.int16()),
        "pickup_location_id": pa.array([1 + i % 265 for i in range(rows)], pa.int16()),
        "dropoff_location_id": pa.array([74] * rows, pa.int16()),
    } | columns
    return pa.table({name: values for name, values in made.items() if values is not None})


def stream(table: pa.Table, batch_rows: int | None = None, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, batch_rows)
    return bytes(sink.getvalue())


@contextmanager
def watched_memory() -> Iterator[pa.MemoryPool]:
    """What Arrow allocates meanwhile."""
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(pool)
    try:
        yield pool
    finally:
        pa.set_memory_pool(usual)
