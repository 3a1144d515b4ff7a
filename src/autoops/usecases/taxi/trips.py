"""Bounds of trips, by which raw months of the TLC are cleaned; they are those of the taxi's declaration."""

from autoops.usecase.contract import Bounds

DISTANCE_MILES = Bounds(above=0, below=100)
DURATION_MINUTES = Bounds(at_least=1, at_most=60)
"""Durations of trips that models are trained and judged on."""
LABEL_MINUTES = Bounds(above=0, at_most=24 * 60)
"""Ground truth that is accepted and stored. A label outside DURATION_MINUTES counts in no error."""
LOCATION_ID = Bounds(at_least=1, at_most=265)
PASSENGER_COUNT = Bounds(at_least=0, at_most=9)
"""0 means: not reported."""
