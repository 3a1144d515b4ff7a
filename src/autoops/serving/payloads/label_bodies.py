"""The request body of ground truth: the well-formed labels, and the validation errors of the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from autoops.serving.payloads.bodies import loads
from autoops.serving.payloads.row_models import RowModels, label_type
from autoops.serving.payloads.schemas import STRICT, PredictionId, Refused, RequestId
from autoops.serving.payloads.validation_errors import (
    MOST_LISTED,
    InvalidRows,
    TooManyRows,
    ValidationErrors,
    field_problem,
)
from autoops.storage.logged import owned
from autoops.storage.predictions import Label

_AT_ONCE = 256
"""Labels that are validated together, and one by one if one of them is invalid."""

_PREDICTION_IDS = TypeAdapter(list[PredictionId | None], config=STRICT)
_REQUEST_IDS = TypeAdapter(list[RequestId | None], config=STRICT)
_LABEL_FIELDS = 3


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


class LabelReader:
    """Reads the bodies of ground truth by the models of a use case."""

    def __init__(self, models: RowModels) -> None:
        contract = models.contract
        self._truth = models.ground_truth
        self._fields = frozenset(models.ground_truth.model_fields)
        self._column = contract.target.column
        kind: Any = list.__class_getitem__(label_type(contract.target, contract.task))
        self._values = TypeAdapter[Any](kind, config=STRICT)
        self._number = contract.target.number if contract.task == "binary" else float

    def read(self, body: bytes, max_rows: int, key: str | None = None) -> Labels:
        """Return the labels that this API key sends.

        Raises:
            NotJson: the body is not JSON.
            TooManyRows: there are more than `max_rows` labels.
            InvalidRows: the body is not an object with a list of labels.
        """
        content, errors = loads(body, max_rows, _LABEL_FIELDS), ValidationErrors()
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
        return self.sort_out(labels).owned_by(key)

    def sort_out(self, items: Sequence[Any]) -> Labels:
        """Return the well-formed labels, and the validation errors of the rest."""
        sorted_out = Labels()
        for first in range(0, len(items), _AT_ONCE):
            some = items[first : first + _AT_ONCE]
            labels = self._all_well_formed(some)
            if labels is None:
                self._one_by_one(some, first, sorted_out)
            else:
                sorted_out.well_formed.extend(labels)
                sorted_out.positions.extend(range(first, first + len(some)))
        return sorted_out

    def _all_well_formed(self, items: Sequence[Any]) -> list[Label] | None:
        """Return the labels, None if one is malformed; takes a sixth of the time of a pydantic object for each."""
        if not all(type(item) is dict and item.keys() <= self._fields for item in items):
            return None
        try:
            prediction_ids = _PREDICTION_IDS.validate_python([item.get("prediction_id") for item in items])
            request_ids = _REQUEST_IDS.validate_python([item.get("request_id") for item in items])
            values = self._values.validate_python([item.get(self._column) for item in items])
        except ValidationError:
            return None
        if any((one is None) == (other is None) for one, other in zip(prediction_ids, request_ids, strict=True)):
            return None
        return list(map(Label, map(self._number, values), prediction_ids, request_ids))

    def _one_by_one(self, items: Sequence[Any], first: int, sorted_out: Labels) -> None:
        for position, item in enumerate(items, first):
            try:
                truth = self._checked(item)
            except InvalidRows as error:
                told = "; ".join(f"{problem.field}: {problem.message}" for problem in error.listed)
                sorted_out.refused.append(Refused(position=position, reason=told))
            else:
                label = Label(self._number(getattr(truth, self._column)), truth.prediction_id, truth.request_id)
                sorted_out.well_formed.append(label)
                sorted_out.positions.append(position)

    def _checked(self, item: Any) -> Any:
        """Return the item as an object of the model of ground truth.

        Raises:
            InvalidRows: it is not a valid one.
        """
        if isinstance(item, dict):
            errors = ValidationErrors()
            errors.unknown(item, self._fields)
            errors.check()
        try:
            return self._truth.model_validate(item)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            raise InvalidRows([field_problem(one) for one in found[:MOST_LISTED]], len(found)) from None
