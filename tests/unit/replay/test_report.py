import dataclasses
import re
from pathlib import Path

import pytest

from autoops.months import Month
from autoops.replay.demo.charts import figure, marks_of
from autoops.replay.demo.closing import figures
from autoops.replay.demo.outcome import Outcome
from autoops.replay.demo.report import write_report
from autoops.replay.tally import Tally
from autoops.usecases.taxi.demo import MADE_UP
from autoops.usecases.taxi.trips import NEW_YORK
from tests.taxi import CONTRACT
from tests.unit.replay.records import (
    ACTS_CHECKS,
    ACTS_ENTRIES,
    CHECKS,
    ENTRIES,
    acts_tally,
    entry,
    incident,
    tally,
)
from tests.unit.replay.test_summary import HELD, WITH_ACTS

OUTCOME = Outcome(HELD, tally(), CHECKS, [incident()], ENTRIES, [], MADE_UP)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, OUTCOME)
    return path.read_text()


def test_the_page_of_the_core_knows_no_further_acts(page):
    assert "mistake" not in page


def test_the_page_needs_nothing_from_elsewhere(page):
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert "Plotly.newPlot" in page


def test_the_page_shows_the_figures_of_the_summary(page):
    for figure_ in ("2.00 min", "5.00 min", "3.00 min", "55 s", "900"):
        assert f"<b>{figure_}</b>" in page


def test_what_stands_in_the_ledger_is_shown_as_text_not_as_html(page):
    assert "&lt;promoted&gt;" in page
    assert "<promoted>" not in page


def test_every_turn_of_the_story_is_marked_where_the_replay_stood():
    marks = marks_of(OUTCOME.tally, OUTCOME.checks, OUTCOME.incidents, OUTCOME.entries)
    assert {mark.label for mark in marks} == {
        *("first alarm", "incident 2", "retraining begins", "v2 promoted", "v2 answers"),
    }
    assert [mark.event_at for mark in marks] == sorted(mark.event_at for mark in marks)
    assert Month.of(next(mark.event_at for mark in marks if mark.label == "v2 answers"), NEW_YORK) == Month(2023, 6)


def test_a_rollback_a_quarantine_and_broken_traffic_are_marked():
    marks = {mark.label: mark for mark in marks_of(acts_tally(), ACTS_CHECKS, [], ACTS_ENTRIES)}
    assert {"v3 promoted", "v3 answers", "v3 rolled back", "broken data", "2023-08 quarantined"} <= set(marks)
    assert Month.of(marks["v3 rolled back"].event_at, NEW_YORK) == Month(2023, 7)
    assert Month.of(marks["2023-08 quarantined"].event_at, NEW_YORK) == Month(2023, 8)


def test_the_page_of_all_acts_tells_what_became_of_them(tmp_path):
    write_report(tmp_path / "report.html", dataclasses.replace(OUTCOME, summary=WITH_ACTS))
    page = (tmp_path / "report.html").read_text()
    for told in ("rolled back by itself after 1 watch window", "In 2023-07 somebody forces in", "<b>10 s</b>"):
        assert told in page
    assert "Two mistakes of people" in page
    assert "<td>2023-07</td><td>v3</td>" in page
    assert '<td class="bad">broken data</td>' in page


def test_what_happened_before_the_first_trip_is_not_on_the_chart():
    early = entry(1, "promoted", -100, 1)
    assert marks_of(OUTCOME.tally, [], [], [early])[0].label == "v2 answers"


def test_a_challenger_that_the_gate_kept_out_is_marked_with_the_decision():
    kept_out = [entry(1, "gate", 30, 2, decision="reject")]
    assert "v2 reject" in {mark.label for mark in marks_of(OUTCOME.tally, [], [], kept_out)}


def test_a_version_that_was_forced_in_was_not_kept_out():
    entries = [entry(1, "gate", 30, 2, decision="inconclusive"), entry(2, "promoted", 31, 2)]
    labels = {mark.label for mark in marks_of(OUTCOME.tally, [], [], entries)}
    assert "v2 promoted" in labels
    assert "v2 inconclusive" not in labels


def test_charts_have_a_curve_per_version_detector_and_feature():
    drawn = figure(OUTCOME.tally, OUTCOME.checks, [])
    curves = {curve.name: curve for curve in drawn.data}
    assert set(curves) == {"version 1", "version 2", "loss", "trip distance"}
    assert set(curves["version 2"].y) == {3.0}
    assert curves["trip distance"].y == (0.5,) * len(CHECKS)


def test_a_replay_without_checks_still_gives_a_page(tmp_path):
    write_report(tmp_path / "report.html", dataclasses.replace(OUTCOME, checks=[], incidents=[], entries=[]))
    write_report(tmp_path / "empty.html", dataclasses.replace(OUTCOME, tally=Tally(CONTRACT)))
    assert (tmp_path / "report.html").stat().st_size > 1_000_000


def test_closing_figures_name_the_error_before_under_and_after_drift():
    said = figures(HELD, CONTRACT)
    assert said[:3] == [
        "error, steady: 2.00 min (version 1)",
        "error, under drift: 5.00 min (version 1)",
        "error, after: 3.00 min (version 2)",
    ]
    assert "requests: 900 sent, 0 failed" in said


def test_closing_figures_of_real_months_claim_no_story():
    said = figures(dataclasses.replace(HELD, source="months/", alarm_to_served_s=None), CONTRACT)
    assert said[0] == "alarm to served: no promotion"


def test_the_page_of_real_months_claims_no_healing(tmp_path):
    real = dataclasses.replace(OUTCOME, summary=dataclasses.replace(HELD, source="months/"))
    write_report(tmp_path / "report.html", real)
    assert "<h1>A model on its own from 2023-04 to 2023-06</h1>" in (tmp_path / "report.html").read_text()
