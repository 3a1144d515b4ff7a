"""What swaps cost those who are asking meanwhile, and what they leave behind: `scripts/bench.sh swaps`.

`autoops serve` follows an alias in a real MLflow. Under 32 connections it is watched while nothing else happens and
while the alias moves again and again to a version that is neither loaded nor on disk, in turns, because a machine is
faster in one minute than in another; an answer that is not 200 ends the run. Then it swaps many times in a row, and its
memory, files and threads are counted. `--large` has it swap to a forest of some 500 MB as well, which the default
budget refuses.
"""

import argparse
import math
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

from autoops.models import bundle
from autoops.settings import PREFIX
from benchmarks import machine
from benchmarks.champion import AUTOOPS
from benchmarks.client import Window, ask
from benchmarks.rotation import Rotation, register, requests, rotation, write_bundle
from benchmarks.servers import Running, Server, running
from tests.bundles import small_training_run, synthetic_trips

CONNECTIONS = 32
LARGE_TRIPS, LARGE_FOREST = 250_000, {"n_estimators": 110, "max_depth": None, "min_samples_leaf": 1}
LARGE_BUDGET_MB = 2_000
WINDOW_S = 5.0

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=100, help="under load")
    parser.add_argument("--every", type=float, default=3, help="seconds from one swap to the next")
    parser.add_argument("--before", type=float, default=60, help="seconds of load without a swap")
    parser.add_argument("--turns", type=int, default=6, help="of load without swaps and with them")
    parser.add_argument("--in-a-row", type=int, default=1000)
    parser.add_argument("--large", action="store_true", help="needs some 12 GB of memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with rotation(home) as turns:
            print(f"{described()}; models of {turns.model_mb:.1f} MB", flush=True)
            with api(home, turns) as up:
                if options.swaps:
                    under_load(up, turns, options)
                if options.in_a_row:
                    in_a_row(up, turns, home, options.in_a_row)
            if options.large:
                large(home, turns, options.before)


def described() -> str:
    about = machine.described()
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}, "
        f"Python {about['python']}, load {about['load_before']} at the start, {about['taken_at']}"
    )


@contextmanager
def api(home: Path, turns: Rotation, **settings: object) -> Iterator[Running]:
    """On all cores but the client's, with a folder for temporary files of its own."""
    (home / "tmp").mkdir(exist_ok=True)
    given = {
        "MLFLOW__TRACKING_URI": turns.tracking_uri,
        "STORAGE__HOME": home / "var",
        "SERVING__POLL_INTERVAL_S": 3600,
    } | settings
    environment = {f"{PREFIX}{name}": str(value) for name, value in given.items()} | {"TMPDIR": str(home / "tmp")}
    server = Server(
        "Auto-Ops",
        lambda port: [AUTOOPS, "serve"],
        requests(),
        environment=lambda port: {**environment, f"{PREFIX}SERVING__PORT": str(port)},
    )
    with running(server, machine.cores().many) as up:
        yield up


def swap(up: Running, turns: Rotation, number: int | None = None) -> float:
    """Seconds until the version answers that the alias names now."""
    number = turns.promote(number)
    began = time.perf_counter()
    told = httpx.post(f"http://127.0.0.1:{up.port}/model/reload", timeout=600).json()
    if (told["model_version"], told["outcome"]) != (number, "swapped"):
        raise SystemExit(f"version {number} is not served: {told}")
    return time.perf_counter() - began


def under_load(up: Running, turns: Rotation, options: argparse.Namespace) -> None:
    def swap_in_time(swaps: int) -> list[float]:
        began, took = time.perf_counter(), []
        for number in range(swaps):
            time.sleep(max(0.0, began + number * options.every - time.perf_counter()))
            took.append(swap(up, turns))
        return took

    each, more = divmod(options.swaps, options.turns)
    acts = [partial(swap_in_time, each + (turn < more)) for turn in range(options.turns)]
    print(f"{options.swaps} swaps, one every {options.every:g} s, {CONNECTIONS} connections")
    took = [seconds for some in compare(up, options.before, acts) for seconds in some]
    print(f"  a swap takes {statistics.median(took):.2f} s, at most {max(took):.2f} s", flush=True)


