"""Ports for servers that tests start."""

import os
import random
import socket

LOWEST, HIGHEST = 20_000, 32_000
"""Below the range from which systems take ports for outgoing connections: one of those may come to hold a port of
that range between the moment it was found free and the moment its server starts."""

WORKERS = 8
"""Of pytest that may run side by side, each with ports of its own."""

_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on, and that no test was given before."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    own = set(range(LOWEST + worker, HIGHEST, WORKERS)) - _given
    ports: list[int] = []
    for port in random.SystemRandom().sample(sorted(own), len(own)):
        if len(ports) == count:
            break
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
    _given.update(ports)
    return ports


def free_port() -> int:
    return free_ports(1)[0]
