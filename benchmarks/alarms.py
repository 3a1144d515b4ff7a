"""How often steady years wake somebody for nothing, and how soon a change is noticed: `scripts/bench.sh alarms`.

Days that happened are drawn by weekday into years in which nothing changes (`city_days`); versions trained and
calibrated as all versions are watch them by the code of production, once a day. Beside them stand Evidently's preset
with its defaults and a Kolmogorov-Smirnov test of each column, both asked about the very same windows.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from autoops.console import progress
from autoops.loop.decide.policy import JudgedWindow, decide
from autoops.settings import Drift
from benchmarks import rivals
from benchmarks.alarm_tables import Year, print_planted, print_steady
from benchmarks.city_days import Version, pool_of_days
from benchmarks.planted import Run, runs
from benchmarks.watching import Watch, see_all, windows_of


@dataclass(frozen=True)
class Study:
    versions: int
    years: int
    starts: int
    rates: tuple[float, ...]
    sizes: tuple[int, ...]
    check_interval_s: float
    rival_years: int
    sampled_trips_per_month: int | None

    def drifts(self, size: int) -> list[Drift]:
        common = {"window_size": size, "check_interval_s": self.check_interval_s}
        return [
            Drift.model_validate(common | {"false_alarms_per_year": rate}) for rate in sorted(self.rates, reverse=True)
        ]


DEFAULT = Drift().false_alarms_per_year
days_of = cache(pool_of_days)


def study_version(study: Study, number: int) -> tuple[list[Year], list[Run]]:
    with threadpool_limits(1):
        version = Version.of(days_of(study.sampled_trips_per_month), seed=number)
        hour = float(version.rng.uniform(0, 24))
        watches = [Watch.with_each(version, study.drifts(size)) for size in study.sizes]
        steady = [year for _ in range(study.years) for year in _own_year(watches, version.year(), number, hour)]
        found: list[Run] = []
        for rates in watches:
            if number < study.rival_years:
                steady += _rivals_year(version, rates[0].drift, number, hour)
            default = next(watch for watch in rates if watch.drift.false_alarms_per_year == DEFAULT)
            for _ in range(study.starts):
                found += runs(version, default, hour)
        return steady, found


def _own_year(watches: Sequence[Sequence[Watch]], year: pd.DataFrame, number: int, hour: float) -> Iterator[Year]:
    for rates in watches:
        begun = [watch.again() for watch in rates]
        seen = [see_all(begun, window) for window in windows_of(year, rates[0].drift, hour)]
        for position, watch in enumerate(begun):
            rule, names = rule_of(watch.drift), tuple(name for _, name in watch.opened)
            alarms = sum(alarmed[position] for alarmed in seen)
            yield Year(number, watch.drift.window_size, rule, len(seen), alarms, len(names), names)


def rule_of(drift: Drift) -> str:
    return f"{drift.false_alarms_per_year:g} a year"


def _rivals_year(version: Version, drift: Drift, number: int, hour: float) -> Iterator[Year]:
    """Alarms of the rivals become incidents as ours do: when they persist, and after the cool-down."""
    features = version.trained.encoder.features
    reference = rivals.columns(version.reference.window, features)
    seen: dict[str, list[JudgedWindow]] = defaultdict(list)
    for window in windows_of(version.year(), drift, hour):
        ends = window["event_at"].iloc[0].to_pydatetime(), window["event_at"].iloc[-1].to_pydatetime()
        for rule, alarm in rivals.alarms(reference, rivals.columns(window, features)).items():
            seen[rule].append(JudgedWindow(frozenset({rule} if alarm else ()), *ends))
    for rule, windows in seen.items():
        count = sum(bool(window.findings) for window in windows)
        yield Year(number, drift.window_size, rule, len(windows), count, _incidents(windows, drift))


def _incidents(windows: Sequence[JudgedWindow], drift: Drift) -> int:
    opened: list[datetime | None] = []
    for end in range(1, len(windows) + 1):
        newest_first = windows[max(0, end - drift.alarms_of) : end][::-1]
        decision = decide(newest_first, None, opened[-1] if opened else None, drift)
        if decision.action == "open incident":
            opened.append(decision.evidence_start)
    return len(opened)


def study_all(study: Study, processes: int, keep: Path | None) -> tuple[list[Year], list[Run]]:
    steady: list[Year] = []
    found: list[Run] = []
    with ProcessPoolExecutor(processes) as pool, progress("alarms") as tell:
        tasks = [pool.submit(study_version, study, number) for number in range(study.versions)]
        for done, task in enumerate(as_completed(tasks), start=1):
            years, planted = task.result()
            steady, found = steady + years, found + planted
            if keep:
                keep.write_text(json.dumps([[asdict(one) for one in each] for each in (steady, found)]))
            tell(done, study.versions)
    return steady, found


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench.sh alarms", description=__doc__)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--years", type=int, default=10, help="of each version, at each window size")
    parser.add_argument("--starts", type=int, default=5, help="of each planted change, at each version and window size")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.25, 1.0, 4.0], help="1 among them")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 5_000])
    parser.add_argument("--check-interval-s", type=float, default=86_400)
    parser.add_argument("--rival-years", type=int, default=10)
    parser.add_argument(
        "--sampled", type=int, metavar="TRIPS", help="a made-up city with so many trips a month instead"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a file for the figures of each year and run, as JSON, as they come")
    given = parser.parse_args(arguments)
    study = Study(
        given.versions,
        given.years,
        given.starts,
        tuple(given.rates),
        tuple(given.sizes),
        given.check_interval_s,
        given.rival_years,
        given.sampled,
    )
    steady, found = study_all(study, given.processes, given.keep)
    print_steady(steady)
    if found:
        print_planted(found)


if __name__ == "__main__":
    main(sys.argv[1:])