def compare(up: Running, before_s: float, acts: Sequence[Callable[[], T]]) -> list[T]:
    """Prints the load before the acts, in which time each has its share, and during them; the client is a process on a
    core of its own."""
    results: list[T] = []
    before: list[Window] = []
    during: list[Window] = []
    with multiprocessing.get_context("spawn").Pool(1) as client, ThreadPoolExecutor(1) as acting:
        client.apply(_ask, (up.port,))
        for act in acts:
            before += [client.apply(_ask, (up.port,)) for _ in range(math.ceil(before_s / len(acts) / WINDOW_S))]
            action = acting.submit(act)
            while not action.done():
                during.append(client.apply(_ask, (up.port,)))
            results.append(action.result())
    for name, windows in (("before", before), ("during", during)):
        p50, p99 = _percentile(windows, 50), _percentile(windows, 99)
        answers, rate = sum(len(window.seconds) for window in windows), statistics.mean(w.rate for w in windows)
        print(f"  {name}: {answers} answers, 0 failed; {rate:.0f}/s, median {p50:.2f} ms, p99 {p99:.2f} ms")
    print(f"  p99 during / before: {_percentile(during, 99) / _percentile(before, 99):.2f}")
    return results


def _ask(port: int) -> Window:
    with machine.pinned(machine.cores().client):
        return ask([port], requests(), CONNECTIONS, WINDOW_S)


def _percentile(windows: Sequence[Window], percent: int) -> float:
    """In milliseconds, of all requests of the windows."""
    seconds = [each for window in windows for each in window.seconds]
    return statistics.quantiles(seconds, n=100)[percent - 1] * 1e3


def in_a_row(up: Running, turns: Rotation, home: Path, swaps: int) -> None:
    """Without load, as fast as they go."""
    process = psutil.Process(up.process.pid)
    before = _left(process, home)
    megabytes = []
    for _ in range(swaps):
        swap(up, turns)
        megabytes.append(process.memory_info().rss / 1e6)
    third = len(megabytes) // 3
    first, last = statistics.median(megabytes[:third]), statistics.median(megabytes[-third:])
    slope = statistics.linear_regression(range(third, swaps), megabytes[third:]).slope
    print(f"{swaps} swaps in a row, without load")
    print(f"  memory: first third {first:.0f} MB, last third {last:.0f} MB, at most {max(megabytes):.0f} MB")
    print(f"  after the first third it grows by {slope * 1000:.1f} MB in 1000 swaps")
    for name, count in _left(process, home).items():
        print(f"  {name}: {before[name]} before, {count} after", flush=True)


def _left(process: psutil.Process, home: Path) -> dict[str, int]:
    cache = list((home / "var" / "models").iterdir())
    return {
        "open files": process.num_fds(),
        "threads": process.num_threads(),
        "bundles on disk": sum(not place.name.startswith(".") and place.is_dir() for place in cache),
        "temporary files": sum(place.name.startswith(".") for place in cache) + len(list((home / "tmp").iterdir())),
    }


def large(home: Path, turns: Rotation, before_s: float) -> None:
    """Refused by the default budget; with a larger one it is swapped in and out under load."""
    made = write_bundle(home / "large", synthetic_trips(rows=LARGE_TRIPS), LARGE_FOREST)
    number = register(turns.registry, small_training_run(home / "another"), made)
    print(f"a model of {(made / bundle.MODEL).stat().st_size / 1e6:.0f} MB")
    with api(home, turns) as up:
        turns.promote(number)
        print(f"  by default: {httpx.post(f'http://127.0.0.1:{up.port}/model/reload').json()['last_error']}")
        turns.promote()
    with api(home, turns, SERVING__MAX_MODEL_MB=LARGE_BUDGET_MB) as up:
        process = psutil.Process(up.process.pid)
        for name, version in (("in", number), ("out", None)):
            [took] = compare(up, before_s, [partial(swap, up, turns, version)])
            print(f"  swapped {name} in {took:.1f} s; {process.memory_info().rss / 1e6:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
