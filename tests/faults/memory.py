"""A limit on a process's memory that the kernel enforces as a container's: by killing it."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_CGROUPS = Path("/sys/fs/cgroup")
_KINDS = ((_CGROUPS, "memory.max"), (_CGROUPS / "memory", "memory.limit_in_bytes"))
"""Version 2 and version 1, each with its file for the limit."""


@contextmanager
def limited(pid: int, more_bytes: int) -> Iterator[None]:
    """To so much more than it has by now, which counts where it was taken. Who may not say so is told by a warning,
    and the test is skipped."""
    reason = "no memory can be limited here: there are no cgroups"
    for root, limit in _KINDS:
        if not (root / "cgroup.procs").is_file():
            continue
        group = root / f"autoops-faults-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(more_bytes))
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            reason = f"no memory can be limited here: {error}"
            if group.is_dir():
                group.rmdir()
            continue
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                (root / "cgroup.procs").write_text(str(pid))
            group.rmdir()
        return
    warnings.warn(reason, stacklevel=2)
    pytest.skip(reason)
