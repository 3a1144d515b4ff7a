"""How often ordinary traffic raises an alarm, and how soon a real change does: `scripts/bench.sh drift`.

On sampled months with their cycles and shocks, and, where AUTOOPS_TLC_DIR names a folder of them, on the real months
of 2022-01 to 2023-06. A champion is trained on three months by the code that trains every version; windows of
consecutive trips that it has not seen are then judged, predictions and errors both, and so are whole months in thirds.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from pathlib import Path

import pandas as pd
from scipy.stats import poisson

from autoops.drift.monitor import DriftVerdict, Reference, judge, thinned
from autoops.drift.thresholds import Thresholds
from autoops.ingestion.source import file_name
from autoops.loop.data.sub_windows import split
from autoops.loop.decide.policy import JudgedWindow, decide
from autoops.models.bundle import Manifest
from autoops.months import NEW_YORK, Month, month_range
from autoops.settings import Drift, Model, Training
from autoops.training.train import Trained
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import Scenario, write_sample
from tests.taxi import CONTRACT, calibrate, feature_matrix, train

TRAINED_ON = [Month(2026, 1), Month(2026, 2), Month(2026, 3)]
LEFT_OUT_WEEKS = (2, 6, 10)
"""Of each three real months, by number from 0: neither trained nor calibrated on."""

SPEEDS = (0.75, 0.8, 0.9, 1.1, 1.25, 1.4)
THINNED = 14
"""Of so many real trips one is sent: a thousand of these cover a week."""


@dataclass(frozen=True)
class Champion:
    trained: Trained
    reference: Reference
    thresholds: Thresholds
    drift: Drift

    def verdicts(self, trips: pd.DataFrame, labels_only: bool = False) -> list[DriftVerdict]:
        """Of consecutive windows. With `labels_only` nothing but loss is judged."""
        rows, size = self._predicted(trips), self.drift.window_size
        starts = range(0, len(rows) - size + 1, size)
        return [self._verdict(rows.iloc[start : start + size], labels_only) for start in starts]

    def verdicts_of_months(self, trips: pd.DataFrame) -> list[DriftVerdict]:
        """Of months as they are published: in thirds of their time."""
        rows, size = self._predicted(trips), self.drift.window_size
        return [self._verdict(thinned(part, size)) for month in months_of(rows) for part in thirds(month, size)]

    def _predicted(self, trips: pd.DataFrame) -> pd.DataFrame:
        inputs = feature_matrix(columns_of(trips), self.trained.encoder.features)
        return trips.assign(prediction=self.trained.model.predict(inputs))

    def _verdict(self, window: pd.DataFrame, labels_only: bool = False) -> DriftVerdict:
        current = window[:0] if labels_only else window
        return judge(self.reference, self.thresholds, manifest_of(self.trained), current, window, self.drift)


def manifest_of(trained: Trained) -> Manifest:
    """Return the manifest of a model that no bundle holds."""
    encoder = trained.encoder
    return Manifest(
        encoder.features, trained.importances, trained.trained_until, encoder.contract, encoder.vocabularies, {}
    )


def champion_of(trips: pd.DataFrame, model: Model | None = None, drift: Drift | None = None) -> Champion:
    drift = drift or Drift()
    trained = train(trips, model or Model(), Training())
    thresholds = calibrate(trained.history, trained.holdout, trained.reference, trained.encoder.features, drift)
    window = trained.reference[trained.reference["part"] == "window"]
    return Champion(trained, Reference(window, trained.holdout, CONTRACT), thresholds, drift)


def cleaned(directory: Path, months: Iterable[Month]) -> pd.DataFrame:
    return pd.concat([clean(directory / file_name(month), month).rows for month in months], ignore_index=True)


def sampled(
    months: Sequence[Month], *, trips_per_month: int, seed: int, scenario: Scenario = "steady", by: float | None = None
) -> pd.DataFrame:
    with tempfile.TemporaryDirectory(prefix="autoops-bench-") as folder:
        directory = Path(folder)
        write_sample(directory, months, trips_per_month=trips_per_month, seed=seed, scenario=scenario, magnitude=by)
        return cleaned(directory, months)


def months_of(trips: pd.DataFrame) -> list[pd.DataFrame]:
    local = trips["event_at"].dt.tz_convert(NEW_YORK)
    return [month for _, month in trips.groupby(local.dt.strftime("%Y-%m"))]


def thirds(month: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    rows = [span.rows for span in split(columns_of(month)["event_at"], size)]
    return [month.iloc[end - count : end] for count, end in zip(rows, accumulate(rows), strict=True)]


def incidents(verdicts: Sequence[DriftVerdict], drift: Drift) -> int:
    """How many the policy opens, each closed before the next window and the model as it was."""
    opened: list[datetime | None] = []
    windows: list[JudgedWindow] = []
    for verdict in verdicts:
        assert verdict.event_from
        assert verdict.event_until
        windows.insert(0, JudgedWindow(verdict.findings, verdict.event_from, verdict.event_until))
        decision = decide(windows, None, opened[-1] if opened else None, drift)
        if decision.action == "open incident":
            opened.append(decision.evidence_start)
    return len(opened)


def alarming(verdicts: Sequence[DriftVerdict]) -> int:
    return sum(verdict.alarm for verdict in verdicts)


def within_two(verdicts: Sequence[DriftVerdict]) -> float:
    """Share of runs that alarm in one of their first two windows, a run beginning at each window but the last."""
    runs = list(pairwise(verdicts))
    return sum(one.alarm or other.alarm for one, other in runs) / len(runs)


def allowed(verdicts: Sequence[DriftVerdict], champion: Champion) -> int:
    """Most incidents that do not contradict the configured yearly rate, one-sided at 95 %."""
    years = len(verdicts) / champion.thresholds.windows_per_year
    return int(poisson.ppf(0.95, champion.drift.false_alarms_per_year * years))


def slowed(trips: pd.DataFrame, speed: float) -> pd.DataFrame:
    """The same trips at `speed` times their speed."""
    return trips.assign(**{TARGET: trips[TARGET] / speed})


def quarters(directory: Path) -> Iterator[tuple[Champion, list[pd.DataFrame], Month]]:
    """Of each three real months: the champion that saw all but the left-out weeks, and those weeks."""
    for number in range(6):
        first = Month(2022, 1).plus(3 * number)
        trips = cleaned(directory, month_range(first, first.plus(2)))
        week = (trips["event_at"] - pd.Timestamp(first.starts_at)).dt.days // 7
        seen = trips[~week.isin(LEFT_OUT_WEEKS)].reset_index(drop=True)
        yield champion_of(seen), [trips[week == left_out] for left_out in LEFT_OUT_WEEKS], first


def _print_row(name: str, verdicts: Sequence[DriftVerdict], note: str) -> None:
    by_detector = {
        name: sum(result.alarm for verdict in verdicts for result in verdict.detectors if result.name == name)
        for name in ("data drift", "prediction drift", "loss")
    }
    detail = "   ".join(f"{count:>6}" for count in by_detector.values())
    print(f"{name:44} {len(verdicts):>7} {alarming(verdicts):>7}   {detail}   {note}", flush=True)


def _at_most(verdicts: Sequence[DriftVerdict], champion: Champion) -> str:
    return f"{_opened(verdicts)}, <= {allowed(verdicts, champion)} allowed"


def _found(verdicts: Sequence[DriftVerdict]) -> str:
    return f"{within_two(verdicts):.0%} within two"


def _opened(verdicts: Sequence[DriftVerdict]) -> str:
    count = incidents(verdicts, Drift())
    return f"{count or 'no'} incident{'' if count == 1 else 's'}"


def _print_head(title: str) -> None:
    print(f"\n{title:44} {'windows':>7} {'alarms':>7}   {'data':>6}   {'predic':>6}   {'loss':>6}")


def _sample_study() -> None:
    _print_head("sampled months, 30000 trips each")
    for seed in (1, 2, 3):
        champion = champion_of(sampled(TRAINED_ON, trips_per_month=30_000, seed=seed))
        later = list(month_range(Month(2026, 4), Month(2026, 10)))
        unseen = sampled(later, trips_per_month=30_000, seed=seed)
        steady, months = champion.verdicts(unseen), champion.verdicts_of_months(unseen)
        _print_row(f"steady, seed {seed}", steady, _at_most(steady, champion))
        _print_row(f"steady, seed {seed}, thirds of months", months, _at_most(months, champion))
        changes: list[tuple[Scenario, float]] = [("speed", -0.1), ("speed", 0.1), ("mix", 0.4), ("unit", 1.609344)]
        for scenario, by in changes:
            trips = sampled(later[:2], trips_per_month=30_000, seed=seed, scenario=scenario, by=by)
            verdicts = champion.verdicts(trips)
            _print_row(f"{scenario} {by:+g}, seed {seed}", verdicts, _found(verdicts))
            months = champion.verdicts_of_months(trips)
            _print_row(f"{scenario} {by:+g}, seed {seed}, thirds of months", months, _found(months))


def _real_study(directory: Path) -> None:
    left_out: list[DriftVerdict] = []
    thinned: list[DriftVerdict] = []
    changed: dict[float, list[DriftVerdict]] = {speed: [] for speed in SPEEDS}
    _print_head("real months, full traffic")
    for champion, weeks, first in quarters(directory):
        for week in weeks:
            left_out += champion.verdicts(week)
            for speed in SPEEDS:
                changed[speed] += champion.verdicts(slowed(week, speed), labels_only=True)
        later = [
            month for month in month_range(first.plus(3), first.plus(5)) if (directory / file_name(month)).exists()
        ]
        if later:
            trips = cleaned(directory, later)
            thinned += champion.verdicts(trips.iloc[::THINNED])
            _print_row(f"{later[0]}..{later[-1]}, later", champion.verdicts(trips), "as they are")
    _print_row(f"all later, one trip in {THINNED}", thinned, "as they are")
    _print_row("weeks left out of 2022-01..2023-06", left_out, _opened(left_out))
    for speed, verdicts in changed.items():
        _print_row(f"the same at {speed:.2f} of their speed", verdicts, _found(verdicts))


def _frozen_study(directory: Path) -> None:
    """What a champion that nobody replaces says to every later real month."""
    _print_head("real months in thirds, one champion")
    last = Month(2023, 6)
    for first in (Month(2022, 1), Month(2022, 11)):
        champion = champion_of(cleaned(directory, month_range(first, first.plus(2))))
        every: list[DriftVerdict] = []
        for month in month_range(first.plus(3), last):
            every += (verdicts := champion.verdicts_of_months(cleaned(directory, [month])))
            _print_row(f"{month}", verdicts, " ".join("alarm" if verdict.alarm else "-" for verdict in verdicts))
        _print_row(f"{first.plus(3)}..{last}, trained from {first}", every, _opened(every))


def main() -> None:
    _sample_study()
    directory = os.environ.get("AUTOOPS_TLC_DIR")
    if directory:
        _real_study(Path(directory))
        _frozen_study(Path(directory))
    else:
        print("\nAUTOOPS_TLC_DIR is not set: real months were not studied.")


if __name__ == "__main__":
    main()
