from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from autoops.errors import Conflict, NotFound
from autoops.loop.records.ledger import Ledger
from tests.fakes import HeldClock


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def ledger(each_engine: sa.Engine, clock: HeldClock) -> Ledger:
    return Ledger(each_engine, clock)


def test_an_incident_keeps_its_event_times_and_why_it_was_opened(ledger: Ledger) -> None:
    evidence_start = datetime(2022, 5, 3, 14, tzinfo=UTC)
    number = ledger.open_incident(
        "drift", "slower", actor="monitor", evidence_start=evidence_start, evidence={"mae": 4.2}
    )
    incident = ledger.incident(number)
    assert (incident.status, incident.evidence_start, incident.reason) == ("open", evidence_start, "slower")
    (entry,) = ledger.entries(incident_id=number)
    assert (entry.kind, entry.actor, entry.evidence) == ("incident opened", "monitor", {"mae": 4.2})


def test_an_unknown_incident_is_named(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="incident 9"):
        ledger.incident(9)


def test_closing_twice_records_once(ledger: Ledger) -> None:
    number = ledger.open_incident("manual", "asked", actor="me")
    ledger.close(number, "promoted", actor="me")
    ledger.close(number, "promoted again", actor="me")
    assert ledger.incident(number).outcome == "promoted"
    assert [entry.kind for entry in ledger.entries(incident_id=number)] == ["incident opened", "incident closed"]
    assert ledger.incidents(unresolved=True) == []


def test_a_status_is_recorded_when_it_changes_only(ledger: Ledger) -> None:
    number = ledger.open_incident("drift", "slower", actor="monitor")
    for _ in range(3):
        ledger.set_status(number, "waiting_for_data", "2022-05 is not out", actor="monitor")
    assert [entry.kind for entry in ledger.entries(incident_id=number)][1:] == ["incident waiting for data"]


def test_what_is_closed_stays_closed(ledger: Ledger) -> None:
    """Whoever read it while it was open may ask late."""
    number = ledger.open_incident("drift", "slower", actor="monitor")
    ledger.close(number, "closed by hand", actor="me")
    ledger.set_status(number, "open", "2022-05 is out", actor="monitor")
    assert ledger.incident(number).status == "closed"
    assert ledger.entries(incident_id=number)[-1].kind == "incident closed"


def test_a_change_without_its_record_is_none(ledger: Ledger) -> None:
    number = ledger.open_incident("drift", "slower", actor="monitor")
    nobody: str = None  # type: ignore[assignment]
    for change in (
        lambda: ledger.set_status(number, "waiting_for_data", "2022-05 is not out", actor=nobody),
        lambda: ledger.close(number, "promoted", actor=nobody),
    ):
        with pytest.raises(sa.exc.IntegrityError):
            change()
    assert ledger.incident(number).status == "open"


def test_a_claim_belongs_to_its_first_holder_for_good(ledger: Ledger) -> None:
    number = ledger.open_incident("drift", "slower", actor="monitor")
    ledger.claim(number, "retrain", "run-1")
    ledger.claim(number, "retrain", "run-1")
    with pytest.raises(Conflict, match="run-1"):
        ledger.claim(number, "retrain", "run-2")
    assert ledger.claimed_by("run-1", "retrain") == number
    assert ledger.claimed_by("run-2", "retrain") is None


def test_of_many_claims_at_once_one_wins(ledger: Ledger) -> None:
    number = ledger.open_incident("drift", "slower", actor="monitor")

    def won(run: int) -> bool:
        try:
            ledger.claim(number, "retrain", f"run-{run}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(won, range(16))) == 1


def test_incidents_come_newest_first(ledger: Ledger, clock: HeldClock) -> None:
    first = ledger.open_incident("manual", "one", actor="me")
    clock.advance(hours=1)
    second = ledger.open_incident("manual", "two", actor="me")
    assert [incident.id for incident in ledger.incidents()] == [second, first]


def test_no_two_incidents_share_a_key(ledger: Ledger) -> None:
    def opened(check: int) -> bool:
        try:
            ledger.open_incident(
                "scheduled", "old", actor=f"check-{check}", key="scheduled retraining of version 1 with 2022-06"
            )
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(opened, range(16))) == 1
    with pytest.raises(Conflict, match="scheduled retraining of version 1 with 2022-06"):
        ledger.open_incident("scheduled", "old", actor="late", key="scheduled retraining of version 1 with 2022-06")
    ledger.open_incident("drift", "slower", actor="monitor")
    ledger.open_incident("drift", "slower", actor="monitor")
    assert len(ledger.incidents()) == len(ledger.entries(kind="incident opened")) == 3
