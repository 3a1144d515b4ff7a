"""After a promotion: the new version against the one that it replaced, on the trips that it answered."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from autoops.errors import Conflict, RegistryUnavailable
from autoops.loop.context import Context
from autoops.loop.incidents import freeze
from autoops.loop.incidents.recent_actions import rolled_back_at
from autoops.loop.monitor import drift_check
from autoops.loop.promote import post_promotion
from autoops.loop.promote.promotion import COMPARED, ROLLED_BACK, roll_back
from autoops.loop.records.ledger import PAGE
from autoops.loop.retrain import retraining
from autoops.models.registry import CHAMPION, PREVIOUS, champion_of
from autoops.months import Month, parse_months
from autoops.settings import Settings, load_settings
from autoops.usecases.taxi.sample import write_sample
from tests.conftest import CONFIG
from tests.fakes import FakeRegistry
from tests.integration.one_process import SMALL, context_in, drive, prepared, publish, retrain, with_champion

APRIL, MAY = Month(2022, 4), Month(2022, 5)
WINDOW = 1_000


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same five months twice: steady, and with trips 30 % slower from April on."""
    made = {}
    for scenario in ("steady", "speed"):
        made[scenario] = tmp_path_factory.mktemp(scenario)
        months = parse_months("2022-01..2022-05")
        write_sample(made[scenario], months, trips_per_month=6_000, scenario=scenario, changes_from=APRIL)
    return made


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("AUTOOPS__MODEL__PARAMETERS", json.dumps(SMALL))
    return context_in(tmp_path, load_settings(CONFIG), engine)


@pytest.fixture
def mistaken(engine: sa.Engine, worlds: dict[str, Path], tmp_path: Path) -> Context:
    """Version 2 was fitted on a slow month, and forced."""

    def build(directory: Path, engine: sa.Engine) -> Context:
        context = with_champion(directory, worlds["steady"], engine)
        publish(worlds["speed"], directory, "2022-04")
        context.clock.advance(hours=1)
        assert retrain(context, "mistake", months="2022-04", force=True, reason="I insist")["promoted"]
        return context

    return prepared(("mistaken", worlds["steady"]), build, tmp_path, engine)


def window(context: Context, world: Path, number: int) -> dict[str, object]:
    """Lets the champion answer so many trips of May, and checks."""
    drive(context, world, MAY, slice(number * WINDOW, (number + 1) * WINDOW))
    context.clock.advance(hours=1)
    return drift_check.check(context)


def test_a_bad_promotion_is_rolled_back_by_the_first_window_that_can_tell(
    mistaken: Context, worlds: dict[str, Path]
) -> None:
    standing = mistaken.ledger.open_incident("drift", "odd", actor="test", model_version=2)
    found = window(mistaken, worlds["steady"], 0)
    assert (found["decision"], found["model_version"], found["incident_id"]) == ("roll back", 2, None)
    assert found["actionable"] == []

    registry = mistaken.registry
    assert (registry.by_alias(CHAMPION).number, registry.by_alias(PREVIOUS).number) == (1, 2)
    assert registry.version(2).tags[ROLLED_BACK] == found["reason"]
    (back,) = mistaken.ledger.entries(kind="rolled back")
    assert (back.model_version, back.actor, back.evidence["restored"]) == (2, drift_check.ACTOR, 1)
    assert back.evidence["verdict"]["low"] > 0
    assert "worse than the version that it replaced beyond chance" in back.reason
    assert "version 2 was rolled back" in mistaken.ledger.incident(standing).outcome
    (page,) = mistaken.ledger.entries(kind=PAGE)
    assert page.reason.startswith("version 2 was rolled back by itself: worse than the version that it replaced")


