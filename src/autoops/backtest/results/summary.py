"""The summary of simulations: one run for each label lag, with the controls beside every policy."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NotRequired, TypedDict
from zoneinfo import ZoneInfo

import numpy as np

from autoops.backtest.policies import AUTOOPS, BLIND, FROZEN, GATED
from autoops.backtest.results.intervals import Days, IntervalRecord, averaged, days_of, degradation_avoided, difference
from autoops.backtest.simulation import JudgedWindow, RetrainingRecord, Simulated, SimulatedMonth
from autoops.loop.retrain.interim import KIND as RE_EVALUATION
from autoops.months import NEW_YORK, Month
from autoops.settings import Gate

ByPolicy = Mapping[str, Sequence[Simulated]]
"""One simulation for each policy; for `blind` one for each seed."""


class RetrainedMonth(TypedDict):
    """A retraining that the month led to."""

    at: str
    kind: str
    version: int | None
    months: list[str]
    evidence_start: str | None
    decision: str
    promoted: bool
    reason: str


class MonthSummary(TypedDict):
    """A month: for `blind` the mean over seeds, with each in `maes`; for the others what was served and done."""

    month: str
    mae: float
    rows: int
    maes: NotRequired[list[float]]
    version: NotRequired[int]
    training_months: NotRequired[list[str]]
    checks: NotRequired[list[JudgedWindow]]
    rolled_back: NotRequired[int]
    retrained_after: NotRequired[list[RetrainedMonth]]


class SeedSummary(TypedDict):
    """One draw of the months of the random-date baseline, `blind`."""

    seed: int | None
    mae: float
    retrained_after: list[str]
    promoted: int


class PolicySummary(TypedDict):
    """A policy at one label lag.

    Counts are means over seeds; `low` and `high` bound the difference to frozen's mean loss.
    """

    mae: float
    difference_to_frozen: float
    low: float
    high: float
    retrainings: float
    scheduled: float
    re_evaluations: float
    promoted: float
    rejected: float
    inconclusive: float
    rolled_back: float
    failed: float
    degradation_avoided: IntervalRecord | None
    cpu_seconds: float
    detection_delay_days: NotRequired[float | None]
    evidence_days: NotRequired[float | None]
    seeds: NotRequired[list[SeedSummary]]
    per_month: list[MonthSummary]


class Comparison(IntervalRecord):
    """The difference in mean loss."""

    policy: str
    against: str


class LagSummary(TypedDict):
    """All policies at one label lag."""

    label_lag_months: int
    policies: dict[str, PolicySummary]
    comparisons: list[Comparison]


class Result(TypedDict):
    """The result of a backtest; `measure` is the name of the mean loss that all figures named `mae` are."""

    months: list[str]
    rows: str
    measure: str
    unit: str
    runs: list[LagSummary]


def summarise(
    lag_months: int,
    simulations: ByPolicy,
    gate: Gate,
    changes_from: Month | None = None,
    zone: ZoneInfo = NEW_YORK,
) -> LagSummary:
    """Return the run of one label lag.

    `mae` is the mean loss of all served rows; `low` and `high` bound its difference to frozen's. `changes_from` is the
    month in which a change begins in the zone, if it is known: only then are there detection delays.
    """
    days = {
        name: averaged([days_of(simulated["months"]) for simulated in found]) for name, found in simulations.items()
    }
    policies = {
        name: _policy(name, simulations[name], days, gate, changes_from and (changes_from, zone))
        for name in simulations
    }
    compared: list[Comparison] = [
        {"policy": AUTOOPS, "against": other, **difference(days[AUTOOPS], days[other], gate).to_json()}
        for other in (FROZEN, GATED, BLIND)
        if AUTOOPS in days and other in days
    ]
    return {"label_lag_months": lag_months, "policies": policies, "comparisons": compared}


def _policy(
    name: str,
    simulations: Sequence[Simulated],
    days: Mapping[str, Days],
    gate: Gate,
    change: tuple[Month, ZoneInfo] | None,
) -> PolicySummary:
    against = difference(days[name], days[FROZEN], gate)
    avoided = degradation_avoided(days[name], days[FROZEN], days[GATED], gate) if GATED in days else None
    about: PolicySummary = {
        "mae": days[name].mae,
        "difference_to_frozen": against.estimate,
        "low": against.low,
        "high": against.high,
        "retrainings": _each(simulations, lambda one: True),
        "scheduled": _each(simulations, lambda one: one["kind"] == "scheduled"),
        "re_evaluations": _mean(len(re_evaluations_of(simulated)) for simulated in simulations),
        "promoted": _each(simulations, lambda one: one["promoted"]),
        # `monthly` promotes against the gate, too; such a version counts as promoted only.
        "rejected": _each(simulations, lambda one: one["decision"] == "reject" and not one["promoted"]),
        "inconclusive": _each(simulations, lambda one: one["decision"] == "inconclusive" and not one["promoted"]),
        "rolled_back": _mean(sum(month["rolled_back"] for month in simulated["months"]) for simulated in simulations),
        "failed": _each(simulations, lambda one: one["decision"] == "failed"),
        "degradation_avoided": avoided.to_json() if avoided else None,
        "cpu_seconds": round(float(np.mean([simulated["cpu_seconds"] for simulated in simulations])), 1),
        "per_month": _per_month(simulations),
    }
    if change is not None:
        about["detection_delay_days"], about["evidence_days"] = _detection(simulations[0], *change)
    if simulations[0]["seed"] is not None:
        about["seeds"] = [_seed(simulated) for simulated in simulations]
    return about


def _each(simulations: Sequence[Simulated], counts: Callable[[RetrainingRecord], bool]) -> float:
    """Return how many retrainings count, by simulation: a whole number, except for blind's mean over seeds."""
    return _mean(sum(counts(one) for one in _ended(simulated)) for simulated in simulations)


