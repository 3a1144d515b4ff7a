"""Clients that mean harm to the API, and an honest one beside them: `python -m tests.faults` prints figures.

Each attack goes on until it is told to stop, and only against the address that it is given.
"""

import argparse
import json
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import httpx
import psutil

from autoops.models.registry import CHAMPION
from tests.bundles import three_speeds
from tests.fakes import DirectoryRegistry
from tests.integration.serving.conftest import TRIP
from tests.integration.serving.test_durability import process

MB = 1_000_000
ROWS = 5_000
PAUSE_S = 0.01
"""Of the honest client between two requests."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.hostile"])

Attack = Callable[["Target", Event], None]


@dataclass(frozen=True)
class Target:
    url: str
    megabytes: int
    """That a flood sends at the most."""

    def connect(self) -> socket.socket:
        parts = urlsplit(self.url)
        return socket.create_connection((parts.hostname, parts.port), timeout=5)


def _post(path: str, body: bytes) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: a", "Content-Type: application/json", f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _again(target: Target, stop: Event, act: Callable[[socket.socket], None]) -> None:
    """Connect and act; the server may end the connection at any time."""
    while not stop.is_set():
        with suppress(OSError), target.connect() as connection:
            act(connection)


def _flood(target: Target, stop: Event, head: bytes, part: bytes) -> None:
    sent = 0

    def act(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(head)
        while sent < target.megabytes * MB and not stop.is_set():
            connection.sendall(part)
            sent += len(part)
        if sent >= target.megabytes * MB:
            stop.wait()

    _again(target, stop, act)


def small_headers(target: Target, stop: Event) -> None:
    _flood(target, stop, b"POST /predict HTTP/1.1\r\n", b"a: b\r\n" * 10_000)


def one_header(target: Target, stop: Event) -> None:
    _flood(target, stop, b"POST /predict HTTP/1.1\r\na: ", b"b" * 60_000)


def trailers(target: Target, stop: Event) -> None:
    _flood(target, stop, b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 10_000)


def _large_batch() -> bytes:
    return json.dumps({"columns": {name: [value] * ROWS for name, value in TRIP.items()}}).encode()


def read_everything(target: Target, stop: Event) -> None:
    """One client that asks for a large batch after the other, and reads: what `read_nothing` is to be held against."""
    batch = _large_batch()
    with httpx.Client(base_url=target.url, timeout=60) as client:
        while not stop.is_set():
            client.post("/predict/batch", content=batch, headers={"Content-Type": "application/json"})


def read_nothing(target: Target, stop: Event) -> None:
    """Six connections that ask for large batches, several at once."""
    batch = _post("/predict/batch", _large_batch())

    def act(connection: socket.socket) -> None:
        connection.settimeout(0.1)
        unsent = memoryview(batch * 8)
        while not stop.is_set():
            try:
                unsent = unsent[connection.send(unsent) :] or memoryview(batch * 8)
            except TimeoutError:
                continue

    with ThreadPoolExecutor(6) as pool:
        for _ in range(6):
            pool.submit(_again, target, stop, act)


def _each(target: Target, stop: Event, connections: int, first: bytes, act: Callable[[socket.socket], None]) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(target.connect()) for _ in range(connections)]
        for one in held:
            with suppress(OSError):
                one.sendall(first)
        while not stop.is_set():
            for one in held:
                with suppress(OSError):
                    act(one)
            time.sleep(0.1)


def send_slowly(target: Target, stop: Event) -> None:
    _each(target, stop, 100, b"POST /predict HTTP/1.1\r\nx: ", lambda one: one.sendall(b"y"))


def read_slowly(target: Target, stop: Event) -> None:
    def read(one: socket.socket) -> None:
        one.setblocking(False)
        one.recv(1)

    _each(target, stop, 20, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 16, read)


def stay_idle(target: Target, stop: Event) -> None:
    _each(target, stop, 500, b"", lambda one: None)


def pipeline(target: Target, stop: Event) -> None:
    _again(target, stop, lambda connection: connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 2_000))


def lie_about_lengths(target: Target, stop: Event) -> None:
    heads = (
        "Content-Length: 1\r\nContent-Length: 9\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
    )

    def act(connection: socket.socket) -> None:
        for head in heads:
            with suppress(OSError), target.connect() as another:
                another.sendall(f"POST /predict HTTP/1.1\r\nHost: a\r\n{head}\r\nzzzz\r\nff".encode())
        connection.sendall(_post("/predict", b"{}") + b"more than it said")

    _again(target, stop, act)


def _bodies(target: Target, stop: Event, path: str, body: bytes) -> None:
    with httpx.Client(base_url=target.url, timeout=60) as client:
        while not stop.is_set():
            answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 413, 422, 503), answer.text


def _ones(size: int) -> bytes:
    return b'{"trips":[' + b"1," * (size // 2) + b"1]}"


def huge_json(target: Target, stop: Event) -> None:
    _bodies(target, stop, "/predict/batch", _ones(1 * MB))


def huger_json(target: Target, stop: Event) -> None:
    """Refused by its length, while it is sent."""
    while not stop.is_set():
        with suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            _bodies(target, stop, "/predict/batch", _ones(28 * MB))


def nested_json(target: Target, stop: Event) -> None:
    _bodies(target, stop, "/predict/batch", b'{"trips":' + b"[" * 500_000 + b"]" * 500_000 + b"}")


ATTACKS: Sequence[Attack] = (
    small_headers,
    one_header,
    trailers,
    read_everything,
    read_nothing,
    send_slowly,
    read_slowly,
    stay_idle,
    pipeline,
    lie_about_lengths,
    huge_json,
    huger_json,
    nested_json,
)


@dataclass(frozen=True)
class Outcome:
    """Of the honest client's requests beside an attack."""

    answered: int
    refused: list[int]
    p99_ms: float
    peak_bytes: int
    """Of the server's resident memory."""


