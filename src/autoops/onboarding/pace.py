"""The holdout that fits a table's rows a day; what else counts rows, `autoops.cadence` fits by itself."""

from math import ceil

from autoops.settings import Gate, Training

MOST_DAYS = 28


def holdout_days(rows_per_day: float, training: Training, gate: Gate) -> int:
    """Return the days of a holdout that has the rows of `gate.min_rows`, or `MOST_DAYS`; at least the days of now.

    >>> holdout_days(24, Training(), Gate()), holdout_days(2_000, Training(), Gate())
    (21, 7)
    """
    return max(training.holdout_days, min(MOST_DAYS, ceil(gate.min_rows / rows_per_day)))
