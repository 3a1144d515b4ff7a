"""Segments in which the challenger is worse than the margin allows. Pure, like the gate that asks.

The margin is a share of the champion's error in the segment: a margin in the target's unit would be strict for small
targets and lenient for large ones. A segment is

    worse          its interval lies above the margin: the challenger is rejected
    in doubt       its estimate lies above the margin, but not all of its interval: not promoted yet
    within margin  its estimate does not lie above the margin
    not judged     it has too few rows or days

Non-inferiority, a whole interval below the margin, would need more rows of a small segment than a week has, and would
hold up good challengers. Promoting whatever is not demonstrably worse would promote a challenger that is more likely
than not worse beyond the margin, because its segment is small. So a segment in doubt waits for more days, and the
verdict says how many.

The bounds of k judged segments hold together with `gate.confidence` (Bonferroni: each errs in (1 - confidence) / k of
the cases). So a challenger that is worse by just the margin in every segment is rejected for one of them with a
probability of about 1 - confidence, and one that is worse in none hardly ever; `benchmarks/gate.py` measures both.
Resampling the largest deviation of all segments would use their dependence, but five to seven days are too few to
estimate it, and this errs more often.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from autoops.loop.decide.day_blocks import DayBlocks, Estimate, Rows, Spread, Values, further_days
from autoops.settings import Gate

SegmentDecision = Literal["worse", "in doubt", "within margin", "not judged"]


@dataclass(frozen=True)
class SegmentVerdict:
    """The verdict on a segment; its figures are mean losses.

    `low` and `high` bound `difference`, challenger − champion, which should not lie above `margin`. `days_needed`
    further days would make a segment in doubt "worse", if its difference stayed the same.
    """

    name: str
    decision: SegmentDecision
    rows: int
    days: int
    champion_mae: float | None = None
    challenger_mae: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    days_needed: int | None = None

    def told(self, unit: str) -> str:
        """Return the verdict as text: difference, bounds and margin with their unit, or rows and days if not judged."""
        if self.decision == "not judged":
            return f"{self.name} not judged: {self.rows} rows of {self.days} days"
        return (
            f"{self.name} {self.decision}: {self.difference:+.3f}{unit}, {self.low:+.3f} to {self.high:+.3f}, "
            f"allowed are {self.margin:+.3f}, on {self.rows} rows"
        )


def judge_segments(
    champion_errors: Values, challenger_errors: Values, blocks: DayBlocks, segments: Mapping[str, Rows], gate: Gate
) -> tuple[SegmentVerdict, ...]:
    """Judge losses on the same rows, shape (rows,), by segment; `segments` are masks of that shape."""
    spreads = {name: blocks.spread(rows) for name, rows in segments.items()}
    judged = [name for name, spread in spreads.items() if _can_be_judged(spread, gate)]
    found = []
    for name, rows in segments.items():
        if name in judged:
            # One-sided, unlike the overall interval: only a bound above the margin rejects.
            estimate = blocks.estimate(challenger_errors - champion_errors, rows, (1 - gate.confidence) / len(judged))
            found.append(_judged(name, estimate, float(champion_errors[rows].mean()), gate))
        else:
            found.append(SegmentVerdict(name, "not judged", spreads[name].rows, spreads[name].days))
    return tuple(found)


def _can_be_judged(spread: Spread, gate: Gate) -> bool:
    return spread.rows >= gate.min_segment_rows and spread.says_how_days_differ


def _judged(name: str, estimate: Estimate, champion_mae: float, gate: Gate) -> SegmentVerdict:
    margin = gate.segment_margin * champion_mae
    decision: SegmentDecision = (
        "worse" if estimate.low > margin else "in doubt" if estimate.mean > margin else "within margin"
    )
    return SegmentVerdict(
        name=name,
        decision=decision,
        rows=estimate.spread.rows,
        days=estimate.spread.days,
        champion_mae=champion_mae,
        challenger_mae=champion_mae + estimate.mean,
        difference=estimate.mean,
        low=estimate.low,
        high=estimate.high,
        margin=margin,
        days_needed=further_days(estimate, margin) if decision == "in doubt" else None,
    )
