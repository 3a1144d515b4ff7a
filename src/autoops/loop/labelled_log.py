"""Live traffic whose ground truth came back, as trips to train on and to compare versions on.

The rules of cleaning hold for it as for published months, and what was found to be broken data stays out.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.event_times import aware, near, newest_of, plausible, strays_in
from autoops.loop.live_quarantine import broken_rows
from autoops.loop.pipeline import Pipeline
from autoops.loop.windows import labelled_frame_of
from autoops.months import Month
from autoops.predictions import LIVE, Scope
from autoops.trips import DISTANCE_MILES, DURATION_MINUTES, LOCATION_ID, TARGET, TRIP_COLUMNS

DIGEST_CHARACTERS = 16
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def logged_months(pipeline: Pipeline) -> list[Month]:
    """Return those that labelled trips began in, in order; the newest is probably not over. A few trips make no
    month."""
    times = _usable_labels(pipeline)["at"]
    rows: Counter[Month] = Counter()
    for hour, count in zip(*np.unique(times.astype("datetime64[h]"), return_counts=True), strict=True):
        rows[Month.of(aware(hour))] += int(count)
    return sorted(month for month, count in rows.items() if count > strays_in(len(times)))


def labelled_until(pipeline: Pipeline) -> datetime | None:
    """Return the event time that labelled trips reach."""
    return newest_of(_usable_labels(pipeline)["at"])


def trips_of(pipeline: Pipeline, months: Sequence[Month]) -> pd.DataFrame:
    """Labelled trips of these months in event order, each with its latest label: the same rows, the same frame."""
    wanted, usable = set(months), set(_usable_labels(pipeline)["label"].tolist())
    seen: set[str] = set()
    rows = []
    for row in pipeline.log.labelled(LIVE):
        if row.logged.id not in seen:
            seen.add(row.logged.id)
            if row.label_id in usable and Month.of(row.logged.event_at) in wanted:
                rows.append(row)
    frame = labelled_frame_of(sorted(rows, key=lambda row: row.logged.id))
    bounds = ((DURATION_MINUTES, TARGET), (DISTANCE_MILES, "trip_distance"))
    zones = ((LOCATION_ID, "pickup_location_id"), (LOCATION_ID, "dropoff_location_id"))
    for bound, column in (*bounds, *zones):
        frame = frame[bound.contains(frame[column].to_numpy())]
    return frame[[*TRIP_COLUMNS, TARGET]].reset_index(drop=True)


def digest_of(trips: pd.DataFrame) -> str:
    content = pd.util.hash_pandas_object(trips, index=False).to_numpy().tobytes()
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]


def _usable_labels(pipeline: Pipeline) -> npt.NDArray[np.void]:
    """Return id and event time of the labels that may decide something, of all months: as numbers while they are read,
    because each check asks while an incident waits for them."""
    found = np.fromiter(_moments(pipeline), dtype=[("label", np.int64), ("at", "datetime64[us]")])
    found = found[np.argsort(found["label"], kind="stable")]  # the order of arrival, by which `near` judges
    return found[near(found["at"]) & plausible(found["at"], pipeline.clock.now())]


def _moments(pipeline: Pipeline) -> Iterator[tuple[int, int]]:
    """Yield label ids and event times in microseconds."""
    for version in pipeline.registry.versions():
        broken = broken_rows(pipeline, version.number)
        for prediction_id, label_id, moment in pipeline.log.labelled_moments(Scope(version.number, LIVE)):
            if not broken.contains(prediction_id, label_id):
                yield label_id, (moment - _EPOCH) // _MICROSECOND
