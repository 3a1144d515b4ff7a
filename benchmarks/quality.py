"""What is quarantined, and what is not: `scripts/bench.sh quality`.

Each scenario over seeds: six sampled months of which the last changes, judged against the five before. Then, where
AUTOOPS_TLC_DIR names a folder of them, each real month against those before it, with how much it uses up of what
is allowed, and the same months with their data broken on purpose. Windows of live traffic follow: see `live_windows`.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from autoops.errors import EmptyMonth
from autoops.ingestion.profile import Profile
from autoops.ingestion.quality import LEAST_HISTORY, Quality, judge, unreadable
from autoops.ingestion.source import file_name
from autoops.months import Month, month_range
from autoops.settings import Data
from autoops.usecases.taxi.clean import NUMBERS, PAYMENT, TIMES, clean
from autoops.usecases.taxi.sample import SCENARIOS, Scenario, write_sample
from benchmarks import live_windows

SEEDS = 20
MONTHS = [Month(2023, month) for month in range(1, 7)]
BROKEN: tuple[Scenario, ...] = ("unit", "nulls", "collapse")
REAL = list(month_range(Month(2022, 1), Month(2023, 6)))

COLUMNS = [*TIMES, *NUMBERS, PAYMENT]


@dataclass(frozen=True)
class Runs:
    """How many months there were, how many ended in quarantine, what for, and the largest share of what is allowed
    that any of them used up."""

    what: str
    runs: int
    quarantined: int
    findings: Counter[str]
    most_strained: float


@cache
def profile(path: Path, month: Month) -> Profile:
    return clean(path, month).profile


def judged(profile: Profile, history: Sequence[Profile]) -> Quality:
    return judge(profile, history, Data().min_kept_share)


def simulated(scenario: Scenario, seeds: Sequence[int], trips_per_month: int = 20_000) -> Runs:
    return _runs(scenario, [_last_month(scenario, seed, trips_per_month) for seed in seeds])


def _runs(what: str, found: Sequence[Quality]) -> Runs:
    names = Counter(name for one in found for name in {finding.name for finding in one.findings})
    strain = max((used for one in found for used in one.strain.values()), default=0)
    return Runs(what, len(found), sum(bool(one.findings) for one in found), names, strain)


def _last_month(scenario: Scenario, seed: int, trips_per_month: int) -> Quality:
    with tempfile.TemporaryDirectory(prefix="autoops-bench-") as folder:
        directory = Path(folder)
        write_sample(
            directory,
            MONTHS,
            trips_per_month=trips_per_month,
            seed=seed,
            scenario=scenario,
            changes_from=MONTHS[-1],
        )
        *history, last = [profile(directory / file_name(month), month) for month in MONTHS]
    return judged(last, history)


def real_months(directory: Path) -> Iterator[tuple[Month, Quality]]:
    history: list[Profile] = []
    for month in REAL:
        known = profile(directory / file_name(month), month)
        yield month, judged(known, history)
        history.append(known)


def _kilometres(rows: pd.DataFrame, share: float = 1, factor: float = 1.609344) -> pd.DataFrame:
    chosen = np.random.default_rng(1).random(len(rows)) < share
    return rows.assign(trip_distance=rows["trip_distance"].where(~chosen, rows["trip_distance"] * factor))


def _lasting(rows: pd.DataFrame, factor: float) -> pd.DataFrame:
    begin, end = rows["lpep_pickup_datetime"], rows["lpep_dropoff_datetime"]
    return rows.assign(lpep_dropoff_datetime=(begin + (end - begin) * factor).dt.round("s"))


def _unreported(rows: pd.DataFrame, share: float) -> pd.DataFrame:
    hidden = np.random.default_rng(1).random(len(rows)) < share
    columns = ["passenger_count", "payment_type"]
    return rows.assign(**{name: rows[name].astype(float).mask(hidden) for name in columns})


def _without_days(rows: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    return rows[~rows["lpep_pickup_datetime"].dt.day.between(first, last)]


def _longer(rows: pd.DataFrame) -> pd.DataFrame:
    """Another mix: short trips stay away, the shorter the more, and the others are as they were."""
    stays = np.random.default_rng(1).random(len(rows)) < rows["trip_distance"].clip(0.6, 3) / 3
    return rows[stays]


CHANGES: dict[str, tuple[bool, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "as it is": (False, lambda rows: rows),
    "a quarter slower": (False, lambda rows: _lasting(rows, 1 / 0.75)),
    "half as fast": (False, lambda rows: _lasting(rows, 2)),
    "40 % faster": (False, lambda rows: _lasting(rows, 1 / 1.4)),
    "longer trips": (False, _longer),
    "no trips on one day": (False, lambda rows: _without_days(rows, 10, 10)),
    "kilometres": (True, _kilometres),
    "half of the rows in kilometres": (True, lambda rows: _kilometres(rows, 0.5)),
    "miles divided by 1.609": (True, lambda rows: _kilometres(rows, factor=0.621371)),
    "seconds for minutes": (True, lambda rows: _lasting(rows, 60)),
    "hours for minutes": (True, lambda rows: _lasting(rows, 1 / 60)),
    "half without passengers": (True, lambda rows: _unreported(rows, 0.5)),
    "70 % of the rows lost": (True, lambda rows: rows.sample(frac=0.3, random_state=1)),
    "a week missing": (True, lambda rows: _without_days(rows, 8, 14)),
    "passengers always 1": (True, lambda rows: rows.assign(passenger_count=1.0)),
    "one pickup zone": (True, lambda rows: rows.assign(PULocationID=264)),
    "every row twice": (True, lambda rows: pd.concat([rows, rows])),
}
"""Whether it is broken data, and how to do it to raw rows."""


def changed(directory: Path, change: str) -> Runs:
    """Each real month that has history, changed, against those before it as they are."""
    history: list[Profile] = []
    found: list[Quality] = []
    for month in REAL:
        if len(history) >= LEAST_HISTORY:
            found.append(_changed(directory, month, change, history))
        history.append(profile(directory / file_name(month), month))
    return _runs(change, found)


def _changed(directory: Path, month: Month, change: str, history: Sequence[Profile]) -> Quality:
    with tempfile.TemporaryDirectory(prefix="autoops-bench-") as folder:
        path = Path(folder) / file_name(month)
        raw = pq.read_table(directory / file_name(month)).select(COLUMNS).to_pandas()
        CHANGES[change][1](raw).to_parquet(path)
        try:
            return judged(profile(path, month), history)
        except EmptyMonth as error:
            return Quality((unreadable(error),), len(history))


def _print_runs(runs: Runs, broken: bool) -> None:
    right = runs.quarantined if broken else runs.runs - runs.quarantined
    wanted = "quarantine" if broken else "none"
    told = ", ".join(f"{name} {count}" for name, count in runs.findings.most_common()) or "no finding"
    print(f"{runs.what:32} {wanted:11} {right:3} of {runs.runs:3} right   {runs.most_strained:8.2f}   {told}")


def main() -> None:
    head = f"{'':32} {'remedy':11} {'':16}   {'strain':>8}   findings"
    print(f"{SEEDS} seeds of sampled months, the sixth changes\n{head}")
    for scenario in SCENARIOS:
        _print_runs(simulated(scenario, range(1, SEEDS + 1)), scenario in BROKEN)
    directory = os.environ.get("AUTOOPS_TLC_DIR")
    if directory:
        _print_real_months(Path(directory), head)
    else:
        print("\nAUTOOPS_TLC_DIR is not set: real months were not studied.")
    live_windows.main()


def _print_real_months(directory: Path, head: str) -> None:
    print("\nreal months, as they are, against those before")
    for month, quality in real_months(directory):
        tightest = max(quality.strain.items(), key=lambda item: item[1], default=("-", 0))
        print(f"{month}  {len(quality.findings)} findings  most strained: {tightest[1]:.2f} {tightest[0]}")
    print(f"\nthe real months from the {LEAST_HISTORY + 1}th on, changed\n{head}")
    for change, (broken, _) in CHANGES.items():
        _print_runs(changed(directory, change), broken)


if __name__ == "__main__":
    main()
