"""From walks to what is said of each policy: one run for each label lag, with the controls beside every claim."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from autoops.backtest.policies import AUTOOPS, BLIND, FROZEN, GATED
from autoops.backtest.results.intervals import Days, averaged, days_of, degradation_avoided, difference
from autoops.backtest.simulation import Simulated
from autoops.loop.retrain.interim import KIND as SECOND_LOOK
from autoops.months import Month
from autoops.settings import Gate

ByPolicy = Mapping[str, Sequence[Simulated]]
"""One walk for each policy; of blind, one for each seed."""


def summarise(lag_months: int, simulations: ByPolicy, gate: Gate, changes_from: Month | None = None) -> dict[str, Any]:
    """The run of one label lag. `mae` is over all trips served, `low` and `high` bound its difference to frozen's."""
    days = {
        name: averaged([days_of(simulated["months"]) for simulated in found]) for name, found in simulations.items()
    }
    policies = {name: _policy(name, simulations[name], days, gate, changes_from) for name in simulations}
    compared = [
        {"policy": AUTOOPS, "against": other, **difference(days[AUTOOPS], days[other], gate).to_json()}
        for other in (FROZEN, GATED, BLIND)
        if AUTOOPS in days and other in days
    ]
    return {"label_lag_months": lag_months, "policies": policies, "comparisons": compared}


def _policy(
    name: str, simulations: Sequence[Simulated], days: Mapping[str, Days], gate: Gate, changes_from: Month | None
) -> dict[str, Any]:
    against = difference(days[name], days[FROZEN], gate)
    avoided = degradation_avoided(days[name], days[FROZEN], days[GATED], gate) if GATED in days else None
    about: dict[str, Any] = {
        "mae": days[name].mae,
        "difference_to_frozen": against.estimate,
        "low": against.low,
        "high": against.high,
        "retrainings": _each(simulations, lambda one: True),
        "refreshes": _each(simulations, lambda one: one["kind"] == "refresh"),
        "second_looks": _mean(len(second_looks_of(simulated)) for simulated in simulations),
        "promoted": _each(simulations, lambda one: one["promoted"]),
        "rejected": _each(simulations, lambda one: one["decision"] == "reject" and not one["promoted"]),
        "inconclusive": _each(simulations, lambda one: one["decision"] == "inconclusive" and not one["promoted"]),
        "rolled_back": _mean(sum(month["rolled_back"] for month in simulated["months"]) for simulated in simulations),
        "failed": _each(simulations, lambda one: one["decision"] == "failed"),
        "degradation_avoided": avoided.to_json() if avoided else None,
        "cpu_seconds": round(float(np.mean([simulated["cpu_seconds"] for simulated in simulations])), 1),
    }
    if changes_from is not None:
        about |= _detection(simulations[0], changes_from)
    if simulations[0]["seed"] is not None:
        about["seeds"] = [_seed(simulated) for simulated in simulations]
    return about | {"per_month": _per_month(simulations)}


def _each(simulations: Sequence[Simulated], counts: Any) -> float:
    """By walk: a whole number but for blind's mean over seeds."""
    return _mean(sum(bool(counts(one)) for one in _ended(simulated)) for simulated in simulations)


def _mean(numbers: Iterable[int]) -> float:
    found = list(numbers)
    mean = sum(found) / len(found)
    return int(mean) if mean == int(mean) else mean


def begun_in(simulated: Simulated) -> list[dict[str, Any]]:
    return [one for month in simulated["months"] for one in month["retrainings"]]


def retrainings_of(simulated: Simulated) -> list[dict[str, Any]]:
    """A second look trains nothing, and is none."""
    return [one for one in begun_in(simulated) if one["kind"] != SECOND_LOOK]


def second_looks_of(simulated: Simulated) -> list[dict[str, Any]]:
    return [one for one in begun_in(simulated) if one["kind"] == SECOND_LOOK]


def _ended(simulated: Simulated) -> list[dict[str, Any]]:
    """Each retraining with what became of its version in the end, second looks included."""
    last = {one["version"]: one for one in second_looks_of(simulated) if one["version"] is not None}
    kept = ("decision", "promoted")
    return [one | {key: last.get(one["version"], one)[key] for key in kept} for one in retrainings_of(simulated)]


def _seed(simulated: Simulated) -> dict[str, Any]:
    at = [month["month"] for month in simulated["months"] if month["retrainings"]]
    promoted = sum(one["promoted"] for one in _ended(simulated))
    return {
        "seed": simulated["seed"],
        "mae": days_of(simulated["months"]).mae,
        "retrained_after": at,
        "promoted": promoted,
    }


def _detection(simulated: Simulated, changes_from: Month) -> dict[str, float | None]:
    """Days from the change until the policy noticed by itself: on the calendar, which waits for publications, and in
    the event time that its evidence covers."""
    found = [one for one in retrainings_of(simulated) if one["detected"] and _moment(one["at"]) >= changes_from.ends_at]
    if not found:
        return {"detection_delay_days": None, "evidence_days": None}
    until = found[0]["evidence_end"]
    return {
        "detection_delay_days": _days(_moment(found[0]["at"]) - changes_from.starts_at),
        "evidence_days": _days(_moment(until) - changes_from.starts_at) if until else None,
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _days(delay: timedelta) -> float:
    return round(delay / timedelta(days=1), 1)


def _per_month(simulations: Sequence[Simulated]) -> list[dict[str, Any]]:
    return [
        _month([simulated["months"][position] for simulated in simulations])
        for position in range(len(simulations[0]["months"]))
    ]


def _month(months: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of blind, the mean over seeds, and no version: each seed has its own."""
    days = averaged([days_of([month]) for month in months])
    about = {"month": months[0]["month"], "mae": days.mae, "rows": int(days.rows.sum())}
    if len(months) > 1:
        return about | {"maes": [days_of([month]).mae for month in months]}
    alone = months[0]
    kept = ("at", "kind", "version", "months", "evidence_start", "decision", "promoted", "reason")
    retrained = [{key: one[key] for key in kept} for one in alone["retrainings"]]
    return (
        about
        | {key: alone[key] for key in ("version", "training_months", "checks", "rolled_back")}
        | {"retrained_after": retrained}
    )
