"""The right remedy for each kind of change: `scripts/bench.sh remedies` (--seeds, --scenario, --jobs, --json).

A made-up city for each seed goes through the loop itself, in one process and with production's own code: three steady
months train version 1, and then months are published one after another. At each publication the monitor checks until
nothing is left to judge, and what it says should be retrained goes through the steps of the retrain DAG. The first of
these months is steady, the second brings the change. What the right remedy is stands in `remedy_cases`.
"""

import argparse
import multiprocessing
import multiprocessing.connection
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoops import console
from autoops.backtest.calendar import Step
from autoops.backtest.challengers import Challengers
from autoops.backtest.installation import Installation, Retraining, installed
from autoops.backtest.policies import AutoOps
from autoops.backtest.processes import serve_the_parent
from autoops.backtest.served import Served
from autoops.backtest.study import on_history
from autoops.errors import NoChampion
from autoops.ingestion.source import DirectorySource
from autoops.ingestion.store import MonthStore
from autoops.loop.data.validation import QUARANTINED
from autoops.loop.monitor.actions import PAGE
from autoops.loop.retrain import retraining
from autoops.models.registry import champion_of
from autoops.months import month_range
from autoops.settings import Model, Settings, Training
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import write_sample
from benchmarks.remedy_cases import CASES, CHANGES_FROM, FIRST, RIGHT, TRAINED_UNTIL, Case, Played, right


def play(case: Case, seed: int, trips_per_month: int, workspace: Path) -> Played:
    """The cases of a seed share the workspace, since their version 1 is the same."""
    place = workspace / f"seed-{seed}"
    raw, home = place / "raw" / case.scenario, place / "home" / case.scenario
    _write(raw, case, seed, trips_per_month)
    source, challengers = DirectorySource(raw), Challengers(place / "challengers")
    with installed(settings(), home, source, FIRST, TRAINED_UNTIL, challengers) as installation:
        first = installation.retrain(reason="first model")
        if not first.promoted:
            raise NoChampion(f"the first version is not promoted: {first.reason}")
        done: list[Retraining] = []
        for month in case.published:
            installation.clock.move_to(month.ends_at)
            installation.source.publish(month)
            done += AutoOps().act(installation, Step(month, month))
        store = MonthStore(place / "ahead" / case.scenario, clean)
        store.ingest(source, case.ahead)
        played = _played(case, seed, installation, Served(store, place / "errors"), done)
    shutil.rmtree(raw)
    return played


def settings() -> Settings:
    """The defaults, but for fewer trees on one core, and no refreshes: those come by the calendar, change or not."""
    model = Model(parameters=Model().parameters | {"n_estimators": 30, "n_jobs": 1})
    return on_history(Settings(model=model, training=Training(retrain_after_months=0)))


def _write(raw: Path, case: Case, seed: int, trips: int) -> None:
    changed = [*month_range(CHANGES_FROM, min(case.ahead, CHANGES_FROM.plus(case.changed_months - 1)))]
    steady = [month for month in month_range(FIRST, case.ahead) if month not in changed]
    write_sample(raw, steady, trips_per_month=trips, seed=seed)
    write_sample(raw, changed, trips_per_month=trips, seed=seed, scenario=case.scenario)


def _played(case: Case, seed: int, installation: Installation, served: Served, done: Sequence[Retraining]) -> Played:
    context, ledger = installation.context, installation.context.ledger
    last, own = champion_of(context.registry), [one for one in ledger.incidents() if one.kind != "manual"]
    return Played(
        case=case.name,
        seed=seed,
        quarantined=[str(entry.evidence["month"]) for entry in ledger.entries(kind=QUARANTINED)],
        incidents_until=sorted(one.evidence_end.isoformat() for one in own if one.evidence_end),
        retrainings=[_told(one) for one in done],
        promoted=sum(one.promoted for one in done),
        rolled_back=len(ledger.entries(kind="rolled back")),
        pages=len(ledger.entries(kind=PAGE)),
        moved=_moved(installation),
        before=served.errors(context, context.registry.version(1), case.ahead).mae,
        after=served.errors(context, last, case.ahead).mae,
        next_retraining=retraining.begin(context, "by hand", reason="by hand, at the end")["months"],
        reasons=[*(one.reason for one in own), *(one.reason for one in done)],
    )


def _told(one: Retraining) -> str:
    what = "retrain" if one.kind == "drift" else one.kind
    return f"{what}, {'promoted' if one.promoted else one.decision}"


def _moved(installation: Installation) -> float:
    checks = installation.context.checks.latest(judged=True, limit=1_000)
    since = [check for check in checks if check.event_from and check.event_from >= CHANGES_FROM.starts_at]
    moved = [any(feature["drifted"] for feature in check.report["features"]) for check in since]
    return sum(moved) / len(moved) if moved else 0.0


def play_all(orders: Sequence[tuple[Case, int, int, Path]], jobs: int) -> Iterator[Played]:
    """As they come to their end."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=serve_the_parent) as pool:
        for future in as_completed([pool.submit(play, *order) for order in orders]):
            yield future.result()


def summarised(case: Case, runs: Sequence[Played]) -> dict[str, Any]:
    found = [right(case, played) for played in runs]
    promoted = [played.after / played.before - 1 for played in runs if played.promoted]
    return {
        "case": case.name,
        "scenario": case.scenario,
        "right": case.right,
        "right_runs": sum(found),
        "runs": [asdict(played) | {"right": good} for played, good in zip(runs, found, strict=True)],
        "came": dict(Counter(played.remedy for played in runs).most_common()),
        "moved": sum(played.moved for played in runs) / len(runs),
        "error_after_promotion": sum(promoted) / len(promoted) if promoted else None,
    }


def _row(summary: dict[str, Any]) -> list[str]:
    gained = summary["error_after_promotion"]
    return [
        summary["case"],
        summary["right"],
        f"{summary['right_runs']} of {len(summary['runs'])}",
        "\n".join(f"{count} × {remedy}" for remedy, count in summary["came"].items()),
        f"{summary['moved']:.0%}",
        "-" if gained is None else f"{gained:+.1%}",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The right remedy for each kind of change.")
    parser.add_argument("--seeds", type=int, default=20, help="cities for each scenario")
    scenarios = [case.scenario for case in CASES]
    parser.add_argument("--scenario", action="append", choices=scenarios, help="may be repeated; default: all")
    parser.add_argument("--trips-per-month", type=int, default=12_000)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    asked = _arguments()
    trips, seeds = asked.trips_per_month, range(1, asked.seeds + 1)
    cases = [case for case in CASES if not asked.scenario or case.scenario in asked.scenario]
    with tempfile.TemporaryDirectory(prefix="autoops-bench-") as folder:
        orders = [(case, seed, trips, Path(folder)) for seed in seeds for case in cases]
        played: list[Played] = []
        with console.progress("playing") as report:
            for one in play_all(orders, asked.jobs):
                played.append(one)
                console.err.print(f"seed {one.seed}, {one.case}: {one.remedy}", highlight=False)
                report(len(played), len(orders))
    played.sort(key=lambda one: one.seed)
    found = [summarised(case, [one for one in played if one.case == case.name]) for case in cases]
    if asked.json:
        about = {"trips_per_month": trips, "seeds": len(seeds), "remedies": RIGHT}
        console.show(about | {"cases": found}, True, "")
        return
    columns = ["change", "right remedy", "right", "what came", "windows with inputs beyond chance", "error then"]
    console.table(f"{len(seeds)} cities of {trips} trips a month", columns, [_row(one) for one in found])


if __name__ == "__main__":
    main()
