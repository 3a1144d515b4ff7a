"""The gate's comparison, on rows that neither version was trained on, with the bundles that would serve."""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.drift.monitor import Reference
from autoops.drift.thresholds import Thresholds
from autoops.loop.context import Context
from autoops.loop.decide import gate
from autoops.loop.decide.day_blocks import NEXT_DAYS
from autoops.loop.retrain.training_window import Months, load
from autoops.models import bundle
from autoops.models.registry import ModelVersion
from autoops.models.scoring import Scorer, load_version
from autoops.usecase.calendar import local_days
from autoops.usecase.columns import EVENT_AT, TARGET, Columns, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.segments import segments_of
from autoops.usecase.tasks import baseline, losses

TIMED_ROWS = 200
WARM_UP_ROWS = 20
"""The first predictions of a session are its slowest."""


def with_baseline(context: Context, challenger: ModelVersion) -> gate.GateVerdict:
    """Compare a first version with the best constant for what it was fitted on, on its own holdout."""
    scorer = load_version(context.registry, challenger, context.model_cache)
    reference = Reference.read(scorer.directory, scorer.manifest)
    contract = context.contract
    rows, truth = columns_of(reference.holdout), reference.holdout[TARGET].to_numpy(dtype=np.float64)
    constant = np.full(len(truth), baseline(contract, reference.window[TARGET].to_numpy(dtype=np.float64)))
    errors = losses(contract, truth, scorer.predict_rows(rows))
    return _decide(
        context,
        scorer,
        rows,
        losses(contract, truth, constant),
        errors,
        against=f"{'base rate' if contract.task == 'binary' else 'median'} baseline",
        # There is no champion that would serve on meanwhile: that it beats a constant on these days is enough.
        ahead_days=0,
    )


def with_champion(
    context: Context, champion: ModelVersion, challenger: ModelVersion, months: Months, look: int = 1
) -> gate.GateVerdict:
    """Compare both versions on the rows of `months` that neither was trained on.

    `look` is the number of the evaluation, 1 for the first, that shares the gate's error probability.
    """
    rows = load(context, months)
    old, new = (load_version(context.registry, version, context.model_cache) for version in (champion, challenger))
    unseen = rows[_unseen_by(old, rows, context.contract) & _unseen_by(new, rows, context.contract)]
    columns, truth = columns_of(unseen), unseen[TARGET].to_numpy(dtype=np.float64)
    first, second = (losses(context.contract, truth, scorer.predict_rows(columns)) for scorer in (old, new))
    return _decide(context, new, columns, first, second, against="champion", look=look)


def _unseen_by(scorer: Scorer, rows: pd.DataFrame, contract: Contract) -> npt.NDArray[np.bool_]:
    """Return a mask of the rows that a version was not trained on: newer ones, and those of its held-out days."""
    held_out = columns_of(Reference.read(scorer.directory, scorer.manifest).holdout[[EVENT_AT]])[EVENT_AT]
    days = local_days(columns_of(rows[[EVENT_AT]])[EVENT_AT], contract.zone)
    newer = (rows[EVENT_AT] > scorer.manifest.trained_until).to_numpy()
    return np.asarray(newer | np.isin(days, local_days(held_out, contract.zone)))


def _decide(
    context: Context,
    challenger: Scorer,
    rows: Columns,
    champion_errors: npt.NDArray[np.float64],
    challenger_errors: npt.NDArray[np.float64],
    against: str,
    look: int = 1,
    ahead_days: int = NEXT_DAYS,
) -> gate.GateVerdict:
    thresholds = Thresholds.from_json((challenger.directory / bundle.THRESHOLDS).read_text())
    settings = gate.of_cadence(gate.at_look(context.settings.gate, look), thresholds.rows_per_day)
    return gate.decide(
        champion_errors,
        challenger_errors,
        local_days(rows["event_at"], context.contract.zone),
        settings,
        segments=segments_of(context.contract, rows, settings.segments),
        serving_cost=serving_cost(challenger),
        max_model_mb=context.settings.serving.max_model_mb,
        against=against,
        unit=gate.unit_of(context.contract),
        ahead_days=ahead_days,
    )


def serving_cost(scorer: Scorer, clock: Callable[[], float] = perf_counter) -> gate.ServingCost:
    """Measure the size of the model file, and the median time for one row.

    Rows of the version's own training window are predicted one by one, as requests bring them; `clock` returns
    seconds.
    """
    rows = columns_of(Reference.read(scorer.directory, scorer.manifest).window.head(TIMED_ROWS))
    singles = [{name: values[[position]] for name, values in rows.items()} for position in range(len(rows["event_at"]))]
    for row in singles[:WARM_UP_ROWS]:
        scorer.predict_rows(row)
    seconds = []
    for row in singles:
        started = clock()
        scorer.predict_rows(row)
        seconds.append(clock() - started)
    size = (scorer.directory / bundle.MODEL).stat().st_size
    return gate.ServingCost(size / 1e6, float(np.median(seconds)) * 1e3)
