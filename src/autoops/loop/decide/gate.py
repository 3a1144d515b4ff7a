"""May the challenger replace the champion? A pure function from paired errors and a serving cost to a verdict.

A promotion needs an interval of the overall difference that is entirely below zero, no judged segment that is worse
beyond the margin or in doubt, and a model within its budgets. A challenger that is worse beyond chance, overall or in a
segment, or that exceeds a budget, is rejected. Any other verdict is inconclusive and says what would settle it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, inf
from typing import Literal, TypedDict, cast

import numpy as np
import numpy.typing as npt

from autoops.cadence import asked_of
from autoops.loop.decide.day_blocks import (
    LONGEST_WAIT_DAYS,
    MIN_DAYS,
    MIN_EFFECTIVE_DAYS,
    SHARE_OF_NEXT_LOOK,
    DayBlocks,
    Estimate,
    Rows,
    Spread,
    Values,
    further_days,
)
from autoops.loop.decide.segment_verdicts import SegmentVerdict, judge_segments
from autoops.settings import Gate
from autoops.usecase.contract import Contract

GateDecision = Literal["promote", "reject", "inconclusive"]

_WORDING: dict[GateDecision, str] = {
    "promote": "better than the {} beyond chance",
    "reject": "worse than the {} beyond chance",
    "inconclusive": "not distinguishable from the {}",
}


def at_look(gate: Gate, look: int) -> Gate:
    """Return the gate for the first, second, ... evaluation on the same rows and more, of one challenger or several.

    Each has half of the error probability of the one before: all together promote a challenger wrongly less than twice
    as often as the first alone may.
    """
    return gate.model_copy(update={"confidence": 1 - (1 - gate.confidence) * SHARE_OF_NEXT_LOOK ** (look - 1)})


def of_cadence(gate: Gate, rows_per_day: float | None) -> Gate:
    """Return the gate for a table of so many rows a day: in a sparse one, rows of MIN_DAYS are enough for an interval.

    Days are its blocks, so that it holds however few rows a day has. Segments may have as much fewer rows as the whole.
    """
    least = asked_of(gate.min_rows, rows_per_day, MIN_DAYS)
    segment = ceil(gate.min_segment_rows * least / gate.min_rows)
    return gate.model_copy(update={"min_rows": least, "min_segment_rows": segment})


@dataclass(frozen=True)
class ServingCost:
    """Cost of serving the challenger: the size of its model file, and the median time for one row."""

    model_mb: float
    latency_ms: float


class VerdictRecord(TypedDict):
    """A `GateVerdict` as JSON."""

    decision: GateDecision
    reason: str
    rows: int
    days: int
    champion_mae: float | None
    challenger_mae: float | None
    difference: float | None
    low: float | None
    high: float | None
    segments: list[Mapping[str, object]]
    model_mb: float | None
    latency_ms: float | None
    settled_by: str | None
    days_needed: int | None


@dataclass(frozen=True)
class GateVerdict:
    """The gate's decision with its reason and its figures.

    `difference` is challenger − champion in mean loss; `low` and `high` bound it. Error figures are
    None where nothing could be compared. `settled_by` says what an inconclusive verdict waits for, None where there is
    nothing to wait for. `days_needed` is the number of further days in it, None where no realistic number would do.
    """

    decision: GateDecision
    reason: str
    rows: int
    days: int
    champion_mae: float | None = None
    challenger_mae: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    segments: tuple[SegmentVerdict, ...] = ()
    model_mb: float | None = None
    latency_ms: float | None = None
    settled_by: str | None = None
    days_needed: int | None = None

    def to_json(self) -> VerdictRecord:
        """Return the verdict as JSON."""
        # asdict leaves a tuple, where JSON that is read back has a list.
        return cast(VerdictRecord, asdict(self) | {"segments": [asdict(segment) for segment in self.segments]})


@dataclass(frozen=True)
class LossUnit:
    """What losses are, in words: the noun of a row, the loss, and the unit with a leading space, if there is one."""

    row: str = "row"
    loss: str = "loss"
    short: str = ""

    @property
    def of_loss(self) -> str:
        """Return what follows a figure, such as " min of absolute error"."""
        return f"{self.short} of {self.loss}"


PLAIN = LossUnit()


def unit_of(contract: Contract) -> LossUnit:
    """Return the unit of a contract's losses; a squared error and a score have none."""
    name = {"absolute": "absolute error", "squared": "squared error", "log_loss": "log loss", "brier": "Brier score"}
    unit = contract.short_unit if contract.loss == "absolute" else ""
    return LossUnit(contract.row, name[contract.loss], unit)


def decide(
    champion_errors: Values,
    challenger_errors: Values,
    days: npt.NDArray[np.int64],
    gate: Gate,
    *,
    segments: Mapping[str, Rows] | None = None,
    serving_cost: ServingCost | None = None,
    max_model_mb: float = inf,
    against: str = "champion",
    unit: LossUnit = PLAIN,
) -> GateVerdict:
    """Compare the losses of both models on the same rows, all of them unseen by either.

    The losses, `days` (the day number of each row) and the masks in `segments` have shape (rows,). `against` names the
    reference in the reason, and `unit` says what the losses are. `max_model_mb` is the largest model that a replica of
    the API loads.
    """
    verdict = _compare(champion_errors, challenger_errors, days, gate, segments or {}, against, unit)
    if serving_cost is None:
        return verdict
    verdict = replace(verdict, model_mb=serving_cost.model_mb, latency_ms=serving_cost.latency_ms)
    excess = _over_budget(serving_cost, gate, max_model_mb, unit)
    if not excess:
        return verdict
    reason = "; ".join([*excess, verdict.reason])
    return replace(verdict, decision="reject", reason=reason, settled_by=None, days_needed=None)


