"""Data quality of a window of live rows, judged before its drift. Pure.

A client that begins to send kilometres instead of miles is no reason to retrain. A window is judged in parts, in order
of arrival, because broken data begins at some moment: of a window with a change in its middle, half would be right.
Each part is compared with parts of as many rows from the data that the version was fitted on.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from autoops.drift.distances import evenly
from autoops.drift.monitor import Reference
from autoops.ingestion.cleaned import Profiler
from autoops.ingestion.profile import Profile, Route
from autoops.ingestion.quality import Finding, Quality, judge_part
from autoops.loop.data.windows import Window, frame_of, labelled_frame_of
from autoops.usecase.contract import QualityRules

PARTS, LEAST_IN_PART = 4, 250
"""Parts of a window; there are fewer where a part would have fewer rows than that."""
HISTORY = 40
"""Parts of the reference, spread evenly over it."""
LEAST_ON_ROUTE = 5
"""Rows on each route of the whole reference: the length of a route does not depend on the part."""


@dataclass(frozen=True)
class OwnHistory:
    """Data that a version was fitted on: profiles of parts of it, and the routes of all of it."""

    parts: Sequence[Profile]
    routes: Mapping[str, Route]
    profile: Profiler
    rules: QualityRules | None = None

    @classmethod
    def of(
        cls, reference: pd.DataFrame, rows: int, profile: Profiler, rules: QualityRules | None = None
    ) -> "OwnHistory":
        """Profile the reference, a frame with the target, in parts of `rows` consecutive rows."""
        ordered = reference.sort_values("event_at", kind="stable")
        # Whole parts, and none twice: parts that share rows would differ too little.
        whole = len(ordered) // rows
        begins = evenly(whole, min(HISTORY, whole)) * rows
        routes = profile(ordered).routes.items()
        return cls(
            [profile(ordered.iloc[begin : begin + rows]) for begin in begins.tolist()],
            {name: route for name, route in routes if route.rows >= LEAST_ON_ROUTE},
            profile,
            rules,
        )


def quality_of(
    reference: Reference, window: Window, size: int, profile: Profiler, rules: QualityRules | None = None
) -> Quality:
    """Judge the window's labelled rows and its predictions, each where there are at least `size` of them.

    Fewer rows wait for a later window. Rows are judged in order of arrival, by the floors of `rules`.
    """
    contract = reference.contract
    parts: list[tuple[pd.DataFrame, str]] = []
    labelled = window.with_any_label
    if len(labelled) >= size:
        bounds = split(len(labelled))
        parts += [
            (labelled_frame_of(contract, labelled[first:end]), f"labelled {contract.plural}") for first, end in bounds
        ]
    if len(window.logged) >= size:
        bounds = split(len(window.logged))
        parts += [(frame_of(contract, window.logged[first:end]), "predictions") for first, end in bounds]
    # In parts of the smallest size: smaller parts of the history differ more, which is lenient.
    if not parts:
        return Quality()
    rows = min(len(part) for part, _ in parts)
    return judged(parts, OwnHistory.of(reference.window, rows, profile, rules))


def judged(parts: Sequence[tuple[pd.DataFrame, str]], history: OwnHistory) -> Quality:
    """Return the findings of all parts and, by measure, the highest severity (`strain`) of any part.

    `parts` are frames of rows, oldest first, each with the name of what it holds.
    """
    found = [
        (judge_part(history.profile(rows), history.parts, history.routes, history.rules), name) for rows, name in parts
    ]
    strain: dict[str, float] = {}
    for quality, _ in found:
        strain |= {name: max(used, strain.get(name, 0.0)) for name, used in quality.strain.items()}
    return Quality(tuple(_findings(found)), len(history.parts), strain)


def split(rows: int) -> list[tuple[int, int]]:
    """Return the first row and the end (exclusive) of each part of a window."""
    count = max(1, min(PARTS, rows // LEAST_IN_PART))
    return list(pairwise(np.linspace(0, rows, count + 1).astype(int).tolist()))


def _findings(found: Sequence[tuple[Quality, str]]) -> Iterator[Finding]:
    """Yield each finding once, as the last part with it states it, with the number of parts that have it."""
    parts = Counter(name for _, name in found)
    # A part may have several findings of one name in one column, and counts once.
    times = Counter(one for quality, name in found for one in {(name, f.name, f.column) for f in quality.findings})
    last = {(one.name, one.column): (one, name) for quality, name in found for one in quality.findings}
    for finding, name in last.values():
        count = times[name, finding.name, finding.column]
        yield replace(finding, reason=f"{finding.reason} (in {count} of {parts[name]} parts of the {name})")
