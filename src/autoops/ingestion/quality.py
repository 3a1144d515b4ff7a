"""Data quality: whether a month is broken, judged against earlier good months.

A part of a window of live rows is judged likewise, against parts of a version's own history. Pure: the same profiles
lead to the same findings.

A changed world is no broken data. In any city the way between the same two places stays as long as ever. So where the
distances of all routes change by one factor, the unit has changed. Slower traffic takes longer on the same routes, and
other traffic takes other routes; neither changes that factor. Only a use case whose profile has routes is judged so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypedDict

import numpy as np

from autoops.errors import DataError, EmptyMonth, SchemaError
from autoops.ingestion.profile import Array, Profile, Route, covered, scale, usual_days, usual_routes, weekdays

Name = Literal[
    "schema",
    "null surge",
    "unit change",
    "impossible values",
    "volume collapse",
    "constant column",
    "duplicated rows",
    "unreadable",
]

LEAST_HISTORY = 3
"""Good months that a comparison needs; with fewer, only absolute rules are applied."""
MOST_HISTORY = 12
DEVIATIONS = 3
"""Standard deviations between good months that are allowed beyond the farthest of them."""
ENOUGH_ROWS = 100
"""Fewest rows for shares, and for a column that is constant."""

SHARE, OF_TRAFFIC, ROUTES = 0.25, 0.4, 1.15
"""Least deviations beyond good months that are a finding, however alike these are.

They are of shares, as arcsines of their roots (from 10 % to 29 %, from 0 to 6 %); of shares of dropped rows that slow
or fast traffic changes as well (from 2 % to 26 %); and of miles, as a factor.
"""
CLOCK, COLLAPSE = 6.0, 2.0
"""Likewise as factors: of minutes, which traffic changes as well, and of rows per day."""
BUSY_PLACE = 0.6
"""Likewise of the share of the busiest place in a window of some hours, where a month has SHARE: from 20 % to 76 %."""

MPH = (2.0, 60.0)
"""Range of the median speed of any city, in miles per hour."""
DUPLICATED = 0.25
LEAST_COVERED = 1 / 3
"""Least share of the days of a month; a month that is published bit by bit may get the rest later."""
EMPTY, BUSY, HOLE = 0.05, 20, 3
"""A day is empty below the share EMPTY of its usual rows.

Only months that have days of BUSY rows or more are judged. A storm does not explain HOLE empty days.
"""

UNITS = {
    1.609344: "kilometres where miles should be",
    0.621371: "miles converted as if they were kilometres",
    1609.344: "metres where miles should be",
    5280.0: "feet where miles should be",
    60.0: "seconds where minutes should be",
    1 / 60: "hours where minutes should be",
}


class FindingRecord(TypedDict):
    """A finding as JSON."""

    name: str
    column: str
    measured: float
    usual: list[float | None] | None
    reason: str


@dataclass(frozen=True)
class Finding:
    """What is wrong with the data; `usual` is the range that would have passed, if known, open where an end is None."""

    name: Name
    column: str
    measured: float
    usual: tuple[float | None, float | None] | None
    reason: str

    def to_json(self) -> FindingRecord:
        """Return the finding as records keep it."""
        return {
            "name": self.name,
            "column": self.column,
            "measured": self.measured,
            "usual": list(self.usual) if self.usual else None,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Quality:
    """The quality of a month or of a part of a window; it is good without findings.

    `strain` is the severity by measure: the deviation from good months as a multiple of what is allowed, above 1 a
    finding. `compared_with` counts those months.
    """

    findings: tuple[Finding, ...] = ()
    compared_with: int = 0
    strain: dict[str, float] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Return the reasons of all findings in one line, and whether only absolute rules were applied."""
        told = "; ".join(finding.reason for finding in self.findings) or "nothing is wrong with it"
        if self.compared_with >= LEAST_HISTORY:
            return told
        return f"{told} (by absolute rules alone: {self.compared_with} of {LEAST_HISTORY} good earlier months)"


class _Scale(NamedTuple):
    """A scale on which equal steps are equally surprising, wherever they begin."""

    to: Callable[[float], float]
    back: Callable[[float], float]
    text: str


