"""Broken months through the loop: no drift from them, no training on them, and what ends a quarantine."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from autoops.errors import BrokenData, Conflict, NotFound
from autoops.ingestion.source import file_name
from autoops.loop.context import Context
from autoops.loop.data import validation
from autoops.loop.monitor import drift_check
from autoops.loop.retrain import retraining
from autoops.months import Month, parse_months
from autoops.storage.predictions import LogSelection
from autoops.usecases.taxi.sample import Scenario, write_sample
from tests.integration.months.published import APRIL, MAY, verdicts
from tests.integration.one_process import publish

MARCH = Month(2022, 3)


def publish_broken(directory: Path, month: Month, scenario: Scenario = "unit") -> None:
    write_sample(directory / "published", [month], trips_per_month=9_000, seed=7, scenario=scenario)


def quarantines(context: Context) -> list[tuple[str, set[str]]]:
    """Month and names of the findings of each, in order."""
    found = [entry.evidence for entry in context.ledger.entries(kind="quarantined")]
    return [(one["month"], {finding["name"] for finding in one["findings"]}) for one in found]


def assert_judged_without_incident(context: Context, found: dict[str, Any]) -> None:
    """A steady month, all of it: one window may alarm by chance."""
    assert len(found["windows"]) == 3
    assert set(verdicts(found)) <= {"drift", "no drift"}
    assert context.ledger.incidents() == []


@pytest.mark.parametrize(
    ("scenario", "name"), [("unit", "unit change"), ("nulls", "null surge"), ("collapse", "volume collapse")]
)
def test_a_broken_month_is_quarantined_and_keeps_no_later_one_waiting(
    context: Context, worlds: dict[str, Path], tmp_path: Path, scenario: Scenario, name: str
) -> None:
    publish_broken(tmp_path, APRIL, scenario)
    publish(worlds["steady"], tmp_path, "2022-05")
    found = drift_check.check(context)

    assert quarantines(context) == [("2022-04", {name})]
    assert_judged_without_incident(context, found)
    assert context.log.count(LogSelection(1, "2022-04")) == 0
    (check,) = [one for one in context.checks.latest(limit=100) if one.report["source"] == "2022-04"]
    assert (check.verdict, check.alarm, check.report["findings"][0]["name"]) == ("broken data", False, name)
    assert check.reason.startswith("2022-04 is quarantined: ")


def test_a_quarantine_is_said_once_for_each_content(context: Context, worlds: dict[str, Path], tmp_path: Path) -> None:
    publish_broken(tmp_path, APRIL)
    for _ in range(3):
        assert drift_check.check(context)["alarm"] is False
    assert quarantines(context) == [("2022-04", {"unit change"})]
    assert [check.verdict for check in context.checks.latest(limit=100)].count("broken data") == 1

    publish_broken(tmp_path, APRIL, "nulls")
    drift_check.check(context)
    assert quarantines(context) == [("2022-04", {"unit change"}), ("2022-04", {"null surge"})]
    assert [check.verdict for check in context.checks.latest(limit=100)].count("broken data") == 2


def test_what_was_quarantined_stays_so_while_its_republication_cannot_be_read(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish_broken(tmp_path, APRIL)
    drift_check.check(context)
    (tmp_path / "published" / file_name(APRIL)).write_bytes(b"no parquet")
    assert verdicts(drift_check.check(context)) == ["no new data"]


def test_a_corrected_month_is_judged_anew_and_used(context: Context, worlds: dict[str, Path], tmp_path: Path) -> None:
    publish_broken(tmp_path, APRIL)
    drift_check.check(context)
    publish(worlds["steady"], tmp_path, "2022-04")
    assert_judged_without_incident(context, drift_check.check(context))

    plan = retraining.begin(context, "run-1", months="2022-02..2022-04")
    retraining.ingest(context, plan)
    assert retraining.validate(context, plan)["kept_share"]["2022-04"] > 0.9


def test_a_slower_month_after_a_broken_one_still_opens_its_incident(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish_broken(tmp_path, APRIL)
    publish(worlds["speed"], tmp_path, "2022-05")
    assert drift_check.check(context)["decision"] == "open incident"
    assert quarantines(context) == [("2022-04", {"unit change"})]


def test_a_broken_month_is_refused_for_training_by_name(context: Context, tmp_path: Path) -> None:
    publish_broken(tmp_path, APRIL)
    plan = retraining.begin(context, "run-1", months="2022-01..2022-04")
    retraining.ingest(context, plan)
    for _ in range(2):
        with pytest.raises(BrokenData, match=r"2022-04 is quarantined: miles are 1\.6\d* times .*kilometres"):
            retraining.validate(context, plan)

    (entry,) = context.ledger.entries(kind="quarantined")
    assert entry.incident_id == plan["incident_id"]
    (finding,) = entry.evidence["findings"]
    assert finding["usual"][1] < finding["measured"] == pytest.approx(1.609, rel=0.03)


def test_months_to_train_on_leave_out_what_is_quarantined(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish_broken(tmp_path, APRIL)
    publish(worlds["steady"], tmp_path, "2022-05")
    published = parse_months("2022-01..2022-05")

    assert validation.usable(context, [MAY, APRIL, MARCH]) == [MARCH, MAY]
    assert validation.newest_usable(context, published, 3) == parse_months("2022-02..2022-03,2022-05")
    assert validation.newest_usable(context, published, 9) == parse_months("2022-01..2022-03,2022-05")


def test_a_month_is_compared_with_earlier_ones_that_were_never_used(context: Context, tmp_path: Path) -> None:
    publish_broken(tmp_path, APRIL)
    assert context.store.months() == []
    assert validation.usable(context, [APRIL]) == []


def test_a_broken_month_is_no_history(context: Context, tmp_path: Path) -> None:
    publish_broken(tmp_path, APRIL)
    publish_broken(tmp_path, MAY)
    assert validation.usable(context, [APRIL, MAY]) == []


def test_a_released_month_is_used_and_is_history_until_its_content_changes(context: Context, tmp_path: Path) -> None:
    publish_broken(tmp_path, APRIL, "collapse")
    with pytest.raises(NotFound, match="2022-04 is not in the store"):
        validation.release(context, APRIL, "lockdown", "me")
    drift_check.check(context)
    validation.release(context, APRIL, "lockdown", "me")

    (entry,) = context.ledger.entries(kind="released")
    assert (entry.actor, entry.reason, entry.evidence["month"]) == ("me", "2022-04: lockdown", "2022-04")
    assert set(verdicts(drift_check.check(context))) <= {"drift", "no drift"}
    publish_broken(tmp_path, MAY, "collapse")
    assert validation.usable(context, [APRIL, MAY]) == [APRIL, MAY]

    publish_broken(tmp_path, APRIL)
    assert validation.usable(context, [APRIL]) == []


def test_only_what_is_quarantined_is_released(context: Context) -> None:
    validation.usable(context, [MARCH])
    with pytest.raises(Conflict, match="2022-03 is not quarantined"):
        validation.release(context, MARCH, "looks fine", "me")
    assert context.ledger.entries(kind="released") == []


def test_a_month_that_lacks_a_column_is_quarantined_and_keeps_no_later_one_waiting(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    whole = pq.read_table(worlds["steady"] / file_name(APRIL))
    pq.write_table(whole.drop_columns(["trip_distance"]), tmp_path / "published" / file_name(APRIL))
    publish(worlds["steady"], tmp_path, "2022-05")

    assert_judged_without_incident(context, drift_check.check(context))
    drift_check.check(context)
    (entry,) = context.ledger.entries(kind="quarantined")
    assert "column trip_distance is missing" in entry.reason
    assert quarantines(context) == [("2022-04", {"schema"})]


def test_quarantine_is_what_the_check_decides_and_somebody_is_paged(context: Context, tmp_path: Path) -> None:
    publish_broken(tmp_path, APRIL)
    found = drift_check.check(context)
    assert (found["decision"], found["verdict"], found["alarm"]) == ("quarantine", "broken data", False)
    assert [one["check_id"] for one in found["quarantined"]] == [found["check_id"]]
    assert drift_check.check(context)["decision"] == "nothing"
    (page,) = context.ledger.entries(kind="page")
    assert page.reason.startswith("2022-04 is quarantined: ")


def test_a_republication_without_a_column_leaves_the_older_edition_in_use(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["steady"], tmp_path, "2022-04")
    assert validation.usable(context, [APRIL]) == [APRIL]
    whole = pq.read_table(worlds["steady"] / file_name(APRIL))
    pq.write_table(whole.drop_columns(["trip_distance"]), tmp_path / "published" / file_name(APRIL))
    assert validation.usable(context, [APRIL]) == [APRIL]


def test_a_month_that_cannot_be_read_is_one_less_to_compare_with(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["steady"], tmp_path, "2022-04")
    (tmp_path / "published" / file_name(MARCH)).write_bytes(b"no parquet")
    assert validation.usable(context, [APRIL]) == [APRIL]
    assert [one.month for one in context.store.months()] == parse_months("2022-01..2022-02,2022-04")


def test_a_folder_among_the_months_is_left_out_and_the_others_are_trained_on(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["steady"], tmp_path, "2022-04")
    folder, loop = (tmp_path / "published" / file_name(month) for month in (MAY, MAY.plus(1)))
    folder.mkdir()
    loop.symlink_to(loop)
    published = context.source.published()
    assert published[-3:] == [APRIL, MAY, MAY.plus(1)]
    assert validation.newest_usable(context, published, 2) == [MARCH, APRIL]
    assert quarantines(context) == [("2022-05", {"unreadable"}), ("2022-06", {"unreadable"})]
    assert "Is a directory" in context.ledger.entries(kind="quarantined")[0].reason
    assert validation.usable_months(context)[-1] == APRIL
    folder.rmdir()
    publish(worlds["steady"], tmp_path, "2022-05")
    assert validation.usable_months(context)[-1] == MAY, "what was repaired may be tried again"


def test_broken_live_traffic_keeps_no_broken_month_from_being_told(context: Context, tmp_path: Path) -> None:
    """As after `drift.source` was switched from the log to months."""
    record = {"source": "live", "findings": [], "broken": {"predictions": [None, None], "labels": [None, None]}}
    context.checks.append(
        model_version=1,
        verdict="broken data",
        alarm=False,
        reason="live traffic: kilometres",
        event_from=None,
        event_until=None,
        last_prediction_id=None,
        last_label_id=None,
        report=record,
    )
    publish_broken(tmp_path, APRIL)
    assert drift_check.check(context)["verdict"] == "broken data"
    assert quarantines(context) == [("2022-04", {"unit change"})]
