"""The request body of ground truth: the well-formed labels, and the validation errors of the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from autoops.serving.payloads.bodies import loads
from autoops.serving.payloads.schemas import STRICT, GroundTruth, PredictionId, Refused, RequestId, TripMinutes
from autoops.serving.payloads.validation_errors import (
    MOST_LISTED,
    InvalidTrips,
    TooManyRows,
    ValidationErrors,
    field_problem,
)
from autoops.storage.logged import owned
from autoops.storage.predictions import Label

_AT_ONCE = 256
"""Labels that are validated together, and one by one if one of them is invalid."""

_FIELDS = frozenset(GroundTruth.model_fields)
_PREDICTION_IDS = TypeAdapter(list[PredictionId | None], config=STRICT)
_REQUEST_IDS = TypeAdapter(list[RequestId | None], config=STRICT)
_MINUTES = TypeAdapter(list[TripMinutes], config=STRICT)


@dataclass(frozen=True)
class Labels:
    """The labels in a body, well formed and refused; `positions` are those of the well-formed ones."""

    well_formed: list[Label] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def owned_by(self, key: str | None) -> "Labels":
        """Return the same with request ids as they are stored for this API key."""
        if key is None:
            return self
        named = [one.request_id and owned(one.request_id, key) for one in self.well_formed]
        labels = [replace(one, request_id=name) for one, name in zip(self.well_formed, named, strict=True)]
        return replace(self, well_formed=labels)


def read(body: bytes, max_rows: int, key: str | None = None) -> Labels:
    """Return the labels that this API key sends.

    Raises:
        NotJson: the body is not JSON.
        TooManyRows: there are more than `max_rows` labels.
        InvalidTrips: the body is not an object with a list of labels.
    """
    content, errors = loads(body, max_rows), ValidationErrors()
    if not isinstance(content, dict):
        errors.column("body", "Input should be an object")
        raise errors.found()
    errors.unknown(content, ("labels",))
    labels: Any = content.get("labels")
    if "labels" not in content:
        errors.column("labels", "Field required")
    elif not isinstance(labels, list):
        errors.column("labels", "Input should be a valid list")
    elif not labels:
        errors.column("labels", "List should have at least 1 item")
    errors.check()
    if len(labels) > max_rows:
        raise TooManyRows(f"labels: at most {max_rows} in one request, got {len(labels)}")
    return sort_out(labels).owned_by(key)


def sort_out(items: Sequence[Any]) -> Labels:
    """Return the well-formed labels, and the validation errors of the rest."""
    sorted_out = Labels()
    for first in range(0, len(items), _AT_ONCE):
        some = items[first : first + _AT_ONCE]
        labels = _all_well_formed(some)
        if labels is None:
            _one_by_one(some, first, sorted_out)
        else:
            sorted_out.well_formed.extend(labels)
            sorted_out.positions.extend(range(first, first + len(some)))
    return sorted_out


def _all_well_formed(items: Sequence[Any]) -> list[Label] | None:
    """Return the labels, None if one is malformed; takes a sixth of the time of a pydantic object for each."""
    if not all(type(item) is dict and item.keys() <= _FIELDS for item in items):
        return None
    try:
        prediction_ids = _PREDICTION_IDS.validate_python([item.get("prediction_id") for item in items])
        request_ids = _REQUEST_IDS.validate_python([item.get("request_id") for item in items])
        minutes = _MINUTES.validate_python([item.get("trip_duration_minutes") for item in items])
    except ValidationError:
        return None
    if any((one is None) == (other is None) for one, other in zip(prediction_ids, request_ids, strict=True)):
        return None
    return list(map(Label, minutes, prediction_ids, request_ids))


def _one_by_one(items: Sequence[Any], first: int, sorted_out: Labels) -> None:
    for position, item in enumerate(items, first):
        try:
            truth = _checked(item)
        except InvalidTrips as error:
            told = "; ".join(f"{problem.field}: {problem.message}" for problem in error.listed)
            sorted_out.refused.append(Refused(position=position, reason=told))
        else:
            label = Label(truth.trip_duration_minutes, truth.prediction_id, truth.request_id)
            sorted_out.well_formed.append(label)
            sorted_out.positions.append(position)


def _checked(item: Any) -> GroundTruth:
    """Return the item as a label.

    Raises:
        InvalidTrips: it is not a valid one.
    """
    if isinstance(item, dict):
        errors = ValidationErrors()
        errors.unknown(item, _FIELDS)
        errors.check()
    try:
        return GroundTruth.model_validate(item)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise InvalidTrips([field_problem(one) for one in found[:MOST_LISTED]], len(found)) from None
