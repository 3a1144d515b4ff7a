from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from autoops.errors import InputError, NotPublished, SourceUnavailable
from autoops.ingestion.source import file_name
from autoops.months import Month, month_range, parse_months
from autoops.replay.demo import worlds
from autoops.replay.demo.demo import DemoOptions
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.demo import to_kilometres
from autoops.usecases.taxi.sample import write_sample
from tests.taxi import CONTRACT
from tests.unit.replay.worlds import write_month

MONTHS = list(month_range(Month(2023, 1), Month(2023, 5)))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    for month in MONTHS:
        write_month(tmp_path / "published", month)
    return tmp_path / "published"


def test_the_made_up_world_is_steady_and_then_slow(tmp_path: Path):
    world = worlds.made_up(tmp_path, 2_000)
    assert (world.name, len(world.first), len(world.later)) == ("sample", 3, 3)
    minutes_per_mile = {}
    for month in (*world.first, *world.later):
        trips = clean(tmp_path / file_name(month), month).rows
        minutes_per_mile[month] = trips[TARGET].sum() / trips["trip_distance"].sum()
    steady, slow = minutes_per_mile[world.later[0]], minutes_per_mile[world.later[1]]
    assert steady == pytest.approx(minutes_per_mile[world.first[-1]], rel=0.1)
    assert slow > 1.15 * steady
    assert minutes_per_mile[world.later[2]] > 1.15 * steady


def test_the_made_up_world_is_the_same_each_time(tmp_path: Path):
    for name in ("first", "second"):
        worlds.made_up(tmp_path / name, 200)
    one, other = (tmp_path / name / file_name(worlds.CHANGES_FROM) for name in ("first", "second"))
    assert one.read_bytes() == other.read_bytes()


def test_the_further_acts_go_on_from_the_core_and_end_in_kilometres(tmp_path: Path):
    core, world = worlds.made_up(tmp_path / "core", 2_000), worlds.made_up(tmp_path / "all", 2_000, choice="all")
    assert [act.month for act in world.acts] == list(world.later[3:]) == [worlds.BAD_PROMOTION, worlds.BROKEN]
    for month in (*core.first, *core.later):
        assert (tmp_path / "core" / file_name(month)).read_bytes() == (tmp_path / "all" / file_name(month)).read_bytes()
    assert core.acts == ()
    length = {
        month: clean(tmp_path / "all" / file_name(month), month).rows["trip_distance"].median()
        for month in world.later[2:]
    }
    june, july, august = length.values()
    assert july == pytest.approx(june, rel=0.1)
    assert august == pytest.approx(1.609 * july, rel=0.1)


def test_a_month_in_kilometres_is_otherwise_the_same(tmp_path: Path):
    (path,) = write_sample(tmp_path, MONTHS[:1], trips_per_month=500)
    before = pq.read_table(path)
    to_kilometres(path)
    after = pq.read_table(path)
    assert after.schema.equals(before.schema)
    assert after.drop_columns("trip_distance").equals(before.drop_columns("trip_distance"))
    miles, kilometres = (table["trip_distance"].to_numpy() for table in (before, after))
    np.testing.assert_allclose(kilometres, miles * 1.609344, atol=0.0051)


def test_of_real_months_the_first_three_are_there_and_the_others_are_lived_through(published: Path):
    world = worlds.real(str(published), MONTHS, CONTRACT)
    assert world.first == MONTHS[:3]
    assert world.later == MONTHS[3:]
    assert world.source.published() == MONTHS


def test_a_month_that_is_not_there_is_named_before_anything_starts(published: Path):
    (published / file_name(MONTHS[4])).unlink()
    with pytest.raises(NotPublished, match="2023-05"):
        worlds.real(str(published), MONTHS, CONTRACT)


def test_a_source_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SourceUnavailable, match="nowhere"):
        worlds.real(str(tmp_path / "nowhere"), MONTHS, CONTRACT)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"source": "months"}, "--source and --months go together"),
        ({"months": MONTHS}, "--source and --months go together"),
        ({"source": "months", "months": MONTHS[:3]}, "needs at least 4 months"),
        ({"source": "months", "months": MONTHS, "acts": "all"}, "needs its made-up months"),
        ({"source": "months", "months": parse_months("2023-01..2023-03,2023-05")}, "must follow one another"),
    ],
)
def test_options_that_make_no_story_are_refused(options, complaint):
    with pytest.raises(InputError, match=complaint):
        DemoOptions(**options)


def test_another_use_case_makes_its_own_world_up_in_its_one_file(tmp_path: Path):
    world = worlds.made_up(tmp_path, 100, "hotel")
    assert [path.name for path in tmp_path.iterdir()] == ["hotel_bookings.parquet"]
    assert world.source.published() == [*world.first, *world.later]
    with pytest.raises(InputError, match="hotel has no further acts"):
        worlds.made_up(tmp_path / "all", 100, "hotel", "all")
    with pytest.raises(InputError, match="nothing is made up for the use case /my/own"):
        worlds.made_up(tmp_path / "own", 100, "/my/own")
