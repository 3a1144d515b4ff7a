"""The tables of the study of alarms."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.planted import LOOK_DAYS, Run


@dataclass(frozen=True)
class Year:
    """What a steady year brought under one rule."""

    version: int
    size: int
    rule: str
    windows: int
    alarms: int
    incidents: int
    findings: tuple[str, ...] = ()


def upper_bound(years: Sequence[Year], resamples: int = 4_000) -> float:
    """Of the mean number of incidents, one-sided at 95 %: years are resampled."""
    rng = np.random.default_rng(0)
    counts = np.array([year.incidents for year in years])
    return float(np.quantile([rng.choice(counts, len(counts)).mean() for _ in range(resamples)], 0.95))


def upper_bound_over_versions(years: Sequence[Year], resamples: int = 4_000) -> float:
    """The same where versions are resampled, and the years of each: years that share one are not independent."""
    rng = np.random.default_rng(0)
    each = defaultdict(list)
    for year in years:
        each[year.version].append(year.incidents)
    versions = [np.array(found) for found in each.values()]

    def mean() -> float:
        drawn = [versions[number] for number in rng.integers(0, len(versions), len(versions))]
        return float(np.mean([rng.choice(counts, len(counts)).mean() for counts in drawn]))

    return float(np.quantile([mean() for _ in range(resamples)], 0.95))


def print_steady(steady: Sequence[Year]) -> None:
    print(f"\n{'steady years':40} {'window':>6} {'years':>5} {'judged':>6} {'alarms':>6} {'incidents':>9}", end="")
    print(f" {'at most':>7} {'(vers.)':>7}")
    for size, rule in dict.fromkeys((year.size, year.rule) for year in steady):
        years = [year for year in steady if (year.size, year.rule) == (size, rule)]
        judged, alarming, opened = (
            np.mean([getattr(year, name) for year in years]) for name in ("windows", "alarms", "incidents")
        )
        figures = f"{len(years):>5} {judged:>6.0f} {alarming:>6.1f} {opened:>9.2f} {upper_bound(years):>7.2f}"
        print(f"{rule:40} {size:>6} {figures} {upper_bound_over_versions(years):>7.2f}")
    print(
        "a year: windows that were judged, windows that alarmed, incidents opened; at most: of the mean, one-sided at"
    )
    print("95 %, years resampled; (vers.): versions resampled, and years within them")
    for size in dict.fromkeys(year.size for year in steady):
        ours = [year for year in steady if (year.size, year.rule) == (size, "1 a year")]
        names = Counter(name for year in ours for name in year.findings)
        told = ", ".join(f"{count} {name}" for name, count in names.most_common())
        print(f"incidents at 1 a year and {size} rows: {told or 'none'}")


def print_planted(found: Sequence[Run]) -> None:
    print(f"\n{'planted change':20} {'window':>6} {'runs':>5} {'alarm in 1':>11} {'in 2':>6} {'in 3':>6}", end="")
    print(f" {'incident':>9} {'median':>7} {'p95':>6}")
    for size, change in dict.fromkeys((run.size, run.change) for run in found):
        chosen = [run for run in found if (run.size, run.change) == (size, change)]
        within = [np.mean([any(run.alarms[:count]) for run in chosen]) for count in (1, 2, 3)]
        days = [run.days if run.days is not None else np.inf for run in chosen]
        share = np.mean(np.isfinite(days))
        delays = [f"{np.quantile(days, level, method='higher'):.1f}" for level in (0.5, 0.95)]
        shares = f"{within[0]:>11.1%} {within[1]:>6.1%} {within[2]:>6.1%} {share:>9.1%}"
        print(f"{change:20} {size:>6} {len(chosen):>5} {shares} {delays[0]:>7} {delays[1]:>6}")
    print(f"incident: within {LOOK_DAYS} days; median and p95: days from the change to it")