def watch(target: Target, pid: int, attack: Attack | None, window_s: float) -> Outcome:
    """Ask as an honest client for so long, beside the attack, which has a process of its own: in this one it would hold
    up the client, and not the server alone."""
    stop = PROCESSES.Event()
    seconds: list[float] = []
    statuses: list[int] = []
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=target.url, timeout=30) as honest:
        peak = pool.submit(_peak, psutil.Process(pid), stop)
        try:
            with _beside(target, attack, stop):
                until = time.monotonic() + window_s
                while time.monotonic() < until:
                    began = time.monotonic()
                    statuses.append(honest.post("/predict", json=TRIP).status_code)
                    seconds.append(time.monotonic() - began)
                    time.sleep(PAUSE_S)
        finally:
            stop.set()
        statuses.append(honest.post("/predict", json=TRIP).status_code)
    refused = [status for status in statuses if status != 200]
    return Outcome(
        len(statuses) - len(refused), refused, sorted(seconds)[int(len(seconds) * 0.99)] * 1e3, peak.result()
    )


@contextmanager
def _beside(target: Target, attack: Attack | None, stop: Event) -> Iterator[None]:
    """Attack for as long as the block lasts, from its first moment on."""
    if attack is None:
        yield
        return
    begun = PROCESSES.Event()
    attacking = PROCESSES.Process(target=_attack, args=(attack, target, stop, begun), daemon=True)
    attacking.start()
    assert begun.wait(60), f"{attack.__name__} does not begin"
    try:
        yield
    finally:
        stop.set()
        attacking.join(60)
        attacking.kill()
    assert attacking.exitcode == 0, f"{attack.__name__} failed; what it said is above"


def _attack(attack: Attack, target: Target, stop: Event, begun: Event) -> None:
    begun.set()
    attack(target, stop)


def _peak(server: psutil.Process, stop: Event) -> int:
    peak = 0
    while not stop.is_set():
        peak = max(peak, server.memory_info().rss)
        time.sleep(0.02)
    return peak


def rested(target: Target, pid: int) -> int:
    """Return the memory of a server that has answered a few large batches."""
    with httpx.Client(base_url=target.url, timeout=60) as client:
        for _ in range(4):
            assert client.post("/predict/batch", json={"trips": [TRIP] * ROWS}).is_success
    return int(psutil.Process(pid).memory_info().rss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", type=float, default=10, help="seconds of each attack")
    parser.add_argument("--only", choices=[attack.__name__ for attack in ATTACKS], nargs="*", help="all without it")
    parser.add_argument("--megabytes", type=int, default=300, help="of each flood")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        registry = DirectoryRegistry(home / "registry")
        registry.directory.mkdir()
        registry.register(three_speeds(home / "bundles")[0])
        registry.set_alias(CHAMPION, 1)
        with process(home, registry, AUTOOPS__STORAGE__HOME=str(home / "var")) as (server, url):
            target = Target(url, options.megabytes)
            resting = rested(target, server.pid)
            print("| beside | answered 200 | others | p99 in ms | p99 / alone | memory / at rest |")
            print("|---|---:|---:|---:|---:|---:|")
            for attack in [one for one in ATTACKS if not options.only or one.__name__ in options.only]:
                alone = watch(target, server.pid, None, options.window / 2)
                beside = watch(target, server.pid, attack, options.window)
                name = attack.__name__.replace("_", " ")
                figures = (
                    f"{beside.p99_ms:.1f} | {beside.p99_ms / alone.p99_ms:.1f} | {beside.peak_bytes / resting:.2f}"
                )
                print(f"| {name} | {beside.answered} | {len(beside.refused)} | {figures} |", flush=True)
