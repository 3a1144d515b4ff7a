"""Valid rows as arrays: the one form of a batch, in whichever format it was sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from autoops.serving.payloads import timestamps
from autoops.serving.payloads.row_models import RowModels
from autoops.serving.payloads.validation_errors import ValidationErrors
from autoops.storage.logged import owned
from autoops.usecase.columns import EVENT_AT, Array, Columns
from autoops.usecase.contract import Feature
from autoops.usecase.rows import array_of


@dataclass(frozen=True)
class Batch:
    """Valid rows, as arrays of shape `(rows,)`.

    `event_at` is in UTC, and NaT for rows of now. `features` are the raw values of the contract's features; a missing
    one has the value that it stands for, else NaN or None. `request_ids` is None if no row has one. `id_field` names
    the field of a row's request_id in the client's body.
    """

    event_at: timestamps.Timestamps
    features: dict[str, Array]
    request_ids: Sequence[str | None] | None = None
    id_field: str = "request_id.{row}"

    def __len__(self) -> int:
        return len(self.event_at)

    def begun_by(self, now: datetime) -> "Batch":
        """Return the same rows; those without an event time are of `now`."""
        moment = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "us")
        return replace(self, event_at=np.where(np.isnat(self.event_at), moment, self.event_at))

    def taken(self, rows: npt.NDArray[np.bool_]) -> "Batch":
        """Return the rows that the mask `rows`, of shape `(rows,)`, selects."""
        names = self.request_ids and [name for name, wanted in zip(self.request_ids, rows, strict=True) if wanted]
        features = {name: values[rows] for name, values in self.features.items()}
        return Batch(self.event_at[rows], features, names, self.id_field)

    def owned_by(self, key: str | None) -> Sequence[str | None] | None:
        """Return the request ids as they are stored for this API key."""
        if self.request_ids is None or key is None:
            return self.request_ids
        return [None if name is None else owned(name, key) for name in self.request_ids]

    def columns(self) -> Columns:
        """Return event time and features; every row must have an event time."""
        return {EVENT_AT: self.event_at, **self.features}


def of_rows(models: RowModels, rows: Sequence[BaseModel]) -> Batch:
    """Return the rows in their order; a missing event time becomes NaT."""
    contract = models.contract
    features = {
        name: filled(feature, [getattr(row, name) for row in rows]) for name, feature in contract.features.items()
    }
    return Batch(
        timestamps.from_datetimes(getattr(row, contract.event_time.column) for row in rows),
        features,
        _if_any([row.request_id for row in rows]),  # type: ignore[attr-defined]
        id_of_rows(models),
    )


def id_of_rows(models: RowModels) -> str:
    """Return the field of a row's request_id in a body of rows."""
    return f"{models.rows_field}.{{row}}.request_id"


def of_columns(models: RowModels, columns: BaseModel, prefix: str = "columns.") -> Batch:
    """Return the rows, after the checks that the schema cannot make; `prefix` is that of fields in errors.

    Raises:
        InvalidRows: columns differ in length, or timestamps are invalid.
    """
    contract = models.contract
    given = {name: values for name in columns.model_fields_set if (values := getattr(columns, name)) is not None}
    first = next((name for name in models.required), None)
    like = first if first is not None else next(iter(given), None)
    errors, rows = ValidationErrors(prefix), len(given[like]) if like is not None else 0
    if not rows:
        errors.column("body", "expected at least one column with values")
    for name, values in given.items():
        if len(values) != rows:
            errors.column(name, f"expected {rows} values as in {like}, got {len(values)}")
    at, refused = models.timestamps.parse_texts(given.get(contract.event_time.column) or [None] * rows)
    errors.each(contract.event_time.column, refused)
    errors.check()
    features = {name: filled(feature, given.get(name) or [None] * rows) for name, feature in contract.features.items()}
    return Batch(at, features, _if_any(given.get("request_id", ())), f"{prefix}request_id.{{row}}")


def filled(feature: Feature, values: Sequence[Any]) -> Array:
    """Return a feature's values as an array of shape `(rows,)`, with what a missing one stands for."""
    stands_for = feature.stands_for
    if stands_for is not None:
        values = [stands_for if value is None else value for value in values]
    return array_of(feature, values)


def _if_any(request_ids: Sequence[Any]) -> Sequence[str | None] | None:
    return request_ids if any(name is not None for name in request_ids) else None
