from datetime import UTC, datetime, timedelta

import pytest

from autoops.loop.monitor.recovery import recovered
from autoops.loop.records.checks import Check
from autoops.loop.records.ledger import Incident

BEGIN = datetime(2022, 4, 1, tzinfo=UTC)
DETECTORS = {"D": "data drift", "L": "loss"}


def check(day: int, judged: str, starts: float = 0.0) -> Check:
    """`judged` are the detectors that judged, in capitals where they alarmed."""
    detectors = [{"name": DETECTORS[letter.upper()], "alarm": letter.isupper()} for letter in judged]
    alarm = any(one["alarm"] for one in detectors)
    at = BEGIN + timedelta(days=day + starts)
    report = {"detectors": detectors}
    return Check(day, at, 1, "drift", alarm, "", at, at + timedelta(days=1 - starts), None, None, report)


def checks(*judged: str) -> list[Check]:
    """One a day, oldest first as they are written, newest first as they are given."""
    return [check(day, each) for day, each in enumerate(judged)][::-1]


def incident(days: int = 2) -> Incident:
    until = BEGIN + timedelta(days=days)
    return Incident(1, BEGIN, BEGIN, until, "drift", "", 1, "waiting_for_data", None, None)


@pytest.mark.parametrize(
    ("judged", "over"),
    [
        (["L", "L", "dl", "dl", "dl"], True),
        (["L", "L", "dl", "dl"], False),
        (["L", "L", "dl", "dL", "dl"], False),
        (["L", "L", "dL", "dl", "dl", "dl"], True),
        (["L", "L", "dl", "Dl", "dl", "dl"], False),
        (["L", "L", "d", "d", "d"], False),
        (["L", "L", "dl", "d", "dl", "d", "dl"], True),
        (["L", "L", "dl", "D", "dl", "d", "dl"], False),
        (["D", "D", "d", "d", "d"], True),
        (["D", "L", "d", "l", "d", "l", "d"], False),
        (["D", "L", "dl", "dl", "dl"], True),
        (["L", "dl", "dl", "dl"], False),
    ],
)
def test_an_incident_is_over_when_as_many_windows_are_ordinary_in_all_that_alarmed(
    judged: list[str], over: bool
) -> None:
    reason = recovered(checks(*judged), incident(), alarms_of=3)
    assert (reason is not None) == over


def test_a_window_that_reaches_into_the_evidence_says_nothing() -> None:
    earlier = checks("L", "L", "dl", "dl")
    assert recovered([check(4, "dl", starts=-2.5), *earlier], incident(), 3) is None
    assert recovered([check(4, "dl", starts=-2.0), *earlier], incident(), 3)


def test_the_reason_names_the_trips() -> None:
    reason = recovered(checks("L", "L", "dl", "dl", "dl"), incident(), 3, "trips")
    assert reason == "recovered: the last 3 windows, of trips from 2022-04-03 00:00 to 2022-04-06 00:00, are ordinary"


def test_an_incident_without_evidence_in_time_is_left_alone() -> None:
    by_hand = Incident(1, BEGIN, None, None, "drift", "", 1, "waiting_for_data", None, None)
    assert recovered(checks("dl", "dl", "dl"), by_hand, 3) is None
