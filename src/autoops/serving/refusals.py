"""What is wrong with a batch: by column and row, the first mistakes and how many there are."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from autoops.errors import InputError
from autoops.serving.schemas import FieldProblem

MOST_LISTED = 20
"""Of all that is wrong with one request, so many mistakes are listed."""


class InvalidTrips(InputError):
    """Trips that are not within the contract; `listed` holds the first problems."""

    def __init__(self, listed: list[FieldProblem], total: int) -> None:
        more = f" (and {total - 1} more)" if total > 1 else ""
        super().__init__(f"{listed[0].field}: {listed[0].message}{more}")
        self.listed = listed[:MOST_LISTED]


class BrokenStream(InputError):
    """Bytes that are no Arrow IPC stream."""

    http_status = 400


class TooManyRows(InputError):
    """More rows than one request may have."""

    http_status = 413


class Refusals:
    """Collects problems. `first_row` is added to the positions, for a part of something larger."""

    def __init__(self, prefix: str = "", first_row: int = 0) -> None:
        self._prefix = prefix
        self._first_row = first_row
        self._listed: list[FieldProblem] = []
        self._total = 0

    def column(self, name: str, message: str) -> None:
        """Of a column as a whole."""
        self._total += 1
        self._listed.append(FieldProblem(field=f"{self._prefix}{name}", message=message))

    def rows(self, name: str, bad: npt.NDArray[np.bool_], message: str) -> None:
        """One for each row that is marked."""
        self.each(name, ((int(position), message) for position in np.flatnonzero(bad)))

    def each(self, name: str, found: Iterable[tuple[int, str]]) -> None:
        for position, message in found:
            self._total += 1
            if len(self._listed) < MOST_LISTED:
                field = f"{self._prefix}{name}.{self._first_row + position}"
                self._listed.append(FieldProblem(field=field, message=message))

    def check(self) -> None:
        """Raises InvalidTrips if there is any."""
        if self._total:
            raise InvalidTrips(self._listed, self._total)
