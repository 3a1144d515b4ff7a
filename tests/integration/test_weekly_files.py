"""Hourly rows in weekly files, from the declaration to the months that a version is trained on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from autoops.ingestion.assembled import AssembledSource
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.loop.data.validation import Judge
from autoops.models.registry import champion_of
from autoops.months import Month, Week
from autoops.settings import load_settings
from autoops.storage import database
from tests import sparse_worlds
from tests.conftest import configured
from tests.integration.one_process import context_in, retrain

BIKES = Path(__file__).parent.parent / "usecases" / "bikes" / "usecase.yaml"
MARCH, APRIL, MAY = (Month(2023, number) for number in (3, 4, 5))


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    declared = BIKES.read_text().replace('_{period}.parquet"', '_{period}.parquet", period: week')
    (tmp_path / "usecase.yaml").write_text(declared)
    (tmp_path / "config.yaml").write_text(f"usecase: {tmp_path}\ndata: {{source: {tmp_path / 'published'}}}\n")
    with configured({"storage.home": tmp_path / "var"}) as shipped:
        settings = load_settings(tmp_path / "config.yaml").model_copy(update={"storage": shipped.storage})
        engine = database.connect(settings)
        database.upgrade(engine)
        built = context_in(tmp_path, settings, engine)
        source = open_source(settings.data, settings.contract)
        yield replace(built, source=source, store=MonthStore(tmp_path / "months", cleaner_of(settings.contract)))
        engine.dispose()


def test_hourly_rows_of_weekly_files_are_trained_on_in_months(context: Context, tmp_path: Path) -> None:
    rows, folder = sparse_worlds.bikes("2023-03", 3), tmp_path / "published"
    for week, part in rows.groupby(rows["datetime"].dt.date.map(lambda day: str(Week.holding(day)))):
        part.to_parquet(folder / f"bikes_{week}.parquet", index=False)
    late = (folder / "bikes_2023-W18.parquet").rename(tmp_path / "late.parquet")
    assert isinstance(context.source, AssembledSource)
    assert context.source.published() == [MARCH, APRIL, MAY]

    quarantine = Judge(context).ingest(MAY)
    assert quarantine
    assert "there is no bikes_2023-W18.parquet" in quarantine.reason
    late.rename(folder / "bikes_2023-W18.parquet")
    assert Judge(context).ingest(MAY) is None

    first = retrain(context, "first", reason="first model")
    assert first["promoted"], first["reason"]
    assert [(one.month, one.rows) for one in context.store.months()] == [(MARCH, 743), (APRIL, 720), (MAY, 744)]
    trained_until = pd.Timestamp(champion_of(context.registry).tags["trained_until"])
    assert trained_until.tz_convert("Europe/Berlin").date() <= MAY.plus(1).begins