# The arcsine of the root stabilises the variance of a share. Its inverse is clipped, because the
# sine falls again beyond a share of 100 %.
_SHARES = _Scale(lambda p: float(np.arcsin(np.sqrt(p))), lambda x: float(np.sin(np.clip(x, 0, np.pi / 2)) ** 2), ".1%")
_FACTORS = _Scale(lambda f: float(np.log(max(f, 1e-9))), lambda x: float(np.exp(x)), ".2f")


class _Measure(NamedTuple):
    """A figure that good months keep in a range; `floor` is what is allowed beyond them at least."""

    name: Name
    column: str
    value: Callable[[Profile], float | None]
    floor: float
    says: Callable[[float], str]
    scale: _Scale = _SHARES
    low: bool = False
    high: bool = True


def judge(profile: Profile, history: Sequence[Profile], min_kept_share: float = 0, noun: str = "rows") -> Quality:
    """Judge a month.

    `history` are the good months before, oldest first; the newest MOST_HISTORY of them count. `noun` is that for rows.
    """
    return _judge(profile, history[-MOST_HISTORY:], min_kept_share, "good months before", noun)


def judge_part(profile: Profile, history: Sequence[Profile], routes: Mapping[str, Route]) -> Quality:
    """Judge a part of a window of live rows, with as many rows as each of the parts of a version's history.

    `routes` are those of all of that history. What takes days to show, such as volume, is not judged.
    """
    return _judge(profile, history, 0, "parts of the version's own history", "rows", routes)


def _judge(
    profile: Profile,
    history: Sequence[Profile],
    min_kept_share: float,
    of: str,
    noun: str,
    routes: Mapping[str, Route] | None = None,
) -> Quality:
    enough = len(history) >= LEAST_HISTORY
    measures = _measures(profile, history, noun, usual_routes(history) if routes is None else routes) if enough else ()
    compared = [(measure, *_compared(measure, profile, history, of)) for measure in measures]
    findings = [*_absolute(profile, min_kept_share), *_holes(profile, history if enough else [profile], noun)]
    findings += [finding for *_, finding in compared if finding]
    strain = {f"{measure.name}: {measure.column}": used for measure, used, _ in compared}
    return Quality(tuple(findings), len(history), strain)


def unreadable(error: DataError) -> Finding:
    """Return the finding on a file that could not be cleaned."""
    kinds: dict[type[DataError], Name] = {SchemaError: "schema", EmptyMonth: "impossible values"}
    return Finding(kinds.get(type(error), "unreadable"), "all", 0.0, None, str(error))


def _compared(measure: _Measure, profile: Profile, history: Sequence[Profile], of: str) -> tuple[float, Finding | None]:
    """Return the deviation as a multiple of what is allowed, and the finding where that is above 1."""
    measured = measure.value(profile)
    known = [value for value in map(measure.value, history) if value is not None]
    if measured is None or len(known) < LEAST_HISTORY:
        return 0.0, None
    to, back, text = measure.scale
    at, before = to(measured), [to(value) for value in known]
    least, most = min(before), max(before)
    allowed = max(measure.floor, DEVIATIONS * float(np.std(before, ddof=1)))
    # `high` and `low` are flags: a direction that is not watched counts as 0.
    used = max(0.0, (at - most) * measure.high, (least - at) * measure.low) / allowed
    if used <= 1:
        return used, None
    passes = (back(least - allowed) if measure.low else None, back(most + allowed) if measure.high else None)
    earlier = f"{min(known):{text}} to {max(known):{text}} in {len(known)} {of}"
    return used, Finding(measure.name, measure.column, measured, passes, f"{measure.says(measured)}; {earlier}")


def _measures(
    profile: Profile, history: Sequence[Profile], noun: str, routes: Mapping[str, Route]
) -> Iterator[_Measure]:
    if profile.rows >= ENOUGH_ROWS:
        yield from _shares(profile)
    yield _unit("miles", ROUTES, lambda known: scale(known, routes, "miles"))
    yield _unit("minutes", CLOCK, lambda known: scale(known, routes, "minutes"))
    if profile.days:
        usual, floor = usual_days(history), float(np.log(COLLAPSE))
        yield _Measure(
            "volume collapse",
            "days",
            lambda known: _volume(known, usual),
            floor,
            lambda share: f"{share:.2f} times the {noun} that its days of the week usually have",
            _FACTORS,
            True,
            False,
        )


