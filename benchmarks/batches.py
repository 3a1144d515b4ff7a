"""Rows per second of 1000-row batches: over HTTP in each form, by the peers, and by the model in process.

The kernel is the model on the same rows in this process, on as many threads as the API has, that do nothing else. All
have the same cores, the client has its own. Rounds of all of them alternate.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from autoops.scoring import Cores as Threads
from benchmarks.champion import Champion
from benchmarks.client import ask
from benchmarks.contestants import ROWS, ours
from benchmarks.machine import Cores, pinned
from benchmarks.servers import Server, running

KERNEL = "in process"
CONNECTIONS = (1, 8)
WINDOW_S = 3.0

Rates = dict[str, list[float]]


def kernel(champion: Champion, threads: int, cores: Sequence[int], for_s: float) -> float:
    """Rows per second of threads that always have a batch to score."""
    matrix = champion.matrix(champion.trips[:ROWS])
    with pinned(cores), ThreadPoolExecutor(2 * threads) as callers:
        shared = Threads(threads)
        over = time.perf_counter() + for_s

        def score(_caller: int) -> int:
            batches = 0
            while time.perf_counter() < over:
                shared.predict(champion.scorer, matrix)
                batches += 1
            return batches

        began = time.perf_counter()
        batches = sum(callers.map(score, range(2 * threads)))
        rate = batches * ROWS / (time.perf_counter() - began)
        shared.stop()
    return rate


def _over_http(port: int, request: bytes, connections: int) -> float:
    return ROWS * ask(port, [request], connections, WINDOW_S).rate


def measure(
    champion: Champion, peers: Sequence[Server], threads: int, cores: Cores, rounds: int, tell: Callable[[str], None]
) -> Rates:
    """Rows per second of each way, one figure a round."""
    rates: Rates = {}
    with ExitStack() as stack:
        ways: dict[str, Callable[[], float]] = {KERNEL: partial(kernel, champion, threads, cores.many, WINDOW_S)}
        for server in (ours(champion, SERVING__BATCH_THREADS=threads), *peers):
            port = stack.enter_context(running(server, cores.many)).port
            for form, request in server.batches.items():
                for connections in CONNECTIONS:
                    ways[f"{server.name}, {form}, {connections}"] = partial(_over_http, port, request, connections)
        for number in range(rounds):
            tell(f"batches on {threads} thread{'s'[: threads > 1]}, round {number + 1} of {rounds}")
            for name, way in ways.items():
                rates.setdefault(name, []).append(round(way(), 1))
    return rates
