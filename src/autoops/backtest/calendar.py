"""The months of a simulation: when each is served, and when it is published."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoops.errors import InputError
from autoops.months import Month, month_range


@dataclass(frozen=True)
class Step:
    """One month of a simulation.

    The champion serves `month`. At its end `published` comes out, None where no month does.
    """

    month: Month
    published: Month | None


def steps(months: Sequence[Month], window_months: int, lag_months: int) -> list[Step]:
    """Return the steps of a simulation over consecutive months, of which the first `window_months` train version 1.

    A month is published `lag_months` after its end, labels included; the months of version 1 are published from the
    start. Nothing is published at the end of the last month, because no served month could depend on it.

    Raises:
        InputError: the months are not consecutive, none is left to serve, or the lag is negative.
    """
    if list(months) != list(month_range(months[0], months[-1])):
        raise InputError(f"months: expected consecutive ones, got {', '.join(map(str, months))}")
    if len(months) <= window_months:
        raise InputError(f"months: the first {window_months} train version 1, and none of {len(months)} is left")
    if lag_months < 0:
        raise InputError(f"label lag: expected 0 months or more, got {lag_months}")
    known, served = months[window_months - 1], months[window_months:]
    return [Step(month, _published(month, lag_months, known, months[-1])) for month in served]


def _published(month: Month, lag_months: int, known: Month, last: Month) -> Month | None:
    due = month.plus(-lag_months)
    return due if due > known and month < last else None


def publications(steps: Sequence[Step]) -> list[Month]:
    """Return the months at whose end a month is published."""
    return [step.month for step in steps if step.published]
