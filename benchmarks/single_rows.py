"""One row a request: requests per second and latency of each server, and of two workers against one."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from autoops.settings import Serving
from benchmarks.champion import Champion
from benchmarks.client import ask
from benchmarks.contestants import ours
from benchmarks.machine import Cores
from benchmarks.servers import Running, Server, running

CONNECTIONS = (1, 32)
WARM_UP_S = 1.0

ONE, ONE_ON_TWO, TWO = "one worker, one core", "one worker, two cores", "two workers, two cores"
APART = "two servers that share nothing, a core each"
"""What the machine has for two, whatever they do to each other."""

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
            asked = {server.name: ([up[server.name]], server.single) for server in servers}
            figures[str(connections)] = _rounds(asked, connections, rounds, window_s, tell, resting=True)
        return figures, {name: round(one.memory_mb, 1) for name, one in up.items()}


def measure_workers(
    champion: Champion, cores: Cores, rounds: int, window_s: float, tell: Callable[[str], None]
) -> Figures | str:
    """Figures at 32 connections, or why there are none."""
    if "workers" not in Serving.model_fields:
        return "one worker is all that there can be"
    if len(cores.all) < 3:
        return "two workers and the client need a core each"
    first, second = cores.all[:1], cores.all[1:2]
    plans = {
        ONE: [(1, first)],
        ONE_ON_TWO: [(1, first + second)],
        TWO: [(2, first + second)],
        APART: [(1, first), (1, second)],
    }
    with ExitStack() as stack:

        def start(workers: int, of: Sequence[int], home: str) -> Running:
            server = ours(champion, SERVING__WORKERS=workers, STORAGE__HOME=champion.home / home)
            return stack.enter_context(running(server, of))

        requests = ours(champion).single
        asked = {
            name: ([start(*how, f"var-{plan}-{number}") for number, how in enumerate(servers)], requests)
            for plan, (name, servers) in enumerate(plans.items())
        }
        return _rounds(asked, max(CONNECTIONS), rounds, window_s, tell)


def _rounds(
    asked: Mapping[str, tuple[Sequence[Running], Sequence[bytes]]],
    connections: int,
    rounds: int,
    window_s: float,
    tell: Callable[[str], None],
    resting: bool = False,
) -> Figures:
    figures: Figures = {name: {key: [] for key in KEYS} for name in asked}
    for number in range(rounds):
        tell(f"single rows, {connections} connection{'s'[: connections > 1]}, round {number + 1} of {rounds}")
        for name, (servers, requests) in asked.items():
            ports = [server.port for server in servers]
            with ExitStack() as awake:
                for server in servers if resting else ():
                    awake.enter_context(server.awake())
                ask(ports, requests, connections, WARM_UP_S)
                worked = sum(server.cpu_s for server in servers)
                window = ask(ports, requests, connections, window_s)
                cpu_ms = (sum(server.cpu_s for server in servers) - worked) / len(window.seconds) * 1e3
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
