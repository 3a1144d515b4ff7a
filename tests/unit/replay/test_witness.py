from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger
from autoops.months import Month
from autoops.replay.demo.observer import Observer, settles
from tests.fakes import HeldClock
from tests.taxi import CONTRACT
from tests.unit.replay.records import CHECKS, at

APRIL, MAY = Month(2023, 4), Month(2023, 5)


@pytest.fixture
def ledger(engine: sa.Engine) -> Ledger:
    return Ledger(engine, HeldClock())


@pytest.fixture
def observer(engine: sa.Engine) -> Observer:
    return Observer(engine, CONTRACT)


def record_check(engine: sa.Engine, verdict: str, report: Mapping[str, Any] | None = None) -> None:
    CheckLog(engine, HeldClock()).append(
        model_version=1,
        verdict=verdict,
        alarm=verdict == "drift",
        reason="-",
        event_from=None,
        event_until=None,
        last_prediction_id=None,
        last_label_id=None,
        report=report or {},
    )


def test_news_are_told_once(ledger, observer):
    ledger.record("trained", "version 1", actor="airflow")
    assert [entry.kind for entry in observer.news()] == ["trained"]
    ledger.record("gate", "promote", actor="airflow")
    assert [entry.kind for entry in observer.news()] == ["gate"]
    assert observer.news() == []
    assert len(observer.entries()) == 2


def test_checks_with_too_little_to_judge_are_no_news(engine, observer):
    record_check(engine, "not enough data")
    record_check(engine, "no drift")
    record_check(engine, "drift")
    record_check(engine, "broken data")
    assert [check.verdict for check in observer.new_checks()] == ["no drift", "drift", "broken data"]
    assert observer.new_checks() == []
    assert len(observer.checks()) == 3


@pytest.mark.parametrize("kind", ["drift", "scheduled"])
def test_a_retraining_is_due_once_the_evidence_is_published_and_until_it_is_closed(ledger, observer, kind):
    number = ledger.open_incident(kind, "loss", actor="monitor", evidence_end=at("2023-05-20"))
    assert not observer.retraining_is_due([APRIL])
    assert observer.retraining_is_due([APRIL, MAY])
    ledger.close(number, "promoted", actor="airflow")
    assert not observer.retraining_is_due([APRIL, MAY])


def test_a_training_by_hand_is_not_one_that_drift_asked_for(ledger, observer):
    ledger.open_incident("manual", "first model", actor="airflow")
    assert not observer.retraining_is_due([APRIL])
    assert [incident.kind for incident in observer.incidents()] == ["manual"]


def test_labels_are_waited_for_unless_the_data_is_broken_anyway(engine, observer):
    record_check(engine, "no drift", {"detectors": [{"name": "data drift"}]})
    record_check(engine, "broken data")
    assert [settles(check) for check in observer.checks()] == [False, True]
    assert settles(CHECKS[0])
