"""Servers as processes of their own, on cores of their own, and what they take."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from autoops.settings import PREFIX
from benchmarks.machine import pinned
from tests.ports import free_port

STARTS_WITHIN_S = 120
STOPS_WITHIN_S = 30


@dataclass(frozen=True)
class Server:
    """How one is started, by port, and asked: `single` are requests of one row, `batches` of many by their form."""

    name: str
    command: Callable[[int], Sequence[str]]
    single: Sequence[bytes]
    batches: Mapping[str, bytes] = field(default_factory=dict)
    environment: Callable[[int], Mapping[str, str]] = lambda port: {}


@dataclass(frozen=True)
class Running:
    port: int
    cold_start_s: float
    """From the start of the process to its first answered prediction."""
    process: "subprocess.Popen[bytes]"

    @property
    def memory_mb(self) -> float:
        """Of all its processes; a page that several share counts in parts."""
        return self._sum(lambda one: one.memory_full_info().pss) / 1e6

    @property
    def cpu_s(self) -> float:
        """Of all its processes so far."""
        return self._sum(lambda one: sum(one.cpu_times()[:2]))

    def rest(self) -> None:
        """Stops all its processes where they are: what some servers do while nobody asks them takes the processor's
        caches from whoever is asked."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """One that rests, for the block."""
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            self.rest()

    def _sum(self, figure: Callable[[psutil.Process], float]) -> float:
        """Over the server and its children; one that ends meanwhile, such as a trial of a version, counts no more."""
        first = psutil.Process(self.process.pid)
        total = figure(first)
        for child in first.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                total += figure(child)
        return total


@contextmanager
def running(server: Server, cores: Sequence[int]) -> Iterator[Running]:
    """Raises SystemExit with the end of its log when it does not answer in time."""
    port = free_port()
    command = list(server.command(port))
    environment = clean_environment() | dict(server.environment(port))
    environment["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{environment['PATH']}"
    with tempfile.NamedTemporaryFile(prefix=server.name) as log:
        began = time.perf_counter()
        with pinned(cores):
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        with ended(process):
            until_answered(process, port, server.single[0], Path(log.name))
            yield Running(port, time.perf_counter() - began, process)


def clean_environment() -> dict[str, str]:
    """Without settings that somebody has set for a service of their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def until_answered(process: "subprocess.Popen[bytes]", port: int, request: bytes, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not _answers(port, request):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"a server did not start:\n{log.read_text(errors='replace')[-3_000:]}")
        time.sleep(0.02)


def _answers(port: int, request: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request)
            return connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


@contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Ends the whole group: some servers leave their workers behind."""
    try:
        yield
    finally:
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, kind)
                os.killpg(process.pid, signal.SIGCONT)
                process.wait(STOPS_WITHIN_S)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
