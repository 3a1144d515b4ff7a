"""Rows of the prediction log, as objects and as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from autoops.storage.appender import Column
from autoops.usecase.rows import RawInputs

KEY_ENDS = "\x1f"
"""Separates the key's name from the client's id in a stored request_id; neither can contain it."""

LIVE = "live"
"""The source of predictions made for clients; a scored month has its name as source, such as `2023-01`."""


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """One row of the log; `id` is a time-ordered UUID, `source` is LIVE or a month.

    `inputs` are the raw values of the contract's features in its order, and `contract` is its `inputs_id`; None: the
    row is older than declarations. `key` is the name of the API key of the request, and `request_id` is in the form
    that `owned` returns.
    """

    id: str
    request_id: str | None
    event_at: datetime
    predicted_at: datetime
    model_version: int
    source: str
    inputs: RawInputs
    prediction: float
    key: str | None = None
    contract: str | None = None

    def is_for_row_of(self, other: "LoggedPrediction") -> bool:
        """Return whether both are for the same row; one sent without its time begins when it is sent."""
        same_time = self.event_at == other.event_at or (self._began_when_sent() and other._began_when_sent())
        return same_time and self.inputs == other.inputs

    def _began_when_sent(self) -> bool:
        return self.event_at == self.predicted_at


def owned(request_id: str, key: str | None) -> str:
    """Return the client's id as it is stored: with the name of its API key, so that two keys never share an id."""
    return request_id if key is None else f"{key}{KEY_ENDS}{request_id}"


def as_sent(request_id: str) -> str:
    """Return the id as the client sent it, without its API key."""
    return request_id.rpartition(KEY_ENDS)[2]


FIELDS = tuple(field.name for field in fields(LoggedPrediction))


@dataclass(frozen=True, slots=True)
class LoggedColumns:
    """Rows of the log as columns, so that a large request needs no object per row.

    Columns have one length, arrays the shape (rows,); `event_at` is datetime64[us] in UTC.
    """

    id: Sequence[str]
    request_id: Sequence[str | None]
    event_at: npt.NDArray[np.datetime64]
    predicted_at: Sequence[datetime]
    model_version: Sequence[int]
    source: Sequence[str]
    inputs: Sequence[RawInputs]
    prediction: npt.NDArray[np.float64]
    key: Sequence[str | None]
    contract: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.id)

    def in_order(self) -> list[Column]:
        """Return the columns in the order of LoggedPrediction's fields."""
        return [getattr(self, name) for name in FIELDS]

    def rows(self) -> list[LoggedPrediction]:
        """Return the rows in order; their `event_at` is UTC-aware."""
        columns = [column.tolist() if isinstance(column, np.ndarray) else column for column in self.in_order()]
        columns[FIELDS.index("event_at")] = [at.replace(tzinfo=UTC) for at in self.event_at.tolist()]
        return [LoggedPrediction(*row) for row in zip(*columns, strict=True)]

    def others(self, standing: Sequence[LoggedPrediction]) -> dict[int, LoggedPrediction]:
        """Return, by position, the logged rows that replace these: those with another id."""
        return {n: row for n, (row, id) in enumerate(zip(standing, self.id, strict=True)) if row.id != id}
