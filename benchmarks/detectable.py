"""Is a lasting change of the stated size found in time? `scripts/bench.sh detectable`.

Versions are trained and calibrated on days that happened (`city_days`), or on those of a made-up city with `--sampled`.
Their smallest detectable changes are planted into steady years of other days, beginning at many windows, and judged by
the code of production. A change is found where its alarm type opens an incident in time.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from autoops.console import progress
from autoops.drift.calibration import thresholds_from
from autoops.drift.detectable import BEFORE, SIDES, TWO_WINDOWS, detectable
from autoops.drift.performance import ErrorLimits, judge_errors
from autoops.drift.schedule import DAYS_PER_YEAR
from autoops.drift.thresholds import WEEK_DAYS, Thresholds, span_days
from autoops.models.bundle import Detectable
from autoops.settings import Drift
from autoops.usecase.columns import PREDICTION, TARGET
from benchmarks.city_days import Version, pool_of_days
from tests.taxi import CONTRACT

FACTORS = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class Planted:
    """A detectable change, `factor` times as large."""

    change: Detectable
    factor: float = 1.0

    def into(self, rows: pd.DataFrame) -> pd.DataFrame:
        size = self.factor * (self.change.change or 0.0)
        if self.change.detector in SIDES[0]:
            return rows.assign(**{TARGET: rows[TARGET] * np.exp(size)})
        if self.change.detector in SIDES[1]:
            return rows.assign(**{TARGET: rows[TARGET] * np.exp(-size)})
        return rows.assign(**{TARGET: rows[PREDICTION] + (rows[TARGET] - rows[PREDICTION]) * np.exp(size)})


def found_in_time(rows: pd.DataFrame, planted: Planted, thresholds: Thresholds, drift: Drift, every: int = 8) -> float:
    """Share of runs that open an incident of the alarm type in time, one from each `every` windows of steady rows."""
    size = thresholds.window_size
    steady = [rows.iloc[start : start + size] for start in range(0, len(rows) - size + 1, size)]
    changed_rows = planted.into(rows)
    changed = [changed_rows.iloc[start : start + size] for start in range(0, len(rows) - size + 1, size)]
    limits = [thresholds.for_span(span_days(window["event_at"])).errors for window in steady]
    count = windows_in(planted.change.within, rows, size, thresholds)
    found = []
    for start in range(BEFORE, len(steady) - count, every):
        levels: list[float] = []
        alarms: list[bool] = []
        for number in range(start - BEFORE, start + count):
            window = steady[number] if number < start else changed[number]
            level, findings = _judged(window, limits[number], levels)
            levels.insert(0, level)
            alarms.append(number >= start and planted.change.detector in findings)
        ends = range(drift.alarms_of, len(alarms) + 1)
        found.append(any(sum(alarms[end - drift.alarms_of : end]) >= drift.alarms_needed for end in ends))
    return float(np.mean(found))


def windows_in(within: str, rows: pd.DataFrame, size: int, thresholds: Thresholds) -> int:
    if within == TWO_WINDOWS:
        return 2
    days = (rows["event_at"].iloc[-1] - rows["event_at"].iloc[0]) / pd.Timedelta(days=1)
    return int(min(len(rows) / size / days, thresholds.windows_per_year / DAYS_PER_YEAR) * WEEK_DAYS)


def _judged(window: pd.DataFrame, limits: ErrorLimits, earlier: Sequence[float]) -> tuple[float, tuple[str, ...]]:
    truth, prediction = (window[name].to_numpy(dtype=float) for name in (TARGET, PREDICTION))
    loss = judge_errors(CONTRACT, truth, prediction, limits, earlier)
    return loss.relative, loss.findings


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench.sh detectable", description=__doc__)
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument(
        "--sampled", type=int, metavar="TRIPS", help="a made-up city with so many trips a month instead"
    )
    given = parser.parse_args(arguments)
    days, drift = pool_of_days(given.sampled), Drift()
    shares: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    with progress("detectable") as tell:
        for number in range(given.versions):
            version = Version.of(days, seed=number)
            history = version.history(drift)
            thresholds = thresholds_from(history, drift, CONTRACT)
            year = version.year()
            for one in detectable(history, thresholds, version.trained.holdout, CONTRACT, drift):
                if one.change is not None and one.loss is not None and one.share is not None:
                    found = [found_in_time(year, Planted(one, factor), thresholds, drift) for factor in FACTORS]
                    shares[one.detector, one.within].append([one.change, one.loss, one.share, *found])
            tell(number + 1, given.versions)
    times = "   ".join(f"x {factor:g}" for factor in FACTORS)
    print(f"\n{'mean of versions':34} {'within':12} versions   change     loss  of loss   found {times}")
    for (detector, within), figures in shares.items():
        change, loss, share, *found = np.mean(figures, axis=0)
        sizes = f"{len(figures):>8} {np.expm1(change):>8.1%} {loss:>8.3f} {share:>8.1%}"
        print(f"{detector:34} {within:12} {sizes}       " + "  ".join(f"{each:>5.0%}" for each in found))


if __name__ == "__main__":
    main(sys.argv[1:])
