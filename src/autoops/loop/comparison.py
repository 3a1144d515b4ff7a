"""The rows on which the gate compares: unseen by both, scored by the very bundles that would serve."""

import numpy as np
import numpy.typing as npt

from autoops.drift.monitor import Reference
from autoops.features import local_hours
from autoops.loop import gate
from autoops.loop.pipeline import Pipeline
from autoops.months import Month
from autoops.registry import ModelVersion
from autoops.scoring import load_version
from autoops.trips import TARGET, Columns, columns_of


def with_baseline(pipeline: Pipeline, challenger: ModelVersion) -> gate.GateVerdict:
    """A first version against the median of what it was fitted on, on its own holdout."""
    scorer = load_version(pipeline.registry, challenger, pipeline.model_cache)
    reference = Reference.read(scorer.directory)
    trips, truth = columns_of(reference.holdout), reference.holdout[TARGET].to_numpy()
    baseline = np.abs(float(np.median(reference.window[TARGET])) - truth)
    errors = np.abs(scorer.predict_trips(trips) - truth)
    return gate.decide(baseline, errors, _days(trips), pipeline.settings.gate, against="median baseline")


def with_champion(
    pipeline: Pipeline, champion: ModelVersion, challenger: ModelVersion, months: list[Month]
) -> gate.GateVerdict:
    """Both versions on the rows of `months` that are newer than either's training."""
    trips = pipeline.store.load(months)
    unseen = trips[trips["pickup_at"] > max(champion.trained_until, challenger.trained_until)]
    columns, truth = columns_of(unseen), unseen[TARGET].to_numpy()
    first, second = (
        np.abs(load_version(pipeline.registry, version, pipeline.model_cache).predict_trips(columns) - truth)
        for version in (champion, challenger)
    )
    return gate.decide(first, second, _days(columns), pipeline.settings.gate)


def _days(trips: Columns) -> npt.NDArray[np.int64]:
    """New York days since the epoch."""
    return local_hours(trips["pickup_at"]) // 24
