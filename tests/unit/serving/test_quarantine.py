"""Which versions are left alone, and for how long."""

from datetime import timedelta

import pytest

from autoops.errors import BundleError, RegistryUnavailable
from autoops.models.registry import ModelVersion
from autoops.serving.model.blocked import INTERRUPTED, LONGEST, RETRY, BlockedVersions, Failure
from tests.fakes import HeldClock

BROKEN, FULL_DISK, BROKEN_OFF = BundleError("broken"), OSError(28, "No space left"), RegistryUnavailable("broken off")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def quarantine(clock: HeldClock) -> BlockedVersions:
    return BlockedVersions(clock)


def version(number: int, digest: str = "abc") -> ModelVersion:
    return ModelVersion(number, "run", {"bundle_digest": digest})


def failure(number: int, clock: HeldClock) -> Failure:
    return Failure("it failed", clock.now(), number)


def test_a_broken_version_is_held_with_its_digest_until_it_is_released(
    quarantine: BlockedVersions, clock: HeldClock
) -> None:
    quarantine.add(version(1), failure(1, clock), BROKEN)
    clock.advance(days=365)
    held = quarantine.holds(version(1))
    assert held is not None
    assert quarantine.broken == [held]
    assert quarantine.holds(version(1, "def")) is None
    quarantine.release(version(1))
    assert (quarantine.holds(version(1)), quarantine.broken) == (None, [])


@pytest.mark.parametrize(("error", "first"), [(FULL_DISK, RETRY), (BROKEN_OFF, INTERRUPTED)])
def test_what_may_pass_is_held_twice_as_long_each_time_up_to_a_bound(
    quarantine: BlockedVersions, clock: HeldClock, error: Exception, first: timedelta
) -> None:
    pause = first
    for _ in range(12):
        quarantine.add(version(1), failure(1, clock), error)
        clock.advance(seconds=pause.total_seconds() - 1)
        assert quarantine.holds(version(1)) is not None
        clock.advance(seconds=1)
        assert quarantine.holds(version(1)) is None
        pause = min(2 * pause, LONGEST)
    assert pause == LONGEST
    quarantine.release(version(1))
    quarantine.add(version(1), failure(1, clock), error)
    clock.advance(seconds=first.total_seconds())
    assert quarantine.holds(version(1)) is None, "once it was served it begins anew"
    assert quarantine.broken == []


def test_of_many_the_oldest_is_forgotten(quarantine: BlockedVersions, clock: HeldClock) -> None:
    for number in (*range(1, 21), 1, 21):
        quarantine.add(version(number), failure(number, clock), BROKEN)
    assert [broken.version for broken in quarantine.broken] == [*range(3, 21), 1, 21]
    assert quarantine.holds(version(2)) is None
