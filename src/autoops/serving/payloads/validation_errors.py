"""The validation errors of a batch: by column and row, the first ones and how many there are."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from autoops.errors import InputError
from autoops.serving.payloads.schemas import FieldProblem

MOST_LISTED = 20
"""Maximum of validation errors that are listed for one request."""

_LONGEST_NAME = 100
"""Maximum characters of a field's name in a message, because a client may send any name."""

UNKNOWN_FIELD = "Extra inputs are not permitted"


def taken(row: str) -> str:
    """Return the message for a request_id that belongs to another row; `row` is the noun."""
    return (
        f"was used for another {row}: send that {row} unchanged to get its answer again, or this one with a request_id "
        "of its own"
    )


class InvalidRows(InputError):
    """Rows that are outside the contract; `listed` holds the first validation errors."""

    def __init__(self, listed: list[FieldProblem], total: int) -> None:
        more = f" (and {total - 1} more)" if total > 1 else ""
        super().__init__(f"{listed[0].field}: {listed[0].message}{more}")
        self.listed = listed[:MOST_LISTED]


class BrokenStream(InputError):
    """The body is not an acceptable Arrow IPC stream."""

    http_status = 400


class NotJson(InputError):
    """The body is not JSON."""

    http_status = 400


class TooManyRows(InputError):
    """The request has more rows than allowed."""

    http_status = 413


def field_problem(error: Mapping[str, Any]) -> FieldProblem:
    """Return one of pydantic's errors with the field as a path, such as `rows.3.amount`, without the value."""
    return FieldProblem(field=".".join(_name(part) for part in error["loc"]) or "body", message=error["msg"])


def _name(part: object) -> str:
    name = str(part)
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


class ValidationErrors:
    """Collects validation errors. `first_row` is added to the positions, for a part of something larger."""

    def __init__(self, prefix: str = "", first_row: int = 0) -> None:
        self._prefix = prefix
        self._first_row = first_row
        self._listed: list[FieldProblem] = []
        self._total = 0

    def column(self, name: str, message: str) -> None:
        """Add an error of a column as a whole."""
        self._add(_name(name), message)

    def rows(self, name: str, bad: npt.NDArray[np.bool_], message: str) -> None:
        """Add an error for each row that the mask `bad`, of shape `(rows,)`, selects."""
        self.each(name, ((int(position), message) for position in np.flatnonzero(bad)))

    def each(self, name: str, found: Iterable[tuple[int, str]]) -> None:
        """Add an error of a column for each position and message; positions count from 0, before `first_row`."""
        for position, message in found:
            self._add(f"{name}.{self._first_row + position}", message)

    def unknown(self, names: Iterable[str], known: Collection[str], row: int | None = None) -> None:
        """Add an error for each name that is not known, in a row or among the columns."""
        within = "" if row is None else f"{self._first_row + row}."
        for name in names:
            if name not in known:
                self._add(f"{within}{_name(name)}", UNKNOWN_FIELD)

    def _add(self, path: str, message: str) -> None:
        self._total += 1
        if len(self._listed) < MOST_LISTED:
            self._listed.append(FieldProblem(field=f"{self._prefix}{path}", message=message))

    def check(self) -> None:
        """Require that there are no errors.

        Raises:
            InvalidRows: there are some.
        """
        if self._total:
            raise self.found()

    def found(self) -> InvalidRows:
        """Return the errors, of which there must be at least one, as an exception."""
        return InvalidRows(self._listed, self._total)


class Skipped(ValidationErrors):
    """Marks the rows that have an error in `mask`, of shape `(rows,)`, instead of rejecting all rows."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.mask = np.zeros(rows, dtype=bool)
        self.reasons: Counter[str] = Counter()

    def each(self, name: str, found: Iterable[tuple[int, str]]) -> None:
        """Mark the rows at these positions, and count them in `reasons` under `name`; drop the messages."""
        positions = [position for position, _ in found]
        self.mask[positions] = True
        if positions:
            self.reasons[name] += len(positions)
