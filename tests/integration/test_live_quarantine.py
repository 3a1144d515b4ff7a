"""Broken data in live traffic, in one process: it is noticed before its drift is, and nothing is retrained for it."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.errors import Conflict
from autoops.loop.context import Context
from autoops.loop.data.excluded_windows import broken_rows, release, released
from autoops.loop.monitor import drift_check
from autoops.loop.reports.overview import overview, sentences
from autoops.months import Month, parse_months
from autoops.settings import Settings
from autoops.storage.predictions import LoggedPrediction, LogSelection
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


def send(context: Context, world: Path, number: int, passengers: int | None) -> dict[str, object]:
    """A window of trips, all with this number of passengers, and a check."""
    append = context.log.append
    place = context.contract.inputs.index("passenger_count")

    def without(rows: list[LoggedPrediction]) -> None:
        changed = [(*row.inputs[:place], passengers, *row.inputs[place + 1 :]) for row in rows]
        append([replace(row, inputs=inputs) for row, inputs in zip(rows, changed, strict=True)])

    with pytest.MonkeyPatch.context() as patch:
        if passengers is not None:
            patch.setattr(context.log, "append", without)
        drive(context, world, APRIL, slice(number * 1_000, number * 1_000 + 1_000))
    return drift_check.check(context)


def test_a_dead_feature_that_hardly_matters_is_left_out_and_a_change_beside_it_found(
    context: Context, worlds: dict[str, Path]
) -> None:
    first, second = (send(context, worlds["steady"], number, 0) for number in range(2))
    assert {one["verdict"] for one in (first, second)} <= {"no drift", "drift"}
    assert "open incident" not in (first["decision"], second["decision"])
    assert "left out: passenger_count (100.0% of passengers have no value" in first["reason"]
    assert "passenger_count" not in {one["feature"] for one in context.checks.latest()[0].report["features"]}
    (page,) = context.ledger.entries(kind="page")
    assert page.evidence["left_out"]
    found = [send(context, worlds["speed"], number, 0) for number in (2, 3, 4)]
    opened = next(one for one in found if one["decision"] == "open incident")
    assert "loss: " in str(opened["reason"])


def test_somebody_releases_live_traffic_for_the_version_in_service(context: Context, worlds: dict[str, Path]) -> None:
    def kept_out() -> list[bool]:
        broken = broken_rows(context, 1)
        rows = context.log.latest_labelled(LogSelection(1), 2_000)
        return [broken.contains(row.logged.id, row.label_id, row.logged.event_at) for row in rows]

    with pytest.raises(Conflict):
        release(context, "nothing is wrong", "ann")
    assert "findings" in send(context, worlds["steady"], 0, 0)
    assert all(kept_out())
    assert release(context, "the form has no such field any more", "ann") == "null surge of passengers for version 1"
    assert not any(kept_out())
    again = send(context, worlds["steady"], 1, 0)
    assert again["verdict"] in ("no drift", "drift")
    assert "findings" not in again
    assert "left out" not in again["reason"]
    with pytest.raises(Conflict):
        release(context, "again", "ann")
    drive(context, worlds["unit"], APRIL, slice(2_000, 3_000))
    assert drift_check.check(context)["verdict"] == "broken data", "what was not released"
    assert released(context, 1) == {("null surge", "passengers")}
