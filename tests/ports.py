"""Ports for servers that tests start."""

import random
import socket

LOWEST, HIGHEST = 20_000, 32_000
"""Below the range from which systems take ports for outgoing connections: one of those may come to hold a port of
that range between the moment it was found free and the moment its server starts."""


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on."""
    ports: list[int] = []
    for port in random.SystemRandom().sample(range(LOWEST, HIGHEST), HIGHEST - LOWEST):
        if len(ports) == count:
            break
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
    return ports


def free_port() -> int:
    return free_ports(1)[0]
