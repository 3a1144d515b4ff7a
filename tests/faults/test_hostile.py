"""Hostile clients with an honest one beside them, which is answered; the server's memory stays within bounds."""

from collections.abc import Iterator

import pytest

from autoops.models.registry import CHAMPION, TrainingRun
from tests.fakes import DirectoryRegistry
from tests.faults.hostile import ATTACKS, Attack, Target, rested, watch
from tests.integration.serving.test_durability import process

pytestmark = pytest.mark.faults
WINDOW_S, LONG_S = 1.5, 10.0
FLOOD_MB, LARGE_FLOOD_MB = 20, 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, runs: list[TrainingRun]) -> Iterator[tuple[str, int, int]]:
    """Its address, its process id and its memory at rest."""
    home = tmp_path_factory.mktemp("hostile")
    registry = DirectoryRegistry(home / "registry")
    registry.directory.mkdir()
    registry.register(runs[0])
    registry.set_alias(CHAMPION, 1)
    with process(home, registry, AUTOOPS__STORAGE__HOME=str(home / "var")) as (running, url):
        yield url, running.pid, rested(Target(url, 0), running.pid)


def check(server: tuple[str, int, int], attack: Attack, megabytes: int, window_s: float) -> None:
    url, pid, resting = server
    outcome = watch(Target(url, megabytes), pid, attack, window_s)
    assert outcome.refused == []
    assert outcome.peak_bytes <= 2 * resting


@pytest.mark.quick
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_honest_client_is_answered_beside_a_hostile_one(server: tuple[str, int, int], attack: Attack) -> None:
    check(server, attack, FLOOD_MB, WINDOW_S)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_so_it_is_for_longer(server: tuple[str, int, int], attack: Attack) -> None:
    check(server, attack, LARGE_FLOOD_MB, LONG_S)
