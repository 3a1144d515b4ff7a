"""Live traffic as windows: the newest predictions and labels of the champion's reign that have counted in none.

Loss is judged by the contract of training: a label outside it, such as of a trip of two hours, is kept and counted.
"""

from collections.abc import Sequence

import numpy as np

from autoops.loop.pipeline import Pipeline
from autoops.loop.windows import Ends, Window, ends_of, promoted_at
from autoops.predictions import LIVE, LabelledPrediction, Scope
from autoops.registry import ModelVersion
from autoops.trips import DURATION_MINUTES


def live_window(pipeline: Pipeline, champion: ModelVersion, size: int) -> Window:
    """The last `size` of each; of labels those within the contract. Fewer are left for a later window to count."""
    ends = ends_of(pipeline, champion)
    scope = Scope(champion.number, LIVE, promoted_at(champion))
    logged = pipeline.log.latest(scope, size, ends.prediction_id)
    labelled, outside = _by_contract(pipeline.log.latest_labelled(scope, 2 * size, ends.label_id), size)
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
