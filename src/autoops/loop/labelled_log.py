"""Live traffic whose ground truth came back, as trips to train on and to compare versions on.

The rules of cleaning hold for it as for published months, and what was found to be broken data stays out.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import pandas as pd

from autoops.loop.live_quarantine import broken_rows
from autoops.loop.pipeline import Pipeline
from autoops.loop.windows import labelled_frame_of
from autoops.months import Month
from autoops.predictions import LIVE, LabelledPrediction, Scope
from autoops.trips import DISTANCE_MILES, DURATION_MINUTES, LOCATION_ID, TARGET, TRIP_COLUMNS

MOST_LABELS = 1_000_000
"""Of one version, the newest."""

DIGEST_CHARACTERS = 16


def logged_months(pipeline: Pipeline) -> list[Month]:
    """In order, those that labelled trips began in; the newest is probably not over."""
    hours = {moment.replace(minute=0, second=0, microsecond=0) for moment in _moments(pipeline)}
    return sorted({Month.of(hour) for hour in hours})


def labelled_until(pipeline: Pipeline) -> datetime | None:
    """Event time of the newest labelled trip."""
    return max(_moments(pipeline), default=None)


def trips_of(pipeline: Pipeline, months: Sequence[Month]) -> pd.DataFrame:
    """Labelled trips of these months in event order, each with its latest label: the same rows, the same frame."""
    wanted = set(months)
    rows = [row for row in _rows(pipeline) if Month.of(row.logged.event_at) in wanted]
    frame = labelled_frame_of(sorted(rows, key=lambda row: row.logged.id))
    bounds = ((DURATION_MINUTES, TARGET), (DISTANCE_MILES, "trip_distance"))
    zones = ((LOCATION_ID, "pickup_location_id"), (LOCATION_ID, "dropoff_location_id"))
    for bound, column in (*bounds, *zones):
        frame = frame[bound.contains(frame[column].to_numpy())]
    return frame[[*TRIP_COLUMNS, TARGET]].reset_index(drop=True)


def digest_of(trips: pd.DataFrame) -> str:
    content = pd.util.hash_pandas_object(trips, index=False).to_numpy().tobytes()
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]


def _rows(pipeline: Pipeline) -> list[LabelledPrediction]:
    found = []
    for version in pipeline.registry.versions():
        broken = broken_rows(pipeline, version.number)
        labelled = pipeline.log.latest_labelled(Scope(version.number, LIVE), MOST_LABELS)
        found += [row for row in labelled if not broken.contains(row.logged.id, row.label_id)]
    return found


def _moments(pipeline: Pipeline) -> Iterator[datetime]:
    """Event times of all labelled trips, one by one: while an incident waits for them, each check asks."""
    for version in pipeline.registry.versions():
        broken = broken_rows(pipeline, version.number)
        for prediction_id, label_id, moment in pipeline.log.labelled_moments(Scope(version.number, LIVE)):
            if not broken.contains(prediction_id, label_id):
                yield moment
