"""Data quality: whether a month is broken, judged against earlier good months.

A part of a window of live rows is judged likewise, against parts of a version's own history. Pure: the same profiles
lead to the same findings.

A changed world is no broken data. In any city the way between the same two places stays as long as ever. So where the
distances of all routes change by one factor, the unit has changed. Slower traffic takes longer on the same routes, and
other traffic takes other routes; neither changes that factor. Where the profile has no routes, a number is judged given
each of the categories, and by how much it varies among rows alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, NamedTuple, TypedDict

import numpy as np

from autoops.errors import DataError, EmptyMonth, SchemaError
from autoops.ingestion.profile import (
    ALL_ROWS,
    Array,
    Profile,
    Route,
    covered,
    factor,
    scale,
    usual_days,
    usual_routes,
    usual_scales,
    weekdays,
)
from autoops.usecase.contract import QualityRules

Name = Literal[
    "schema",
    "null surge",
    "unit change",
    "impossible values",
    "volume collapse",
    "constant column",
    "duplicated rows",
    "unseen categories",
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

UNIT, SPREADS = 1.3, 2.0
"""Likewise of numbers of any use case: a factor, and standard deviations among rows alike, whichever is more."""
UNSEEN = 0.4
"""Likewise of the share of renamed categories: from 0 to 15 %."""
MOSTLY = 0.5
"""From this share on, values that no good month had are a finding even where no value is gone."""

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


_Value = Callable[[Profile], float | None]


class _Measure(NamedTuple):
    """A figure that good months keep in a range; `floor` is what is allowed beyond them at least."""

    name: Name
    column: str
    value: _Value
    floor: float
    says: Callable[[float], str]
    scale: _Scale = _SHARES
    low: bool = False
    high: bool = True


def judge(
    profile: Profile,
    history: Sequence[Profile],
    min_kept_share: float = 0,
    noun: str = "rows",
    rules: QualityRules | None = None,
) -> Quality:
    """Judge a month.

    `history` are the good months before, oldest first; the newest MOST_HISTORY of them count. `noun` is that for rows.
    `rules` are the floors that the use case declares.
    """
    return _judge(profile, history[-MOST_HISTORY:], min_kept_share, "good months before", noun, rules)


def judge_part(
    profile: Profile, history: Sequence[Profile], routes: Mapping[str, Route], rules: QualityRules | None = None
) -> Quality:
    """Judge a part of a window of live rows, with as many rows as each of the parts of a version's history.

    `routes` are those of all of that history. What takes days to show, such as volume, is not judged.
    """
    return _judge(profile, history, 0, "parts of the version's own history", "rows", rules, routes)


def _judge(
    profile: Profile,
    history: Sequence[Profile],
    min_kept_share: float,
    of: str,
    noun: str,
    rules: QualityRules | None = None,
    routes: Mapping[str, Route] | None = None,
) -> Quality:
    rules = rules or QualityRules()
    enough = len(history) >= LEAST_HISTORY
    routes = usual_routes(history) if routes is None else routes
    measures = _measures(profile, history, noun, routes, rules) if enough else ()
    compared = [(measure, *_compared(measure, profile, history, of)) for measure in measures]
    findings = [*_absolute(profile, min_kept_share)]
    findings += _holes(profile, history, noun, rules.empty_days or HOLE)
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
    profile: Profile, history: Sequence[Profile], noun: str, routes: Mapping[str, Route], rules: QualityRules
) -> Iterator[_Measure]:
    if profile.rows >= ENOUGH_ROWS:
        yield from _shares(profile, rules)
        yield from _categories(profile, history, _floor(rules.unseen, UNSEEN))
        yield from _numbers(profile, history, rules.unit)
    yield _unit("miles", ROUTES, lambda known: scale(known, routes, "miles"))
    yield _unit("minutes", CLOCK, lambda known: scale(known, routes, "minutes"))
    if profile.days:
        usual, floor = usual_days(history), float(np.log(rules.volume or COLLAPSE))
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


def _shares(profile: Profile, rules: QualityRules) -> Iterator[_Measure]:
    for name in profile.missing:
        floor = _floor(rules.missing, SHARE)
        yield _share("null surge", "missing", name, floor, f"{{:.1%}} of {name} have no value")
    for name in profile.commonest:
        floor = BUSY_PLACE if name in profile.places and not profile.days else _floor(rules.constant, SHARE)
        yield _share("constant column", "commonest", name, floor, f"{{:.1%}} of {name} are one and the same value")
    for name in profile.dropped:
        floor = OF_TRAFFIC if name in ("too_short", "too_long") else _floor(rules.impossible, SHARE)
        yield _share("impossible values", "dropped", name, floor, f"cleaning drops {{:.1%}} as {name}")
    says, floor = "{:.1%} of the rows repeat another".format, _floor(rules.duplicated, SHARE)
    yield _Measure("duplicated rows", "all", lambda known: known.duplicated + known.equal, floor, says)


def _floor(declared: float | None, floor: float) -> float:
    """Return the floor of a share: the declared one, from 0 on, else `floor`, which is on the scale already."""
    return floor if declared is None else _SHARES.to(declared)


def _categories(profile: Profile, history: Sequence[Profile], floor: float) -> Iterator[_Measure]:
    """Yield the shares of renamed values, by category."""
    for name in profile.values:
        usual: dict[str, list[float]] = {}
        for known in history:
            for value, share in known.values.get(name, {}).items():
                usual.setdefault(value, []).append(share)
        says = f"{{:.1%}} of {name} are values that no good period had".format
        yield _Measure("unseen categories", name, _renamed(name, usual, history), floor, says)


def _renamed(name: str, usual: Mapping[str, Sequence[float]], history: Sequence[Profile]) -> _Value:
    """Return the measure of renamed values: unseen ones, as far as they have replaced others.

    A value that comes beside the known ones is a changed world.
    """

    def renamed(profile: Profile) -> float | None:
        now = profile.values.get(name)
        if not now:
            return None
        # Each month of the history is compared with the other ones.
        own = any(known is profile for known in history)
        others = {value: sum(shares) - own * now.get(value, 0) for value, shares in usual.items()}
        seen = {value for value, shares in usual.items() if len(shares) > (own and value in now)}
        new = sum(share for value, share in now.items() if value not in seen)
        gone = sum(total for value, total in others.items() if value not in now) / max(1, len(history) - own)
        return min(1.0, new if new > MOSTLY else min(new, gone))

    return renamed


def _numbers(profile: Profile, history: Sequence[Profile], declared: float | None) -> Iterator[_Measure]:
    """Yield the scales of numbers, given other columns."""
    usual = usual_scales(history)
    for name, by in usual.items():
        if name not in profile.scales:
            continue
        spreads = {
            other: median(known.scales[name][other].spread for known in history if other in known.scales.get(name, {}))
            for other in by
        }
        # A number that stood still has said nothing of its unit.
        if spreads.get(ALL_ROWS) == 0:
            continue
        floor = float(np.log(declared)) if declared else max(float(np.log(UNIT)), SPREADS * min(spreads.values()))
        says = f"{name} is {{:.3g}} times as large as in rows alike before".format
        yield _Measure("unit change", name, _factor(name, by), floor, says, _FACTORS, low=True)


def _factor(name: str, usual: Mapping[str, Mapping[str, float]]) -> _Value:
    return lambda known: factor(known.scales.get(name, {}), usual)


def _share(name: Name, group: str, column: str, floor: float, says: str) -> _Measure:
    """Return the measure of an entry in one of a profile's groups of shares."""
    # `get`: an earlier month may lack the column (payment), and is then not compared.
    return _Measure(name, column, lambda known: getattr(known, group).get(column), floor, says.format)


