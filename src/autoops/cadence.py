"""How many rows a day a table has, and what rules that count rows may ask of a sparse one.

Settings count rows, and suit tables of hundreds of rows a day: a window of 1,000 rows of an hourly table would be six
weeks long, and five days of it would never be compared. So of a table with less than `SPARSE` rows a day each such
rule asks for the rows of a span of days where these are fewer, and for `LEAST` at least.
"""

import numpy as np

from autoops.event_times import Times

LEAST = 100
"""Rows behind any mean, distance or interval, however sparse the table."""

SPARSE = 100
"""Rows a day below which a table is sparse. Its models are fitted in seconds, and a few months of it say little."""

FULL_DAY = 0.01
"""A day counts only if its rows exceed this share of the fullest day's: a few stray rows do not make a week."""

_TRIMMED = 0.01


def rows_per_day(times: Times) -> float:
    """Return the mean number of rows a day, by the span of the middle 98 % of them; 0 without rows.

    Less than a day counts as a day: the rate of a few busy hours is not that of a table.
    """
    if not len(times):
        return 0.0
    ends = np.quantile(times.astype("datetime64[us]").astype(np.int64), [_TRIMMED, 1 - _TRIMMED])
    return len(times) / max(float(ends[1] - ends[0]) / 86_400e6 / (1 - 2 * _TRIMMED), 1.0)


def asked_of(setting: int, rows_a_day: float | None, days: float, least: int = LEAST) -> int:
    """Return the rows that a rule asks for: its setting, or of a sparse table those of `days` days if they are fewer.

    Without a rate, as in versions of earlier releases, it is the setting.

    >>> asked_of(1000, 24, days=7), asked_of(1000, 2_000, days=7), asked_of(1000, 1, days=7)
    (168, 1000, 100)
    """
    if rows_a_day is None or rows_a_day >= SPARSE:
        return setting
    return min(setting, max(least, round(rows_a_day * days)))
