"""Months that are small, partial, broken, or published again."""

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.errors import SourceUnavailable, StorageUnavailable
from autoops.ingestion.source import DirectorySource, Progress, SourceMetadata, file_name
from autoops.loop.context import Context
from autoops.loop.data.scored_months import predicted, score
from autoops.loop.monitor import drift_check
from autoops.models.registry import champion_of
from autoops.months import Month
from autoops.storage.predictions import LIVE, Label, LogSelection, PredictionLog
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi.sample import write_sample
from tests.integration.months.published import APRIL, MAY, publish_part, spans, verdicts
from tests.integration.one_process import publish
from tests.taxi import raw_of


def with_windows_of(context: Context, size: int) -> Context:
    drift = context.settings.drift.model_copy(update={"window_size": size})
    return replace(context, settings=context.settings.model_copy(update={"drift": drift}))


def test_a_month_that_is_too_small_is_said_once_and_keeps_no_later_one_waiting(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    context = with_windows_of(context, 3_500)
    publish_part(worlds["steady"], tmp_path, APRIL, days=12)
    publish(worlds["steady"], tmp_path, "2022-05")
    found = drift_check.check(context)
    assert verdicts(found) == ["not enough data"] + ["no drift"] * 2
    assert verdicts(drift_check.check(context)) == ["no new data"]

    publish(worlds["steady"], tmp_path, "2022-04")
    assert verdicts(drift_check.check(context)) == ["no drift"] * 2
    assert sum(rows for *_, rows in spans(context, APRIL)) == len(context.store.load([APRIL]))


def test_a_month_that_holds_two_windows_is_judged_in_two(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["steady"], tmp_path, "2022-04")
    assert len(drift_check.check(with_windows_of(context, 3_000))["windows"]) == 2


def test_a_month_in_which_nothing_is_left_keeps_no_later_one_waiting(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "published" / file_name(APRIL)).write_bytes((worlds["steady"] / file_name(MAY)).read_bytes())
    publish(worlds["steady"], tmp_path, "2022-05")
    assert verdicts(drift_check.check(context)) == ["no drift"] * 3


class Short(DirectorySource):
    """A source that goes away after its first months."""

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        if month > APRIL:
            raise SourceUnavailable("no answer")
        return super().fetch(month, target, progress)


def test_somebody_is_paged_for_a_broken_month_though_the_check_breaks_off(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    write_sample(tmp_path / "published", [APRIL], trips_per_month=9_000, seed=7, scenario="unit", magnitude=60.0)
    publish(worlds["steady"], tmp_path, "2022-05")
    with pytest.raises(SourceUnavailable):
        drift_check.check(replace(context, source=Short(tmp_path / "published")))
    drift_check.check(context)
    (page,) = context.ledger.entries(kind="page")
    assert page.reason.startswith("2022-04 is quarantined")


def test_a_broken_file_is_said_and_a_broken_republication_changes_nothing(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "published" / file_name(APRIL)
    broken.write_bytes(b"no parquet")
    assert "2022-04 is quarantined" in drift_check.check(context)["reason"]
    (page,) = context.ledger.entries(kind="page")
    assert "green_tripdata_2022-04.parquet: truncated, or not a parquet file" in page.reason
    publish(worlds["steady"], tmp_path, "2022-04")
    drift_check.check(context)
    broken.write_bytes(b"no parquet again")
    assert drift_check.check(context)["verdict"] == "no new data"


def test_a_month_published_in_part_is_judged_and_its_rest_when_that_is_published(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish_part(worlds["steady"], tmp_path, APRIL, days=12)
    assert verdicts(drift_check.check(context)) == ["no drift"]
    publish(worlds["steady"], tmp_path, "2022-04")
    assert verdicts(drift_check.check(context)) == ["no drift"] * 2

    trips = context.store.load([APRIL])
    judged = spans(context, APRIL)
    assert [end <= begin for (_, end, _), (begin, *_) in pairwise(judged)] == [True, True]
    assert sum(rows for *_, rows in judged) == len(trips) == context.log.count(LogSelection(1, "2022-04"))


def test_trips_added_to_a_month_keep_every_trip_with_its_own_ground_truth(
    context: Context, worlds: dict[str, Path], tmp_path: Path
) -> None:
    champion = champion_of(context.registry)
    whole, target = pq.read_table(worlds["steady"] / file_name(APRIL)), tmp_path / "published" / file_name(APRIL)
    pq.write_table(whole.take(np.flatnonzero(np.arange(len(whole)) % 10)), target)
    fewer = score(context, APRIL)
    pq.write_table(whole, target)
    more = score(context, APRIL)

    assert more["rows"] > fewer["rows"]
    assert context.log.count(LogSelection(1, "2022-04")) == more["rows"]
    trips = context.store.load([APRIL])
    rows = list(predicted(context, champion, APRIL, trips))
    assert [row.target for row in rows] == trips[TARGET].tolist()
    assert [raw_of(row.logged)["trip_distance"] for row in rows] == trips["trip_distance"].tolist()


class CutOff(PredictionLog):
    """A database that is gone after the predictions and before their ground truth."""

    def attach(self, labels: list[Label], labelled_at: datetime) -> list[str]:
        raise StorageUnavailable("cut off")


def test_ground_truth_that_did_not_get_in_gets_in_the_next_time(
    context: Context, engine: sa.Engine, worlds: dict[str, Path], tmp_path: Path
) -> None:
    publish(worlds["steady"], tmp_path, "2022-04")
    with pytest.raises(StorageUnavailable):
        drift_check.check(replace(context, log=CutOff(engine)))
    assert context.log.count(LogSelection(1, "2022-04")) > 0
    drift_check.check(context)
    checks = context.checks.latest(judged=True, limit=10)
    assert [check.report["labelled_rows"] for check in checks] == [1_000] * 3


def test_months_leave_live_traffic_to_be_judged(context: Context, worlds: dict[str, Path], tmp_path: Path) -> None:
    publish(worlds["steady"], tmp_path, "2022-04")
    score(context, APRIL)
    rows = [row.logged for row in context.log.latest_labelled(LogSelection(1, str(APRIL)), 1_000)]
    context.log.append([replace(row, id=str(uuid_utils.uuid7()), request_id=None, source=LIVE) for row in rows])
    publish(worlds["steady"], tmp_path, "2022-05")
    assert len(drift_check.check(context)["windows"]) == 6

    drift = context.settings.drift.model_copy(update={"source": "log"})
    watching = replace(context, settings=context.settings.model_copy(update={"drift": drift}))
    assert drift_check.check(watching)["verdict"] == "no drift"
    assert drift_check.check(watching)["verdict"] == "no new data"
