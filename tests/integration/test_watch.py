"""What the watchdog notices: each trouble once when it begins, and once when it is over."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.alerts.watch import watch
from autoops.errors import ServiceUnavailable
from autoops.loop.context import Context
from autoops.loop.incidents import freeze
from autoops.loop.promote.promotion import promote_version
from autoops.loop.retrain import retraining
from autoops.settings import Settings
from tests.bundles import small_training_run
from tests.integration.one_process import context_in, setting


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    """Version 1 is champion, and is served."""
    built = context_in(tmp_path, settings, engine)
    built.registry.register(small_training_run(tmp_path / "run"))
    promote_version(built, 1, reason="first", actor="test")
    beat(built, 1)
    return built


def beat(context: Context, version: int | None) -> None:
    now = context.clock.now()
    context.instances.beat("replica", version, now, now)


def check(context: Context) -> None:
    context.checks.append(model_version=1, verdict="no drift", alarm=False, reason="ordinary", report={})


def told(context: Context) -> list[str]:
    return [entry.kind for entry in context.ledger.entries() if entry.actor == "watchdog"]


def later(context: Context, **by: float) -> list[str]:
    """What is wrong after so long, in which the API went on."""
    context.clock.advance(**by)
    beat(context, 1)
    return watch(context, patience_s=0)


def test_a_monitor_that_misses_its_checks_is_silent_until_it_checks_again(context: Context) -> None:
    check(context)
    assert later(context, hours=3) == []
    (wrong,) = later(context, minutes=1)
    assert wrong == "the last check was 3.0 hours ago, at 2026-01-01 00:00 UTC; one is due every 60 minutes"
    later(context, hours=5)
    assert told(context) == ["monitor silent"]
    check(context)
    assert later(context) == []
    later(context, hours=4)
    assert told(context) == ["monitor silent", "monitor checks again", "monitor silent"]


def test_before_the_first_promotion_nothing_is_to_be_checked(
    settings: Settings, engine: sa.Engine, tmp_path: Path
) -> None:
    empty = context_in(tmp_path, settings, engine)
    empty.clock.advance(days=9)
    assert watch(empty, patience_s=0) == []


def test_a_champion_that_was_never_checked_is_not_watched(context: Context) -> None:
    (wrong,) = later(context, hours=4)
    assert wrong.startswith("there has been no check since the first promotion, 4.0 hours ago")


def test_a_check_may_take_a_quarter_of_an_hour_however_often_one_is_due(context: Context) -> None:
    hasty = setting(context, "drift", check_interval_s=5)
    check(hasty)
    assert later(hasty, minutes=15) == []
    assert later(hasty, seconds=1)


def test_an_api_with_another_version_than_the_champion_is_told_and_so_is_its_end(context: Context) -> None:
    beat(context, None)
    for _ in range(2):
        (wrong,) = watch(context, patience_s=0)
    assert wrong == "version 1 is champion but not served everywhere: replica: None"
    beat(context, 1)
    assert watch(context, patience_s=0) == []
    assert told(context) == ["not served", "served again"]


def test_an_api_that_gives_no_sign_of_life_is_missed_where_there_was_one(context: Context) -> None:
    context.clock.advance(minutes=1)
    (wrong,) = watch(context, patience_s=0)
    assert "no instance gave a sign of life" in wrong
    assert told(context) == ["not served"]


def test_an_installation_without_an_api_misses_none(context: Context) -> None:
    context.instances.leave("replica")
    assert watch(context, patience_s=0) == []


def test_what_a_retraining_has_said_is_not_said_again(context: Context) -> None:
    beat(context, None)
    plan = {"incident_id": None, "run_id": "by-hand", "actor": "airflow"}
    with pytest.raises(ServiceUnavailable):
        retraining.confirm(context, plan, 1, timeout_s=0)
    assert watch(context, patience_s=0)
    assert told(context) == []
    beat(context, 1)
    retraining.confirm(context, plan, 1, timeout_s=0)
    watch(context, patience_s=0)
    assert told(context) == []


def test_a_version_that_a_setting_names_is_no_trouble(context: Context) -> None:
    beat(context, 2)
    assert watch(setting(context, "serving", model_version=2), patience_s=0) == []


def test_a_registry_that_is_away_tells_nothing_of_the_api(context: Context) -> None:
    beat(context, None)
    context.registry.down = True
    assert watch(context, patience_s=0) == []
    assert told(context) == []


def test_a_retraining_beyond_its_deadline_has_failed_and_can_be_taken_up(context: Context) -> None:
    """Its process hangs, or was ended, and tells nobody."""
    allowed = context.settings.training.run_timeout_s
    incident = context.ledger.open_incident("drift", "odd", actor="test", model_version=1)
    context.ledger.claim(incident, retraining.ACTION, "hanging")
    run = {"run_id": "hanging"}
    context.ledger.record("retraining begun", "odd", actor="test", incident_id=incident, evidence=run)
    context.clock.advance(seconds=allowed)
    check(context)
    assert later(context) == []
    (wrong,) = later(context, minutes=1)
    assert "run hanging of incident" in wrong
    (failure,) = context.ledger.entries(kind="retraining failed")
    assert (failure.incident_id, failure.actor, failure.evidence) == (incident, "watchdog", {"run_id": "hanging"})
    assert "training.timeout_s allows 12.0 hours" in failure.reason
    assert later(context, minutes=1) == [], "it is said once"


def test_a_retraining_that_waits_for_approval_has_no_deadline(context: Context) -> None:
    incident = context.ledger.open_incident("drift", "odd", actor="test", model_version=1)
    context.ledger.claim(incident, retraining.ACTION, "done")
    context.ledger.record("retraining begun", "odd", actor="test", incident_id=incident, evidence={"run_id": "done"})
    context.ledger.set_status(incident, "waiting_for_approval", "say yes", actor="test")
    check(context)
    assert "deadline" not in " ".join(later(context, days=2))


def test_a_freeze_that_grows_old_is_told_once(context: Context) -> None:
    freeze.freeze(context, reason="holidays", actor="cli:ann")
    check(context)
    assert not any("frozen" in reason for reason in later(context, days=7))
    for _ in range(2):
        wrong = later(context, hours=3)
        assert (
            "frozen by cli:ann 7.1 days ago: holidays" in wrong or "frozen by cli:ann 7.2 days ago: holidays" in wrong
        )
    assert told(context).count("frozen long") == 1
    freeze.freeze(context, reason="still on holidays", actor="cli:ann")
    assert not any("frozen" in reason for reason in later(context, days=6))
    later(context, days=2)
    freeze.unfreeze(context, reason="back", actor="cli:ann")
    assert not any("frozen" in reason for reason in later(context))
    assert told(context).count("frozen long") == 2


def test_a_champion_whose_checks_find_large_changes_only_is_told_once_until_its_thresholds_are_narrow(
    context: Context,
) -> None:
    for share, too_large in ((0.04, False), (0.3, True), (0.3, True), (0.05, False)):
        report = {"detectable": {"share": share, "told": f"costs {share}", "too_large": too_large}}
        context.checks.append(model_version=1, verdict="no drift", alarm=False, reason="ordinary", report=report)
        context.checks.append(model_version=1, verdict="no new data", alarm=False, reason="", report={})
        assert later(context, minutes=10) == (["costs 0.3"] if too_large else [])
    assert told(context) == ["detects too little", "detects enough"]
