"""The alias `champion` held against the ledger: what moved it without a record is recorded by the next check."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from autoops.alerts.messages import Facts, message
from autoops.loop.context import Context
from autoops.loop.monitor.drift_check import check
from autoops.loop.promote.post_promotion import watch_of
from autoops.loop.promote.promotion import GATE_DECISION, UNKNOWN, promote_version, reconcile, roll_back
from autoops.loop.promote.tenures import tenure_at
from autoops.loop.records.ledger import Entry
from autoops.loop.retrain.approval import close_by_hand
from autoops.models.registry import CHAMPION, PREVIOUS, PROMOTED_AT, champion_of
from autoops.settings import Settings
from tests.bundles import small_training_run
from tests.integration.one_process import context_in


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    """Version 1 is champion; versions 2 and 3 are there, and 2 passed the gate."""
    built = context_in(tmp_path, settings, engine)
    for number in (1, 2, 3):
        built.registry.register(small_training_run(tmp_path / f"run-{number}"))
    built.registry.tag(2, {GATE_DECISION: "promote"})
    promote_version(built, 1, reason="first", actor="test")
    built.clock.advance(hours=1)
    built.checks.append(model_version=1, verdict="no new data", alarm=False, reason="", report={})
    built.clock.advance(hours=1)
    return built


def promotions(context: Context) -> list[Entry]:
    return context.ledger.entries(kind="promoted")


def test_a_move_in_mlflow_is_recorded_told_and_watched_as_any_promotion(context: Context) -> None:
    context.registry.set_alias(CHAMPION, 2)
    check(context)
    moved = promotions(context)[-1]
    assert (moved.model_version, moved.actor, moved.evidence["replaces"]) == (2, UNKNOWN, 1)
    assert moved.reason == "the alias champion was moved from version 1 to version 2 in MLflow, not by Auto-Ops"
    tenure = tenure_at(context, context.clock.now())
    assert tenure is not None
    assert (tenure.version, tenure.actor) == (2, UNKNOWN)
    watched = watch_of(context, champion_of(context.registry))
    assert watched is not None
    assert (watched.version.number, watched.previous.number) == (2, 1)
    before = context.checks.latest(1)[0].checked_at.isoformat()
    assert watched.since == before, "predictions since the last check before count"
    told = message(Facts(moved, None, "taxi"))
    assert told is not None
    assert told.urgency == "warning"
    assert told.title == "taxi: somebody made version 2 champion in MLflow, in place of version 1"
    reconcile(context, "drift_monitor")
    assert len(promotions(context)) == 2
    assert roll_back(context, reason="not meant", actor="me") == 1


def test_a_version_that_did_not_pass_or_cannot_be_served_is_told_as_such(context: Context) -> None:
    (context.registry.bundle_of(3) / "model.onnx").unlink()
    context.registry.set_alias(CHAMPION, 3)
    reconcile(context, "drift_monitor")
    moved = promotions(context)[-1]
    assert "version 3 did not pass the gate (it was never there)" in moved.reason
    assert "version 3 cannot be served, and is not watched" in moved.reason
    told = message(Facts(moved, None, "taxi"))
    assert told is not None
    assert told.urgency == "failure"


def test_back_and_forth_in_mlflow_each_move_is_one(context: Context) -> None:
    promote_version(context, 2, reason="better", actor="test")
    for number in (1, 2, 1):
        context.clock.advance(hours=1)
        context.registry.set_alias(CHAMPION, number)
        reconcile(context, "drift_monitor")
    assert [(entry.model_version, entry.actor) for entry in promotions(context)] == [
        (1, "test"),
        (2, "test"),
        (1, UNKNOWN),
        (2, UNKNOWN),
        (1, UNKNOWN),
    ]
    assert context.registry.by_alias(PREVIOUS).number == 2


def test_a_promotion_that_was_killed_before_its_record_is_finished_though_its_incident_is_closed(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = context.ledger.open_incident("drift", "odd", actor="test", model_version=1)
    record = context.ledger.record

    def killed(kind: str, reason: str, **about: Any) -> None:
        if kind == "promoted":
            raise KeyboardInterrupt
        record(kind, reason, **about)

    with monkeypatch.context() as broken:
        broken.setattr(context.ledger, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            promote_version(context, 2, reason="better", actor="airflow", incident_id=incident, replaces=1)
    close_by_hand(context, incident, reason="a parade", actor="cli:ann")
    context.clock.advance(hours=1)
    for _ in range(2):
        reconcile(context, "drift_monitor")
    _, finished = promotions(context)
    tenure = tenure_at(context, context.clock.now())
    assert tenure is not None
    assert (tenure.version, tenure.actor) == (2, "airflow")
    assert (finished.model_version, finished.actor, finished.reason) == (2, "airflow", "better")
    assert (finished.incident_id, finished.evidence["replaces"]) == (incident, 1)
    assert finished.evidence["began_at"] == champion_of(context.registry).tags[PROMOTED_AT]
    assert "outside" not in finished.evidence


def test_a_promotion_of_the_same_version_after_a_move_back_in_mlflow_is_no_unfinished_one(context: Context) -> None:
    promote_version(context, 2, reason="better", actor="test")
    context.registry.set_alias(CHAMPION, 1)
    reconcile(context, "drift_monitor")
    context.registry.set_alias(CHAMPION, 2)
    reconcile(context, "drift_monitor")
    assert promotions(context)[-1].actor == UNKNOWN
