"""What an installation keeps, through a simulated year of live traffic: growth per day, and the disk once the retention
settings hold it.

Every day brings predictions and labels, hourly checks with their pages, and log files of Airflow; now and then a
version and a month. Then the steps of the DAG `prune` run. Rows and the ledger are real, on SQLite; pages, models,
months and logs are files of the sizes that real ones have, without contents.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
import uuid_utils

from autoops.backtest.registry import LocalRegistry
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.source import DirectorySource
from autoops.ingestion.store import IngestedMonth, MonthStore
from autoops.loop import housekeeping
from autoops.loop.context import Context
from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger
from autoops.models.registry import CHAMPION, PREVIOUS
from autoops.months import Month
from autoops.services.airflow_records import delete_logs
from autoops.settings import Settings, load_settings
from autoops.storage import database, tables
from autoops.storage.instances import Instances
from autoops.storage.predictions import LIVE, Label, LoggedPrediction, PredictionLog
from tests.fakes import HeldClock

BEGINS_AT = datetime(2025, 1, 1, tzinfo=UTC)
KINDS = ("rows and ledger", "reports", "MLflow: reports", "MLflow: models", "months", "logs of Airflow")


@dataclass(frozen=True)
class Load:
    """What a day brings. Sizes in bytes: of a page, of a version in MLflow, of a cleaned month, of a day's logs."""

    predictions: int = 2_000
    checks: int = 24
    pages: int = 2
    page: int = 3_700_000
    version_every_days: int = 7
    version: int = 70_000_000
    month_every_days: int = 30
    month: int = 1_200_000
    logs: int = 3_200_000


class SizedRegistry(LocalRegistry):
    """Also keeps the files of checks, as MLflow does."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.checks = directory / "checks"

    def log_check(self, name: str, metrics: Mapping[str, float], tags: Mapping[str, str], files: Sequence[Path]) -> str:
        (self.checks / name).mkdir(parents=True)
        for file in files:
            sized(self.checks / name / file.name, file.stat().st_size)
        return super().log_check(name, metrics, tags, files)

    def delete_checks(self, before: datetime) -> int:
        old = [folder for folder in self.checks.glob("*") if folder.name[-15:] < f"{before:%Y%m%dT%H%M%S}"]
        for folder in old:
            shutil.rmtree(folder)
        return len(old)


class SizedStore(MonthStore):
    """Months that are only files."""

    def months(self) -> list[IngestedMonth]:
        paths = sorted(self._directory.glob("????-??.parquet"))
        return [IngestedMonth(Month.parse(path.stem), path, 1, 1, {}, "", None, None) for path in paths]  # type: ignore[arg-type]


@dataclass(frozen=True)
class Installation:
    home: Path
    clock: HeldClock
    registry: SizedRegistry
    context: Context

    @classmethod
    def on(cls, settings: Settings) -> "Installation":
        home, clock = settings.storage.home, HeldClock(BEGINS_AT)
        registry, engine = SizedRegistry(home / "registry"), database.connect(settings)
        database.upgrade(engine)
        for folder in ("published", "months", "logs"):
            (home / folder).mkdir(parents=True)
        context = Context(
            settings=settings,
            clock=clock,
            source=DirectorySource(home / "published"),
            store=SizedStore(home / "months", cleaner_of(settings.contract)),
            registry=registry,
            log=PredictionLog(engine),
            instances=Instances(engine),
            ledger=Ledger(engine, clock),
            checks=CheckLog(engine, clock),
        )
        return cls(home, clock, registry, context)

    def live(self, day: int, load: Load) -> None:
        """One day."""
        if day % load.version_every_days == 0:
            self._train(load.version)
        if day % load.month_every_days == 0:
            month = Month(2020 + day // load.month_every_days // 12, day // load.month_every_days % 12 + 1)
            sized(self.home / "months" / f"{month}.parquet", load.month)
        last, label = self._serve(load.predictions)
        for number in range(load.checks):
            self._check(load.page if number < load.pages else None, last, label)
            self.clock.advance(seconds=86_400 / load.checks)
        log = sized(self.home / "logs" / f"{day}.log", load.logs)
        os.utime(log, (self.clock.now().timestamp(),) * 2)

    def prune(self) -> None:
        """What the DAG `prune` does, but for Airflow's database."""
        housekeeping.prune(self.context)
        if (days := self.context.settings.storage.airflow_days) is not None:
            delete_logs(self.home / "logs", self.clock.now() - timedelta(days=days))

    def sizes(self) -> dict[str, int]:
        """Bytes by kind."""
        with self.context.log.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        folders = (self.home / "reports", self.registry.checks, self.home / "registry", self.home / "months")
        database_files = sum(file.stat().st_size for file in self.home.glob("autoops.db*"))
        reports, checks, registry, months, logs = map(size_of, (*folders, self.home / "logs"))
        return dict(zip(KINDS, (database_files, reports, checks, registry - checks, months, logs), strict=True))

    def _train(self, size: int) -> None:
        with tempfile.TemporaryDirectory(dir=self.home) as bundle:
            sized(Path(bundle) / "model.onnx", size)
            version = self.registry.adopt(Path(bundle), {"trained_until": self.clock.now().isoformat()}).number
        ledger = self.context.ledger
        ledger.record("trained", "for the simulation", actor="growth", model_version=version)
        if champion := self.registry.by_alias(CHAMPION):
            self.registry.set_alias(PREVIOUS, champion.number)
        self.registry.set_alias(CHAMPION, version)
        self.registry.tag(version, {"promoted_at": self.clock.now().isoformat()})
        evidence = {"replaced": champion.number if champion else None}
        ledger.record("promoted", "for the simulation", actor="growth", model_version=version, evidence=evidence)

    def _serve(self, count: int) -> tuple[str, int]:
        now, champion = self.clock.now(), self.registry.by_alias(CHAMPION)
        assert champion is not None
        row = LoggedPrediction("", None, now, now, champion.number, LIVE, (2.5, 1, 74, 75), 12.0)
        made_at = int(now.timestamp() * 1000) * 1_000_000
        rows = [replace(row, id=str(uuid_utils.uuid7(nanoseconds=made_at))) for _ in range(count)]
        rows.sort(key=lambda one: one.id)
        self.context.log.append(rows)
        self.context.log.attach([Label(12.5, prediction_id=one.id) for one in rows], now)
        with self.context.log.engine.connect() as connection:
            label = connection.scalar(tables.ground_truth.select().with_only_columns(_NEWEST_LABEL))
        return rows[-1].id, int(label or 0)

    def _check(self, page: int | None, last: str, label: int) -> None:
        champion, context = self.registry.by_alias(CHAMPION), self.context
        assert champion is not None
        verdict = "no new data" if page is None else "no drift"
        if page is not None:
            name = f"check-v{champion.number}-{self.clock.now():%Y%m%dT%H%M%S}"
            (context.reports / name).mkdir(parents=True)
            file = sized(context.reports / name / "drift.html", page)
            self.registry.log_check(name, {}, {}, [file])
        ends = {"last_prediction_id": last, "last_label_id": label, "event_from": None, "event_until": None}
        check = {"verdict": verdict, "alarm": False, "reason": "simulated", "report": {"detectors": []}}
        context.checks.append(model_version=champion.number, **ends, **check)


