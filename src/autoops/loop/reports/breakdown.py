"""One logged prediction, explained feature by feature.

Rows of the version's own training serve as the baseline. They are given the row's features one after the other, the
most important first. The change of the mean prediction at each step is what the feature adds to it; after the
last step all of them are the row (Staniak and Biecek 2018, "Explanations of model predictions with live and breakDown
packages"). Features that depend on each other share their effect by their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from autoops.drift.distances import evenly
from autoops.drift.monitor import Reference
from autoops.errors import NotFound
from autoops.event_times import times_of
from autoops.loop.context import Context
from autoops.models.scoring import Scorer, load_version
from autoops.storage.logged import LoggedPrediction, as_sent
from autoops.usecase.columns import columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.rows import columns_from

USUAL_ROWS = 1_000


@dataclass(frozen=True)
class Step:
    """A step: `values` are model inputs by name, `prediction` is the mean prediction with them, `change` the effect."""

    feature: str
    values: dict[str, float]
    change: float
    prediction: float


@dataclass(frozen=True)
class Breakdown:
    """A prediction in steps from `usual`, the baseline's mean prediction, to `recomputed`, the version's answer now."""

    logged: LoggedPrediction
    contract: Contract
    known: bool
    recomputed: float
    usual: float
    tolerance: float
    steps: tuple[Step, ...]

    @property
    def agrees(self) -> bool:
        """Return whether the recomputed prediction is within the version's tolerance of the logged one."""
        return abs(self.recomputed - self.logged.prediction) <= self.tolerance


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
    encoder = scorer.encoder
    columns = columns_from(encoder.contract, times_of([logged.event_at]), [logged.inputs])
    explained, usual = encoder.matrix(columns), encoder.matrix(columns_of(_usual_rows(scorer)))
    return Breakdown(
        logged,
        encoder.contract,
        bool(encoder.known(columns)[0]),
        float(scorer.predict(explained)[0]),
        float(scorer.predict(usual).mean()),
        scorer.manifest.tolerance,
        tuple(_steps(scorer, usual, explained[0])),
    )


def _usual_rows(scorer: Scorer) -> pd.DataFrame:
    window = Reference.read(scorer.directory, scorer.manifest).window
    return window.iloc[evenly(len(window), min(len(window), USUAL_ROWS))]


def _steps(scorer: Scorer, usual: np.ndarray, explained: np.ndarray) -> Iterator[Step]:
    features, importances = scorer.manifest.features, scorer.manifest.importances
    contract = scorer.encoder.contract
    before, rows = float(scorer.predict(usual).mean()), usual.copy()
    for group in sorted(importances, key=lambda name: -importances[name]):
        members = [position for position, name in enumerate(features) if contract.group_of(name) == group]
        rows[:, members] = explained[members]
        after = float(scorer.predict(rows).mean())
        yield Step(group, {features[each]: float(explained[each]) for each in members}, after - before, after)
        before = after


def sentences(found: Breakdown) -> list[str]:
    """Return the breakdown as lines of text: the prediction, the baseline, then each step in the target's unit."""
    logged, contract = found.logged, found.contract
    again = "the same again" if found.agrees else f"NOT the same again: {found.recomputed:.4f}"
    unseen = "" if found.known else "; a category that it did not see in training"
    by = f" for the key {logged.key}" if logged.key else ""
    return [
        f"prediction {logged.id} of version {logged.model_version}{by}, {contract.row} of "
        f"{logged.event_at:%Y-%m-%d %H:%M} UTC: {logged.prediction:.2f}{contract.short_unit}, now {again}{unseen}",
        f"{found.usual:8.2f}{contract.short_unit}  is its mean answer to {contract.plural} of its training",
        *(
            f"{step.change:+8.2f}{contract.short_unit}  {_values(step)}, which makes {step.prediction:.2f}"
            for step in found.steps
        ),
    ]


def _values(step: Step) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in step.values.items())
