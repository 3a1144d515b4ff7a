import math
from pathlib import Path

import pytest

from autoops.errors import BundleError
from autoops.registry import ModelVersion
from autoops.serving.budget import MEMORY_PER_BYTE, Budget, available_bytes

MB = 1_000_000
CONTAINER = {
    "memory.max": "1000000000",
    "memory.current": "700000000",
    "memory.stat": "anon 5\ninactive_file 100000000\n",
}


def write(root: Path, meminfo: str, container: dict[str, str]) -> None:
    (root / "proc").mkdir()
    (root / "proc" / "meminfo").write_text(meminfo)
    (root / "sys/fs/cgroup").mkdir(parents=True)
    for name, text in container.items():
        (root / "sys/fs/cgroup" / name).write_text(text)


@pytest.mark.parametrize(
    ("meminfo", "container", "expected"),
    [
        ("MemFree: 1 kB\nMemAvailable: 2000000 kB\nHugePages_Free: 0\n", {}, 2_048_000_000),
        ("MemAvailable: 2000000 kB\n", CONTAINER, 400_000_000),
        ("MemAvailable: 200 kB\n", CONTAINER, 204_800),
        ("MemAvailable: 200 kB\n", CONTAINER | {"memory.max": "max"}, 204_800),
        ("", {}, math.inf),
    ],
    ids=["a machine", "a container", "a container on a full machine", "a container without a limit", "neither says"],
)
def test_what_is_left_is_the_less_of_machine_and_container(
    tmp_path: Path, meminfo: str, container: dict[str, str], expected: float
) -> None:
    write(tmp_path, meminfo, container)
    assert available_bytes(tmp_path) == expected


def test_a_model_that_would_not_fit_into_memory_is_refused_and_told_so() -> None:
    budget = Budget(most_mb=200, available=lambda: 50.0 * MEMORY_PER_BYTE * MB)
    version = ModelVersion(7, "run")
    budget.admit(version, 50 * MB)
    with pytest.raises(MemoryError, match=r"version 7 has 51\.0 MB: loading it takes some 1275 MB .* 1250 are free"):
        budget.admit(version, 51 * MB)


def test_a_model_is_refused_that_is_larger_than_the_setting_and_none_that_is_as_large() -> None:
    budget = Budget(most_mb=200, available=lambda: math.inf)
    version = ModelVersion(7, "run")
    budget.admit(version, 200 * MB)
    with pytest.raises(BundleError, match=r"version 7 has 200\.1 MB, serving\.max_model_mb is 200$"):
        budget.admit(version, 200 * MB + 60_000)
