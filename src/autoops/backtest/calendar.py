"""Which month is served when, and which month is known by then."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoops.errors import InputError
from autoops.months import Month, month_range


@dataclass(frozen=True)
class Step:
    """`month` is served by the champion; at its end `published` comes out, where any month does."""

    month: Month
    published: Month | None


def steps(months: Sequence[Month], window_months: int, lag_months: int) -> list[Step]:
    """The walk over consecutive months of which the first `window_months` train version 1.

    A month comes out `lag_months` after its end, labels and all; those of the first version are out from the start.
    What would come out after the last month decides nothing that is served, and does not come out.
    Raises InputError where there is nothing to walk over.
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
    """The months at whose end something comes out."""
    return [step.month for step in steps if step.published]
