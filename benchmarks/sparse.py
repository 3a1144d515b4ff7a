"""Whether tables of one row an hour, or each half hour, are watched: `scripts/bench.sh sparse`.

On made-up tables with a strong day and year, and weeks that resemble each other: bikes (demand), a market (rise or
not), a meter (zeros and negatives) and a pump (one or two stops in a hundred rows). A champion is trained in March and
in September, on three months or on a year, and watched for the three months until a scheduled retraining would replace
it: with the year as it is, and with changes that begin four weeks after its training. What the loop would do then is
measured too: whether the gate lets the challenger through at the end of the incident's month, and what two weeks of
the post-promotion check say. `scripts/bench.sh sparse 2 bikes` takes two seeds, and bikes alone.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from autoops.drift.monitor import DriftVerdict, Reference, judge
from autoops.drift.thresholds import Thresholds
from autoops.ingestion.declared import clean
from autoops.loop.decide import gate, paired_days
from autoops.loop.decide.policy import JudgedWindow, decide
from autoops.months import Month
from autoops.settings import Drift, Gate, Model, Training
from autoops.training import estimator
from autoops.training.train import Trained, train
from autoops.usecase import declaration
from autoops.usecase.calendar import local_days
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.segments import segments_of
from autoops.usecase.tasks import losses
from benchmarks.drift import manifest_of
from tests import sparse_worlds
from tests.taxi import calibrate

WORLDS: Final = {
    "bikes": sparse_worlds.bikes,
    "market": sparse_worlds.market,
    "meter": sparse_worlds.meter,
    "faults": sparse_worlds.faults,
}
FIRST = "2021-01"
MONTHS = 28
"""Of each world: a year before the first champion, and then what it takes to watch the last one."""

TRAINED_UNTIL = [Month(2022, month) for month in (3, 9)]
WATCHED_MONTHS = 3
CHANGES_AFTER_DAYS = 28
SENSOR = {
    "bikes": ("temperature", 10.0),
    "market": ("nswdemand", 0.25),
    "meter": ("clouds", 40.0),
    "faults": ("vibration", 0.8),
}
"""A sensor that shows so much more from then on, while the world stays."""

Rows = pd.DataFrame


@dataclass(frozen=True)
class Case:
    world: str
    seed: int
    window_months: int
    trained_until: Month
    change: str


@dataclass(frozen=True)
class Watched:
    """`days` are those from the change to an incident, and `gate` and `after` are the decisions that follow."""

    case: Case
    windows: int
    alarms: Counter[str]
    incidents: Counter[str]
    blind_to: tuple[str, ...]
    days: float | None = None
    gate: str = ""
    after: str = ""


@cache
def contract_of(world: str) -> Contract:
    return declaration.load(str(Path(__file__).parent.parent / "tests" / "usecases" / world))


@cache
def table(world: str, seed: int, change: str, changes: str | None) -> Rows:
    """Return the world's rows as cleaning makes them of monthly files."""
    made = WORLDS[world](FIRST, MONTHS, changes if change == "relation" else None, seed)
    contract = contract_of(world)
    parts = []
    with tempfile.TemporaryDirectory(prefix="autoops-bench-") as folder:
        times = made[contract.raw_event_time]
        local = times.dt.tz_convert(contract.zone) if times.dt.tz is not None else times
        for name, some in made.groupby(local.dt.strftime("%Y-%m")):
            path = Path(folder) / f"{name}.parquet"
            some.to_parquet(path, index=False)
            parts.append(clean(contract, path, Month.parse(name)).rows)
    rows = pd.concat(parts, ignore_index=True).sort_values("event_at", kind="stable", ignore_index=True)
    return rows if changes is None else changed(rows, world, change, pd.Timestamp(changes, tz=contract.zone))


def changed(rows: Rows, world: str, change: str, at: pd.Timestamp) -> Rows:
    """Return the rows with a change that the world does not make itself."""
    since = (rows["event_at"] >= at).to_numpy()
    if change == "sensor":
        name, by = SENSOR[world]
        return rows.assign(**{name: rows[name] + np.where(since, by, 0.0)})
    if change == "balance":
        draw, target = np.random.default_rng(5), rows[TARGET].to_numpy(dtype=np.float64)
        if contract_of(world).task == "binary":
            # A share of the others become positive, whatever the features.
            base = float(target.mean())
            more = np.maximum(target, draw.random(len(rows)) < 0.5 * base / (1 - base) * (2 if base < 0.1 else 0.6))
            return rows.assign(**{TARGET: np.where(since, more, target)})
        return rows.assign(**{TARGET: np.where(since, target * 1.3, target)})
    return rows


