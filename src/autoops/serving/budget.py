"""What a version may cost to be loaded: as a setting, and as what this machine has left."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoops.errors import BundleError
from autoops.registry import ModelVersion

MEMORY_PER_BYTE = 25
"""Memory that ONNX Runtime 1.32 takes while it builds a forest: 24 times a file of 16 MB, 21 times one of 390 MB."""


def available_bytes(root: Path = Path("/")) -> float:
    """Memory that can be had before the system or the container's limit kills something; infinite where neither says.
    Files that a container has read count into its use, and are given up first."""
    return min(_of_machine(root / "proc/meminfo"), _of_container(root / "sys/fs/cgroup"))


def _of_machine(meminfo: Path) -> float:
    try:
        return _fields(meminfo)["MemAvailable"] * 1024
    except (OSError, KeyError, ValueError):
        return math.inf


def _of_container(cgroup: Path) -> float:
    try:
        limit, used = (int((cgroup / name).read_text()) for name in ("memory.max", "memory.current"))
        return limit - used + _fields(cgroup / "memory.stat")["inactive_file"]
    except (OSError, KeyError, ValueError):
        return math.inf


def _fields(file: Path) -> dict[str, int]:
    words = (line.replace(":", " ").split() for line in file.read_text().splitlines())
    return {name: int(number) for name, number, *_ in words}


@dataclass(frozen=True)
class Budget:
    """Refuses a version before it is downloaded, so that it does not end the process that serves another."""

    most_mb: float
    available: Callable[[], float] = available_bytes

    def admit(self, version: ModelVersion, size: int) -> None:
        """`size` is that of the ONNX file. Raises BundleError, or MemoryError, which may pass."""
        what = f"the model of version {version.number} has {size / 1e6:.1f} MB"
        if size > self.most_mb * 1e6:
            raise BundleError(f"{what}, serving.max_model_mb is {self.most_mb:g}")
        needed, free = MEMORY_PER_BYTE * size, self.available()
        if needed > free:
            raise MemoryError(
                f"{what}: loading it takes some {needed / 1e6:.0f} MB of memory, {free / 1e6:.0f} are free"
            )


UNLIMITED = Budget(math.inf, lambda: math.inf)