def _unit(column: str, factor: float, value: _Value) -> _Measure:
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
    for name in (*profile.places, "miles", "minutes"):
        if profile.commonest.get(name) == 1:
            yield Finding("constant column", name, 1.0, None, f"{name} is the same in all rows")
    if profile.duplicated > DUPLICATED:
        reason = f"{profile.duplicated:.1%} of the rows repeat another"
        yield Finding("duplicated rows", "all", profile.duplicated, (0.0, DUPLICATED), reason)


def empty_days(profile: Profile, history: Sequence[Profile]) -> list[int]:
    """Return the days of the month that are empty by what days of the week have in good months, or in the month itself.

    Days after the last one with rows are not counted: they may not be published yet.
    """
    days = covered(profile)
    if max(days, default=0) < BUSY:
        return []
    usual = usual_days(history[-MOST_HISTORY:] if len(history) >= LEAST_HISTORY else [profile])
    expected = usual[weekdays(profile)]
    return [day + 1 for day, count in enumerate(days) if count < EMPTY * expected[day]]


def _holes(profile: Profile, history: Sequence[Profile], noun: str, most: int) -> Iterator[Finding]:
    """Yield findings on missing days."""
    days = covered(profile)
    if max(days, default=0) >= BUSY and len(days) < LEAST_COVERED * len(profile.days):
        reason = f"only the first {len(days)} of {len(profile.days)} days have {noun}"
        yield Finding("volume collapse", "days", len(days), (LEAST_COVERED * len(profile.days), None), reason)
    empty = empty_days(profile, history)
    if len(empty) >= most:
        reason = f"{len(empty)} whole days have no {noun} to speak of: {', '.join(map(str, empty))}"
        yield Finding("volume collapse", "days", len(empty), (0, most - 1), reason)