_NEWEST_LABEL = sa.func.max(tables.ground_truth.c.id)


def sized(path: Path, size: int) -> Path:
    """A file of this size that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def simulate(settings: Settings, days: int, load: Load, progress: bool = False) -> list[dict[str, int]]:
    """Bytes by kind after each day, once pruned. `settings.storage.home` is made."""
    installation, found = Installation.on(settings), []
    for day in range(days):
        installation.live(day, load)
        installation.prune()
        found.append(installation.sizes())
        if progress and day % 30 == 29:
            print(f"day {day + 1}: {sum(found[-1].values()) / 1e6:.0f} MB", file=sys.stderr, flush=True)
    return found


def table(unpruned: Sequence[Mapping[str, int]], pruned: Sequence[Mapping[str, int]]) -> str:
    """Markdown: growth per day without pruning, and MB after a half and after the whole with it."""
    days, half = len(unpruned), len(pruned) // 2
    lines = [
        f"| what | MB a day | MB after {half} days | after {len(pruned)} |",
        "|---|---|---|---|",
    ]
    for kind in (*KINDS, "all"):
        grown, middle, end = (
            sum(sizes[name] for name in KINDS if kind in (name, "all"))
            for sizes in (unpruned[-1], pruned[half - 1], pruned[-1])
        )
        lines.append(f"| {kind} | {grown / days / 1e6:.2f} | {middle / 1e6:.0f} | {end / 1e6:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=730, help="of the simulation that prunes (default: two years)")
    parser.add_argument("--predictions", type=int, default=Load.predictions, help="a day")
    arguments = parser.parse_args()
    load, loaded = Load(predictions=arguments.predictions), load_settings()
    with tempfile.TemporaryDirectory(prefix="autoops-growth-") as folder:
        kept = dict.fromkeys(("retention_days", "reports_days", "versions_days", "months_kept", "airflow_days"))
        storage = loaded.storage.model_copy(update={"home": Path(folder) / "pruned", "url": None})
        nothing = storage.model_copy(update={"home": Path(folder) / "all", **kept})
        unpruned = simulate(loaded.model_copy(update={"storage": nothing}), 60, load)
        pruned = simulate(loaded.model_copy(update={"storage": storage}), arguments.days, load, progress=True)
    print(table(unpruned, pruned))


if __name__ == "__main__":
    main()
