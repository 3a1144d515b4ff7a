import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from autoops.errors import RegistryUnavailable
from autoops.models.bundle import MODEL, sha256_of
from autoops.models.bundle_cache import KEPT, fetch_bundle
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.serving.model.blocked import RETRY
from autoops.serving.model.budget import Budget
from autoops.serving.model.holder import Holder, Outcome
from autoops.serving.model.last_served import FILE, LastServed
from autoops.serving.model.loading import Loading
from autoops.serving.model.trial import Bounds, Cancellation, Hung, Trial
from tests.bundles import three_speeds
from tests.eventually import eventually
from tests.fakes import FakeRegistry, HeldClock
from tests.taxi import CONTRACT


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingRun]:
    return three_speeds(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def registry(tmp_path: Path, runs: list[TrainingRun]) -> FakeRegistry:
    """Versions 1 to 3, of which 1 is the champion."""
    return FakeRegistry(tmp_path / "registry").filled(runs)


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def seen() -> list[Outcome]:
    return []


@pytest.fixture
def make(tmp_path: Path, registry: FakeRegistry, clock: HeldClock, seen: list[Outcome]) -> Callable[..., Holder]:
    """A holder as after a start of the process; they share one cache."""

    def begin(follows: str | int = CHAMPION, model_name: str = "trips") -> Holder:
        return Holder(registry, follows, LastServed(tmp_path / "models", model_name), clock, seen.append)

    return begin


def numbers(holder: Holder) -> tuple[int | None, int | None]:
    return (
        holder.current.version.number if holder.current else None,
        holder.previous.version.number if holder.previous else None,
    )


def test_it_follows_the_alias_and_keeps_the_one_before(
    make: Callable[..., Holder], registry: FakeRegistry, seen: list[Outcome]
) -> None:
    holder = make()
    assert numbers(holder) == (None, None)
    assert holder.refresh() == "swapped"
    assert holder.refresh() == "unchanged"
    registry.set_alias(CHAMPION, 2)
    assert holder.refresh() == "swapped"
    assert numbers(holder) == (2, 1)
    assert seen == ["swapped", "unchanged", "swapped"]


def test_a_revert_is_the_very_handle_that_was_kept(make: Callable[..., Holder], registry: FakeRegistry) -> None:
    holder = make()
    holder.refresh()
    first = holder.current
    registry.set_alias(CHAMPION, 2)
    holder.refresh()
    registry.set_alias(CHAMPION, 1)
    assert holder.refresh() == "reverted"
    assert first is not None
    assert holder.current is not None
    assert holder.current.scorer is first.scorer
    assert numbers(holder) == (1, 2)


def test_the_same_number_with_other_content_is_another_version(
    make: Callable[..., Holder], registry: FakeRegistry, runs: list[TrainingRun], tmp_path: Path
) -> None:
    holder = make()
    holder.refresh()
    anew = FakeRegistry(tmp_path / "anew")
    anew.register(runs[2])
    registry.directory, registry._tags = anew.directory, anew._tags
    registry.aliases[CHAMPION] = 1
    assert holder.refresh() == "swapped"
    assert holder.current is not None
    assert holder.current.version.bundle_digest == runs[2].tags["bundle_digest"]


def test_a_broken_version_is_left_alone_until_it_is_asked_for(
    make: Callable[..., Holder], registry: FakeRegistry, clock: HeldClock
) -> None:
    holder = make()
    holder.refresh()
    (registry.bundle_of(2) / MODEL).write_bytes(b"broken")
    registry.set_alias(CHAMPION, 2)
    assert holder.refresh() == "failed"
    assert holder.failure is not None
    assert (holder.failure.version, holder.failure.at) == (2, clock.now())
    clock.advance(days=30)
    assert holder.refresh() == "skipped"
    assert holder.refresh(insist=True) == "failed"
    registry.set_alias(CHAMPION, 1)
    assert holder.refresh() == "unchanged"
    assert holder.failure is None
    registry.set_alias(CHAMPION, 2)
    assert holder.refresh() == "skipped"
    assert numbers(holder) == (1, None)
    assert [broken.version for broken in holder.quarantine.broken] == [2]
    assert registry.calls["download_bundle"] == 3


def test_a_champion_of_another_use_case_is_refused_and_the_old_one_stays(
    make: Callable[..., Holder], registry: FakeRegistry
) -> None:
    holder = make()
    holder.refresh()
    registry.contract = CONTRACT.model_copy(update={"name": "car_loan"})
    registry.set_alias(CHAMPION, 2)
    assert holder.refresh() == "failed"
    assert numbers(holder) == (1, None)
    assert holder.failure is not None
    assert "version 2 is of the use case nyc_taxi_trip_duration" in holder.failure.reason


def test_the_reason_of_a_refusal_survives_an_outage(make: Callable[..., Holder], registry: FakeRegistry) -> None:
    holder = make()
    holder.refresh()
    (registry.bundle_of(2) / MODEL).write_bytes(b"broken")
    registry.set_alias(CHAMPION, 2)
    holder.refresh()
    refused = holder.failure
    registry.down = True
    assert holder.refresh() == "failed"
    assert holder.failure != refused
    registry.down = False
    assert holder.refresh() == "skipped"
    assert holder.failure == refused


def test_what_is_in_the_way_is_logged_once_until_it_is_something_else(
    make: Callable[..., Holder], registry: FakeRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    holder = make()
    registry.down = True
    for _ in range(3):
        holder.refresh()
    assert len(caplog.records) == 1
    registry.down = False
    registry.aliases.clear()
    for _ in range(3):
        holder.refresh()
    assert len(caplog.records) == 2


class FullDisk(FakeRegistry):
    full = True

    def download_bundle(self, number: int, directory: Path) -> Path:
        if self.full and number == 2:
            self.calls["refused"] += 1
            raise OSError(28, "No space left on device")
        return super().download_bundle(number, directory)


def test_a_full_disk_is_tried_again_after_a_while(runs: list[TrainingRun], tmp_path: Path, clock: HeldClock) -> None:
    registry = FullDisk(tmp_path / "registry").filled(runs)
    holder = Holder(registry, CHAMPION, LastServed(tmp_path / "models", "trips"), clock)
    holder.refresh()
    registry.set_alias(CHAMPION, 2)
    assert [holder.refresh(), holder.refresh()] == ["failed", "skipped"]
    assert holder.failure is not None
    assert "No space left" in holder.failure.reason
    registry.full = False
    clock.advance(seconds=(RETRY - timedelta(seconds=1)).total_seconds())
    assert holder.refresh() == "skipped"
    clock.advance(seconds=2)
    assert holder.refresh() == "swapped"
    assert registry.calls["refused"] == 1


def test_a_clock_that_is_put_back_makes_no_pause_longer(
    runs: list[TrainingRun], tmp_path: Path, clock: HeldClock
) -> None:
    registry = FullDisk(tmp_path / "registry").filled(runs)
    holder = Holder(registry, CHAMPION, LastServed(tmp_path / "models", "trips"), clock)
    holder.refresh()
    registry.set_alias(CHAMPION, 2)
    assert holder.refresh() == "failed"
    registry.full = False
    clock.advance(days=-1)
    assert holder.refresh() == "swapped"


class Unreliable(FakeRegistry):
    """Answers, and breaks every download off but those of version 1."""

    def download_bundle(self, number: int, directory: Path) -> Path:
        if number == 1:
            return super().download_bundle(number, directory)
        self.calls["broken off"] += 1
        raise RegistryUnavailable("the connection broke")


def test_a_download_that_breaks_off_is_tried_again_ever_more_rarely(
    runs: list[TrainingRun], tmp_path: Path, clock: HeldClock
) -> None:
    registry = Unreliable(tmp_path / "registry").filled(runs)
    holder = Holder(registry, CHAMPION, LastServed(tmp_path / "models", "trips"), clock)
    holder.refresh()
    registry.set_alias(CHAMPION, 2)
    for _ in range(60):
        holder.refresh()
        clock.advance(seconds=1)
    assert registry.calls["broken off"] == 5
    assert holder.quarantine.broken == []
    assert numbers(holder) == (1, None)


def test_a_version_without_a_bundle_tag_is_refused(make: Callable[..., Holder], registry: FakeRegistry) -> None:
    holder = make()
    holder.refresh()
    del registry._tags[2]["bundle_digest"]
    registry.set_alias(CHAMPION, 2)
    assert holder.refresh() == "failed"
    assert holder.failure is not None
    assert "bundle_digest" in holder.failure.reason


def test_a_restart_without_the_registry_uses_the_cache(make: Callable[..., Holder], registry: FakeRegistry) -> None:
    before = make()
    before.refresh()
    registry.set_alias(CHAMPION, 2)
    before.refresh()
    registry.down = True
    downloads = registry.calls["download_bundle"]
    after = make()
    assert after.refresh() == "from_cache"
    assert numbers(after) == (2, None)
    assert after.current is not None
    assert after.current.source == "cache"
    assert after.failure is not None
    registry.down = False
    assert after.refresh() == "unchanged"
    assert after.current.source == "registry"
    assert after.failure is None
    assert registry.calls["download_bundle"] == downloads


def test_the_cache_of_another_registered_model_is_not_served(
    make: Callable[..., Holder], registry: FakeRegistry
) -> None:
    make().refresh()
    registry.down = True
    assert make(model_name="other").refresh() == "failed"


def test_a_registry_without_a_champion_is_not_covered_up_by_the_cache(
    make: Callable[..., Holder], registry: FakeRegistry
) -> None:
    make().refresh()
    registry.aliases.clear()
    holder = make()
    assert holder.refresh() == "failed"
    assert numbers(holder) == (None, None)


def test_a_pinned_version_asks_the_registry_once(make: Callable[..., Holder], registry: FakeRegistry) -> None:
    holder = make(3)
    assert [holder.refresh() for _ in range(3)] == ["swapped", "unchanged", "unchanged"]
    assert registry.calls["version"] == 1
    assert numbers(holder) == (3, None)


def test_a_pinned_version_that_is_not_there_is_told(make: Callable[..., Holder]) -> None:
    holder = make(9)
    assert holder.refresh() == "failed"
    assert holder.failure is not None
    assert "9" in holder.failure.reason


def test_latest_is_the_newest_that_passed_the_gate_and_was_not_rolled_back(
    make: Callable[..., Holder], registry: FakeRegistry
) -> None:
    holder = make("latest")
    assert holder.refresh() == "failed"
    registry.tag(1, {"gate_decision": "promote"})
    registry.tag(2, {"gate_decision": "promote"})
    registry.tag(3, {"gate_decision": "inconclusive"})
    assert holder.refresh() == "swapped"
    assert numbers(holder) == (2, None)
    registry.tag(2, {"rolled_back": "2026-01-01T00:00:00+00:00"})
    holder.refresh()
    assert numbers(holder) == (1, 2)


def test_what_is_loaded_stays_on_disk_and_what_a_killed_process_left_does_not(
    make: Callable[..., Holder], registry: FakeRegistry, runs: list[TrainingRun], tmp_path: Path
) -> None:
    make().refresh()
    leftover = tmp_path / "models" / ".download-killed"
    leftover.mkdir()
    holder = make()
    holder.refresh()
    assert not leftover.exists()
    assert holder.current is not None
    for _ in range(KEPT + 1):
        holder.refresh()
        fetch_bundle(registry, registry.register(runs[0]), tmp_path / "models")
    assert holder.current.scorer.directory.is_dir()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": "trips"}', '{"model": "trips", "number": "x"}'])
def test_a_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert LastServed(tmp_path, "trips").recall() is None


def test_of_the_notes_that_were_not_finished_those_go_that_nobody_writes_any_more(tmp_path: Path) -> None:
    for name, age_s in (("young", 0), ("old", 3600)):
        note = tmp_path / f".{FILE}.{name}"
        note.write_text("{")
        os.utime(note, (time.time() - age_s,) * 2)
    LastServed(tmp_path, "trips").sweep()
    assert [file.name for file in tmp_path.iterdir()] == [f".{FILE}.young"]


def test_a_note_that_cannot_be_written_stops_nothing(
    make: Callable[..., Holder], tmp_path: Path, registry: FakeRegistry
) -> None:
    holder = make()
    holder.refresh()
    (tmp_path / "models" / FILE).unlink()
    (tmp_path / "models" / FILE).mkdir()
    registry.set_alias(CHAMPION, 2)
    assert holder.refresh() == "swapped"
    assert holder.failure is None


class Slow(FakeRegistry):
    """Each download of version 2 or 3 ends when `goes_on` is set."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.began, self.goes_on = threading.Event(), threading.Event()

    def download_bundle(self, number: int, directory: Path) -> Path:
        downloaded = super().download_bundle(number, directory)
        if number > 1:
            self.began.set()
            assert self.goes_on.wait(30)
        return downloaded


@pytest.fixture
def slow(tmp_path: Path, runs: list[TrainingRun]) -> Slow:
    return Slow(tmp_path / "slow").filled(runs)


@pytest.fixture
def following(slow: Slow, tmp_path: Path, clock: HeldClock, seen: list[Outcome]) -> Holder:
    """Serves version 1."""
    holder = Holder(slow, CHAMPION, LastServed(tmp_path / "models", "trips"), clock, seen.append)
    assert holder.refresh() == "swapped"
    return holder


def test_a_version_that_is_withdrawn_while_it_loads_never_goes_into_service(following: Holder, slow: Slow) -> None:
    slow.set_alias(CHAMPION, 2)
    outcomes: list[Outcome] = []
    waiting = threading.Thread(target=lambda: outcomes.append(following.refresh()))
    waiting.start()
    assert slow.began.wait(30)
    slow.set_alias(CHAMPION, 1)
    slow.goes_on.set()
    waiting.join(30)
    assert outcomes == ["unchanged"]
    assert numbers(following) == (1, None)


def test_looks_go_on_while_a_version_loads(following: Holder, slow: Slow, seen: list[Outcome]) -> None:
    slow.set_alias(CHAMPION, 2)
    assert [following.look(), following.look()] == ["loading", "loading"]
    slow.set_alias(CHAMPION, 1)
    assert following.look() == "unchanged"
    slow.set_alias(CHAMPION, 2)
    assert following.look() == "loading"
    slow.goes_on.set()
    eventually(lambda: seen == ["swapped", "unchanged", "swapped"])
    assert numbers(following) == (2, 1)


def test_going_back_does_not_wait_for_a_load(following: Holder, slow: Slow) -> None:
    slow.goes_on.set()
    slow.set_alias(CHAMPION, 2)
    assert following.refresh() == "swapped"
    slow.goes_on.clear()
    slow.began.clear()
    slow.set_alias(CHAMPION, 3)
    assert following.look() == "loading"
    assert slow.began.wait(30)
    slow.set_alias(CHAMPION, 1)
    assert following.look() == "reverted"
    assert numbers(following) == (1, 2)
    slow.goes_on.set()


def test_what_has_loaded_waits_until_the_registry_confirms_it(following: Holder, slow: Slow) -> None:
    slow.set_alias(CHAMPION, 2)
    assert following.look() == "loading"
    assert slow.began.wait(30)
    slow.down = True
    slow.goes_on.set()
    eventually(lambda: following.failure)
    assert numbers(following) == (1, None)
    slow.down = False
    downloads = slow.calls["download_bundle"]
    assert following.refresh() == "swapped"
    assert numbers(following) == (2, 1)
    assert slow.calls["download_bundle"] == downloads


def test_a_stop_gives_up_a_load(following: Holder, slow: Slow) -> None:
    slow.set_alias(CHAMPION, 2)
    assert following.look() == "loading"
    following.stop()
    slow.goes_on.set()
    following.refresh()
    assert numbers(following) == (1, None)


def hangs_on(bad: Path) -> Trial:
    def trial(model: Path, rows: object, bounds: Bounds, cancellation: Cancellation) -> None:
        if sha256_of(model) == sha256_of(bad):
            raise Hung

    return trial


def test_a_version_that_hangs_is_blocked_and_the_next_one_taken(
    registry: FakeRegistry, tmp_path: Path, clock: HeldClock
) -> None:
    loading = Loading(timeout_s=7, trial=hangs_on(registry.bundle_of(2) / MODEL))
    holder = Holder(registry, CHAMPION, LastServed(tmp_path / "models", "trips"), clock, loading=loading)
    holder.refresh()
    registry.set_alias(CHAMPION, 2)
    assert [holder.refresh(), holder.refresh()] == ["failed", "skipped"]
    assert [broken.version for broken in holder.quarantine.broken] == [2]
    assert holder.failure is not None
    assert holder.failure.reason == "model.onnx does not load and answer within 7 s (serving.load_timeout_s)"
    registry.set_alias(CHAMPION, 3)
    assert holder.refresh() == "swapped"


def short_of_memory(model: Path, rows: object, bounds: Bounds, cancellation: Cancellation) -> None:
    raise MemoryError


def test_a_version_for_which_memory_is_short_is_tried_again(
    registry: FakeRegistry, tmp_path: Path, clock: HeldClock
) -> None:
    loading = Loading(Budget(50, lambda: 1e8), trial=short_of_memory)
    holder = Holder(registry, CHAMPION, LastServed(tmp_path / "models", "trips"), clock, loading=loading)
    assert [holder.refresh(), holder.refresh()] == ["failed", "skipped"]
    assert holder.failure is not None
    assert "version 1 has 0.0 MB: loading it takes more memory than the 100 MB that are free" in holder.failure.reason
    assert holder.quarantine.broken == []
    clock.advance(seconds=(RETRY + timedelta(seconds=1)).total_seconds())
    assert holder.refresh() == "failed"
