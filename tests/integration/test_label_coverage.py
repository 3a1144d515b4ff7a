"""Labels that stop coming are noticed, late ones are waited for, and a new champion changes nothing."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.alerts.watch import watch
from autoops.loop.context import Context
from autoops.loop.data.label_coverage import ROWS, Coverage, coverage_of
from autoops.loop.reports.overview import overview, sentences
from autoops.models.registry import CHAMPION, champion_of
from autoops.settings import Settings
from autoops.storage.predictions import LIVE, Label, LoggedPrediction
from tests.bundles import small_training_run
from tests.integration.one_process import context_in

DELAY = timedelta(hours=6)


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    built = context_in(tmp_path, settings, engine)
    run = small_training_run(tmp_path / "run")
    built.registry.filled([run, run])  # type: ignore[attr-defined]
    return built


def traffic(context: Context, rows: int, labelled: float) -> None:
    """A day of predictions, of which a share is labelled DELAY later; then the monitor looks."""
    start, version = context.clock.now(), champion_of(context.registry).number
    row = LoggedPrediction("", None, start, start, version, LIVE, (2.5, 1, 74, 75), 12.0)
    made = [
        replace(row, id=str(uuid_utils.uuid7(nanoseconds=int(at.timestamp() * 1000) * 1_000_000)), predicted_at=at)
        for at in (start + timedelta(days=number / rows) for number in range(rows))
    ]
    context.log.append(made)
    for hour in range(24):  # labels come in batches, each as late as the last of its hour
        batch = [
            one for number, one in enumerate(made) if one.predicted_at.hour == hour and number % 10 < labelled * 10
        ]
        context.log.attach([Label(12.0, prediction_id=one.id) for one in batch], start + timedelta(hours=hour) + DELAY)
    context.clock.advance(days=1)  # type: ignore[attr-defined]


def look(context: Context) -> Coverage | None:
    """As a check does: what it finds is on record for the next."""
    found = coverage_of(context, champion_of(context.registry))
    report = {"coverage": found.to_json()} if found else {}
    context.checks.append(model_version=1, verdict="no new data", alarm=False, reason="", report=report)
    return found


def test_labels_that_stop_are_missing_until_they_come_again(context: Context) -> None:
    traffic(context, ROWS, labelled=1)
    assert look(context) is None, "nothing to compare with"
    for _ in range(2):
        traffic(context, ROWS, labelled=1)
    found = look(context)
    assert found is not None
    assert (found.share, found.ordinary, found.missing) == (1, 1, False)
    assert timedelta(hours=5) < timedelta(seconds=found.due_s) <= DELAY
    for _ in range(4):
        traffic(context, ROWS, labelled=0)
        found = look(context)
    assert found is not None
    assert (found.share, found.ordinary, found.missing) == (0, 1, True), "what was ordinary is not forgotten"
    (wrong,) = [reason for reason in watch(context, patience_s=0) if "labels" in reason]
    assert wrong == "labels are missing: 0% of the predictions that are 6.0 hours old have labels, 100% ordinarily"
    assert any(line == f"coverage   {wrong}" for line in sentences(overview(context)))
    for _ in range(2):
        traffic(context, ROWS, labelled=1)
    look(context)
    watch(context, patience_s=0)
    told = [entry.kind for entry in context.ledger.entries() if entry.kind.startswith("labels")]
    assert told == ["labels missing", "labels come again"]


def test_a_promotion_and_few_labels_as_ever_are_nothing(context: Context) -> None:
    for _ in range(3):
        traffic(context, ROWS, labelled=0.3)
    context.registry.set_alias(CHAMPION, 2)
    traffic(context, ROWS, labelled=0.3)
    found = look(context)
    assert found is not None
    assert not found.missing
    assert found.ordinary == pytest.approx(0.3, abs=0.01)