def _over_budget(serving_cost: ServingCost, gate: Gate, max_model_mb: float, unit: LossUnit) -> list[str]:
    found = []
    if serving_cost.model_mb > max_model_mb:
        found.append(f"the model has {serving_cost.model_mb:.1f} MB, serving.max_model_mb is {max_model_mb:g}")
    if serving_cost.latency_ms > gate.max_latency_ms:
        limit = f"gate.max_latency_ms is {gate.max_latency_ms:g}"
        found.append(f"one {unit.row} takes {serving_cost.latency_ms:.2f} ms, {limit}")
    return found


def _compare(
    champion_errors: Values,
    challenger_errors: Values,
    days: npt.NDArray[np.int64],
    gate: Gate,
    segments: Mapping[str, Rows],
    against: str,
    unit: LossUnit,
) -> GateVerdict:
    if len(days) == 0:
        return _nothing(gate)
    blocks, everywhere = DayBlocks(days), np.ones(len(days), dtype=np.bool_)
    spread = blocks.spread(everywhere)
    if spread.rows < gate.min_rows or not spread.says_how_days_differ:
        return _too_little(spread, gate)
    # Halved, because the interval decides on either side of zero.
    overall = blocks.estimate(challenger_errors - champion_errors, everywhere, (1 - gate.confidence) / 2)
    judged = judge_segments(champion_errors, challenger_errors, blocks, segments, gate)
    return replace(
        _weigh(overall, judged, gate, against, unit),
        champion_mae=float(champion_errors.mean()),
        challenger_mae=float(challenger_errors.mean()),
        difference=overall.mean,
        low=overall.low,
        high=overall.high,
        segments=judged,
    )


def _nothing(gate: Gate) -> GateVerdict:
    reason = "holdout seen: no row is newer than both models' training"
    settled_by = f"{MIN_DAYS} days with {gate.min_rows} rows that neither model was trained on"
    return GateVerdict("inconclusive", reason, 0, 0, settled_by=settled_by, days_needed=MIN_DAYS)


def _too_little(spread: Spread, gate: Gate) -> GateVerdict:
    even = f", which are worth {spread.effective_days:.1f}" if spread.effective_days < MIN_EFFECTIVE_DAYS else ""
    days = "1 day" if spread.days == 1 else f"{spread.days} days"
    reason = f"{spread.rows} unseen rows of {days}{even}, needed are {gate.min_rows} rows of {MIN_DAYS} days"
    more = max(
        MIN_DAYS - spread.days,
        ceil(MIN_EFFECTIVE_DAYS - spread.effective_days),
        # At least one day counts, the fullest, so that no divisor is zero.
        ceil((gate.min_rows - spread.rows) / (spread.rows / spread.days)),
    )
    settled_by = f"{_unseen(more)}, as full as these"
    return GateVerdict("inconclusive", reason, spread.rows, spread.days, settled_by=settled_by, days_needed=more)


def _percent(gate: Gate) -> str:
    return f"{round(100 * gate.confidence, 2):g}%"


def _weigh(
    overall: Estimate, segments: Sequence[SegmentVerdict], gate: Gate, against: str, unit: LossUnit
) -> GateVerdict:
    """Return the decision with its reason; the caller adds the error figures."""
    alone: GateDecision = "promote" if overall.high < 0 else "reject" if overall.low > 0 else "inconclusive"
    compared = (
        f"{_WORDING[alone].format(against)}: {overall.mean:+.3f}{unit.of_loss}, {_percent(gate)} interval "
        f"{overall.low:+.3f} to {overall.high:+.3f}, on {overall.spread.rows} unseen rows of {overall.spread.days} days"
    )
    worse, doubtful, left_out = (
        [segment for segment in segments if segment.decision == decision]
        for decision in ("worse", "in doubt", "not judged")
    )
    told = "; ".join([compared, *(segment.told(unit.short) for segment in [*worse, *doubtful, *left_out])])
    verdict = GateVerdict(alone, told, overall.spread.rows, overall.spread.days)
    if worse:
        return replace(verdict, decision="reject")
    if alone == "promote" and doubtful:
        # The first segment that turns out to be worse settles it.
        first = min(doubtful, key=lambda segment: segment.days_needed or inf)
        difference = f"{first.difference:+.3f}{unit.short} in {first.name}"
        return _waiting(replace(verdict, decision="inconclusive"), first.days_needed, difference, "rejected")
    if alone == "inconclusive":
        then = "promoted" if overall.mean < 0 else "rejected"
        return _waiting(verdict, further_days(overall), f"{overall.mean:+.3f}{unit.short}", then)
    return verdict


def _waiting(verdict: GateVerdict, days: int | None, difference: str, then: str) -> GateVerdict:
    """Return the verdict with what would settle it."""
    settled_by = (
        f"no realistic number of days: a difference of {difference} would take more than {LONGEST_WAIT_DAYS} to show"
        if days is None
        else f"{_unseen(days)}: if the difference stays at {difference}, the challenger is then {then}"
    )
    return replace(verdict, settled_by=settled_by, days_needed=days)


def _unseen(days: int) -> str:
    return f"{days} more day{'s' if days > 1 else ''} of rows that neither model was trained on"
