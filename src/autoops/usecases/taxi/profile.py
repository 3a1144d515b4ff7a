"""The profile of a raw month of the TLC, or of a window of live trips."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.ingestion.profile import Profile, Route
from autoops.months import Month
from autoops.usecase.columns import EVENT_AT, TARGET, columns_of

Array = npt.NDArray[Any]

ROUTES = 150
"""The busiest pairs of zones; they have a third of the trips of a real month."""
_ROUTES_OF_TRIPS = 2_000
ZONES = ("pickup_zone", "dropoff_zone")
_IDENTITY = ("picked_up", "minutes", "miles", *ZONES)


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
    rows = {**rows, "passengers": np.where(rows["passengers"] == 0, np.nan, rows["passengers"])}
    return Profile(
        rows=count,
        missing={name: _share(np.isnan(rows[name])) for name in ("passengers", "payment") if name in rows},
        dropped={reason: round(number / count, 6) for reason, number in (dropped or {}).items()},
        commonest={name: _commonest(rows[name]) for name in (*ZONES, "passengers", "miles", "minutes")},
        duplicated=_share(pd.DataFrame({name: rows[name] for name in _IDENTITY}).duplicated().to_numpy()),
        mph=_mph(rows["miles"], rows["minutes"]),
        routes=_routes(rows, most_routes),
        days=_days(rows["picked_up"], month) if month else (),
        weekday=date(month.year, month.month, 1).weekday() if month else 0,
        places=ZONES,
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
