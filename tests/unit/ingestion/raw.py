"""Raw months of a few rows, made by hand."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from autoops.ingestion.source import file_name
from autoops.months import Month
from autoops.usecases.taxi.tlc import schema_of

MARCH = Month(2022, 3)
GOOD = {
    "lpep_pickup_datetime": "2022-03-15T12:00:00",
    "lpep_dropoff_datetime": "2022-03-15T12:10:00",
    "PULocationID": 74,
    "DOLocationID": 75,
    "passenger_count": 1,
    "trip_distance": 2.5,
}


def raw_table(rows: Sequence[dict[str, Any]], month: Month = MARCH) -> pa.Table:
    """Rows that differ from a good one in what they name, with the types of `month`; times may be ISO strings."""
    schema = pa.schema([field for field in schema_of(month) if field.name in GOOD])
    return pa.table(
        [pa.array([_value((GOOD | row)[field.name]) for row in rows], field.type) for field in schema], schema=schema
    )


def _value(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def write_month(directory: Path, rows: Sequence[dict[str, Any]], month: Month = MARCH) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / file_name(month)
    pq.write_table(raw_table(rows, month), path)
    return path
