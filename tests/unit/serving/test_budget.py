import math
from pathlib import Path

import pytest

from autoops.errors import BundleError, SettingsError
from autoops.models.registry import ModelVersion
from autoops.serving.model.budget import Budget, available_bytes, check_limit

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


def test_a_model_is_refused_that_is_larger_than_the_setting_and_none_that_is_as_large() -> None:
    budget = Budget(most_mb=200, available=lambda: math.inf)
    version = ModelVersion(7, "run")
    budget.admit(version, 200 * MB)
    with pytest.raises(BundleError, match=r"version 7 has 200\.1 MB, serving\.max_model_mb is 200$"):
        budget.admit(version, 200 * MB + 60_000)


def test_a_container_must_have_room_for_swaps_of_the_largest_model(tmp_path: Path) -> None:
    write(tmp_path, "", {"memory.max": "1300000000"})
    check_limit(50, tmp_path)
    with pytest.raises(SettingsError) as raised:
        check_limit(51, tmp_path)
    assert str(raised.value) == (
        "serving.max_model_mb is 51, for which a replica needs 1318 MB of memory, and this container is limited to "
        "1300 MB: raise the limit to 1318 MB or more, or set serving.max_model_mb to 50 or less, for the pipeline too"
    )
    check_limit(50, tmp_path / "nowhere")


@pytest.mark.parametrize(("limit", "hint"), [("max", None), ("410000000", "raise the limit to 1300 MB or more")])
def test_a_hint_names_no_size_that_is_too_small_for_any_model(tmp_path: Path, limit: str, hint: str | None) -> None:
    write(tmp_path, "", {"memory.max": limit})
    if hint is None:
        check_limit(50, tmp_path)
    else:
        with pytest.raises(SettingsError, match=f"{hint}$"):
            check_limit(50, tmp_path)
