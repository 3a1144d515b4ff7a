"""One logged prediction, explained in minutes feature by feature.

Trips of the version's own training serve as the baseline. They are given the trip's features one after the other, the
most important first. The change of the mean prediction at each step is what the feature adds to the minutes; after the
last step all of them are the trip (Staniak and Biecek 2018, "Explanations of model predictions with live and breakDown
packages"). Features that depend on each other share their effect by their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC

import numpy as np
import pandas as pd

from autoops.drift.distances import evenly
from autoops.drift.monitor import Reference
from autoops.errors import NotFound
from autoops.features import GROUPS, feature_matrix
from autoops.loop.context import Context
from autoops.models import bundle
from autoops.models.scoring import Scorer, load_version
from autoops.storage.logged import LoggedPrediction, as_sent
from autoops.trips import Columns, columns_of

USUAL_TRIPS = 1_000


@dataclass(frozen=True)
class Step:
    """A step: `values` are model inputs by name, `minutes` is the mean prediction with them, `change` their effect."""

    feature: str
    values: dict[str, float]
    change: float
    minutes: float


@dataclass(frozen=True)
class Breakdown:
    """A prediction in steps from `usual`, the baseline's mean prediction, to `recomputed`, the version's answer now."""

    logged: LoggedPrediction
    known_zones: bool
    recomputed: float
    usual: float
    steps: tuple[Step, ...]

    @property
    def agrees(self) -> bool:
        """Return whether the recomputed prediction is within `GOLDEN_TOLERANCE` minutes of the logged one."""
        return abs(self.recomputed - self.logged.prediction) <= bundle.GOLDEN_TOLERANCE


def break_down(context: Context, name: str) -> Breakdown:
    """Explain the prediction with this id, or with this request_id of its client.

    Raises:
        NotFound: the log has no such prediction, or the registry not its version.
        BundleError: the version does not load.
    """
    logged = context.log.find(name)
    if logged is None:
        raise NotFound(
            f"no prediction in the log has the id or request_id {name!r}; of a client with an API key it is KEY/ID"
        )
    # Stored with the name of the API key; people know the id that the client sent.
    logged = replace(logged, request_id=logged.request_id and as_sent(logged.request_id))
    version = context.registry.version(logged.model_version)
    scorer = load_version(context.registry, version, context.model_cache)
    trip = feature_matrix(_columns(logged), scorer.manifest.features)
    usual = feature_matrix(columns_of(_usual_trips(scorer)), scorer.manifest.features)
    return Breakdown(
        logged,
        {logged.pickup_location_id, logged.dropoff_location_id} <= scorer.zones,
        float(scorer.predict(trip)[0]),
        float(scorer.predict(usual).mean()),
        tuple(_steps(scorer, usual, trip[0])),
    )


def _usual_trips(scorer: Scorer) -> pd.DataFrame:
    window = Reference.read(scorer.directory).window
    return window.iloc[evenly(len(window), min(len(window), USUAL_TRIPS))]


def _steps(scorer: Scorer, usual: np.ndarray, trip: np.ndarray) -> Iterator[Step]:
    features, importances = scorer.manifest.features, scorer.manifest.importances
    before, rows = float(scorer.predict(usual).mean()), usual.copy()
    for group in sorted(importances, key=lambda name: -importances[name]):
        members = [position for position, name in enumerate(features) if GROUPS.get(name, name) == group]
        rows[:, members] = trip[members]
        after = float(scorer.predict(rows).mean())
        yield Step(group, {features[each]: float(trip[each]) for each in members}, after - before, after)
        before = after


def _columns(logged: LoggedPrediction) -> Columns:
    return {
        "pickup_at": np.array([logged.event_at.astimezone(UTC).replace(tzinfo=None)], dtype="datetime64[us]"),
        "trip_distance": np.array([logged.trip_distance]),
        "passenger_count": np.array([logged.passenger_count], dtype=np.int16),
        "pickup_location_id": np.array([logged.pickup_location_id], dtype=np.int16),
        "dropoff_location_id": np.array([logged.dropoff_location_id], dtype=np.int16),
    }


def sentences(found: Breakdown) -> list[str]:
    """Return the breakdown as lines of text: the prediction, the baseline, then each step in minutes."""
    logged = found.logged
    again = "the same again" if found.agrees else f"NOT the same again: {found.recomputed:.4f}"
    zones = "" if found.known_zones else "; a zone that it did not see in training"
    by = f" for the key {logged.key}" if logged.key else ""
    return [
        f"prediction {logged.id} of version {logged.model_version}{by}, trip of {logged.event_at:%Y-%m-%d %H:%M} UTC: "
        f"{logged.prediction:.2f} min, now {again}{zones}",
        f"{found.usual:8.2f} min  is its mean answer to trips of its training",
        *(f"{step.change:+8.2f} min  {_values(step)}, which makes {step.minutes:.2f}" for step in found.steps),
    ]


def _values(step: Step) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in step.values.items())
