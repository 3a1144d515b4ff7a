"""One row a request: requests per second and latency of each server."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from benchmarks.client import ask
from benchmarks.machine import Cores
from benchmarks.servers import Running, Server, running

CONNECTIONS = (1, 32)
WARM_UP_S = 1.0

KEYS = ("rate", "p50_ms", "p99_ms", "cpu_ms", "client_busy")
Figures = dict[str, dict[str, list[float]]]
"""KEYS of each server, by round; `cpu_ms` is what a request takes of the server's processor time."""


def measure(
    servers: Sequence[Server], cores: Cores, rounds: int, window_s: float, tell: Callable[[str], None]
) -> tuple[dict[str, Figures], dict[str, float]]:
    """Figures by connections, and each server's memory in MB after all of that. They share their cores: while one is
    asked, the others rest."""
    with ExitStack() as stack:
        up = {server.name: stack.enter_context(running(server, cores.worker)) for server in servers}
        for one in up.values():
            one.rest()
        figures: dict[str, Figures] = {}
        for connections in CONNECTIONS:
            asked = {server.name: (up[server.name], server.single) for server in servers}
            figures[str(connections)] = _rounds(asked, connections, rounds, window_s, tell)
        return figures, {name: round(one.memory_mb, 1) for name, one in up.items()}


def _rounds(
    asked: Mapping[str, tuple[Running, Sequence[bytes]]],
    connections: int,
    rounds: int,
    window_s: float,
    tell: Callable[[str], None],
) -> Figures:
    figures: Figures = {name: {key: [] for key in KEYS} for name in asked}
    for number in range(rounds):
        tell(f"single rows, {connections} connection{'s'[: connections > 1]}, round {number + 1} of {rounds}")
        for name, (server, requests) in asked.items():
            with server.awake():
                ask([server.port], requests, connections, WARM_UP_S)
                worked = server.cpu_s
                window = ask([server.port], requests, connections, window_s)
                cpu_ms = (server.cpu_s - worked) / len(window.seconds) * 1e3
            seen = (window.rate, window.percentile(50), window.percentile(99), cpu_ms, window.client_busy)
            for key, value in zip(KEYS, seen, strict=True):
                figures[name][key].append(round(value, 4))
    return figures


def cold_starts(
    servers: Sequence[Server], cores: Cores, rounds: int, tell: Callable[[str], None]
) -> dict[str, list[float]]:
    """Seconds by round, of a server that has run on this machine before."""
    seconds: dict[str, list[float]] = {server.name: [] for server in servers}
    for number in range(rounds + 1):
        tell(f"cold starts, round {number} of {rounds}" if number else "a first start of each")
        for server in servers:
            with running(server, cores.worker) as up:
                if number:
                    seconds[server.name].append(round(up.cold_start_s, 3))
    return seconds