@dataclass(frozen=True)
class Champion:
    trained: Trained
    thresholds: Thresholds

    @classmethod
    def of(cls, rows: Rows, contract: Contract, since: datetime | None = None) -> "Champion":
        trained = train(rows, contract, model_of(contract), Training(), since)
        features = trained.encoder.features
        return cls(trained, calibrate(trained.history, trained.holdout, trained.reference, features, Drift(), contract))

    @property
    def contract(self) -> Contract:
        return self.trained.encoder.contract

    def predicted(self, rows: Rows) -> Rows:
        return rows.assign(prediction=estimator.predict(self.trained.model, rows, self.trained.encoder))

    def losses(self, rows: Rows) -> Any:
        truth = rows[TARGET].to_numpy(dtype=np.float64)
        return losses(self.contract, truth, self.predicted(rows)["prediction"].to_numpy(dtype=np.float64))

    def verdicts(self, rows: Rows) -> Iterator[DriftVerdict]:
        """Yield those of consecutive windows."""
        window = self.trained.reference[self.trained.reference["part"] == "window"]
        reference = Reference(window, self.trained.holdout, self.contract)
        rows, size = self.predicted(rows), self.thresholds.rows_needed(Drift().window_size)
        earlier: list[float] = []
        for start in range(0, len(rows) - size + 1, size):
            some = rows.iloc[start : start + size]
            found = judge(reference, self.thresholds, manifest_of(self.trained), some, some, Drift(), earlier)
            if found.relative_error is not None:
                earlier.insert(0, found.relative_error)
            yield found


def model_of(contract: Contract) -> Model:
    declared = contract.model
    # Small forests: this is about the rules, not about the model.
    parameters = {**(declared.parameters or {}), "n_estimators": 25, "n_jobs": 1}
    return Model(
        name=contract.name, estimator=declared.estimator, parameters=parameters, features=contract.model_features
    )


def months(rows: Rows, contract: Contract, first: Month, last: Month) -> Rows:
    """Return the rows of these months, both included."""
    begin, end = first.starts_in(contract.zone), last.ends_in(contract.zone)
    return rows[(rows["event_at"] >= begin) & (rows["event_at"] < end)].reset_index(drop=True)


@cache
def champion(world: str, seed: int, window_months: int, until: Month) -> Champion:
    contract = contract_of(world)
    return Champion.of(
        months(table(world, seed, "none", None), contract, until.plus(1 - window_months), until), contract
    )


def watch(case: Case) -> Watched:
    contract, until = contract_of(case.world), case.trained_until
    found = champion(case.world, case.seed, case.window_months, until)
    begins = until.ends_in(contract.zone)
    at = begins + timedelta(days=CHANGES_AFTER_DAYS)
    changes = None if case.change == "none" else at.strftime("%Y-%m-%d")
    rows = table(case.world, case.seed, case.change, changes)
    alarms: Counter[str] = Counter()
    incidents: Counter[str] = Counter()
    opened: list[datetime | None] = []
    windows: list[JudgedWindow] = []
    detected = None
    for verdict in found.verdicts(months(rows, contract, until.plus(1), until.plus(WATCHED_MONTHS))):
        assert verdict.event_from
        assert verdict.event_until
        alarms.update(verdict.findings)
        windows.insert(0, JudgedWindow(verdict.findings, verdict.event_from, verdict.event_until))
        decision = decide(windows, None, opened[-1] if opened else None, Drift())
        if decision.action == "open incident":
            opened.append(decision.evidence_start)
            incidents[decision.reason.split("alarmed for ")[1].split(",")[0]] += 1
            if detected is None and verdict.event_until > at and case.change != "none":
                detected = verdict, decision
    seen = Watched(case, len(windows), alarms, incidents, found.thresholds.blind_to(contract))
    if detected is None:
        return seen
    last, decision = detected
    days = (last.event_until - at).total_seconds() / 86_400
    return Watched(
        case,
        seen.windows,
        alarms,
        incidents,
        seen.blind_to,
        days,
        *_afterwards(case, found, rows, decision.evidence_start, last),
    )


