"""Rows per second of 1000-row batches: over HTTP in each form, by the peers, and by the model in process.

The kernel is the model on the same rows in this process, on as many threads as the API has, that do nothing else. All
have the same cores, the client has its own. Rounds of all of them alternate, and the kernel runs before and after each:
a shared machine is faster in one second than in another.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from autoops.models.scoring import ScoringThreads as Threads
from benchmarks.champion import Champion
from benchmarks.client import ask
from benchmarks.contestants import ROWS, ours
from benchmarks.machine import Cores, pinned
from benchmarks.servers import Server, running

KERNEL = "in process"
CONNECTIONS = (1, 8)
WINDOW_S, KERNEL_S = 2.0, 1.0

Rates = dict[str, dict[str, list[float]]]
"""By way and round: its `rate`, and what the kernel did `beside` it."""


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
    return ROWS * ask([port], [request], connections, WINDOW_S).rate


def measure(
    champion: Champion,
    peers: Sequence[Server],
    threads: int,
    cores: Cores,
    rounds: int,
    tell: Callable[[str], None],
) -> Rates:
    """Rows per second."""
    rates: Rates = {}
    in_process = partial(kernel, champion, threads, cores.many, KERNEL_S)
    with ExitStack() as stack:
        ways: dict[str, Callable[[], float]] = {}
        for server in (ours(champion, SERVING__BATCH_THREADS=threads), *peers):
            port = stack.enter_context(running(server, cores.many)).port
            for form, request in server.batches.items():
                for connections in CONNECTIONS:
                    ways[f"{server.name}, {form}, {connections}"] = partial(_over_http, port, request, connections)
        for number in range(rounds):
            tell(f"batches on {threads} thread{'s'[: threads > 1]}, round {number + 1} of {rounds}")
            before = in_process()
            for name, way in ways.items():
                rate, after = way(), in_process()
                seen = rates.setdefault(name, {"rate": [], "beside": []})
                seen["rate"].append(round(rate, 1))
                seen["beside"].append(round((before + after) / 2, 1))
                before = after
    return rates
