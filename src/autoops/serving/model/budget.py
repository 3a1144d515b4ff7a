"""How much memory a version may take: by the setting, and by what is available on this machine."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoops.errors import BundleError, SettingsError
from autoops.models.registry import ModelVersion

_BASE_MB = 400
"""Memory of a replica without models, 250 MB, and what any model takes temporarily while it is loaded."""

_PER_MB = 18
"""Memory for each MB of the largest ONNX file: two loaded versions keep 5 each, and loading another takes 8."""


def available_bytes(root: Path = Path("/")) -> float:
    """Return the memory that a process can take before the system or the container's limit kills one.

    Infinite if neither is known. Cached files count as memory that a container uses; inactive ones count as available
    here, because they are evicted first.
    """
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
        # Without a limit memory.max holds "max", which is no number.
        return math.inf


def _fields(file: Path) -> dict[str, int]:
    words = (line.replace(":", " ").split() for line in file.read_text().splitlines())
    return {name: int(number) for name, number, *_ in words}


def needed_mb(most_mb: float) -> float:
    """Return the memory in MB that a replica needs to swap models of at most `most_mb`."""
    return _BASE_MB + most_mb * _PER_MB


def check_limit(most_mb: float, root: Path = Path("/")) -> None:
    """Require that the container's memory limit suffices to swap models of `most_mb`.

    Raises:
        SettingsError: the limit is lower than that.
    """
    try:
        limit_mb = int((root / "sys/fs/cgroup/memory.max").read_text()) / 1e6
    except (OSError, ValueError):
        return
    needed = needed_mb(most_mb)
    if needed > limit_mb:
        fits = math.floor((limit_mb - _BASE_MB) / _PER_MB)
        or_less = f", or set serving.max_model_mb to {fits} or less, for the pipeline too" if fits >= 1 else ""
        raise SettingsError(
            f"serving.max_model_mb is {most_mb:g}, for which a replica needs {needed:.0f} MB of memory, and this "
            f"container is limited to {limit_mb:.0f} MB: raise the limit to {needed:.0f} MB or more{or_less}"
        )


@dataclass(frozen=True)
class Budget:
    """The memory limits of a version.

    `admit` rejects a version before it is downloaded, so that it does not end the process that serves another.
    """

    most_mb: float
    available: Callable[[], float] = available_bytes

    def admit(self, version: ModelVersion, size: int) -> None:
        """Require that a version is small enough; `size` is that of the ONNX file in bytes.

        Raises:
            BundleError: the file is larger than `most_mb`.
        """
        if size > self.most_mb * 1e6:
            raise BundleError(
                f"the model of version {version.number} has {size / 1e6:.1f} MB, "
                f"serving.max_model_mb is {self.most_mb:g}"
            )


UNLIMITED = Budget(math.inf, lambda: math.inf)
