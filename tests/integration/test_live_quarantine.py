"""Broken data in live traffic, in one process: it is noticed before its drift is, and nothing is retrained for it."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.data.excluded_windows import broken_rows
from autoops.loop.monitor import drift_check
from autoops.loop.reports.overview import overview, sentences
from autoops.months import Month, parse_months
from autoops.settings import Settings
from autoops.storage.predictions import LogSelection
from autoops.usecases.taxi.sample import Scenario, write_sample
from tests.integration.one_process import drive, with_champion

APRIL = Month(2022, 4)
SCENARIOS: tuple[Scenario, ...] = ("steady", "speed", "mix", "bad_day", "unit", "nulls")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same April in several worlds, and the months before it in the steady one."""
    made = {name: tmp_path_factory.mktemp(name) for name in SCENARIOS}
    for name, directory in made.items():
        write_sample(directory, [APRIL], trips_per_month=9_000, seed=7, scenario=name)
    write_sample(made["steady"], parse_months("2022-01..2022-03"), trips_per_month=9_000, seed=7)
    return made


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, worlds: dict[str, Path], tmp_path: Path) -> Context:
    return with_champion(tmp_path, worlds["steady"], engine)


def test_kilometres_are_quarantined_once_paged_and_never_an_incident(context: Context, worlds: dict[str, Path]) -> None:
    for start in range(0, 3_000, 1_000):
        drive(context, worlds["unit"], APRIL, slice(start, start + 1_000))
        found = drift_check.check(context)
        assert (found["verdict"], found["alarm"], found["decision"]) == ("broken data", False, "quarantine")
        assert (found["incident_id"], found["actionable"]) == (None, [])
        assert [one["check_id"] for one in found["quarantined"]] == [found["check_id"]]
        assert ("unit change", "miles") in {(one["name"], one["column"]) for one in found["findings"]}
    assert [incident.kind for incident in context.ledger.incidents()] == ["manual"], "the first training"
    (page,) = context.ledger.entries(kind="page")
    assert "kilometres where miles should be" in page.reason
    assert page.evidence["findings"] == context.checks.latest(limit=3)[-1].report["findings"]
    assert "broken data: live traffic: miles are 1." in "\n".join(sentences(overview(context)))


def test_what_was_broken_counts_as_used_and_its_drift_never_as_an_alarm(
    context: Context, worlds: dict[str, Path]
) -> None:
    drive(context, worlds["unit"], APRIL, slice(0, 1_000))
    assert drift_check.check(context)["verdict"] == "broken data"
    assert drift_check.check(context)["verdict"] == "no new data"
    drive(context, worlds["steady"], APRIL, slice(1_000, 2_000))
    found = drift_check.check(context)
    assert (found["verdict"], found["decision"]) in (("no drift", "nothing"), ("drift", "watch"))

    rows, broken = context.log.latest_labelled(LogSelection(1), 2_000), broken_rows(context, 1)
    assert [broken.contains(row.logged.id, row.label_id, row.logged.event_at) for row in rows] == [True] * 1_000 + [
        False
    ] * 1_000


def test_broken_data_between_two_alarms_keeps_neither_from_counting(context: Context, worlds: dict[str, Path]) -> None:
    decisions = []
    for name, start in (("speed", 0), ("unit", 1_000), ("speed", 2_000)):
        drive(context, worlds[name], APRIL, slice(start, start + 1_000))
        decisions.append(drift_check.check(context)["decision"])
    assert decisions == ["watch", "quarantine", "open incident"]


def test_somebody_is_paged_again_for_another_episode_and_for_another_finding(
    context: Context, worlds: dict[str, Path]
) -> None:
    pages = []
    for start, name in enumerate(["nulls", "nulls", "steady", "nulls", "unit"]):
        drive(context, worlds[name], APRIL, slice(start * 1_000, start * 1_000 + 1_000))
        drift_check.check(context)
        pages.append(len(context.ledger.entries(kind="page")))
    assert pages == [1, 1, 1, 2, 3]


@pytest.mark.parametrize("scenario", ["steady", "speed", "mix", "bad_day"])
def test_a_changed_city_is_not_broken_data(context: Context, worlds: dict[str, Path], scenario: str) -> None:
    drive(context, worlds[scenario], APRIL, slice(0, 1_000))
    assert drift_check.check(context)["verdict"] in ("drift", "no drift")
    assert broken_rows(context, 1).predictions == ()
