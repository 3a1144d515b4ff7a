"""What an API loses and doubles that is killed under load, again and again: `scripts/bench.sh durability`.

Each round starts a real process in the same home, loads it over eight connections, and ends it with `kill -9` at a
random moment. A request that the kill cut off is sent again if it has a request id. On PostgreSQL the server is stopped
and started in between, as a crash and as a shutdown, so that processes start, serve and die with and without it. At the
end the last process is asked to stop, and what was acknowledged is held against what the log has.
"""

import argparse
import asyncio
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoops.settings import Settings, Storage
from autoops.storage import database
from benchmarks.api import Api
from tests.bundles import small_training_run
from tests.fakes import DirectoryRegistry
from tests.load import Acknowledged, Figures, ask_until_killed
from tests.postgres import FAST, IMMEDIATE, PostgresServer

KILLS = 50
LOAD_S = (0.3, 2.0)
"""From the moment when a process is ready until it is killed."""

AWAY_S = THERE_S = (0.5, 6.0)
"""How long PostgreSQL is away, and how long it is there."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--on", choices=["sqlite", "postgresql"], action="append")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {options.kills} x kill -9 under load", flush=True)
    perfect = True
    for backend in options.on or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory() as folder:
            perfect &= run(backend, Path(folder), options.kills, random.Random(options.seed))
    raise SystemExit(0 if perfect else 1)


def run(backend: str, home: Path, kills: int, chance: random.Random) -> bool:
    """Prints the figures of one backend; True: nothing was lost, nothing doubled."""
    registry = DirectoryRegistry(home / "registry")
    registry.directory.mkdir()
    registry.register(small_training_run(home / "run"))
    registry.set_alias("champion", 1)
    load = Acknowledged()
    if backend == "sqlite":
        settings = Settings(storage=Storage(home=home / "var"))
        kill_again_and_again(Api(home, registry, settings), load, kills, chance)
        return report(backend, load, settings, outages=0)
    with PostgresServer() as server:
        settings = Settings(storage=Storage(home=home / "var", url=server.new_database()))
        Api(home, registry, settings).start().stop()
        with going_and_coming(server, random.Random(chance.random())) as outages:
            kill_again_and_again(Api(home, registry, settings), load, kills, chance)
        Api(home, registry, settings).start().stop()
        return report(backend, load, settings, outages=len(outages))


def kill_again_and_again(api: Api, load: Acknowledged, kills: int, chance: random.Random) -> None:
    for _ in range(kills):
        process = api.start()
        killer = threading.Timer(chance.uniform(*LOAD_S), process.kill)
        killer.start()
        asyncio.run(ask_until_killed(process.url, load))
        killer.join()


@contextmanager
def going_and_coming(server: PostgresServer, chance: random.Random) -> Iterator[list[float]]:
    """Stops and starts the server while the block runs; the seconds of each outage."""
    outages: list[float] = []
    over = threading.Event()

    def go() -> None:
        while not over.wait(chance.uniform(*THERE_S)):
            began = time.monotonic()
            server.stop(chance.choice((FAST, IMMEDIATE)))
            over.wait(chance.uniform(*AWAY_S))
            server.start()
            outages.append(time.monotonic() - began)

    going = threading.Thread(target=go)
    going.start()
    try:
        yield outages
    finally:
        over.set()
        going.join()


def report(backend: str, load: Acknowledged, settings: Settings, outages: int) -> bool:
    engine = database.connect(settings)
    figures: Figures = load.figures(engine)
    left = len(list((settings.storage.home / "outbox").glob("*.db")))
    print(
        f"{backend}: {outages} outages of the database\n"
        f"  predictions  {figures.acknowledged:6} acknowledged, {figures.lost} lost, {figures.duplicated} duplicated\n"
        f"  labels       {figures.labels:6} acknowledged, {figures.labels_lost} lost,"
        f" {figures.labels_duplicated} duplicated\n"
        f"  refused with 503: {load.refused}; outboxes left: {left}",
        flush=True,
    )
    engine.dispose()
    return figures.perfect


if __name__ == "__main__":
    main()
