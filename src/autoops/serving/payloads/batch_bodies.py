"""The request body of a batch, in each of its forms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from fastapi import Request
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from autoops.serving.payloads import accept, arrow
from autoops.serving.payloads.arrow import ArrowReader
from autoops.serving.payloads.batch import Batch, id_of_rows, of_columns, of_rows
from autoops.serving.payloads.bodies import JSON, loads, media_type_of
from autoops.serving.payloads.responses import Form
from autoops.serving.payloads.row_models import RowModels
from autoops.serving.payloads.schemas import STRICT
from autoops.serving.payloads.validation_errors import InvalidRows, TooManyRows, ValidationErrors

Kind = Literal["json", "arrow"]
MEDIA_TYPES: dict[str, Kind] = {JSON: "json", arrow.MEDIA_TYPE: "arrow"}

_VALUES_AT_ONCE = 256
"""Values of a column that are validated at a time: this bounds the errors held in memory."""

_NO_OBJECT, _NO_LIST, _EMPTY = (
    "Input should be an object",
    "Input should be a valid list",
    "List should have at least 1 item",
)


def kinds_of(request: Request) -> tuple[Kind, str]:
    """Return the kind of the body, and the media type of the response: the same unless Accept prefers the other.

    Raises:
        HTTPException: 415 for a body of another media type, 406 if the client accepts no offered one.
    """
    media_type = media_type_of(request, MEDIA_TYPES)
    offered = [media_type, *(other for other in MEDIA_TYPES if other != media_type)]
    wanted = accept.preferred(request.headers.get("accept", ""), offered)
    if wanted is None:
        raise HTTPException(406, f"the answer can be {' or '.join(MEDIA_TYPES)}")
    return MEDIA_TYPES[media_type], wanted


class BodyReader:
    """Reads the bodies of batches by the models of a use case."""

    def __init__(self, models: RowModels) -> None:
        self._models = models
        self._arrow = ArrowReader(models)
        self._rows_field = models.rows_field
        self._row_names = frozenset(models.row.model_fields)
        columns = models.row_columns.model_fields
        self._lists = {
            name: TypeAdapter[Any](field.rebuild_annotation(), config=STRICT) for name, field in columns.items()
        }
        self._required = [name for name, field in columns.items() if field.is_required()]

    def read(self, body: bytes, kind: Kind, max_rows: int) -> tuple[Batch, Form]:
        """Return the rows, and the form of a JSON response to them.

        Raises:
            InputError: the body is invalid.
        """
        if kind == "arrow":
            return self._arrow.read(body, max_rows), "columns"
        form, given = self._form_of(loads(body, max_rows, len(self._row_names)))
        if form == "rows":
            return self._rows(given, max_rows), "rows"
        return self.columns(given, max_rows), "columns"

    def _form_of(self, content: Any) -> tuple[Form, Any]:
        """Return which form the body has, and what is in it.

        Raises:
            InvalidRows: the body is not an object with exactly one of rows and `columns`.
        """  # noqa: DOC501 - the function that is raised returns it
        if not isinstance(content, dict):
            raise _refused("body", _NO_OBJECT)
        errors = ValidationErrors()
        errors.unknown(content, (self._rows_field, "columns"))
        errors.check()
        rows, columns = content.get(self._rows_field), content.get("columns")
        if (rows is None) == (columns is None):
            raise _refused("body", f"expected exactly one of {self._rows_field} and columns")
        return ("rows", rows) if columns is None else ("columns", columns)

    def _rows(self, rows: Any, max_rows: int) -> Batch:
        if not isinstance(rows, list):
            raise _refused(self._rows_field, _NO_LIST)
        if not rows:
            raise _refused(self._rows_field, _EMPTY)
        _limit(len(rows), self._rows_field, max_rows)
        return self._quick_rows(rows) or self._checked_rows(rows)

    def _quick_rows(self, rows: Sequence[Any]) -> Batch | None:
        """Return the rows, validated as columns, in less than half the time of an object for each row.

        Returns None if anything is invalid: only `_checked_rows` can tell what, and in which row.
        """
        if not all(type(row) is dict for row in rows):
            return None
        names = set().union(*rows)
        if not names <= self._row_names:
            return None
        try:
            columns = self._models.row_columns.model_validate({name: [row.get(name) for row in rows] for name in names})
            return replace(of_columns(self._models, columns), id_field=id_of_rows(self._models))
        except (ValidationError, InvalidRows):
            return None

    def _checked_rows(self, rows: Sequence[Any]) -> Batch:
        """Return the rows, validated one by one.

        Raises:
            InvalidRows: rows are invalid.
        """
        errors, taken = ValidationErrors(f"{self._rows_field}."), list[BaseModel]()
        for position, row in enumerate(rows):
            if not isinstance(row, dict):
                errors.column(f"{position}", _NO_OBJECT)
                continue
            errors.unknown(row, self._row_names, position)
            try:
                taken.append(
                    self._models.row.model_validate({name: row[name] for name in self._row_names & row.keys()})
                )
            except ValidationError as error:
                for one in error.errors(include_url=False, include_input=False):
                    errors.column(f"{position}.{one['loc'][0]}", one["msg"])
        errors.check()
        return of_rows(self._models, taken)

    def columns(self, columns: Any, max_rows: int, prefix: str = "columns.") -> Batch:
        """Return the rows of lists of values by name; `prefix` is that of fields in errors.

        Raises:
            InputError: the columns are invalid.
        """  # noqa: DOC501 - the function that is raised returns it
        if not isinstance(columns, dict):
            raise _refused("columns", _NO_OBJECT)
        for values in columns.values():
            if isinstance(values, list):
                _limit(len(values), "rows", max_rows)
        try:
            if columns.keys() <= self._lists.keys():
                return of_columns(self._models, self._models.row_columns.model_validate(columns), prefix)
        except ValidationError:
            pass
        raise self._wrong_columns(columns, prefix)

    def _wrong_columns(self, columns: Mapping[str, Any], prefix: str) -> InvalidRows:
        """Return the validation errors of columns that are invalid."""
        errors = ValidationErrors(prefix)
        errors.unknown(columns, self._lists)
        for name, adapter in self._lists.items():
            if name not in columns:
                if name in self._required:
                    errors.column(name, "Field required")
                continue
            values = columns[name]
            if not isinstance(values, list):
                if values is not None or name in self._required:
                    errors.column(name, _NO_LIST)
                continue
            if not values and name in self._required[:1]:
                errors.column(name, _EMPTY)
            for first in range(0, len(values), _VALUES_AT_ONCE):
                try:
                    adapter.validate_python(values[first : first + _VALUES_AT_ONCE])
                except ValidationError as error:
                    found = error.errors(include_url=False, include_input=False)
                    errors.each(name, ((first + int(one["loc"][0]), one["msg"]) for one in found))
        return errors.found()


def _refused(field: str, message: str) -> InvalidRows:
    errors = ValidationErrors()
    errors.column(field, message)
    return errors.found()


def _limit(count: int, what: str, most: int) -> None:
    if count > most:
        raise TooManyRows(f"{what}: at most {most} in one request, got {count}")