def test_a_version_that_is_replaced_while_it_is_judged_is_not_rolled_back(
    mistaken: Context, worlds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = drift_check.judge_window

    def replaced_meanwhile(*judged: Any) -> Any:
        assert retrain(mistaken, "meanwhile", months="2022-01..2022-03", force=True)["promoted"]
        return judge(*judged)

    monkeypatch.setattr(drift_check, "judge_window", replaced_meanwhile)
    found = window(mistaken, worlds["steady"], 0)
    assert (found["model_version"], found["decision"]) == (2, "nothing")
    assert found["because"] == "version 2 was replaced while it was judged"
    assert champion_of(mistaken.registry).number == 3
    assert mistaken.ledger.entries(kind="rolled back") == []


def test_what_was_rolled_back_stays_out_and_no_retraining_follows_for_the_cool_down(
    mistaken: Context, worlds: dict[str, Path]
) -> None:
    window(mistaken, worlds["steady"], 0)
    plan = retraining.begin(mistaken, "again", months="2022-04")
    refused = retraining.promote(mistaken, plan, 2, {"decision": "promote", "reason": "", "champion": 1})
    assert "rolled back before" in refused["reason"]
    with pytest.raises(Conflict, match="version 2 was rolled back itself"):
        roll_back(mistaken, reason="back and forth", actor="me")

    drift = mistaken.settings.drift.model_copy(update={"cooldown_days": 14})
    slow = replace(mistaken, settings=mistaken.settings.model_copy(update={"drift": drift}))
    decided = [window(slow, worlds["speed"], number)["decision"] for number in (1, 2, 3)]
    assert decided == ["watch", "cool down", "open incident"]
    assert champion_of(mistaken.registry).number == 1
    assert len(mistaken.ledger.entries(kind="rolled back")) == 1


def test_a_promotion_that_proves_right_is_watched_no_longer(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["speed"], tmp_path, "2022-01..2022-03")
    retrain(context, "first")
    publish(worlds["speed"], tmp_path, "2022-04")
    assert retrain(context, "second", months="2022-04", force=True)["promoted"]
    assert window(context, worlds["speed"], 0)["decision"] != "roll back"
    (over,) = context.ledger.entries(kind=post_promotion.OVER)
    assert "proved right" in over.reason
    window(context, worlds["speed"], 1)
    assert len(context.ledger.entries(kind=COMPARED)) == 1


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.study) for seed in range(1, 4))])
def test_a_version_as_good_as_the_last_is_not_rolled_back(context: Context, tmp_path: Path, seed: int) -> None:
    world = tmp_path / "world"
    write_sample(world, parse_months("2022-01..2022-05"), trips_per_month=5_000, seed=100 + seed)
    publish(world, tmp_path, "2022-01..2022-03")
    retrain(context, "first")
    publish(world, tmp_path, "2022-04")
    assert retrain(context, "second", force=True)["promoted"]
    for number in range(4):
        assert window(context, world, number)["decision"] != "roll back"
    looks = [entry.evidence["verdict"] for entry in context.ledger.entries(kind=COMPARED)]
    assert looks[0] is not None
    assert looks[2:3] in ([], [None]), "the second look came at twice the rows, and the next at four times"
    assert champion_of(context.registry).number == 2


def test_too_few_labels_are_left_for_later(mistaken: Context, worlds: dict[str, Path]) -> None:
    drive(mistaken, worlds["steady"], MAY, slice(0, 400))
    assert drift_check.check(mistaken)["verdict"] == "not enough data"
    assert mistaken.ledger.entries(kind=COMPARED) == []
    drive(mistaken, worlds["steady"], MAY, slice(400, 1_000))
    assert drift_check.check(mistaken)["decision"] == "roll back"


def test_trips_count_once_where_a_window_waits_to_be_full(mistaken: Context, worlds: dict[str, Path]) -> None:
    """The version's own windows are larger than those that are asked for now."""
    drift = mistaken.settings.drift.model_copy(update={"window_size": 100})
    smaller = replace(mistaken, settings=mistaken.settings.model_copy(update={"drift": drift}))
    freeze.freeze(smaller, reason="so that it goes on", actor="test")
    for rows in (slice(0, 300), slice(300, 350), slice(350, 500)):
        drive(smaller, worlds["steady"], MAY, rows)
        assert drift_check.check(smaller)["verdict"] == "not enough data"
    counted = [
        sum(rows for rows, *_ in entry.evidence["days"].values()) for entry in smaller.ledger.entries(kind=COMPARED)
    ]
    assert counted == [300, 200]


class Lame(FakeRegistry):
    lame = False

    def set_alias(self, alias: str, number: int) -> None:
        if self.lame:
            raise RegistryUnavailable("no answer")
        super().set_alias(alias, number)


def test_a_rollback_that_fails_is_tried_again_with_the_next_window(mistaken: Context, worlds: dict[str, Path]) -> None:
    lame = Lame(mistaken.registry.directory)
    vars(lame).update(vars(mistaken.registry))
    broken = replace(mistaken, registry=lame)
    lame.lame = True
    for number in (0, 1):
        with pytest.raises(RegistryUnavailable):
            window(broken, worlds["steady"], number)
    lame.lame = False
    assert window(broken, worlds["steady"], 2)["decision"] == "roll back"


