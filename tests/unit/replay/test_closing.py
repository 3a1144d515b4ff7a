import dataclasses
from pathlib import Path

import pytest

from autoops.replay.demo import closing
from autoops.replay.demo.outcome import Outcome
from autoops.settings import Settings
from tests.unit.replay.records import CHECKS, ENTRIES, incident, tally
from tests.unit.replay.test_summary import HELD, WITH_ACTS

OUTCOME = Outcome(HELD, tally(), CHECKS, [incident()], ENTRIES, ["2 × /predict: 503"])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    page = tmp_path / "reports" / "check-v1" / "drift.html"
    page.parent.mkdir(parents=True)
    page.touch()
    return tmp_path


def shown(outcome: Outcome, home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    closing.show(outcome, home)
    return capsys.readouterr().out


def test_the_end_shows_a_row_per_month_and_version(home, capsys):
    said = shown(OUTCOME, home, capsys)
    rows = [line for line in said.splitlines() if "│ 2023" in line]
    assert [[cell.strip() for cell in row.split("│")[1:-1]][:4] for row in rows] == [
        ["2023-04", "v1", "240", "2.000"],
        ["2023-05", "v1", "240", "5.000"],
        ["2023-06", "v1", "60", "5.000"],
        ["2023-06", "v2", "240", "3.000"],
    ]


def test_the_end_says_where_to_look_further_and_what_failed(home, capsys):
    said = shown(OUTCOME, home, capsys)
    for line in (f"page: {home}/report.html", f"figures: {home}/summary.json", "2 × /predict: 503"):
        assert line in said
    assert f"drift report: {home}/reports/check-v1/drift.html" in said


def test_a_story_that_held_says_so_and_one_that_did_not_says_why(home, capsys):
    assert "The story held." in shown(OUTCOME, home, capsys)
    failed = dataclasses.replace(OUTCOME, summary=dataclasses.replace(HELD, failed_requests=2))
    said = shown(failed, home, capsys)
    assert "FAILED: 2 of 900 requests failed" in said
    assert "The story held." not in said


def test_the_end_of_all_acts_shows_their_months_and_what_became_of_them(home, capsys):
    said = shown(dataclasses.replace(OUTCOME, summary=WITH_ACTS), home, capsys)
    assert [line.split("│")[1].strip() for line in said.splitlines() if "│ 2023" in line][-2:] == [
        *("2023-07", "2023-08"),
    ]
    assert (
        "bad promotion: version 3 was forced in over version 2 and rolled back by itself after 1 watch window" in said
    )
    assert "broken data: published and quarantined: <quarantined>" in said
    assert "error, after: 3.00 min (version 2)" in said


def test_real_months_ran_through(home, capsys):
    real = dataclasses.replace(OUTCOME, summary=dataclasses.replace(HELD, source="months/"))
    assert "Ran through." in shown(real, home, capsys)


def test_what_is_left_up_can_be_found_entered_and_stopped(settings: Settings, capsys):
    closing.show_addresses(settings)
    said = capsys.readouterr().out
    assert f"{settings.api_url}/docs" in said
    assert settings.mlflow.tracking_uri in said
    password = (settings.storage.home / "run" / "airflow-password").read_text()
    assert f"user admin, password {password}" in said
    assert "AUTOOPS_CONFIG=" in said
    assert said.rstrip().endswith("autoops down")
