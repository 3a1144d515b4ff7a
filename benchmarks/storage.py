"""What the queries of the loop and `prune` cost on a log of any size: `scripts/bench.sh storage`.

A log is made inside the database (tests/large_log.py says what is in it), and the public functions run on it. Printed
are the seconds of each, and what the log takes on the disk; with --rows also at other sizes than 0.1 and 1 million.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from autoops.loop.data import labelled_log
from autoops.loop.data.label_lag import lag_of
from autoops.loop.data.retention import prune
from autoops.loop.data.windows import live_window
from autoops.models.registry import champion_of
from autoops.settings import Settings, Storage
from autoops.storage import database
from autoops.storage.predictions import LIVE, LogSelection
from tests.large_log import LABELLED, context_on, fill
from tests.postgres import PostgresServer

WINDOW = 1_000
SIZES = [100_000, 1_000_000]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, action="append", help="predictions; default: 100000 and 1000000")
    parser.add_argument("--on", choices=["sqlite", "postgresql"], action="append")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    for backend in options.on or ["sqlite", "postgresql"]:
        for rows in options.rows or SIZES:
            with tempfile.TemporaryDirectory() as folder, settings_on(backend, Path(folder)) as settings:
                print(f"{backend}, {rows:,} predictions, {int(rows * LABELLED):,} labels", flush=True)
                measure(settings, Path(folder), rows)


@contextmanager
def settings_on(backend: str, home: Path) -> Iterator[Settings]:
    if backend == "sqlite":
        yield Settings(storage=Storage(home=home / "var"))
        return
    with PostgresServer() as server:
        yield Settings(storage=Storage(home=home / "var", url=server.new_database()))


def measure(settings: Settings, home: Path, rows: int) -> None:
    engine = database.connect(settings)
    database.upgrade(engine)
    log = fill(engine, rows)
    before = size_of(engine)
    context = context_on(engine, settings, home, log, champion=3)
    champion = champion_of(context.registry)
    window = live_window(context, champion, WINDOW)
    timed("newest window", lambda: context.log.latest(LogSelection(2, LIVE), WINDOW))
    timed("newest labelled window", lambda: context.log.latest_labelled(LogSelection(2, LIVE), WINDOW))
    timed("first check after a promotion", lambda: live_window(context, champion, WINDOW))
    timed("label lag of a window", lambda: lag_of(context, window))
    timed("one prediction by request id", lambda: context.log.find("ride-1"))
    timed("how far labels reach", lambda: labelled_log.labelled_until(context))
    timed("months with labels", lambda: labelled_log.logged_months(context))
    timed("count of a version's predictions", lambda: context.log.count(LogSelection(2, LIVE)))
    timed("prune of a tenth, without its pauses", lambda: prune(context, log.at(0.1), pause=lambda _: None))
    sizes = f"{before / 1e6:,.0f} MB, after prune {size_of(engine) / 1e6:,.0f} MB"
    print(f"  {before / rows:,.0f} bytes a prediction with its label; {sizes}")
    engine.dispose()


def timed(what: str, action: Callable[[], Any]) -> None:
    began = time.perf_counter()
    action()
    print(f"  {what:40} {time.perf_counter() - began:9.4f} s", flush=True)


def size_of(engine: sa.Engine) -> int:
    """Bytes on the disk, with SQLite's write-ahead log."""
    if engine.dialect.name == "sqlite":
        return sum(file.stat().st_size for file in Path(str(engine.url.database)).parent.glob("autoops.db*"))
    with engine.connect() as connection:
        return int(connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)


if __name__ == "__main__":
    main()
