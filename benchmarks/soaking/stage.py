"""A soak from its start to its audit: the service, its load, what happens to it meanwhile, and what it leaves."""

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.pool import AsyncResult
from pathlib import Path

import httpx

from autoops import database
from autoops.settings import Settings, Storage
from benchmarks.rotation import Rotation
from benchmarks.servers import Running
from benchmarks.soaking.audit import Found, audit
from benchmarks.soaking.client import Asked, as_fast_as_answered, paced
from benchmarks.soaking.ledger import Arrays, Ledger
from benchmarks.swaps import api
from tests.postgres import FAST, PostgresServer

PROMOTIONS = 3
_SERVED_WITHIN_S = _DRAINED_WITHIN_S = 300
_STOPS_WITHIN_S = 120
_TELL_EVERY_S = 60


@dataclass(frozen=True)
class Plan:
    """The database stops half way, and the second promotion comes while it is away."""

    seconds: float
    capacity_s: float
    away_s: float
    sample_every_s: float

    @property
    def promotions_at_s(self) -> tuple[float, ...]:
        return self.seconds / 4, self.seconds / 2 + self.away_s / 3, self.seconds * 3 / 4


@dataclass(frozen=True)
class Sample:
    at_s: float
    memory_mb: float
    waiting_rows: int
    """That the database does not have yet."""


@dataclass
class Happened:
    """In seconds from the beginning of the load at half of capacity."""

    samples: list[Sample] = field(default_factory=list)
    promoted: dict[int, tuple[float, float]] = field(default_factory=dict)
    """By version: when, and how long until it answered."""
    away: tuple[float, float] = (0.0, 0.0)
    drained_s: float = 0.0
    """After the last request."""


@dataclass(frozen=True)
class Outcome:
    capacity: Asked
    load: Asked
    rate: float
    happened: Happened
    asked: Arrays
    found: Found
    exit_code: int
    outboxes_left: int


def soak(
    home: Path, turns: Rotation, postgres: PostgresServer, plan: Plan, tell: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Under half of what the service can do; says from time to time how it goes."""
    url = postgres.new_database()
    given = {"STORAGE__URL": url, "SERVING__POLL_INTERVAL_S": 2, "MODEL__NAME": turns.registry.name}
    (folder := home / "ledger").mkdir()
    with api(home, turns, **given) as up, multiprocessing.get_context("spawn").Pool(1) as client:
        capacity: Asked = client.apply(as_fast_as_answered, (up.port, folder, 0, plan.capacity_s))
        rate = capacity.requests / capacity.lasted_s / 2
        tell(f"capacity: {rate * 2:,.0f} requests/s")

        def half(began: float) -> "AsyncResult[Asked]":
            return client.apply_async(paced, (up.port, folder, capacity.requests, rate, began, plan.seconds))

        happened, load = _under_load(up, turns, postgres, plan, half, tell)
        happened.drained_s = _drain(up)
        exit_code = _stop(up)
    asked = Ledger(folder).arrays(load.requests)
    engine = database.connect(Settings(storage=Storage(url=url)))
    found = audit(engine, asked)
    engine.dispose()
    left = len(list((home / "var" / "outbox").glob("*.db")))
    return Outcome(capacity, load, rate, happened, asked, found, exit_code, left)


def _under_load(
    up: Running,
    turns: Rotation,
    postgres: PostgresServer,
    plan: Plan,
    load: Callable[[float], "AsyncResult[Asked]"],
    tell: Callable[[str], None],
) -> tuple[Happened, Asked]:
    """Begins the load, and does meanwhile what is planned."""
    began = time.monotonic() + 0.5
    happened, asked = Happened(), load(began)
    with _sampled(up, began, plan.sample_every_s, happened, tell), ThreadPoolExecutor(2) as acting:
        acts = [
            acting.submit(_promote, up, turns, plan, began, happened),
            acting.submit(_go_away, postgres, plan, began, happened),
        ]
        for act in acts:
            act.result()
        return happened, asked.get()


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _promote(up: Running, turns: Rotation, plan: Plan, began: float, happened: Happened) -> None:
    """Moves the alias, and asks until the service follows."""
    with httpx.Client(base_url=f"http://127.0.0.1:{up.port}", timeout=60) as http:
        for at_s in plan.promotions_at_s:
            _wait_until(began + at_s)
            since = time.monotonic()
            number = turns.promote()
            while http.get("/model/info").json()["model_version"] != number:
                if time.monotonic() > since + _SERVED_WITHIN_S:
                    raise SystemExit(f"version {number} is not served: {http.get('/model/info').text}")
                time.sleep(0.05)
            happened.promoted[number] = (since - began, time.monotonic() - since)


def _go_away(postgres: PostgresServer, plan: Plan, began: float, happened: Happened) -> None:
    _wait_until(began + plan.seconds / 2)
    since = time.monotonic()
    postgres.stop(FAST)
    _wait_until(since + plan.away_s)
    postgres.start()
    happened.away = (since - began, time.monotonic() - began)


@contextmanager
def _sampled(
    up: Running, began: float, every_s: float, happened: Happened, tell: Callable[[str], None]
) -> Iterator[None]:
    """What the service takes and what waits in it, while the block runs."""
    over = threading.Event()

    def sample() -> None:
        while not over.wait(every_s):
            taken = Sample(time.monotonic() - began, up.memory_mb, _waiting(up))
            if not happened.samples or taken.at_s // _TELL_EVERY_S > happened.samples[-1].at_s // _TELL_EVERY_S:
                tell(f"{taken.at_s:6.0f} s: {taken.memory_mb:.1f} MB, {taken.waiting_rows} rows wait")
            happened.samples.append(taken)

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        yield
    finally:
        over.set()
        sampling.join()


def _waiting(up: Running) -> int:
    """Rows in the outbox."""
    lines = httpx.get(f"http://127.0.0.1:{up.port}/metrics", timeout=60).text.splitlines()
    (value,) = [line.split()[-1] for line in lines if line.startswith("autoops_outbox_rows")]
    return int(float(value))


def _drain(up: Running) -> float:
    """Seconds until the database has everything."""
    began = time.monotonic()
    while _waiting(up):
        if time.monotonic() > began + _DRAINED_WITHIN_S:
            raise SystemExit(f"{_waiting(up)} rows do not reach the database")
        time.sleep(0.05)
    return time.monotonic() - began


def _stop(up: Running) -> int:
    """As a deploy does; the exit code."""
    up.process.terminate()
    return up.process.wait(_STOPS_WITHIN_S)
