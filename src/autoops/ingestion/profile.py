"""Profiles of a month, or of a window of live trips: facts that tell broken data from a changed city.

A profile is taken before cleaning, which drops just the rows that show faults. It is small enough for a file's
metadata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from statistics import median
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.months import Month
from autoops.usecase.columns import EVENT_AT, TARGET, columns_of

Array = npt.NDArray[Any]

ROUTES = 150
"""The busiest pairs of zones; they have a third of the trips of a real month."""
LEAST_ON_ROUTES, LEAST_SHARE_ON_ROUTES = 100, 1 / 3
"""Fewest trips on usual routes for a scale; a third of the rows is enough where there are few."""


@dataclass(frozen=True)
class Route:
    """Trips between two zones in one direction: how many, and the medians of their miles and minutes.

    `minutes` is 0 where no trip's duration is known yet.
    """

    trips: int
    miles: float
    minutes: float


@dataclass(frozen=True)
class Profile:
    """Facts of a month or a window.

    `missing` are shares of rows without a value, by column; `dropped` are shares of rows that cleaning drops, by
    reason. `commonest` is the share of a column's most frequent value among those that it has. `duplicated` is the
    share of rows that repeat another, and `mph` the median speed. `days` are trips on each day of the month, whose
    first is a `weekday` (Monday 0); empty for a window.
    """

    rows: int
    missing: Mapping[str, float] = field(default_factory=dict)
    dropped: Mapping[str, float] = field(default_factory=dict)
    commonest: Mapping[str, float] = field(default_factory=dict)
    duplicated: float = 0
    mph: float | None = None
    routes: Mapping[str, Route] = field(default_factory=dict)
    days: tuple[int, ...] = ()
    weekday: int = 0

    def to_json(self) -> Mapping[str, object]:
        """Return the profile for JSON; each route becomes a list of its trips, miles and minutes."""
        routes = {name: [route.trips, route.miles, route.minutes] for name, route in self.routes.items()}
        return {**vars(self), "routes": routes, "days": list(self.days)}

    @classmethod
    def from_json(cls, known: Mapping[str, Any]) -> "Profile":
        """Return the profile from the content that `to_json` returned."""
        routes = {name: Route(*values) for name, values in known["routes"].items()}
        return cls(**{**known, "routes": routes, "days": tuple(known["days"])})


def profile_of(
    rows: Mapping[str, Array],
    dropped: Mapping[str, int] | None = None,
    month: Month | None = None,
    most_routes: int = ROUTES,
) -> Profile:
    """Return the profile of columns of one length, of shape (rows,).

    `rows` has `picked_up` (New York's wall clock), `minutes`, `miles`, `pickup_zone`, `dropoff_zone`, `passengers` (no
    value and 0 mean: not reported) and, where it is known, `payment`. NaN is no value. Live trips have no minutes
    before their ground truth, and no `month`.
    """
    count = len(rows["miles"])
    zones = ("pickup_zone", "dropoff_zone")
    rows = {**rows, "passengers": np.where(rows["passengers"] == 0, np.nan, rows["passengers"])}
    return Profile(
        rows=count,
        missing={name: _share(np.isnan(rows[name])) for name in ("passengers", "payment") if name in rows},
        dropped={reason: round(number / count, 6) for reason, number in (dropped or {}).items()},
        commonest={name: _commonest(rows[name]) for name in (*zones, "passengers", "miles", "minutes")},
        duplicated=_share(pd.DataFrame({name: rows[name] for name in _IDENTITY}).duplicated().to_numpy()),
        mph=_mph(rows["miles"], rows["minutes"]),
        routes=_routes(rows, most_routes),
        days=_days(rows["picked_up"], month) if month else (),
        weekday=date(month.year, month.month, 1).weekday() if month else 0,
    )


def profile_of_trips(trips: pd.DataFrame) -> Profile:
    """Return the profile of a window of trips, with routes that the busiest months do not have alone."""
    columns = columns_of(trips)
    known = TARGET in trips
    minutes = trips[TARGET].to_numpy(float) if known else np.full(len(trips), np.nan)
    # Beyond the contract of training; more than usual mean that labels have changed.
    outside = {"too_short": int((minutes < 1).sum()), "too_long": int((minutes > 60).sum())}
    return profile_of(
        {
            "picked_up": columns[EVENT_AT],
            "minutes": minutes,
            "miles": columns["trip_distance"].astype(float),
            "pickup_zone": columns["pickup_location_id"].astype(float),
            "dropoff_zone": columns["dropoff_location_id"].astype(float),
            "passengers": columns["passenger_count"].astype(float),
        },
        outside if known else None,
        most_routes=_ROUTES_OF_TRIPS,
    )


_ROUTES_OF_TRIPS = 2_000
_IDENTITY = ("picked_up", "minutes", "miles", "pickup_zone", "dropoff_zone")


def _share(mask: Array) -> float:
    return round(float(np.mean(mask)), 6) if len(mask) else 0.0


def _commonest(values: Array) -> float:
    present = values[~np.isnan(values)]
    return round(float(np.unique(present, return_counts=True)[1].max() / len(present)), 6) if len(present) else 0.0


def _mph(miles: Array, minutes: Array) -> float | None:
    moving = (miles > 0) & (minutes > 0)
    return round(float(np.median(miles[moving] / minutes[moving] * 60)), 4) if moving.any() else None


def _routes(rows: Mapping[str, Array], most: int) -> dict[str, Route]:
    moving = (rows["miles"] > 0) & ((rows["minutes"] > 0) | np.isnan(rows["minutes"]))
    moving &= np.isfinite(rows["pickup_zone"]) & np.isfinite(rows["dropoff_zone"])
    # Complex numbers sort by pickup, then by drop-off; for a window this takes a fraction of the time of a groupby.
    pairs = rows["pickup_zone"][moving] + 1j * rows["dropoff_zone"][moving]
    names, route, trips = np.unique(pairs, return_inverse=True, return_counts=True)
    # Stable: of equally busy routes the lowest zones count, so that profiles are reproducible.
    busiest = np.argsort(-trips, kind="stable")[:most]
    miles, minutes = (_medians(rows[name][moving], route, busiest) for name in ("miles", "minutes"))
    columns = (names[busiest].tolist(), trips[busiest].tolist(), miles.tolist(), minutes.tolist())
    return {
        f"{int(pair.real)}-{int(pair.imag)}": Route(count, round(mile, 3), round(minute, 3))
        for pair, count, mile, minute in zip(*columns, strict=True)
    }


def _medians(values: Array, group: Array, groups: Array) -> Array:
    """Return the median of the `values` of each of `groups`, NaN left out; 0 where no value is left."""
    known = ~np.isnan(values)
    order = np.lexsort((values[known], group[known]))
    ordered, group = values[known][order], group[known][order]
    begin, end = np.searchsorted(group, groups), np.searchsorted(group, groups, side="right")
    some = begin < end
    medians = np.zeros(len(groups))
    # The two middle positions of each group, which are the same one where its size is odd.
    medians[some] = (ordered[(begin + end - 1)[some] // 2] + ordered[(begin + end)[some] // 2]) / 2
    return medians


def _days(picked_up: Array, month: Month) -> tuple[int, ...]:
    begin, end = (np.datetime64(f"{of}-01", "D") for of in (month, month.plus(1)))
    day = (picked_up[~np.isnat(picked_up)].astype("datetime64[D]") - begin).astype(int)
    length = int((end - begin).astype(int))
    return tuple(np.bincount(day[(day >= 0) & (day < length)], minlength=length).tolist())


def scale(profile: Profile, usual: Mapping[str, Route], of: Literal["miles", "minutes"]) -> float | None:
    """Return how many times as long as usual the trips are on the same routes.

    It is the median over routes, weighted by trips; None where too few trips are on usual routes.
    """
    known = [(route, usual[name]) for name, route in profile.routes.items() if name in usual]
    lengths = [(getattr(route, of), getattr(before, of), route.trips) for route, before in known]
    # A length of 0 means that none is known; as a ratio it would be 0 or a division by zero.
    ratios = sorted((now / before, trips) for now, before, trips in lengths if now > 0 and before > 0)
    trips = np.cumsum([count for _, count in ratios])
    if not len(trips) or trips[-1] < min(LEAST_ON_ROUTES, LEAST_SHARE_ON_ROUTES * profile.rows):
        return None
    return float(ratios[int(np.searchsorted(trips, trips[-1] / 2))][0])


def usual_routes(history: Sequence[Profile]) -> dict[str, Route]:
    """Return per route the medians over months."""
    found: dict[str, list[Route]] = {}
    for profile in history:
        for name, route in profile.routes.items():
            found.setdefault(name, []).append(route)
    return {name: _usual_route(routes) for name, routes in found.items()}


def _usual_route(routes: Sequence[Route]) -> Route:
    miles, minutes = (median(getattr(route, of) for route in routes) for of in ("miles", "minutes"))
    return Route(int(median(route.trips for route in routes)), miles, minutes)


def usual_days(history: Sequence[Profile]) -> Array:
    """Return the usual trips on each day of the week, of shape (7,) from Monday.

    It is the median over months of their means, NaN for a day of the week that no month has.
    """
    known = ([mean for mean in means if mean is not None] for means in zip(*map(_means, history), strict=True))
    return np.array([median(means) if means else np.nan for means in known])


def _means(profile: Profile) -> list[float | None]:
    days, weekday = np.array(covered(profile), float), weekdays(profile)
    return [float(days[weekday == day].mean()) if (weekday == day).any() else None for day in range(7)]


def covered(profile: Profile) -> tuple[int, ...]:
    """Return the days up to the last one with a substantial number of trips: later ones may not be published yet."""
    days = np.array(profile.days)
    full = np.flatnonzero(days > 0.05 * days.max(initial=0))
    return profile.days[: int(full[-1]) + 1] if len(full) else ()


def weekdays(profile: Profile) -> Array:
    """Return the day of the week of each covered day, Monday 0."""
    return np.asarray((profile.weekday + np.arange(len(covered(profile)))) % 7)
