"""The response to a batch: as rows, as columns, or as an Arrow IPC stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from autoops.serving.payloads import arrow
from autoops.serving.payloads.timestamps import Timestamps

Form = Literal["rows", "columns", "arrow"]

# numpy's timestamps have no zone: without the last two their JSON would not end in Z.
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
ARROW_FIELDS = (
    ("prediction_id", pa.string()),
    ("trip_duration_minutes", pa.float64()),
    ("model_version", pa.int32()),
    ("event_at", pa.timestamp("us", "UTC")),
    ("known_zones", pa.bool_()),
    ("repeated", pa.bool_()),
)
ANSWERED_BY = "model_version"
"""The key in the schema's metadata for the version of all predictions that are not repeated."""


@dataclass(frozen=True)
class BatchAnswer:
    """The logged predictions of a batch, as columns of shape `(rows,)`; `event_at` is in UTC.

    `answered_by` is the version of all predictions that are not repeated.
    """

    answered_by: int
    prediction_id: list[str]
    trip_duration_minutes: npt.NDArray[np.float64]
    model_version: npt.NDArray[np.int32]
    event_at: Timestamps
    known_zones: npt.NDArray[np.bool_]
    repeated: npt.NDArray[np.bool_]

    def columns(self) -> Mapping[str, Any]:
        """Return the columns by name, each of shape `(rows,)`, in the order of `ARROW_FIELDS`."""
        return {name: getattr(self, name) for name, _ in ARROW_FIELDS}

    def lists(self) -> list[list[Any]]:
        """Return the columns as lists in the order of `ARROW_FIELDS`; `event_at` holds naive datetimes in UTC."""
        return [values if isinstance(values, list) else values.tolist() for values in self.columns().values()]


def encode(answer: BatchAnswer, form: Form) -> bytes:
    """Return the body of the response: JSON in UTF-8 for rows and columns, an Arrow IPC stream for Arrow."""
    if form == "arrow":
        return _arrow(answer)
    if form == "columns":
        return orjson.dumps({"model_version": answer.answered_by, "columns": answer.columns()}, option=_OPTIONS)
    predictions = [
        {
            "prediction_id": prediction_id,
            "trip_duration_minutes": minutes,
            "model_version": version,
            "event_at": at,
            "known_zones": known,
            "repeated": repeated,
        }
        for prediction_id, minutes, version, at, known, repeated in zip(*answer.lists(), strict=True)
    ]
    return orjson.dumps({"model_version": answer.answered_by, "predictions": predictions}, option=_OPTIONS)


def _arrow(answer: BatchAnswer) -> bytes:
    fields = [pa.field(name, kind, nullable=False) for name, kind in ARROW_FIELDS]
    schema = pa.schema(fields, metadata={ANSWERED_BY: str(answer.answered_by)})
    return arrow.write(pa.table(answer.columns(), schema=schema))
