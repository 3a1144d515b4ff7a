"""Which logged predictions a check judges: one version's, since its promotion, each in one window only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import numpy as np
import pandas as pd

from autoops.loop.checks import Check
from autoops.loop.pipeline import Pipeline
from autoops.loop.promotion import PROMOTED_AT
from autoops.loop.scored_months import score
from autoops.months import Month
from autoops.predictions import LIVE, LabelledPrediction, LoggedPrediction, Scope
from autoops.registry import ModelVersion
from autoops.trips import TARGET, TRIP_COLUMNS

Row = TypeVar("Row")
NO_MONTH = "no new month"
WHOLE_MONTH = 1_000_000


@dataclass(frozen=True)
class Window:
    """Rows that have counted in no window before, and the ends of those that have: `used` is the check before."""

    source: str
    logged: Sequence[LoggedPrediction]
    labelled: Sequence[LabelledPrediction]
    used: Check | None

    def ends(self, size: int | None) -> tuple[str | None, int | None]:
        """The last prediction and label that have counted, once this window of `size` rows has been judged; None:
        it was not."""
        prediction = self.used.last_prediction_id if self.used else None
        label = self.used.last_label_id if self.used else None
        if size is not None and len(self.logged) >= size:
            prediction = max(row.id for row in self.logged)
        if size is not None and len(self.labelled) >= size:
            label = max(row.label_id for row in self.labelled)
        return prediction, label


def promoted_at(version: ModelVersion) -> datetime | None:
    """When the version's reign began, wall time."""
    moment = version.tags.get(PROMOTED_AT)
    return datetime.fromisoformat(moment) if moment else None


def next_window(pipeline: Pipeline, champion: ModelVersion, size: int) -> Window:
    """The last `size` live predictions and labels; or, from published months, as many of the next month's, spread
    evenly over it."""
    since = promoted_at(champion)
    checks = pipeline.checks.latest(champion.number, since=since)
    used = checks[0] if checks else None
    if pipeline.settings.drift.source == "months":
        source = _next_month(pipeline, champion, since)
        scope = Scope(champion.number, source)
        logged = pipeline.log.latest(scope, WHOLE_MONTH)
        labelled = pipeline.log.latest_labelled(scope, WHOLE_MONTH)
        return Window(source, _thinned(logged, size), _thinned(labelled, size), used)
    scope = Scope(champion.number, LIVE, since)
    logged = pipeline.log.latest(scope, size, used.last_prediction_id if used else None)
    labelled = pipeline.log.latest_labelled(scope, size, used.last_label_id if used else None)
    return Window(LIVE, logged, labelled, used)


def _next_month(pipeline: Pipeline, champion: ModelVersion, since: datetime | None) -> str:
    """The oldest published month after the champion's training that no check of its reign has judged, scored."""
    trained = Month.of(champion.trained_until)
    judged = {
        check.report.get("source")
        for check in pipeline.checks.latest(champion.number, since=since, judged=True, limit=1_000)
    }
    for month in pipeline.source.published():
        if month > trained and str(month) not in judged:
            score(pipeline, month)
            return str(month)
    return NO_MONTH


def _thinned(rows: Sequence[Row], size: int) -> list[Row]:
    if len(rows) <= size:
        return list(rows)
    return [rows[position] for position in np.linspace(0, len(rows) - 1, size).astype(int)]


def frame_of(rows: Sequence[LoggedPrediction]) -> pd.DataFrame:
    """Logged predictions as a frame of trips with `prediction`, in event order."""
    ordered = sorted(rows, key=lambda row: row.event_at)
    columns = {name: [getattr(row, name) for row in ordered] for name in TRIP_COLUMNS if name != "pickup_at"}
    moments = pd.to_datetime([row.event_at for row in ordered], utc=True).as_unit("us")
    return pd.DataFrame({"pickup_at": moments} | columns | {"prediction": [row.prediction for row in ordered]})


def labelled_frame_of(rows: Sequence[LabelledPrediction]) -> pd.DataFrame:
    """The same with the ground truth as the target column."""
    ordered = sorted(rows, key=lambda row: row.logged.event_at)
    truth = [row.trip_duration_minutes for row in ordered]
    return frame_of([row.logged for row in ordered]).assign(**{TARGET: truth}).astype({TARGET: float})