def _shares(profile: Profile) -> Iterator[_Measure]:
    for name in profile.missing:
        yield _share("null surge", "missing", name, SHARE, f"{{:.1%}} of {name} have no value")
    for name in profile.commonest:
        floor = BUSY_PLACE if name in ("pickup_zone", "dropoff_zone") and not profile.days else SHARE
        yield _share("constant column", "commonest", name, floor, f"{{:.1%}} of {name} are one and the same value")
    for name in profile.dropped:
        floor = OF_TRAFFIC if name in ("too_short", "too_long") else SHARE
        yield _share("impossible values", "dropped", name, floor, f"cleaning drops {{:.1%}} as {name}")
    says = "{:.1%} of the rows repeat another".format
    yield _Measure("duplicated rows", "all", lambda known: known.duplicated, SHARE, says)


def _share(name: Name, group: str, column: str, floor: float, says: str) -> _Measure:
    """Return the measure of an entry in one of a profile's groups of shares."""
    # `get`: an earlier month may lack the column (payment), and is then not compared.
    return _Measure(name, column, lambda known: getattr(known, group).get(column), floor, says.format)


def _unit(column: str, factor: float, value: Callable[[Profile], float | None]) -> _Measure:
    def says(measured: float) -> str:
        # Within 4 % of a known unit. This decides the words only, not whether there is a finding.
        known = (words for unit, words in UNITS.items() if abs(np.log(measured / unit)) < np.log(1.04))
        return f"{column} are {measured:.3g} times those of the same routes before ({next(known, 'no known unit')})"

    return _Measure("unit change", column, value, float(np.log(factor)), says, _FACTORS, low=True)


def _volume(profile: Profile, usual: Array) -> float | None:
    """Return the rows as a share of those that its days of the week usually have, up to the last day published."""
    expected = float(np.nansum(usual[weekdays(profile)]))
    return sum(covered(profile)) / expected if expected else None


def _absolute(profile: Profile, min_kept_share: float) -> Iterator[Finding]:
    """Yield the findings that need no history."""
    kept = 1 - sum(profile.dropped.values())
    if kept < min_kept_share:
        by = ", ".join(f"{name} {share:.1%}" for name, share in profile.dropped.items())
        reason = f"cleaning kept {kept:.1%} of {profile.rows} rows, data.min_kept_share is {min_kept_share:.0%} ({by})"
        yield Finding("impossible values", "all", kept, (min_kept_share, 1.0), reason)
    if profile.rows < ENOUGH_ROWS:
        return
    if profile.mph is not None and not MPH[0] <= profile.mph <= MPH[1]:
        reason = f"the median speed is {profile.mph:.3g} miles per hour: no city's"
        yield Finding("unit change", "miles per minute", profile.mph, MPH, reason)
    for name in ("pickup_zone", "dropoff_zone", "miles", "minutes"):
        if profile.commonest.get(name) == 1:
            yield Finding("constant column", name, 1.0, None, f"{name} is the same in all rows")
    if profile.duplicated > DUPLICATED:
        reason = f"{profile.duplicated:.1%} of the rows repeat another"
        yield Finding("duplicated rows", "all", profile.duplicated, (0.0, DUPLICATED), reason)


def _holes(profile: Profile, history: Sequence[Profile], noun: str) -> Iterator[Finding]:
    """Yield findings on missing days, by what days of the week have in `history`, or in the month itself."""
    days, usual = covered(profile), usual_days(history)
    if max(days, default=0) < BUSY:
        return
    if len(days) < LEAST_COVERED * len(profile.days):
        reason = f"only the first {len(days)} of {len(profile.days)} days have {noun}"
        yield Finding("volume collapse", "days", len(days), (LEAST_COVERED * len(profile.days), None), reason)
    expected = usual[weekdays(profile)]
    empty = [day + 1 for day, count in enumerate(days) if count < EMPTY * expected[day]]
    if len(empty) >= HOLE:
        reason = f"{len(empty)} whole days have no {noun} to speak of: {', '.join(map(str, empty))}"
        yield Finding("volume collapse", "days", len(empty), (0, HOLE - 1), reason)
