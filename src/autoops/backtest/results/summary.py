"""From walks to what is said of each policy: one run for each label lag, with the controls beside every claim."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from autoops.backtest.policies import AUTOOPS, BLIND, FROZEN, GATED
from autoops.backtest.results.intervals import Days, averaged, days_of, degradation_avoided, difference
from autoops.backtest.simulation import Walked
from autoops.loop.retrain.interim import KIND as SECOND_LOOK
from autoops.months import Month
from autoops.settings import Gate

ByPolicy = Mapping[str, Sequence[Walked]]
"""One walk for each policy; of blind, one for each seed."""


def summarise(lag_months: int, walks: ByPolicy, gate: Gate, changes_from: Month | None = None) -> dict[str, Any]:
    """The run of one label lag. `mae` is over all trips served, `low` and `high` bound its difference to frozen's."""
    days = {name: averaged([days_of(walk["months"]) for walk in found]) for name, found in walks.items()}
    policies = {name: _policy(name, walks[name], days, gate, changes_from) for name in walks}
    compared = [
        {"policy": AUTOOPS, "against": other, **difference(days[AUTOOPS], days[other], gate).to_json()}
        for other in (FROZEN, GATED, BLIND)
        if AUTOOPS in days and other in days
    ]
    return {"label_lag_months": lag_months, "policies": policies, "comparisons": compared}


def _policy(
    name: str, walks: Sequence[Walked], days: Mapping[str, Days], gate: Gate, changes_from: Month | None
) -> dict[str, Any]:
    against = difference(days[name], days[FROZEN], gate)
    avoided = degradation_avoided(days[name], days[FROZEN], days[GATED], gate) if GATED in days else None
    about: dict[str, Any] = {
        "mae": days[name].mae,
        "difference_to_frozen": against.estimate,
        "low": against.low,
        "high": against.high,
        "retrainings": _each(walks, lambda one: True),
        "refreshes": _each(walks, lambda one: one["kind"] == "refresh"),
        "second_looks": _mean(len(second_looks_of(walk)) for walk in walks),
        "promoted": _each(walks, lambda one: one["promoted"]),
        "rejected": _each(walks, lambda one: one["decision"] == "reject" and not one["promoted"]),
        "inconclusive": _each(walks, lambda one: one["decision"] == "inconclusive" and not one["promoted"]),
        "rolled_back": _mean(sum(month["rolled_back"] for month in walk["months"]) for walk in walks),
        "failed": _each(walks, lambda one: one["decision"] == "failed"),
        "degradation_avoided": avoided.to_json() if avoided else None,
        "cpu_seconds": round(float(np.mean([walk["cpu_seconds"] for walk in walks])), 1),
    }
    if changes_from is not None:
        about |= _detection(walks[0], changes_from)
    if walks[0]["seed"] is not None:
        about["seeds"] = [_seed(walk) for walk in walks]
    return about | {"per_month": _per_month(walks)}


def _each(walks: Sequence[Walked], counts: Any) -> float:
    """By walk: a whole number but for blind's mean over seeds."""
    return _mean(sum(bool(counts(one)) for one in _ended(walk)) for walk in walks)


def _mean(numbers: Iterable[int]) -> float:
    found = list(numbers)
    mean = sum(found) / len(found)
    return int(mean) if mean == int(mean) else mean


def begun_in(walk: Walked) -> list[dict[str, Any]]:
    return [one for month in walk["months"] for one in month["retrainings"]]


def retrainings_of(walk: Walked) -> list[dict[str, Any]]:
    """A second look trains nothing, and is none."""
    return [one for one in begun_in(walk) if one["kind"] != SECOND_LOOK]


def second_looks_of(walk: Walked) -> list[dict[str, Any]]:
    return [one for one in begun_in(walk) if one["kind"] == SECOND_LOOK]


def _ended(walk: Walked) -> list[dict[str, Any]]:
    """Each retraining with what became of its version in the end, second looks included."""
    last = {one["version"]: one for one in second_looks_of(walk) if one["version"] is not None}
    kept = ("decision", "promoted")
    return [one | {key: last.get(one["version"], one)[key] for key in kept} for one in retrainings_of(walk)]


def _seed(walk: Walked) -> dict[str, Any]:
    at = [month["month"] for month in walk["months"] if month["retrainings"]]
    promoted = sum(one["promoted"] for one in _ended(walk))
    return {"seed": walk["seed"], "mae": days_of(walk["months"]).mae, "retrained_after": at, "promoted": promoted}


def _detection(walk: Walked, changes_from: Month) -> dict[str, float | None]:
    """Days from the change until the policy noticed by itself: on the calendar, which waits for publications, and in
    the event time that its evidence covers."""
    found = [one for one in retrainings_of(walk) if one["detected"] and _moment(one["at"]) >= changes_from.ends_at]
    if not found:
        return {"detection_delay_days": None, "evidence_days": None}
    until = found[0]["evidence_until"]
    return {
        "detection_delay_days": _days(_moment(found[0]["at"]) - changes_from.starts_at),
        "evidence_days": _days(_moment(until) - changes_from.starts_at) if until else None,
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _days(delay: timedelta) -> float:
    return round(delay / timedelta(days=1), 1)


def _per_month(walks: Sequence[Walked]) -> list[dict[str, Any]]:
    return [_month([walk["months"][position] for walk in walks]) for position in range(len(walks[0]["months"]))]


def _month(months: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of blind, the mean over seeds, and no version: each seed has its own."""
    days = averaged([days_of([month]) for month in months])
    about = {"month": months[0]["month"], "mae": days.mae, "rows": int(days.rows.sum())}
    if len(months) > 1:
        return about | {"maes": [days_of([month]).mae for month in months]}
    alone = months[0]
    kept = ("at", "kind", "version", "months", "holds_from", "decision", "promoted", "reason")
    retrained = [{key: one[key] for key in kept} for one in alone["retrainings"]]
    return (
        about
        | {key: alone[key] for key in ("version", "training_months", "checks", "rolled_back")}
        | {"retrained_after": retrained}
    )
