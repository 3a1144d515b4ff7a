"""The result as lines and tables for people."""

from collections.abc import Mapping
from typing import Any

from autoops.backtest.intervals import days_of
from autoops.backtest.summary import retrainings_of
from autoops.backtest.walk import Order, Walked

Table = tuple[str, list[str], list[list[str]]]
"""Title, columns, rows."""

COLUMNS = ["policy", "MAE, min", "against frozen", "retrained", "promoted", "rejected", "inconclusive"]
COLUMNS += ["degradation avoided", "CPU s"]


def told(order: Order, walked: Walked) -> str:
    done = retrainings_of(walked)
    promoted = sum(one["promoted"] for one in done)
    mae = days_of(walked["months"]).mae
    return f"{order.name}: MAE {mae:.3f} min, {len(done)} retrained, {promoted} promoted"


def tables(result: Mapping[str, Any]) -> list[Table]:
    """For each label lag the policies, and autoops against its controls."""
    return [table for run in result["runs"] for table in (_policies(run), _comparisons(run)) if table[2]]


def _policies(run: Mapping[str, Any]) -> Table:
    lag = run["label_lag_months"]
    months = next(iter(run["policies"].values()))["per_month"]
    trips = sum(month["rows"] for month in months)
    title = f"Label lag {lag} months: error over all {trips} trips of {months[0]['month']} to {months[-1]['month']}"
    detects = any("detection_delay_days" in policy for policy in run["policies"].values())
    rows = [_row(name, policy, detects) for name, policy in run["policies"].items()]
    return title, COLUMNS + (["detected after, days"] if detects else []), rows


def _row(name: str, policy: Mapping[str, Any], detects: bool) -> list[str]:
    avoided = policy["degradation_avoided"]
    cells = [
        name,
        f"{policy['mae']:.3f}" + _seeds(policy),
        "–" if name == "frozen" else interval(policy["difference_to_frozen"], policy["low"], policy["high"]),
        *(f"{policy[count]:g}" for count in ("retrainings", "promoted", "rejected", "inconclusive")),
        _share(avoided) if avoided else "–",
        f"{policy['cpu_seconds']:.0f}",
    ]
    delay = policy.get("detection_delay_days")
    return cells + ([f"{delay:g}" if delay is not None else "–"] if detects else [])


def _seeds(policy: Mapping[str, Any]) -> str:
    maes = [seed["mae"] for seed in policy.get("seeds", [])]
    return f" ({min(maes):.3f} to {max(maes):.3f})" if maes else ""


def _share(avoided: Mapping[str, float]) -> str:
    return f"{avoided['estimate']:.0%} [{avoided['low']:.0%}, {avoided['high']:.0%}]"


def _comparisons(run: Mapping[str, Any]) -> Table:
    title = f"Label lag {run['label_lag_months']} months: difference in error, minutes"
    rows = [
        [f"{one['policy']} − {one['against']}", interval(one["estimate"], one["low"], one["high"])]
        for one in run["comparisons"]
    ]
    return title, ["difference", "estimate and interval"], rows


def interval(estimate: float, low: float, high: float) -> str:
    return f"{estimate:+.3f} [{low:+.3f}, {high:+.3f}]"
