"""Bounds of trips, by which raw months of the TLC are cleaned; they are those of the taxi's declaration."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Bounds:
    """An interval of values of a trip's field, closed unless `low_open` or `high_open`."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    def contains(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return a mask of the shape of `values`; NaN is outside."""
        above = values > self.low if self.low_open else values >= self.low
        below = values < self.high if self.high_open else values <= self.high
        return np.asarray(above & below)


DISTANCE_MILES = Bounds(0, 100, low_open=True, high_open=True)
DURATION_MINUTES = Bounds(1, 60)
"""Durations of trips that models are trained and judged on."""
LABEL_MINUTES = Bounds(0, 24 * 60, low_open=True)
"""Ground truth that is accepted and stored. A label outside DURATION_MINUTES counts in no error."""
LOCATION_ID = Bounds(1, 265)
PASSENGER_COUNT = Bounds(0, 9)
"""0 means: not reported."""
