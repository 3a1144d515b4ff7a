"""A disk of a few megabytes that a test fills."""

import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_FILLER = "filler"


class Disk:
    """What stands in `path` is all that there is on it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def full(self) -> Iterator[None]:
        """To the last byte, until the block ends."""
        filler = self.path / _FILLER
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        assert os.statvfs(self.path).f_bavail == 0
        try:
            yield
        finally:
            filler.unlink()


@contextmanager
def mounted(path: Path, megabytes: int) -> Iterator[Disk]:
    """A tmpfs of this size. Who may not mount one is told so by a warning, and the test is skipped by name."""
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", path], capture_output=True, text=True
    )
    if done.returncode:
        reason = f"no disk can be filled here, because no tmpfs may be mounted: {done.stderr.strip()}"
        warnings.warn(reason, stacklevel=2)
        pytest.skip(reason)
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
