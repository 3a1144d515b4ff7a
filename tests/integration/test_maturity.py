"""Labels of one kind that come first: they count nowhere before their rows are as old as the declaration says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import yaml

from autoops.errors import NotPublished
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.quality import Finding, Quality
from autoops.ingestion.source import DirectorySource
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.loop.data.excluded_windows import consumed
from autoops.loop.data.label_coverage import coverage_of
from autoops.loop.data.labelled_log import labelled_until, rows_of
from autoops.loop.data.published_windows import published_windows
from autoops.loop.data.windows import live_window
from autoops.loop.monitor import drift_check
from autoops.loop.promote.post_promotion import Watch
from autoops.loop.records.checks import BROKEN
from autoops.loop.retrain import retraining
from autoops.loop.retrain.training_window import known_months
from autoops.models.registry import champion_of
from autoops.months import Month
from autoops.settings import Settings, load_settings
from autoops.storage.predictions import LIVE, Label, LogSelection
from autoops.usecase.columns import EVENT_AT, TARGET
from tests.integration.one_process import answers, context_in, retrain, setting
from tests.integration.test_another_usecase import DECLARED, loans

DAYS = 10
APRIL, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (4, 5))
SIZE = 300


@pytest.fixture(scope="module")
def repaid() -> pd.DataFrame:
    """50 loans on each day from January to June; seven in ten are repaid."""
    return loans(9_000, 1)


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path, repaid: pd.DataFrame) -> Context:
    """On the first of April, with January to March published and a champion of their mature rows."""
    declared = yaml.safe_load((DECLARED / "usecase.yaml").read_text())
    declared["target"]["matures_after_days"] = DAYS
    (tmp_path / "usecase.yaml").write_text(yaml.safe_dump(declared, sort_keys=False))
    path = tmp_path / "config.yaml"
    path.write_text(
        f"usecase: {tmp_path}\ntraining: {{min_rows: 500, holdout_days: 14}}\ndrift: {{window_size: {SIZE}}}\n"
    )
    ours = load_settings(path).model_copy(update={"storage": settings.storage})
    built = context_in(tmp_path, ours, engine)
    source = DirectorySource(tmp_path / "published", ours.contract.source.files)
    built = replace(built, source=source, store=MonthStore(tmp_path / "months", cleaner_of(ours.contract)))
    for month in ("2026-01", "2026-02", "2026-03"):
        publish(built, repaid, month)
    built.clock.advance(seconds=(APRIL - built.clock.now()).total_seconds())
    assert retrain(built, "first", reason="first model")["promoted"]
    return built


def publish(context: Context, rows: pd.DataFrame, month: str) -> None:
    some = rows[rows[EVENT_AT].dt.strftime("%Y-%m") == month].rename(columns={EVENT_AT: "timestamp", TARGET: "repaid"})
    some = some.assign(id=np.arange(len(some)))
    some.to_parquet(context.source._directory / f"car_loan_{month}.parquet", index=False)


def live(context: Context, rows: pd.DataFrame, days: int) -> list[dict[str, object]]:
    """Serve so many days of loans from April on, with a check each third day: a repaid one is known at once, the
    others after 8 days. Return the checks."""
    found, waiting = [], []
    for day in range(days):
        begins_at = APRIL + timedelta(days=day)
        some = rows[(rows[EVENT_AT] >= begins_at) & (rows[EVENT_AT] < begins_at + timedelta(days=1))]
        context.clock.advance(days=1)
        logged = answers(context, some)
        context.log.append(logged)
        labels = [Label(truth, prediction_id=row.id) for row, truth in zip(logged, some[TARGET], strict=True)]
        waiting.append([label for label in labels if not label.target])
        context.log.attach([label for label in labels if label.target], context.clock.now())
        if day >= 8:
            context.log.attach(waiting[day - 8], context.clock.now())
        if day % 3 == 2:
            found.append(drift_check.check(context))
    return found


def test_a_model_is_trained_and_watched_on_mature_labels_alone(context: Context, repaid: pd.DataFrame) -> None:
    champion, newest_day = champion_of(context.registry), APRIL - timedelta(days=DAYS + 1)
    # The newest mature day is held out, and the day before it is fitted.
    assert newest_day - timedelta(days=1) < champion.trained_until <= newest_day

    early = live(context, repaid, 9)
    assert not any(check["alarm"] for check in early), [check["reason"] for check in early]
    assert coverage_of(context, champion) is None
    window = live_window(context, champion, SIZE)
    assert not window.labelled
    assert labelled_until(context) is None
    of_the_log = setting(context, "training", source="log")
    with pytest.raises(NotPublished, match="no labelled"):
        retraining.begin(of_the_log, "second")


def test_what_has_matured_counts_once_with_its_ordinary_rate(context: Context, repaid: pd.DataFrame) -> None:
    checks = live(context, repaid, 45)
    assert not any(check["alarm"] for check in checks), [check["reason"] for check in checks]
    recorded = context.checks.latest(limit=None)[::-1]
    losses = [one for check in recorded for one in check.report.get("detectors", ()) if one["name"] == "loss"]
    assert len(losses) >= 3
    assert {one["rows"] for one in losses} == {SIZE}
    assert all(one["event_until"] < other["event_from"] for one, other in pairwise(losses))

    rows = rows_of(context, [Month(2026, 4), Month(2026, 5)])
    newest = APRIL + timedelta(days=45 - DAYS)
    assert newest - timedelta(days=1) < rows[EVENT_AT].max() <= newest
    expected = repaid[(repaid[EVENT_AT] >= APRIL) & (repaid[EVENT_AT] <= rows[EVENT_AT].max())]
    assert rows[TARGET].mean() == expected[TARGET].mean()
    coverage = coverage_of(context, champion_of(context.registry))
    assert coverage is not None
    assert (coverage.share, coverage.due_s, coverage.missing) == (1, DAYS * 86_400, False)


def test_a_published_month_counts_as_far_as_it_is_mature(context: Context, repaid: pd.DataFrame) -> None:
    champion, zone = champion_of(context.registry), context.contract.zone
    assert known_months(context) == [Month(2026, 1), Month(2026, 2)]
    publish(context, repaid, "2026-04")
    context.clock.advance(days=30)
    assert known_months(context) == [Month(2026, 1), Month(2026, 2), Month(2026, 3)]
    plan = retraining.begin(context, "second", reason="more rows")
    assert plan["known_until"] == (Month(2026, 4).ends_in(zone) - timedelta(days=DAYS)).isoformat()
    windows = list(published_windows(context, champion, champion.trained_until, 100))
    assert max(row.logged.event_at for window in windows for row in window.labelled) <= MAY - timedelta(days=DAYS)
    early, *_ = windows
    assert min(row.logged.event_at for row in early.labelled) < APRIL


def test_matured_rows_of_broken_data_are_never_trained_on(context: Context, repaid: pd.DataFrame) -> None:
    live(context, repaid, 20)
    window = live_window(context, champion_of(context.registry), SIZE)
    assert window.matured_until is not None
    day = window.matured_until - timedelta(days=2)
    window = replace(window, cursor=window.cursor._replace(matured_until=day), cursor_if_broken=None)
    window = replace(window, next_cursor=window.cursor._replace(matured_until=window.matured_until))
    quality = Quality((Finding("null surge", "car_value", 1.0, None, "no values"),))
    before = rows_of(context, [Month(2026, 4)])
    none = {"last_prediction_id": None, "last_label_id": None, "event_from": None, "event_until": None}
    report = {"source": LIVE, **consumed(quality, window)}
    context.checks.append(model_version=1, verdict=BROKEN, alarm=False, reason="", report=report, **none)
    after = rows_of(context, [Month(2026, 4)])
    assert after[EVENT_AT].max() <= day < before[EVENT_AT].max()
    assert len(after) == (before[EVENT_AT] <= day).sum()


def test_the_post_promotion_check_compares_an_early_label_once_it_is_mature(
    context: Context, repaid: pd.DataFrame
) -> None:
    champion = champion_of(context.registry)
    live(context, repaid, 20)
    window = live_window(context, champion, 10 * SIZE)
    window = replace(
        window, labelled=context.log.matured(LogSelection(champion.number), 9_999, None, window.matured_until)
    )
    before = {"matured_until": (APRIL + timedelta(days=5)).isoformat()}
    watch = Watch(champion, champion, APRIL.isoformat(), {}, windows=(before,), label_id=10**9)
    compared = watch.new_in(window)
    assert min(row.logged.event_at for row in compared) > APRIL + timedelta(days=5)
    assert {row.target for row in compared} == {0.0, 1.0}
