"""The machine that figures are taken on: what it is, and which of its cores serve and which ask."""

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

MATTER = ("fastapi", "uvicorn", "onnxruntime", "scikit-learn", "mlflow")


@dataclass(frozen=True)
class Cores:
    """Servers and the client share no core where there are two or more; the client has the last one."""

    all: tuple[int, ...]
    of_worker: int = 1
    """How many a server of one worker has."""

    @property
    def worker(self) -> tuple[int, ...]:
        return self.all[: self.of_worker]

    @property
    def many(self) -> tuple[int, ...]:
        """Of one that answers batches."""
        return self.all[:-1] or self.all

    @property
    def client(self) -> tuple[int, ...]:
        return self.all[-1:]


def cores(of_worker: int = 1) -> Cores:
    if hasattr(os, "sched_getaffinity"):
        return Cores(tuple(sorted(os.sched_getaffinity(0))), of_worker)
    return Cores(tuple(range(os.cpu_count() or 1)), of_worker)


@contextmanager
def pinned(to: Sequence[int]) -> Iterator[None]:
    """This thread, and what it starts meanwhile, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def described() -> dict[str, object]:
    """No name of the host: what another reader needs to judge the figures."""
    return {
        "taken_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu(),
        "cores": len(cores().all),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in MATTER},
        "load_before": round(os.getloadavg()[0], 1),
    }


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
