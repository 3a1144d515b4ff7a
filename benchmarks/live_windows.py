"""Which windows of live traffic are quarantined, and which are not: the second part of `scripts/bench.sh quality`.

Windows of consecutive trips, each predicted and labelled, are held against the three months before, as a version
that was fitted on those would hold them. Trips that the API refuses are not in them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from autoops.drift.distances import evenly
from autoops.ingestion.cleaned import profiler_of
from autoops.ingestion.quality import Quality
from autoops.loop.data.live_quality import OwnHistory, judged, split
from autoops.months import Month, month_range
from autoops.settings import Training
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi.sample import Scenario
from benchmarks.drift import cleaned, sampled
from tests.taxi import CONTRACT

SIZE = 1_000
SEEDS = range(1, 7)
TRAINED_ON = list(month_range(Month(2026, 1), Month(2026, 3)))
LATER = list(month_range(Month(2026, 4), Month(2026, 6)))
EVERY = 4
"""Of so many steady windows of real months one is broken on purpose."""

Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Windows:
    """How many were judged, how many quarantined, and the largest share of what is allowed that any used up."""

    judged: int
    quarantined: int
    most_strained: tuple[float, str]


def _some(rows: pd.DataFrame, share: float) -> "pd.Series[bool]":
    return pd.Series(np.random.default_rng(1).random(len(rows)) < share, index=rows.index)


def _kilometres(rows: pd.DataFrame, share: float = 1) -> pd.DataFrame:
    miles = rows["trip_distance"]
    return rows.assign(trip_distance=miles.mask(_some(rows, share), miles * 1.609344))


def _lasting(rows: pd.DataFrame, factor: float) -> pd.DataFrame:
    return rows.assign(**{TARGET: rows[TARGET] * factor})


def _from_the_middle(rows: pd.DataFrame) -> pd.DataFrame:
    middle = len(rows) // 2
    return pd.concat([rows.iloc[:middle], _kilometres(rows.iloc[middle:])])


CHANGES: dict[str, tuple[bool, Change]] = {
    "as it is": (False, lambda rows: rows),
    "40 % slower": (False, lambda rows: _lasting(rows, 1 / 0.6)),
    "40 % faster": (False, lambda rows: _lasting(rows, 1 / 1.4)),
    "kilometres": (True, _kilometres),
    "kilometres in the second half": (True, _from_the_middle),
    "half of the rows in kilometres": (True, lambda rows: _kilometres(rows, 0.5)),
    "seconds for minutes": (True, lambda rows: _lasting(rows, 60)),
    "half without passengers": (
        True,
        lambda rows: rows.assign(passenger_count=rows["passenger_count"].mask(_some(rows, 0.5), 0)),
    ),
    "passengers always 1": (True, lambda rows: rows.assign(passenger_count=1)),
    "one distance": (True, lambda rows: rows.assign(trip_distance=2.5)),
    "one pickup zone": (True, lambda rows: rows.assign(pickup_location_id=264)),
}
"""Whether it is broken data, and how to do it to a window."""
OTHER_SIZES = (200, 5_000)
TRIED_ON_THEM = ("as it is", "40 % slower", "kilometres", "half without passengers")


def reference_of(trips: pd.DataFrame) -> pd.DataFrame:
    """What a version fitted on these trips keeps of them."""
    training = Training()
    until = trips["event_at"].max() - pd.Timedelta(days=training.holdout_days)
    fitted = trips[trips["event_at"] <= until]
    return fitted.iloc[evenly(len(fitted), min(training.reference_rows, len(fitted)))]


def windows_of(trips: pd.DataFrame, size: int, every: int = 1) -> list[pd.DataFrame]:
    starts = range(0, len(trips) - size + 1, size)
    return [trips.iloc[start : start + size] for start in starts][::every]


def quality_of(window: pd.DataFrame, history: OwnHistory) -> Quality:
    """Of a window of which everything is predicted and labelled."""
    miles = CONTRACT.features["trip_distance"]
    taken = miles.contains(window["trip_distance"].to_numpy()) & (window[TARGET] <= CONTRACT.target.accepts.high)
    parts = [window[taken].iloc[slice(*bounds)] for bounds in split(int(taken.sum()))]
    labelled = [(part, "labelled trips") for part in parts]
    return judged(labelled + [(part.drop(columns=TARGET), "predictions") for part in parts], history)


def study(reference: pd.DataFrame, windows: Sequence[pd.DataFrame], change: Change) -> list[Quality]:
    first, last = split(len(windows[0]))[0]
    history = OwnHistory.of(reference, last - first, profiler_of(CONTRACT))
    return [quality_of(change(window), history) for window in windows]


def summary(found: Sequence[Quality]) -> Windows:
    strains = [(used, name) for one in found for name, used in one.strain.items()]
    return Windows(len(found), sum(bool(one.findings) for one in found), max(strains, default=(0.0, "-")))


def made_up(
    scenario: Scenario, by: float | None, size: int, seeds: Sequence[int] = SEEDS, trips_per_month: int = 30_000
) -> Windows:
    """A change of the made-up city itself, as large as the scenario's own without `by`."""
    found: list[Quality] = []
    for seed in seeds:
        reference = reference_of(sampled(TRAINED_ON, trips_per_month=trips_per_month, seed=seed))
        later = sampled(LATER, trips_per_month=trips_per_month, seed=seed, scenario=scenario, by=by)
        found += study(reference, windows_of(later, size), CHANGES["as it is"][1])
    return summary(found)


def quarters(directory: Path) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """What a version of each three real months keeps of them, and the three months after those."""
    for number in range(5):
        first = Month(2022, 1).plus(3 * number)
        before, after = month_range(first, first.plus(2)), month_range(first.plus(3), first.plus(5))
        yield reference_of(cleaned(directory, before)), cleaned(directory, after)


def real(known: Sequence[tuple[pd.DataFrame, pd.DataFrame]], change: str, size: int) -> Windows:
    every = 1 if change == "as it is" else EVERY
    return summary(
        [
            one
            for reference, later in known
            for one in study(reference, windows_of(later, size, every), CHANGES[change][1])
        ]
    )


def _print(what: str, broken: bool, found: Windows) -> None:
    wanted, (used, measure) = "quarantine" if broken else "none", found.most_strained
    print(f"{what:44} {wanted:11} {found.quarantined:5} of {found.judged:5}   {used:5.2f} {measure}", flush=True)


def main() -> None:
    print(f"\n{'windows of live traffic':44} {'remedy':11} {'quarantined':>14}   most strained")
    scenarios: list[tuple[Scenario, float | None, bool]] = [
        ("steady", None, False),
        ("speed", -0.25, False),
        ("mix", 0.4, False),
        ("bad_day", None, False),
        ("unit", None, True),
        ("nulls", None, True),
    ]
    for scenario, by, broken in scenarios:
        _print(f"made-up, {scenario}, of {SIZE}", broken, made_up(scenario, by, SIZE))
    directory = os.environ.get("AUTOOPS_TLC_DIR")
    if not directory:
        print("AUTOOPS_TLC_DIR is not set: windows of real months were not studied.")
        return
    known = list(quarters(Path(directory)))
    tried = [(change, SIZE) for change in CHANGES] + list(product(TRIED_ON_THEM, OTHER_SIZES))
    for change, size in tried:
        _print(f"real, {change}, of {size}", CHANGES[change][0], real(known, change, size))


if __name__ == "__main__":
    main()