def _afterwards(case: Case, old: Champion, rows: Rows, since: datetime | None, last: DriftVerdict) -> tuple[str, str]:
    """Return the gate's decision at the end of the incident's month, and what the check after a promotion says."""
    contract = contract_of(case.world)
    assert last.event_until
    until = Month.of(last.event_until, contract.zone)
    window = months(rows, contract, until.plus(1 - case.window_months), until)
    new = Champion.of(window, contract, since)
    unseen = window[window["event_at"] > max(old.trained.trained_until, new.trained.trained_until)]
    rules = gate.of_cadence(Gate(segments=tuple(contract.segments)), new.thresholds.rows_per_day)
    columns = columns_of(unseen)
    days = local_days(columns["event_at"], contract.zone)
    decided = gate.decide(
        old.losses(unseen), new.losses(unseen), days, rules, segments=segments_of(contract, columns, rules.segments)
    )
    if decided.decision != "promote":
        return f"{decided.decision} ({new.trained.window_choice})", ""
    later = months(rows, contract, until.plus(1), until.plus(2))
    week = later[later["event_at"] < later["event_at"].iloc[0] + timedelta(days=14)]
    by_day = paired_days.by_day(
        local_days(columns_of(week)["event_at"], contract.zone), old.losses(week), new.losses(week)
    )
    return f"promote ({new.trained.window_choice})", paired_days.compare(by_day, rules, 3).decision


def cases(seeds: int, worlds: Sequence[str]) -> list[Case]:
    """Return them ordered by champion, so that a process trains each once."""
    return [
        Case(world, seed, window, until, change)
        for world in worlds
        for seed in range(1, seeds + 1)
        for window in (3, 12)
        for until in TRAINED_UNTIL
        for change in ("none", "sensor", "relation", "balance")
    ]


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(watch, cases(seeds, sys.argv[2:] or tuple(WORLDS)), chunksize=16))
    _print_steady(found)
    _print_changes(found)


def _groups(found: list[Watched], change: str | None = None) -> Iterator[tuple[str, list[Watched]]]:
    for world in WORLDS:
        for window in (3, 12):
            chosen = [
                each
                for each in found
                if each.case.world == world and each.case.window_months == window and each.case.change == change
            ]
            if chosen:
                yield f"{world}, {window} months", chosen


def _print_steady(found: list[Watched]) -> None:
    print(f"{'steady world':22} {'windows':>8} {'alarming':>8} {'incidents a year':>17}   of which; blind to")
    for name, chosen in _groups(found, "none"):
        years = len(chosen) * WATCHED_MONTHS / 12
        kinds = sum((each.incidents for each in chosen), Counter[str]())
        alarms = sum((each.alarms for each in chosen), Counter[str]())
        blind = Counter(what for each in chosen for what in each.blind_to)
        rate = sum(kinds.values()) / years
        print(f"{name:22} {sum(each.windows for each in chosen):>8} {sum(alarms.values()):>8} {rate:>17.1f}   ", end="")
        print(", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none", end="; ")
        print(", ".join(f"{what} {count}/{len(chosen)}" for what, count in blind.items()) or "nothing")


def _print_changes(found: list[Watched]) -> None:
    print(f"\n{'change':32} {'found':>6} {'days':>5}   first alarm types; gate; after two weeks")
    for change in ("sensor", "relation", "balance"):
        for name, chosen in _groups(found, change):
            days = [each.days for each in chosen if each.days is not None]
            kinds = Counter(kind for each in chosen for kind in each.incidents)
            told = [
                Counter(getattr(each, part) for each in chosen if getattr(each, part)) for part in ("gate", "after")
            ]
            texts = [
                ", ".join(f"{count} {what}" for what, count in each.most_common()) or "-" for each in (kinds, *told)
            ]
            median = f"{np.median(days):.0f}" if days else "-"
            print(f"{change + ': ' + name:32} {len(days):>3}/{len(chosen)} {median:>5}   {'; '.join(texts)}")


if __name__ == "__main__":
    main()
