"""Profiles of a month, or of a window of live rows: facts that tell broken data from a changed world.

A profile is taken before cleaning, which drops just the rows that show faults. It is small enough for a file's
metadata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ALL_ROWS = ""
"""Names the group of all rows in `Profile.scales`."""

LEAST_ON_ROUTES, LEAST_SHARE_ON_ROUTES = 100, 1 / 3
"""Fewest rows on usual routes for a scale; a third of the rows is enough where there are few."""


@dataclass(frozen=True)
class Route:
    """Rows of one way between two places: how many, and the medians of their miles and minutes.

    `minutes` is 0 where no duration is known yet.
    """

    rows: int
    miles: float
    minutes: float


class Scale(NamedTuple):
    """How large a column is in groups of rows: logarithms of its values above 0, by the value of another column.

    `spread` is their standard deviation within groups; `rows` and `means` are by group.
    """

    spread: float
    rows: Mapping[str, int]
    means: Mapping[str, float]


@dataclass(frozen=True)
class Profile:
    """Facts of a month or a window.

    `missing` are shares of rows without a value, by column; `dropped` are shares of rows that cleaning drops, by
    reason. `commonest` is the share of a column's most frequent value among those that it has. `duplicated` is the
    share of rows that repeat another, `equal` that of rows that equal another where rows have no id, and `mph` the
    median speed. `days` are rows on each day of the month, whose
    first is a `weekday` (Monday 0); empty for a window. `places` are the columns with the ends of `routes`.
    `values` are the shares of the most frequent values, by category; `scales` are by column and by the column whose
    values make the groups, "" for all rows.
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
    places: tuple[str, ...] = ()
    equal: float = 0
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    scales: Mapping[str, Mapping[str, Scale]] = field(default_factory=dict)

    def to_json(self) -> Mapping[str, object]:
        """Return the profile for JSON; each route becomes a list of its rows, miles and minutes."""
        routes = {name: [route.rows, route.miles, route.minutes] for name, route in self.routes.items()}
        return {**vars(self), "routes": routes, "days": list(self.days), "places": list(self.places)}

    @classmethod
    def from_json(cls, known: Mapping[str, Any]) -> "Profile":
        """Return the profile from the content that `to_json` returned."""
        routes = {name: Route(*values) for name, values in known["routes"].items()}
        lists = {name: tuple(known.get(name, ())) for name in ("days", "places")}
        scales = {
            name: {other: Scale(*values) for other, values in by.items()}
            for name, by in known.get("scales", {}).items()
        }
        return cls(**{**known, "routes": routes, "scales": scales, **lists})


def scale(profile: Profile, usual: Mapping[str, Route], of: Literal["miles", "minutes"]) -> float | None:
    """Return how many times as long as usual the rows of the same routes are.

    It is the median over routes, weighted by rows; None where too few rows are on usual routes.
    """
    known = [(route, usual[name]) for name, route in profile.routes.items() if name in usual]
    lengths = [(getattr(route, of), getattr(before, of), route.rows) for route, before in known]
    # A length of 0 means that none is known; as a ratio it would be 0 or a division by zero.
    ratios = sorted((now / before, count) for now, before, count in lengths if now > 0 and before > 0)
    rows = np.cumsum([count for _, count in ratios])
    if not len(rows) or rows[-1] < min(LEAST_ON_ROUTES, LEAST_SHARE_ON_ROUTES * profile.rows):
        return None
    return float(ratios[int(np.searchsorted(rows, rows[-1] / 2))][0])


def usual_routes(history: Sequence[Profile]) -> dict[str, Route]:
    """Return per route the medians over months."""
    found: dict[str, list[Route]] = {}
    for profile in history:
        for name, route in profile.routes.items():
            found.setdefault(name, []).append(route)
    return {name: _usual_route(routes) for name, routes in found.items()}


def _usual_route(routes: Sequence[Route]) -> Route:
    miles, minutes = (median(getattr(route, of) for route in routes) for of in ("miles", "minutes"))
    return Route(int(median(route.rows for route in routes)), miles, minutes)


def usual_scales(history: Sequence[Profile]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the medians over months of the means of `scales`."""
    known: dict[str, dict[str, dict[str, list[float]]]] = {}
    for profile in history:
        for name, by in profile.scales.items():
            for other, scale in by.items():
                groups = known.setdefault(name, {}).setdefault(other, {})
                for group, mean in scale.means.items():
                    groups.setdefault(group, []).append(mean)
    return {
        name: {other: {group: median(means) for group, means in groups.items()} for other, groups in by.items()}
        for name, by in known.items()
    }


def factor(known: Mapping[str, Scale], usual: Mapping[str, Mapping[str, float]]) -> float | None:
    """Return how many times as large as usual a column is, given any other one; None where no group is known.

    It is the smallest change, because other traffic changes the column in some groups or overall, and another unit
    in each of them and overall.
    """
    changes = []
    for other, scale in known.items():
        shared = [group for group in scale.means if group in usual.get(other, {})]
        rows = sum(scale.rows[group] for group in shared)
        if rows > LEAST_SHARE_ON_ROUTES * sum(scale.rows.values()):
            moved = sum(scale.rows[group] * (scale.means[group] - usual[other][group]) for group in shared)
            changes.append(moved / rows)
    return float(np.exp(min(changes, key=abs))) if changes else None


def usual_days(history: Sequence[Profile]) -> Array:
    """Return the usual rows on each day of the week, of shape (7,) from Monday.

    It is the median over months of their means, NaN for a day of the week that no month has.
    """
    known = ([mean for mean in means if mean is not None] for means in zip(*map(_means, history), strict=True))
    return np.array([median(means) if means else np.nan for means in known])


def _means(profile: Profile) -> list[float | None]:
    days, weekday = np.array(covered(profile), float), weekdays(profile)
    return [float(days[weekday == day].mean()) if (weekday == day).any() else None for day in range(7)]


def covered(profile: Profile) -> tuple[int, ...]:
    """Return the days up to the last one with a substantial number of rows: later ones may not be published yet."""
    days = np.array(profile.days)
    full = np.flatnonzero(days > 0.05 * days.max(initial=0))
    return profile.days[: int(full[-1]) + 1] if len(full) else ()


def weekdays(profile: Profile) -> Array:
    """Return the day of the week of each covered day, Monday 0."""
    return np.asarray((profile.weekday + np.arange(len(covered(profile)))) % 7)
