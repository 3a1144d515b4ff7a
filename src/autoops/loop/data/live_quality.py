"""Data quality of a window of live trips, judged before its drift. Pure.

A client that begins to send kilometres instead of miles is no reason to retrain. A window is judged in parts, in order
of arrival, because broken data begins at some moment: of a window with a change in its middle, half would be right.
Each part is compared with parts of as many rows from the data that the version was fitted on.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.drift.distances import evenly
from autoops.ingestion.profile import Profile, Route, profile_of
from autoops.ingestion.quality import Finding, Quality, judge_part
from autoops.loop.data.windows import Window, frame_of, labelled_frame_of
from autoops.trips import DURATION_MINUTES, TARGET, columns_of

PARTS, LEAST_IN_PART = 4, 250
"""Parts of a window; there are fewer where a part would have fewer rows than that."""
HISTORY = 40
"""Parts of the reference, spread evenly over it."""
ROUTES, LEAST_ON_ROUTE = 2_000, 5
"""Routes of the whole reference, and trips on each: the length of a route does not depend on the part."""


@dataclass(frozen=True)
class OwnHistory:
    """Data that a version was fitted on: profiles of parts of it, and the routes of all of it."""

    parts: Sequence[Profile]
    routes: Mapping[str, Route]

    @classmethod
    def of(cls, reference: pd.DataFrame, rows: int) -> "OwnHistory":
        """Profile the reference, a frame of trips with the target, in parts of `rows` consecutive trips."""
        ordered = reference.sort_values("pickup_at", kind="stable")
        # Whole parts, and none twice: parts that share rows would differ too little.
        whole = len(ordered) // rows
        begins = evenly(whole, min(HISTORY, whole)) * rows
        routes = _profile(ordered).routes.items()
        return cls(
            [_profile(ordered.iloc[begin : begin + rows]) for begin in begins.tolist()],
            {name: route for name, route in routes if route.trips >= LEAST_ON_ROUTE},
        )


def quality_of(reference: pd.DataFrame, window: Window, size: int) -> Quality:
    """Judge the window's labelled trips and its predictions, each where there are at least `size` of them.

    Fewer rows wait for a later window. Rows are judged in order of arrival; `reference` is a frame of trips with the
    target.
    """
    parts: list[tuple[pd.DataFrame, str]] = []
    labelled = window.with_any_label
    if len(labelled) >= size:
        bounds = split(len(labelled))
        parts += [(labelled_frame_of(labelled[first:end]), "labelled trips") for first, end in bounds]
    if len(window.logged) >= size:
        bounds = split(len(window.logged))
        parts += [(frame_of(window.logged[first:end]), "predictions") for first, end in bounds]
    # In parts of the smallest size: smaller parts of the history differ more, which is lenient.
    return judged(parts, OwnHistory.of(reference, min(len(rows) for rows, _ in parts))) if parts else Quality()


def judged(parts: Sequence[tuple[pd.DataFrame, str]], history: OwnHistory) -> Quality:
    """Return the findings of all parts and, by measure, the highest severity (`strain`) of any part.

    `parts` are frames of trips, oldest first, each with the name of what it holds.
    """
    found = [(judge_part(_profile(rows), history.parts, history.routes), name) for rows, name in parts]
    strain: dict[str, float] = {}
    for quality, _ in found:
        strain |= {name: max(used, strain.get(name, 0.0)) for name, used in quality.strain.items()}
    return Quality(tuple(_findings(found)), len(history.parts), strain)


def split(rows: int) -> list[tuple[int, int]]:
    """Return the first row and the end (exclusive) of each part of a window."""
    count = max(1, min(PARTS, rows // LEAST_IN_PART))
    return list(pairwise(np.linspace(0, rows, count + 1).astype(int).tolist()))


def _profile(trips: pd.DataFrame) -> Profile:
    columns: Mapping[str, Any] = columns_of(trips)
    unknown = np.full(len(trips), np.nan)
    return profile_of(
        {
            "picked_up": columns["pickup_at"],
            "minutes": trips[TARGET].to_numpy(float) if TARGET in trips else unknown,
            "miles": columns["trip_distance"].astype(float),
            "pickup_zone": columns["pickup_location_id"].astype(float),
            "dropoff_zone": columns["dropoff_location_id"].astype(float),
            "passengers": columns["passenger_count"].astype(float),
        },
        _outside(trips[TARGET].to_numpy(float)) if TARGET in trips else None,
        most_routes=ROUTES,
    )


def _outside(minutes: npt.NDArray[np.float64]) -> dict[str, int]:
    """Count the labels, in minutes, that cleaning would drop; more than usual mean that labels have changed."""
    low, high = DURATION_MINUTES.low, DURATION_MINUTES.high
    return {"too_short": int((minutes < low).sum()), "too_long": int((minutes > high).sum())}


def _findings(found: Sequence[tuple[Quality, str]]) -> Iterator[Finding]:
    """Yield each finding once, as the last part with it states it, with the number of parts that have it."""
    parts = Counter(name for _, name in found)
    # A part may have several findings of one name in one column, and counts once.
    times = Counter(one for quality, name in found for one in {(name, f.name, f.column) for f in quality.findings})
    last = {(one.name, one.column): (one, name) for quality, name in found for one in quality.findings}
    for finding, name in last.values():
        count = times[name, finding.name, finding.column]
        yield replace(finding, reason=f"{finding.reason} (in {count} of {parts[name]} parts of the {name})")
