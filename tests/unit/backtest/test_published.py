"""Nobody sees a month before it comes out."""

from pathlib import Path

import pytest

from autoops.backtest.published import MovedClock, PublishedSoFar
from autoops.backtest.study import Study, fetch
from autoops.errors import NotPublished
from autoops.ingestion.source import DirectorySource, Progress, SourceMetadata
from autoops.months import Month, parse_months
from autoops.settings import Settings
from autoops.usecases.taxi.sample import write_sample
from autoops.usecases.taxi.trips import NEW_YORK

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
    clock = MovedClock(MARCH.ends_in(NEW_YORK))
    clock.advance(3600)
    clock.move_to(MARCH.ends_in(NEW_YORK))
    assert (clock.now() - MARCH.ends_in(NEW_YORK)).total_seconds() == 3600
    clock.move_to(APRIL.ends_in(NEW_YORK))
    assert clock.now() == APRIL.ends_in(NEW_YORK)


class Counted(DirectorySource):
    """A folder that counts what is fetched."""

    fetched = 0

    def fetch(self, month: Month, target: Path, progress: Progress | None = None) -> SourceMetadata:
        self.fetched += 1
        return super().fetch(month, target, progress)


def test_a_study_fetches_each_month_once_and_again_only_what_is_gone_or_other(
    settings: Settings, tmp_path: Path
) -> None:
    months = tuple(parse_months("2022-01..2022-03"))
    write_sample(tmp_path / "source", months, trips_per_month=200)
    source = Counted(tmp_path / "source")
    study = Study(settings, months, (0,), ("monthly",), tmp_path / "workspace")
    fetch(study, source)
    fetch(study, source)
    assert source.fetched == 3
    (study.workspace / "raw" / source.file_name(FEBRUARY)).unlink()
    write_sample(tmp_path / "source", [MARCH], trips_per_month=300)
    fetch(study, source)
    assert source.fetched == 5
    for month in months:
        kept = study.workspace / "raw" / source.file_name(month)
        assert kept.read_bytes() == source.path_of(month).read_bytes()
