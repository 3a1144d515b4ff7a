"""The right remedy for each scenario, cut down: `benchmarks/quality.py` is the whole study."""

from pathlib import Path

import pytest

from autoops.ingestion.sample import SCENARIOS, Scenario
from benchmarks.quality import BROKEN, CHANGES, REAL, changed, real_months, simulated


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_is_broken_is_quarantined_and_nothing_else(scenario: Scenario) -> None:
    found = simulated(scenario, range(3), trips_per_month=4_000)
    assert found.quarantined == (found.runs if scenario in BROKEN else 0)


def test_no_real_month_is_quarantined_nor_near_it(tlc_dir: Path) -> None:
    found = dict(real_months(tlc_dir))
    assert list(found) == REAL
    assert not any(quality.findings for quality in found.values())
    assert max(used for quality in found.values() for used in quality.strain.values()) < 0.2


@pytest.mark.parametrize(
    "change", ["half as fast", "longer trips", "half of the rows in kilometres", "hours for minutes"]
)
def test_real_months_changed_on_purpose(tlc_dir: Path, change: str) -> None:
    found = changed(tlc_dir, change)
    assert found.quarantined == (found.runs if CHANGES[change][0] else 0)
