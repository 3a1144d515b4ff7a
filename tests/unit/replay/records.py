"""Checks, incidents, ledger entries and answers as a short story leaves them: v1 in April, drift in May, v2 in June.

The further acts: v3 is forced in in July and rolled back, and August is broken data, after which v4 is trained.
"""

import dataclasses
from datetime import UTC, datetime, timedelta

from autoops.loop.records.checks import Check
from autoops.loop.records.ledger import Entry, Incident
from autoops.months import Month
from autoops.replay.demo.scenarios import bad_promotion, broken_data
from autoops.replay.tally import Answer, Tally
from tests.taxi import CONTRACT

WALL = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(seconds: float) -> datetime:
    return WALL + timedelta(seconds=seconds)


def check(number: int, begins: str, ends: str, alarm: bool, version: int = 1, loss: float = 0.4) -> Check:
    """Made as many tens of seconds after the start as its number says."""
    detectors = [{"name": "loss", "alarm": alarm, "distance": 3 * alarm + loss, "threshold": 1.0}]
    features = [{"feature": "trip_distance", "distance": 0.05, "threshold": 0.1, "drifted": False}]
    return Check(
        id=number,
        checked_at=wall(10 * number),
        model_version=version,
        verdict="drift" if alarm else "no drift",
        alarm=alarm,
        reason="loss: worse" if alarm else "as ever",
        event_from=at(begins),
        event_until=at(ends),
        last_prediction_id=None,
        last_label_id=None,
        report={"detectors": detectors, "features": features},
    )


CHECKS = [
    check(1, "2023-04-01", "2023-04-20", alarm=False),
    check(2, "2023-05-01", "2023-05-10", alarm=True),
    check(3, "2023-05-10", "2023-05-20", alarm=True),
    check(4, "2023-06-10", "2023-06-20", alarm=False, version=2),
]


def incident(kind: str = "drift") -> Incident:
    evidence_start, until = (at("2023-05-01"), at("2023-05-20")) if kind == "drift" else (None, None)
    return Incident(2, wall(30), evidence_start, until, kind, "loss: worse", 1, "closed", "promoted", wall(90))


def entry(number: int, kind: str, seconds: float, version: int | None = None, **evidence: object) -> Entry:
    return Entry(number, wall(seconds), kind, "airflow", 2, version, f"<{kind}>", evidence)


ENTRIES = [
    entry(1, "incident opened", 30),
    entry(2, "retraining begun", 50, force=False, months=["2023-03", "2023-04", "2023-05"]),
    entry(3, "gate", 60, 2, decision="promote"),
    entry(4, "promoted", 70, 2),
]


JULY, AUGUST = Month(2023, 7), Month(2023, 8)
ACTS = [bad_promotion(JULY, [Month(2023, 1), Month(2023, 3)]), broken_data(AUGUST)]


def broken_check(number: int, begins: str, ends: str) -> Check:
    told = {"verdict": "broken data", "reason": f"kilometres, said check {number}", "report": {}}
    return dataclasses.replace(check(number, begins, ends, alarm=False, version=2), **told)


ACTS_CHECKS = [
    *CHECKS,
    check(20, "2023-07-06", "2023-07-16", alarm=True, version=3),
    broken_check(24, "2023-08-01", "2023-08-10"),
    broken_check(25, "2023-08-10", "2023-08-20"),
]


def of(incident_id: int, made: Entry) -> Entry:
    return dataclasses.replace(made, incident_id=incident_id)


FORCED = [
    of(3, entry(5, "retraining begun", 180, force=True, months=["2023-01", "2023-02", "2023-03"])),
    of(3, entry(6, "trained", 185, 3)),
    of(3, entry(7, "promoted", 190, 3, replaces=2)),
]
BACK = [
    entry(8, "compared with previous", 204, 3),
    entry(9, "rolled back", 205, 3, restored=2),
]
QUARANTINE = [entry(10, "quarantined", 260, month="2023-08", findings=[{"name": "unit change"}])]
AFTER = [
    of(4, entry(11, "retraining begun", 261, force=False, months=["2023-05", "2023-06", "2023-07"])),
    of(4, entry(12, "trained", 270, 4)),
]
ACTS_ENTRIES = [*ENTRIES, *FORCED, *BACK, *QUARANTINE, *AFTER]


def acts_tally() -> Tally:
    """The further acts on top: v3 answers for the first time 195 seconds after the start."""
    made = tally()
    for month, version, days, seconds in (
        *((JULY, 2, range(1, 5), 150), (JULY, 3, range(5, 16), 190), (JULY, 2, range(16, 28), 206)),
        (AUGUST, 2, range(1, 28), 240),
    ):
        for day in days:
            moment = datetime(month.year, month.month, day, 12, tzinfo=UTC)
            made.add(Answer(moment, 13, 10, version, wall(seconds + day)))
    return made


def tally() -> Tally:
    """Hourly answers from April to June, one second apart; v1 is off by 2 minutes, by 5 in May, v2 by 3."""
    made = Tally(CONTRACT)
    for month, version, error in ((4, 1, 2.0), (5, 1, 5.0), (6, 1, 5.0), (6, 2, 3.0)):
        days = range(1, 6) if (month, version) == (6, 1) else range(6, 26)
        for day in days:
            for hour in range(12):
                moment = datetime(2023, month, day, hour + 6, tzinfo=UTC)
                made.add(Answer(moment, 10 + error, 10, version, wall(20 * (month - 4) + day + 50 * (version - 1))))
    return made
