"""More rows than are held at a time: none is left out in silence."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.data import scored_months
from autoops.models.registry import CHAMPION
from autoops.months import Month
from autoops.settings import Settings
from autoops.storage.predictions import LogSelection
from autoops.usecases.taxi.sample import write_sample
from tests.bundles import register_small
from tests.integration.one_process import context_in

JANUARY = Month(2023, 1)


@pytest.fixture
def context(settings: Settings, engine: sa.Engine, tmp_path: Path) -> Context:
    built = context_in(tmp_path, settings, engine)
    register_small(built.registry, tmp_path / "small")
    built.registry.set_alias(CHAMPION, 1)
    return built


def test_a_month_may_have_more_trips_than_are_looked_up_at_a_time(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scored_months, "CHUNK", 400)
    write_sample(tmp_path / "published", [JANUARY], trips_per_month=1_500)
    done: list[tuple[int, int]] = []
    first = scored_months.score(context, JANUARY, lambda *progress: done.append(progress))
    trips = context.store.load([JANUARY])
    assert first["rows"] == len(trips) == context.log.count(LogSelection(1, str(JANUARY)))
    assert done[-1] == (len(trips), len(trips))
    assert scored_months.score(context, JANUARY) == first
    assert context.log.count(LogSelection(1, str(JANUARY))) == len(trips)
