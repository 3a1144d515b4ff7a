"""Calendar months, the periods in which rows are published and trained on."""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from autoops.errors import MonthError

# Not 1970: a time of 0 is none.
FIRST_YEAR, LAST_YEAR = 1980, 2099
_PATTERN = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month; ordered, and printed as `2023-01`."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Return the month that `text` names.

        Raises:
            MonthError: `text` is not `YYYY-MM` with a month from 1980-01 to 2099-12.
        """
        match = _PATTERN.fullmatch(text.strip())
        if match is None:
            raise MonthError(f"month {text!r}: expected YYYY-MM, such as 2023-01")
        year, month = int(match[1]), int(match[2])
        if not (FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12):
            raise MonthError(f"month {text!r}: expected a month between {FIRST_YEAR}-01 and {LAST_YEAR}-12")
        return cls(year, month)

    @classmethod
    def of(cls, moment: datetime, zone: ZoneInfo) -> "Month":
        """Return the month of the zone that contains an aware timestamp."""
        local = moment.astimezone(zone)
        return cls(local.year, local.month)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    def plus(self, count: int) -> "Month":
        """Return the month that is `count` months later; a negative `count` means earlier."""
        index = self.year * 12 + self.month - 1 + count
        return Month(index // 12, index % 12 + 1)

    def starts_in(self, zone: ZoneInfo) -> datetime:
        """Return the first instant of the month in the zone, as UTC."""
        return datetime(self.year, self.month, 1, tzinfo=zone).astimezone(UTC)

    def ends_in(self, zone: ZoneInfo) -> datetime:
        """Return the first instant after the month in the zone, as UTC."""
        return self.plus(1).starts_in(zone)

    @property
    def days(self) -> int:
        """Return the calendar days; in hours, March is one hour shorter."""
        return monthrange(self.year, self.month)[1]


def month_range(first: Month, last: Month) -> Iterator[Month]:
    """Yield the months from `first` to `last`, both included."""
    while first <= last:
        yield first
        first = first.plus(1)


def parse_months(texts: str | Iterable[str]) -> list[Month]:
    """Return the months of any mix of `2023-01`, `2022-11..2023-01` and comma lists: sorted, each once.

    >>> [str(m) for m in parse_months("2022-11..2023-01,2023-03")]
    ['2022-11', '2022-12', '2023-01', '2023-03']

    Raises:
        MonthError: a month does not parse, a range ends before it begins, or no month is given.
    """
    found: set[Month] = set()
    for text in [texts] if isinstance(texts, str) else texts:
        for part in filter(None, (p.strip() for p in text.split(","))):
            first, separator, last = part.partition("..")
            begin = Month.parse(first)
            end = Month.parse(last) if separator else begin
            if end < begin:
                raise MonthError(f"months {part!r}: the range ends before it begins")
            found.update(month_range(begin, end))
    if not found:
        raise MonthError("no month given: expected YYYY-MM or YYYY-MM..YYYY-MM")
    return sorted(found)
