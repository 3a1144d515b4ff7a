"""Post-promotion check: is the new champion worse on ground truth than the version that it replaced?

After a promotion, each window of labelled rows in the new champion's tenure is scored by the replaced version as well,
and the gate's own comparison, with whole days as blocks, is applied to all windows so far. The first evaluation takes
place as soon as there are enough days for one, each further evaluation at twice as many rows. They share the gate's
error probability, `training.post_promotion_looks` in number, so that repeated evaluations roll back no more good
versions than a single one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from autoops.cadence import asked_of
from autoops.drift.thresholds import WEEK_DAYS, Thresholds
from autoops.errors import BundleError
from autoops.event_times import near, span_of
from autoops.loop.context import Context
from autoops.loop.data.cursor import promoted_at
from autoops.loop.data.windows import Window, labelled_frame_of
from autoops.loop.decide import policy
from autoops.loop.decide.gate import GateVerdict, of_cadence, unit_of
from autoops.loop.decide.paired_days import DayErrors, PairedDays, by_day, compare, merged
from autoops.loop.incidents.freeze import frozen
from autoops.loop.promote.promotion import COMPARED, ROLLED_BACK
from autoops.models.registry import PREVIOUS, ModelVersion
from autoops.models.scoring import load_version
from autoops.storage.predictions import LabelledPrediction
from autoops.usecase.calendar import local_days
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.tasks import losses

OVER: Final = "post-promotion check over"
HELD = ("frozen", "roll back")


@dataclass(frozen=True)
class Watch:
    """What the post-promotion check has compared since the promotion.

    `since` is the time of the promotion as ISO 8601. `looks` counts the evaluations and `looked_at` are the rows of the
    last one; `windows` and `label_id` tell which rows have been consumed.
    """

    version: ModelVersion
    previous: ModelVersion
    since: str
    days: PairedDays
    windows: tuple[Mapping[str, Any], ...] = ()
    label_id: int = 0
    looks: int = 0
    looked_at: int = 0

    @property
    def rows(self) -> int:
        """Return the number of rows compared since the promotion."""
        return sum(errors.rows for errors in self.days.values())

    def new_in(self, window: Window) -> list[LabelledPrediction]:
        """Return the rows of the window that have not been compared yet.

        A window, or a part of it, comes again where no check could judge it.
        """
        if window.matured_until is not None:
            # Not by label ids: an early label waits while later ones are compared.
            until = max((known.get("matured_until", "") for known in self.windows), default="")
            return [row for row in window.labelled if not until or row.logged.event_at > datetime.fromisoformat(until)]
        if window.span is None:
            return [row for row in window.labelled if row.label_id > self.label_id]
        return [] if window.to_json() in self.windows else list(window.labelled)


@dataclass(frozen=True)
class Look:
    """The comparison on a window, which `watch` already includes.

    `verdict` is on everything compared so far; None where no evaluation was due or there were too few days.
    """

    watch: Watch
    window: Window
    days: PairedDays
    verdict: GateVerdict | None
    decision: policy.Decision
    event_until: datetime


def watch_of(context: Context, champion: ModelVersion) -> Watch | None:
    """Return what the post-promotion check has compared so far; None where there is no such check.

    There is none for a first version, for one that a rollback restored, after the check is over, and where
    `training.post_promotion_looks` is 0.
    """
    previous, began = context.registry.by_alias(PREVIOUS), promoted_at(champion)
    if not context.settings.training.post_promotion_looks or previous is None or began is None:
        return None
    if previous.number == champion.number or ROLLED_BACK in previous.tags:
        return None
    since = began.isoformat()
    known = [
        entry
        for entry in context.ledger.entries(model_version=champion.number)
        if entry.kind in (COMPARED, OVER) and entry.evidence["since"] == since
    ]
    if any(entry.kind == OVER for entry in known):
        return None
    compared = [entry.evidence for entry in known]
    looked = [evidence["rows"] for evidence in compared if evidence["verdict"]]
    return Watch(
        version=champion,
        previous=previous,
        since=since,
        days=merged({day: DayErrors(*errors) for day, errors in evidence["days"].items()} for evidence in compared),
        windows=tuple(evidence["window"] for evidence in compared),
        label_id=max((evidence["label_id"] for evidence in compared), default=0),
        looks=len(looked),
        looked_at=max(looked, default=0),
    )


def look(context: Context, watch: Watch, window: Window, thresholds: Thresholds) -> Look | None:
    """Compare both versions on the window and decide; write nothing. `thresholds` are those of the champion.

    None where there are too few labelled rows that have not been compared yet. The check ends where the replaced
    version can no longer be scored.
    """
    labelled = watch.new_in(window)
    if len(labelled) < asked_of(context.settings.drift.window_size, thresholds.rows_per_day, WEEK_DAYS):
        return None
    frame, most = labelled_frame_of(context.contract, labelled), context.settings.training.post_promotion_looks
    _, until = span_of(columns_of(frame)["event_at"])
    try:
        days = _paired(context, watch, frame)
    except BundleError as error:
        reason = f"version {watch.previous.number} can no longer be scored, so that nothing can be compared: {error}"
        return Look(watch, window, {}, None, policy.Decision("nothing", reason), until)
    watch = replace(watch, days=merged([watch.days, days]))
    verdict = (
        compare(watch.days, of_cadence(context.settings.gate, thresholds.rows_per_day), most, unit_of(context.contract))
        if watch.rows >= 2 * watch.looked_at
        else None
    )
    # Too few days for an interval: this is no evaluation, and does not count as one.
    if verdict is not None and verdict.difference is None:
        reason = f"not compared with version {watch.previous.number} yet: {verdict.reason}"
        return Look(watch, window, days, None, policy.Decision("watch", reason), until)
    decision = policy.after_promotion(verdict, watch.looks + 1, most, frozen(context))
    return Look(watch, window, days, verdict, decision, until)


def record(context: Context, found: Look, *, actor: str) -> None:
    """Record the comparison in the ledger, and the end of the post-promotion check where it is over.

    An evaluation that calls for a rollback is recorded without its verdict and does not count. It is repeated with the
    next window, where a freeze prevents the rollback or the rollback fails.
    """
    watch, window = found.watch, found.window
    about = {"since": watch.since, "previous": watch.previous.number, "rows": watch.rows}
    compared = {
        "window": window.to_json(),
        "label_id": max(row.label_id for row in window.labelled),
        "event_until": found.event_until.isoformat(),
        "days": {day: list(errors) for day, errors in found.days.items()},
        "verdict": found.verdict.to_json() if found.verdict and found.decision.action not in HELD else None,
    }
    number, reason = watch.version.number, found.decision.reason
    context.ledger.record(COMPARED, reason, actor=actor, model_version=number, evidence=about | compared)
    if found.decision.action == "nothing":
        context.ledger.record(OVER, reason, actor=actor, model_version=number, evidence=about)


def _paired(context: Context, watch: Watch, frame: pd.DataFrame) -> dict[str, DayErrors]:
    """Return the errors of both versions by day, on rows that neither was fitted on.

    Strays are left out: each would be a day of its own.
    """
    known_until = max(watch.version.trained_until, watch.previous.trained_until)
    unseen = frame[(frame["event_at"] > known_until) & near(columns_of(frame)["event_at"])]
    if unseen.empty:
        return {}
    columns, truth = columns_of(unseen), unseen[TARGET].to_numpy(dtype=np.float64)
    previous = load_version(context.registry, watch.previous, context.model_cache).predict_rows(columns)
    days = local_days(columns["event_at"], context.contract.zone)
    # The champion's logged answers are compared, so that only the replaced version is loaded.
    return by_day(days, *(losses(context.contract, truth, one) for one in (previous, unseen["prediction"].to_numpy())))
