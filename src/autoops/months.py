"""Calendar months, in which rows are trained on; a raw file holds one of them, or a week or a day."""

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, Self
from zoneinfo import ZoneInfo

from autoops.errors import MonthError

# Not 1970: a time of 0 is none.
FIRST_YEAR, LAST_YEAR = 1980, 2099
_PATTERN = re.compile(r"(\d{4})-(\d{2})")
_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Period(Protocol):
    """What one raw file holds: a `Month`, `Week` or `Day`; printed as it stands in the file's name."""

    @property
    def year(self) -> int:
        """Return the year that the period counts to."""

    @property
    def begins(self) -> date:
        """Return the first day."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the period that `text` names.

        Raises:
            MonthError: it names none.
        """

    @classmethod
    def holding(cls, day: date) -> Self:
        """Return the period that contains the day."""

    def plus(self, count: int) -> Self:
        """Return the period that is `count` periods later; a negative `count` means earlier."""


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

    @classmethod
    def holding(cls, day: date) -> "Month":
        """Return the month that contains the day."""
        return cls(day.year, day.month)

    @property
    def begins(self) -> date:
        """Return the first day."""
        return date(self.year, self.month, 1)

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


@dataclass(frozen=True, order=True)
class Week:
    """One week of ISO 8601, Monday to Sunday, printed as `2026-W05`; some of its days may be in another year."""

    begins: date

    @classmethod
    def parse(cls, text: str) -> "Week":
        """Return the week that `text` names.

        Raises:
            MonthError: `text` is not `YYYY-Www` with a week of a year from 1980 to 2099.
        """
        match = _WEEK.fullmatch(text)
        if match is None or not FIRST_YEAR <= int(match[1]) <= LAST_YEAR:
            raise MonthError(f"week {text!r}: expected YYYY-Www, such as 2026-W05")
        try:
            return cls(date.fromisocalendar(int(match[1]), int(match[2]), 1))
        except ValueError:
            last = date(int(match[1]), 12, 28).isocalendar().week
            raise MonthError(f"week {text!r}: {match[1]} has the weeks W01 to W{last}") from None

    @classmethod
    def holding(cls, day: date) -> "Week":
        """Return the week that contains the day."""
        return cls(day - timedelta(days=day.weekday()))

    @property
    def year(self) -> int:
        """Return the year of the week's number, that of its Thursday."""
        return self.begins.isocalendar().year

    def __str__(self) -> str:
        return f"{self.year:04d}-W{self.begins.isocalendar().week:02d}"

    def plus(self, count: int) -> "Week":
        """Return the week that is `count` weeks later; a negative `count` means earlier."""
        return Week(self.begins + timedelta(weeks=count))


@dataclass(frozen=True, order=True)
class Day:
    """One day; printed as `2026-02-01`."""

    begins: date

    @classmethod
    def parse(cls, text: str) -> "Day":
        """Return the day that `text` names.

        Raises:
            MonthError: `text` is not `YYYY-MM-DD` with a day from 1980 to 2099.
        """
        try:
            day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise MonthError(f"day {text!r}: expected YYYY-MM-DD, such as 2026-02-01")
        return cls(day)

    @classmethod
    def holding(cls, day: date) -> "Day":
        """Return the day itself."""
        return cls(day)

    @property
    def year(self) -> int:
        """Return the year."""
        return self.begins.year

    def __str__(self) -> str:
        return self.begins.isoformat()

    def plus(self, count: int) -> "Day":
        """Return the day that is `count` days later; a negative `count` means earlier."""
        return Day(self.begins + timedelta(days=count))


KINDS: dict[str, type[Period]] = {"month": Month, "week": Week, "day": Day}
"""The periods that a declaration may name."""


def periods_of(kind: type[Period], year: int) -> list[Period]:
    """Return the periods that count to the year, in order: a year has 52 or 53 weeks."""
    first = kind.holding(date(year, 1, 1))
    return _until(first if first.year == year else first.plus(1), lambda period: period.year > year)


def covering(kind: type[Period], month: Month) -> list[Period]:
    """Return the periods that have a day of the month, in order.

    >>> [str(week) for week in covering(Week, Month(2026, 2))]
    ['2026-W05', '2026-W06', '2026-W07', '2026-W08', '2026-W09']
    """
    return _until(kind.holding(month.begins), lambda period: period.begins >= month.plus(1).begins)


def _until(period: Period, over: Callable[[Period], bool]) -> list[Period]:
    found = []
    while not over(period):
        found.append(period)
        period = period.plus(1)
    return found


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
