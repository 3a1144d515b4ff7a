"""Which checks leave a page to look at."""

from autoops.drift.verdict import DetectorResult, DriftVerdict
from autoops.loop.monitor.check_report import wants_page


def verdict(*findings: str) -> DriftVerdict:
    loss = DetectorResult("loss", bool(findings), 1.0, 1.0, 1000, "slower", findings)
    return DriftVerdict("drift" if findings else "no drift", bool(findings), "", 1000, 1000, detectors=(loss,))


def pages(checks: list[DriftVerdict]) -> int:
    """Those of one day, of which each sees the ones before it."""
    earlier = [check.to_json() for check in checks]
    return sum(wants_page(check, earlier[:number]) for number, check in enumerate(checks))


def test_a_day_of_ordinary_windows_has_one_page() -> None:
    assert pages([verdict()] * 24) == 1


def test_an_alarm_that_lasts_the_whole_day_has_one_page_of_its_own() -> None:
    assert pages([verdict(), *[verdict("slower")] * 23]) == 2


def test_another_alarm_has_another_page() -> None:
    assert pages([verdict("slower"), verdict("slower", "longer"), verdict("longer"), verdict()]) == 2
