"""Nobody sees a month before it comes out."""

from pathlib import Path

import pytest

from autoops.backtest.published import MovedClock, PublishedSoFar
from autoops.errors import NotPublished
from autoops.ingestion.source import DirectorySource
from autoops.months import Month, parse_months
from autoops.usecases.taxi.sample import write_sample

FEBRUARY, MARCH, APRIL = Month(2022, 2), Month(2022, 3), Month(2022, 4)


@pytest.fixture
def source(tmp_path: Path) -> PublishedSoFar:
    """Of January to April, February to March is out."""
    write_sample(tmp_path, parse_months("2022-01..2022-04"), trips_per_month=200)
    return PublishedSoFar(DirectorySource(tmp_path), FEBRUARY, MARCH)


def test_only_what_is_out_is_there(source: PublishedSoFar, tmp_path: Path) -> None:
    assert source.published() == [FEBRUARY, MARCH]
    for month in (Month(2022, 1), APRIL):
        with pytest.raises(NotPublished, match=str(month)):
            source.metadata(month)
        with pytest.raises(NotPublished, match=str(month)):
            source.fetch(month, tmp_path / "fetched.parquet")
    assert not (tmp_path / "fetched.parquet").exists()


def test_what_comes_out_can_be_fetched_and_stays(source: PublishedSoFar, tmp_path: Path) -> None:
    source.publish(APRIL)
    source.publish(MARCH)
    assert source.published() == [FEBRUARY, MARCH, APRIL]
    assert source.fetch(APRIL, tmp_path / "fetched.parquet") == source.metadata(APRIL)
    assert (tmp_path / "fetched.parquet").exists()


def test_the_clock_never_goes_back() -> None:
    clock = MovedClock(MARCH.ends_at)
    clock.advance(3600)
    clock.move_to(MARCH.ends_at)
    assert (clock.now() - MARCH.ends_at).total_seconds() == 3600
    clock.move_to(APRIL.ends_at)
    assert clock.now() == APRIL.ends_at