def _mean(numbers: Iterable[int]) -> float:
    found = list(numbers)
    mean = sum(found) / len(found)
    return int(mean) if mean == int(mean) else mean


def begun_in(simulated: Simulated) -> list[RetrainingRecord]:
    """Return all retrainings and interim re-evaluations of a simulation, oldest first."""
    return [one for month in simulated["months"] for one in month["retrainings"]]


def retrainings_of(simulated: Simulated) -> list[RetrainingRecord]:
    """Return the retrainings without interim re-evaluations, which train nothing."""
    return [one for one in begun_in(simulated) if one["kind"] != RE_EVALUATION]


def re_evaluations_of(simulated: Simulated) -> list[RetrainingRecord]:
    """Return the interim re-evaluations alone, oldest first."""
    return [one for one in begun_in(simulated) if one["kind"] == RE_EVALUATION]


def _ended(simulated: Simulated) -> list[RetrainingRecord]:
    """Return each retraining with the final decision on its version, interim re-evaluations included."""
    last = {one["version"]: one for one in re_evaluations_of(simulated) if one["version"] is not None}
    ended: list[RetrainingRecord] = []
    for one in retrainings_of(simulated):
        end = one if one["version"] is None else last.get(one["version"], one)
        ended.append({**one, "decision": end["decision"], "promoted": end["promoted"]})
    return ended


def _seed(simulated: Simulated) -> SeedSummary:
    at = [month["month"] for month in simulated["months"] if month["retrainings"]]
    promoted = sum(one["promoted"] for one in _ended(simulated))
    return {
        "seed": simulated["seed"],
        "mae": days_of(simulated["months"]).mae,
        "retrained_after": at,
        "promoted": promoted,
    }


def _detection(simulated: Simulated, changes_from: Month, zone: ZoneInfo) -> tuple[float | None, float | None]:
    """Return the days from the change until the policy detected it by itself, on the calendar and in event time.

    The calendar waits for publications; event time counts up to the end of the evidence.
    """
    begins_at, ends_at = changes_from.starts_in(zone), changes_from.ends_in(zone)
    # Nothing of the change is published before the month ends: earlier alarms are false.
    found = [one for one in retrainings_of(simulated) if one["detected"] and _moment(one["at"]) >= ends_at]
    if not found:
        return None, None
    until = found[0]["evidence_end"]
    noticed = _days(_moment(found[0]["at"]) - begins_at)
    return noticed, _days(_moment(until) - begins_at) if until else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _days(delay: timedelta) -> float:
    return round(delay / timedelta(days=1), 1)


def _per_month(simulations: Sequence[Simulated]) -> list[MonthSummary]:
    return [
        _month([simulated["months"][position] for simulated in simulations])
        for position in range(len(simulations[0]["months"]))
    ]


def _month(months: Sequence[SimulatedMonth]) -> MonthSummary:
    """Return a month's summary; for `blind` the mean over seeds, without a version, because each seed has its own."""
    days = averaged([days_of([month]) for month in months])
    summary: MonthSummary = {"month": months[0]["month"], "mae": days.mae, "rows": int(days.rows.sum())}
    if len(months) > 1:
        summary["maes"] = [days_of([month]).mae for month in months]
        return summary
    alone = months[0]
    summary["version"], summary["training_months"] = alone["version"], alone["training_months"]
    summary["checks"], summary["rolled_back"] = alone["checks"], alone["rolled_back"]
    summary["retrained_after"] = [
        {
            "at": one["at"],
            "kind": one["kind"],
            "version": one["version"],
            "months": one["months"],
            "evidence_start": one["evidence_start"],
            "decision": one["decision"],
            "promoted": one["promoted"],
            "reason": one["reason"],
        }
        for one in alone["retrainings"]
    ]
    return summary
