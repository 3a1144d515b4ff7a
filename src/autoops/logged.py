"""Rows of the prediction log, one by one and as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from autoops.appender import Column

LIVE = "live"
"""The source of predictions made for clients; a scored month has its name as source, such as `2023-01`."""


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """One row of the log; `id` is a time-ordered UUID, `source` is LIVE or a month."""

    id: str
    request_id: str | None
    event_at: datetime
    predicted_at: datetime
    model_version: int
    source: str
    trip_distance: float
    passenger_count: int
    pickup_location_id: int
    dropoff_location_id: int
    prediction: float


FIELDS = tuple(field.name for field in fields(LoggedPrediction))


@dataclass(frozen=True, slots=True)
class LoggedColumns:
    """Rows of the log as columns of one length, so that a large request needs no object for each; `event_at` is
    datetime64[us] in UTC."""

    id: Sequence[str]
    request_id: Sequence[str | None]
    event_at: npt.NDArray[np.datetime64]
    predicted_at: Sequence[datetime]
    model_version: Sequence[int]
    source: Sequence[str]
    trip_distance: npt.NDArray[np.float64]
    passenger_count: npt.NDArray[np.int16]
    pickup_location_id: npt.NDArray[np.int16]
    dropoff_location_id: npt.NDArray[np.int16]
    prediction: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.id)

    def in_order(self) -> list[Column]:
        """Of LoggedPrediction's fields."""
        return [getattr(self, name) for name in FIELDS]

    def rows(self) -> list[LoggedPrediction]:
        columns = [column.tolist() if isinstance(column, np.ndarray) else column for column in self.in_order()]
        columns[FIELDS.index("event_at")] = [at.replace(tzinfo=UTC) for at in self.event_at.tolist()]
        return [LoggedPrediction(*row) for row in zip(*columns, strict=True)]

    def others(self, standing: Sequence[LoggedPrediction]) -> dict[int, LoggedPrediction]:
        """Of what stands in the log for these rows, by position, the rows that are others."""
        return {n: row for n, (row, id) in enumerate(zip(standing, self.id, strict=True)) if row.id != id}
