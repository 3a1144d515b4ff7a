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

from autoops.settings import Settings, Storage
from autoops.storage import database
from benchmarks.rotation import Rotation
from benchmarks.servers import Running
from benchmarks.soaking.audit import Found, audit
from benchmarks.soaking.client import Asked, as_fast_as_answered, paced
from benchmarks.soaking.ledger import Arrays, Ledger
from benchmarks.swaps import api
from tests.postgres import FAST, PostgresServer

_SERVED_WITHIN_S = _DRAINED_WITHIN_S = 300
_STOPS_WITHIN_S = 120
_TELL_EVERY_S = 60


@dataclass(frozen=True)
class Plan:
    """The database stops half way; a promotion that is due then comes while it is away."""

    seconds: float
    capacity_s: float
    away_s: float
    sample_every_s: float
    promotions: int = 3

    @property
    def promotions_at_s(self) -> list[float]:
        half = (self.promotions + 1) / 2
        stretch_s = self.seconds / (self.promotions + 1)
        return [turn * stretch_s + (turn == half) * self.away_s / 3 for turn in range(1, self.promotions + 1)]


@dataclass(frozen=True)
class Sample:
    at_s: float
    memory_mb: float
    waiting_rows: int
    """That the database does not have yet."""


@dataclass(frozen=True)
class Promotion:
    number: int
    at_s: float
    took_s: float
    """Until the version answered."""


@dataclass
class Happened:
    """In seconds from the beginning of the load at half of capacity."""

    samples: list[Sample] = field(default_factory=list)
    promoted: list[Promotion] = field(default_factory=list)
    away: tuple[float, float] = (0.0, 0.0)


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
        stage = _Stage(up, turns, postgres, plan, tell)
        half = (up.port, folder, capacity.requests, rate, stage.began, plan.seconds)
        load = stage.play(client.apply_async(paced, half))
        _drain(up)
        exit_code = _stop(up)
    asked = Ledger(folder).arrays(load.requests)
    engine = database.connect(Settings(storage=Storage(url=url)))
    found = audit(engine, asked)
    engine.dispose()
    left = len(list((home / "var" / "outbox").glob("*.db")))
    return Outcome(capacity, load, rate, stage.happened, asked, found, exit_code, left)


class _Stage:
    """What happens while the load lasts."""

    def __init__(
        self, up: Running, turns: Rotation, postgres: PostgresServer, plan: Plan, tell: Callable[[str], None]
    ) -> None:
        self._up, self._turns, self._postgres, self._plan, self._tell = up, turns, postgres, plan, tell
        self.began = time.monotonic() + 0.5
        self.happened = Happened()

    def play(self, load: "AsyncResult[Asked]") -> Asked:
        """Until the load has ended."""
        with self._sampled(), ThreadPoolExecutor(2) as acting:
            for act in [acting.submit(self._promote), acting.submit(self._restart_database)]:
                act.result()
            return load.get()

    def _wait_until(self, at_s: float) -> None:
        time.sleep(max(0.0, self.began + at_s - time.monotonic()))

    def _now_s(self) -> float:
        return time.monotonic() - self.began

    def _promote(self) -> None:
        """Moves the alias, and asks until the service follows."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self._up.port}", timeout=60) as http:
            for at_s in self._plan.promotions_at_s:
                self._wait_until(at_s)
                since, number = self._now_s(), self._turns.promote()
                while (info := http.get("/model/info").json())["model_version"] != number:
                    if self._now_s() > since + _SERVED_WITHIN_S:
                        raise SystemExit(f"version {number} is not served: {info}")
                    time.sleep(0.05)
                self.happened.promoted.append(Promotion(number, since, self._now_s() - since))

    def _restart_database(self) -> None:
        self._wait_until(self._plan.seconds / 2)
        since = self._now_s()
        self._postgres.stop(FAST)
        self._wait_until(since + self._plan.away_s)
        self._postgres.start()
        self.happened.away = (since, self._now_s())

    @contextmanager
    def _sampled(self) -> Iterator[None]:
        """What the service takes and what waits in it, while the block runs."""
        over = threading.Event()

        def sample() -> None:
            while not over.wait(self._plan.sample_every_s):
                self._sample()

        sampling = threading.Thread(target=sample)
        sampling.start()
        try:
            yield
        finally:
            over.set()
            sampling.join()

    def _sample(self) -> None:
        taken, before = Sample(self._now_s(), self._up.memory_mb, _waiting(self._up)), self.happened.samples
        if not before or taken.at_s // _TELL_EVERY_S > before[-1].at_s // _TELL_EVERY_S:
            self._tell(f"{taken.at_s:6.0f} s: {taken.memory_mb:.1f} MB, {taken.waiting_rows} rows wait")
        self.happened.samples.append(taken)


def _waiting(up: Running) -> int:
    """Rows in the outbox."""
    lines = httpx.get(f"http://127.0.0.1:{up.port}/metrics", timeout=60).text.splitlines()
    (value,) = [line.split()[-1] for line in lines if line.startswith("autoops_outbox_rows")]
    return int(float(value))


def _drain(up: Running) -> None:
    """Until the database has everything."""
    began = time.monotonic()
    while rows := _waiting(up):
        if time.monotonic() > began + _DRAINED_WITHIN_S:
            raise SystemExit(f"{rows} rows do not reach the database")
        time.sleep(0.05)


def _stop(up: Running) -> int:
    """As a deploy does; the exit code."""
    up.process.terminate()
    return up.process.wait(_STOPS_WITHIN_S)
