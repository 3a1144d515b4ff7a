"""What it costs to find the months that may be used grows with their number, and no faster."""

from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.profile import Profile
from autoops.ingestion.store import IngestedMonth, MonthStore
from autoops.loop.context import Context
from autoops.loop.data import validation
from autoops.months import Month
from autoops.settings import Settings
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import context_in

FIRST = Month(2020, 1)
COUNT = 24


@dataclass(frozen=True)
class CountedProfile(Profile):
    """Counts how often a judgement asks for its rows."""

    def __getattribute__(self, name: str) -> Any:
        if name == "rows":
            work["rows of a profile"] += 1
        return super().__getattribute__(name)


class CountedStore(MonthStore):
    """Counts how often a month's facts are read from the disk."""

    def get(self, month: Month) -> IngestedMonth | None:
        work["months read"] += 1
        known = super().get(month)
        if known is None:
            return None
        facts = {field.name: getattr(known.profile, field.name) for field in fields(Profile)}
        return replace(known, profile=CountedProfile(**facts))


work: Counter[str] = Counter()


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    """With all months ingested."""
    built = context_in(tmp_path, settings, engine)
    months = [FIRST.plus(number) for number in range(COUNT)]
    write_sample(tmp_path / "published", months, trips_per_month=100)
    for month in months:
        built.store.ingest(built.source, month)
    return replace(built, store=CountedStore(tmp_path / "months", cleaner_of(built.contract)))


def work_for(context: Context, months: int) -> Counter[str]:
    work.clear()
    validation.usable(context, [FIRST.plus(COUNT - 1 - number) for number in range(months)])
    return Counter(work)


def test_three_times_the_months_are_at_most_three_times_the_work(context: Context) -> None:
    few, many = work_for(context, COUNT // 3), work_for(context, COUNT)
    assert few["rows of a profile"] > 0
    for kind, times in many.items():
        assert times <= 3 * few[kind], kind


def test_what_was_found_of_a_month_is_found_again_once_an_earlier_one_changes(context: Context, tmp_path: Path) -> None:
    judge = validation.Judge(context)
    last = FIRST.plus(COUNT - 1)
    judge.ingest(last)
    before = work["rows of a profile"]
    judge.ingest(last)
    again = work["rows of a profile"] - before
    write_sample(tmp_path / "published", [FIRST], trips_per_month=120, seed=8)
    judge.ingest(FIRST)
    before = work["rows of a profile"]
    judge.ingest(last)
    assert again == 0 < work["rows of a profile"] - before
