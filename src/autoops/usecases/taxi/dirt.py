"""The faults of real months, made in sampled trips: about 8 % of the rows do not survive cleaning.

The shares are those of the green taxis of 2022 and 2023.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from autoops.months import Month
from autoops.usecases.taxi.traffic import Trips

Array = npt.NDArray[Any]

NO_DISTANCE = 0.045
WITHIN_A_MINUTE = 0.026
FORGOTTEN = 0.008
"""Share of meters that ran on, a fifth of them for most of a day."""
BACKWARDS = 0.0003
FAR_OFF = 0.0008
"""Share of distances between a hundred and 360,000 miles."""
OTHER_MONTH = 0.0003
REFUNDED = 0.003


def soil(trips: Trips, month: Month, rng: np.random.Generator) -> tuple[Trips, Array]:
    """Return the trips with faults, in a raw file's order, and the mask of refunds, of shape (rows,).

    The number of rows stays.
    """
    trips = trips.taken(_order(trips, rng))
    refund = _refunds(trips, rng)
    trips = trips.taken(np.where(refund, np.arange(len(trips)) - 1, np.arange(len(trips))))
    minutes, miles, picked_up = trips.minutes.copy(), trips.miles.copy(), trips.picked_up.copy()

    rows = _some(trips, WITHIN_A_MINUTE, rng)
    # At most 59 s when the raw file rounds to seconds, so that cleaning drops all of them.
    minutes[rows] = np.minimum(rng.exponential(0.35, len(rows)), 0.98)
    rows = _some(trips, FORGOTTEN, rng)
    minutes[rows] = np.where(rng.random(len(rows)) < 0.2, rng.uniform(300, 1440, len(rows)), minutes[rows] + 60)
    rows = _some(trips, BACKWARDS, rng)
    minutes[rows] = -rng.uniform(1, 60, len(rows))
    miles[_some(trips, NO_DISTANCE, rng)] = 0
    rows = _some(trips, FAR_OFF, rng)
    miles[rows] = np.round(rng.uniform(100, 360_000, len(rows)), 2)
    rows = _some(trips, OTHER_MONTH, rng)
    picked_up[rows] = _elsewhen(month, rng, len(rows))
    return trips.changed(minutes=minutes, miles=miles, picked_up=picked_up), refund


def _order(trips: Trips, rng: np.random.Generator) -> Array:
    """Return positions in a raw file's order: roughly by time and never sorted, with unreported trips at the end."""
    roughly = trips.picked_up.astype(np.int64) + rng.normal(0, 1800, len(trips))
    return np.lexsort((roughly, trips.unreported))


def _refunds(trips: Trips, rng: np.random.Generator) -> Array:
    """Return the mask of rows that repeat the row before them with the amounts negated."""
    refund = (rng.random(len(trips)) < REFUNDED) & ~trips.unreported
    # The first row has none before it to repeat, and the row before must not be a refund itself.
    refund[:1] = False
    refund[1:] &= ~refund[:-1]
    return refund


def _some(trips: Trips, share: float, rng: np.random.Generator) -> Array:
    """Return positions of about this share of the rows, at least one."""
    return rng.choice(len(trips), size=max(1, rng.binomial(len(trips), share)), replace=False)


def _elsewhen(month: Month, rng: np.random.Generator, count: int) -> Array:
    """Return timestamps just before the month, just after it, or after the default time of a meter without a clock."""
    begin, end = (np.datetime64(str(m), "s") for m in (month, month.plus(1)))
    lost = np.datetime64("2008-12-31T23:00:00", "s")
    seconds = rng.integers(1, 7200, count).astype("timedelta64[s]")
    return np.choose(rng.integers(3, size=count), [begin - seconds, end + seconds, lost + seconds])
