"""The line: windows by day, marks at the event time that the traffic had reached, and what the charts make of it."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.settings import Settings
from autoops.web.charts import bar_chart, line_chart, number_line
from autoops.web.line import Bands, Line, Mark, Point, line_of
from tests.integration.one_process import context_in

EVENT = datetime(2022, 4, 1, 16, tzinfo=UTC)


@pytest.fixture
def context(tmp_path: Path, settings: Settings, engine: sa.Engine) -> Context:
    return context_in(tmp_path, settings, engine)


def judge(context: Context, day: float, loss: float | None, rows: int = 100, alarm: bool = False) -> None:
    bounds = {"mean": loss, "low": None, "high": None}
    context.checks.append(
        model_version=1,
        verdict="drift" if alarm else "no drift",
        alarm=alarm,
        reason="",
        event_from=EVENT + timedelta(days=day - 0.5),
        event_until=EVENT + timedelta(days=day),
        last_prediction_id=None,
        last_label_id=None,
        report={"errors": {"rows": rows, "absolute": bounds}} if loss is not None else {},
    )
    context.clock.advance(minutes=10)


def test_windows_of_a_day_are_one_point_weighted_by_their_rows(context: Context) -> None:
    judge(context, 0, 2.0, rows=100)
    judge(context, 0.1, 4.0, rows=300, alarm=True)
    judge(context, 5, 1.0)
    judge(context, 6, None)
    line = line_of(context, Bands(context))
    assert [(point.loss, point.rows, point.alarm) for point in line.points] == [(3.5, 400, True), (1.0, 100, False)]


def test_windows_of_hours_are_a_point_each(context: Context) -> None:
    for hour in range(4):
        judge(context, hour / 24, 2.0)
    assert len(line_of(context, Bands(context)).points) == 4


def test_a_mark_is_at_the_event_time_that_checks_had_reached(context: Context) -> None:
    context.ledger.record("promoted", "first", actor="test", model_version=1)
    context.clock.advance(seconds=1)
    judge(context, 0, 2.0)
    judge(context, 5, 2.0)
    context.ledger.record("promoted", "better", actor="test", model_version=2)
    context.clock.advance(seconds=1)
    judge(context, 10, 2.0)
    marks = line_of(context, Bands(context)).marks
    assert [(mark.label, mark.at) for mark in marks] == [("v2 promoted", EVENT + timedelta(days=5))]
    wall = line_of(context, Bands(context), wall=True).marks
    assert [mark.label for mark in wall] == ["v1 promoted", "v2 promoted"]


def test_a_line_of_one_point_is_drawn() -> None:
    line = Line([Point(EVENT, 1, 2.0, 100, False)], [], {}, " min")
    assert len(ET.fromstring(str(line_chart(line, 350, 200))).findall("circle")) == 1


def test_labels_of_marks_do_not_cover_each_other() -> None:
    """Those for which there is no room keep their line, which says what it is."""
    points = [Point(EVENT + timedelta(days=day), 1, 2.0, 100, False) for day in range(30)]
    marks = [Mark(EVENT + timedelta(days=day / 10), "promoted", f"v{day} <promoted>") for day in range(20)]
    drawn = ET.fromstring(str(line_chart(Line(points, marks, {1: 3.0}, ""), 350, 260)))
    labels = [label for label in drawn.findall("text") if "mark" in label.attrib.get("class", "")]
    assert 0 < len(labels) < len(marks)
    assert _overlapping([(float(each.attrib["x"]), each.attrib["y"], each.text or "") for each in labels]) == []
    assert len([line for line in drawn.findall("line") if "mark" in line.attrib["class"]]) == len(marks)


def _overlapping(labels: Sequence[tuple[float, str, str]]) -> list[str]:
    lanes: dict[str, float] = {}
    found = []
    for left, lane, text in sorted(labels):
        if left < lanes.get(lane, 0) - 1:
            found.append(text)
        lanes[lane] = left + 6 * len(text)
    return found


def test_a_bar_ends_at_its_axis_and_says_how_far_it_goes() -> None:
    drawn = ET.fromstring(str(bar_chart(9.0, 4.0, True, 'loss "9"')))
    assert drawn.attrib["aria-label"] == 'loss "9"'
    assert [each.attrib["width"] for each in drawn.findall("rect")] == ["200", "200.0"]


@pytest.mark.parametrize(("low", "high", "kind"), [(-2, -1, "better"), (-1, 1, "open"), (1, 2, "worse")])
def test_an_interval_is_coloured_by_its_side_of_zero(low: float, high: float, kind: str) -> None:
    drawn = ET.fromstring(str(number_line((low + high) / 2, low, high, 300)))
    (circle,) = drawn.findall("circle")
    assert circle.attrib["class"] == kind
    (zero,) = [line for line in drawn.findall("line") if line.attrib["class"] == "zero"]
    assert 0 <= float(zero.attrib["x1"]) <= 300
