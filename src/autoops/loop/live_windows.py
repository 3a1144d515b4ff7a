"""Live traffic as windows: the newest predictions and labels of the champion's reign that have counted in none."""

from autoops.loop.pipeline import Pipeline
from autoops.loop.windows import Ends, Window, ends_of, promoted_at
from autoops.predictions import LIVE, Scope
from autoops.registry import ModelVersion


def live_window(pipeline: Pipeline, champion: ModelVersion, size: int) -> Window:
    """The last `size` of each. Fewer are left for a later window to count."""
    ends = ends_of(pipeline, champion)
    scope = Scope(champion.number, LIVE, promoted_at(champion))
    logged = pipeline.log.latest(scope, size, ends.prediction_id)
    labelled = pipeline.log.latest_labelled(scope, size, ends.label_id)
    used = Ends(
        max(row.id for row in logged) if len(logged) >= size else ends.prediction_id,
        max(row.label_id for row in labelled) if len(labelled) >= size else ends.label_id,
    )
    return Window(LIVE, logged, labelled, ends, used)
