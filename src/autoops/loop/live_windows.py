"""Live traffic as windows: the newest predictions and labels of the champion's reign that have counted in none.

Loss is judged by the contract of training: a label outside it, such as of a trip of two hours, is kept and counted.
"""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from autoops.loop.pipeline import Pipeline
from autoops.loop.windows import Ends, Window, ends_of, promoted_at
from autoops.predictions import LIVE, LabelledPrediction, Scope
from autoops.registry import ModelVersion
from autoops.trips import DURATION_MINUTES

STRAGGLERS = timedelta(days=1)
"""A label may be stored before its prediction, which waits in another outbox; after so long it is passed over."""


def live_window(pipeline: Pipeline, champion: ModelVersion, size: int) -> Window:
    """The last `size` of each; of labels those within the contract. Fewer are left for a later window to count."""
    ends = _begin(pipeline, champion)
    scope = Scope(champion.number, LIVE, promoted_at(champion))
    logged = pipeline.log.latest(scope, size, ends.prediction_id)
    found = pipeline.log.latest_labelled(scope, 2 * size, ends.label_id)
    if len(found) < size:
        ends = ends._replace(label_id=_passed_over(pipeline, ends.label_id, found))
    labelled, outside = _by_contract(found, size)
    newest = max((row.label_id for row in (*labelled, *outside)), default=ends.label_id)
    prediction_id = max(row.id for row in logged) if len(logged) >= size else ends.prediction_id
    if_judged, if_broken = (
        Ends(prediction_id, newest if rows >= size else ends.label_id)
        for rows in (len(labelled), len(labelled) + len(outside))
    )
    return Window(LIVE, logged, labelled, ends, if_judged, outside=outside, ends_if_broken=if_broken)


def _by_contract(
    rows: Sequence[LabelledPrediction], size: int
) -> tuple[list[LabelledPrediction], list[LabelledPrediction]]:
    """Return the last `size` rows within the contract, and the others that came with them; `rows` are in order of
    their labels."""
    within = DURATION_MINUTES.contains(np.array([row.trip_duration_minutes for row in rows]))
    kept = np.flatnonzero(within)[-size:]
    first = int(kept[0]) if len(kept) == size else max(0, len(rows) - size)
    outside = [rows[position] for position in np.flatnonzero(~within).tolist() if position >= first]
    return [rows[position] for position in kept.tolist()], outside


def _begin(pipeline: Pipeline, champion: ModelVersion) -> Ends:
    """Where the last check ended; the first of a reign begins with what came since the promotion."""
    ends, since = ends_of(pipeline, champion), promoted_at(champion)
    if ends.label_id is None and since is not None:
        return ends._replace(label_id=pipeline.log.label_before(since))
    return ends


def _passed_over(pipeline: Pipeline, after: int | None, labelled: Sequence[LabelledPrediction]) -> int | None:
    """Return the label id from which the next check has to look on. Labels of other versions' predictions come for
    weeks after a promotion, and each check would look through all of them again."""
    recent = pipeline.log.label_before(pipeline.clock.now() - STRAGGLERS)
    first = min((row.label_id for row in labelled), default=recent + 1)
    return max(after or 0, min(recent, first - 1)) or after