@pytest.mark.parametrize("finish", [drift_check.check, lambda context: roll_back(context, reason="?", actor="me")])
@pytest.mark.parametrize("moves", [1, 2])
def test_a_rollback_that_is_killed_between_its_moves_is_completed(
    mistaken: Context, finish: Callable[[Context], object], moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, left = mistaken.registry.set_alias, [moves]

    def killed(alias: str, number: int) -> None:
        move(alias, number)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(mistaken.registry, "set_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            roll_back(mistaken, reason="worse", actor="me")
    assert champion_of(mistaken.registry).number == 1, "the bad version is out at once"
    finish(mistaken)
    (entry,) = mistaken.ledger.entries(kind="rolled back")
    assert (entry.model_version, entry.reason) == (2, "worse")
    previous = mistaken.registry.by_alias(PREVIOUS)
    assert (champion_of(mistaken.registry).number, previous and previous.number) == (1, 2)


@pytest.mark.parametrize("finish", [drift_check.check, lambda context: roll_back(context, reason="?", actor="me")])
def test_a_rollback_that_broke_off_before_its_record_gets_one(
    mistaken: Context, finish: Callable[[Context], object]
) -> None:
    standing = mistaken.ledger.open_incident("drift", "odd", actor="test", model_version=2)
    mistaken.registry.tag(2, {ROLLED_BACK: "worse"})
    mistaken.registry.set_alias(PREVIOUS, 2)
    mistaken.registry.set_alias(CHAMPION, 1)
    finish(mistaken)
    drift_check.check(mistaken)
    (entry,) = mistaken.ledger.entries(kind="rolled back")
    assert (entry.model_version, entry.reason, entry.evidence) == (2, "worse", {"restored": 1})
    left = mistaken.registry.by_alias(PREVIOUS)
    assert left is not None
    assert left.number == 2
    assert mistaken.ledger.incident(standing).outcome == "version 2 was rolled back: worse"
    assert champion_of(mistaken.registry).number == 1


def test_a_rollback_by_itself_that_broke_off_pages_and_cools_down_all_the_same(
    mistaken: Context, worlds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = mistaken.ledger.record

    def killed(kind: str, reason: str, **about: Any) -> None:
        if kind == "rolled back":
            raise KeyboardInterrupt
        record(kind, reason, **about)

    with monkeypatch.context() as broken:
        broken.setattr(mistaken.ledger, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            window(mistaken, worlds["steady"], 0)
    drift_check.check(mistaken)
    (back,) = mistaken.ledger.entries(kind="rolled back")
    (compared,) = mistaken.ledger.entries(kind=COMPARED)
    assert back.evidence == {"restored": 1, "event_until": compared.evidence["event_until"]}
    assert rolled_back_at(mistaken).month == MAY.month
    assert [page.model_version for page in mistaken.ledger.entries(kind=PAGE)] == [2]


def test_trips_that_a_version_was_fitted_on_tell_nothing(mistaken: Context, worlds: dict[str, Path]) -> None:
    drive(mistaken, worlds["steady"], APRIL, slice(0, 1_000))
    assert drift_check.check(mistaken)["decision"] != "roll back"
    (entry,) = mistaken.ledger.entries(kind=COMPARED)
    assert (entry.evidence["rows"], entry.evidence["verdict"]) == (0, None)
    assert "not compared with version 1 yet" in entry.reason


def test_a_first_version_is_not_watched(context: Context, worlds: dict[str, Path], tmp_path: Path) -> None:
    publish(worlds["steady"], tmp_path, "2022-01..2022-03")
    retrain(context, "first")
    drive(context, worlds["steady"], MAY, slice(0, WINDOW))
    drift_check.check(context)
    assert context.ledger.entries(kind=COMPARED) == []


def test_where_the_previous_version_is_gone_the_watch_ends(mistaken: Context, worlds: dict[str, Path]) -> None:
    (mistaken.registry.bundle_of(1) / "model.onnx").unlink()
    for cached in mistaken.model_cache.glob("1-*/model.onnx"):
        cached.unlink()
    assert window(mistaken, worlds["steady"], 0)["decision"] != "roll back"
    (over,) = mistaken.ledger.entries(kind=post_promotion.OVER)
    assert "version 1 can no longer be scored" in over.reason
