import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from autoops.errors import CorruptFile, EmptyMonth, NotPublished, SettingsError, SourceUnavailable, StorageUnavailable
from autoops.ingestion.atomic_write import atomic_write
from autoops.ingestion.source import DirectorySource, SourceMetadata, file_name
from autoops.ingestion.sources import open_source
from autoops.ingestion.url_source import UrlSource
from autoops.months import Month, parse_months
from autoops.settings import Data
from tests.unit.ingestion.raw import MARCH, raw_table, write_month


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_month(tmp_path / "source", [{}] * 3)
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where an older file stands."""
    target = tmp_path / "target" / "march.parquet"
    target.parent.mkdir()
    target.write_text("older")
    return target


def test_published_lists_the_months_of_a_directory_and_nothing_else(directory):
    for name in (
        "green_tripdata_2022-01.parquet",
        "green_tripdata_2022-13.parquet",
        "yellow_tripdata_2022-01.parquet",
        ".green_tripdata_2022-02.parquet.5f",
        "green_tripdata_2022-02.parquet.part",
        "taxi_zone_lookup.csv",
    ):
        (directory / name).touch()

    assert DirectorySource(directory).published() == parse_months("2022-01,2022-03")


def test_fetch_copies_the_file_reports_progress_and_returns_the_stamp(directory, target):
    seen: list[tuple[int, int | None]] = []
    source = DirectorySource(directory)

    metadata = source.fetch(MARCH, target, lambda done, of: seen.append((done, of)))

    content = (directory / file_name(MARCH)).read_bytes()
    assert target.read_bytes() == content
    assert metadata == source.metadata(MARCH)
    assert (seen[-1], metadata.length) == ((len(content), len(content)), len(content))
    assert list(target.parent.iterdir()) == [target]


def test_fetch_makes_the_folders_that_its_target_needs(directory, tmp_path):
    DirectorySource(directory).fetch(MARCH, tmp_path / "a" / "b" / "c.parquet")

    assert pq.read_table(tmp_path / "a" / "b" / "c.parquet").num_rows == 3


def test_a_month_that_is_not_there_is_not_published(directory, target):
    with pytest.raises(NotPublished, match="2022-04 is not published"):
        DirectorySource(directory).metadata(Month(2022, 4))
    with pytest.raises(NotPublished):
        DirectorySource(directory).fetch(Month(2022, 4), target)
    assert target.read_text() == "older"


def test_a_directory_that_is_not_there_is_an_unavailable_source(tmp_path):
    source = DirectorySource(tmp_path / "none")
    for ask in (source.published, lambda: source.metadata(MARCH), lambda: source.fetch(MARCH, tmp_path / "x")):
        with pytest.raises(SourceUnavailable, match="is not a directory"):
            ask()


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_still_being_copied_is_never_taken_for_whole(directory, target, share):
    whole = (directory / file_name(MARCH)).read_bytes()
    (directory / file_name(Month(2022, 5))).write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(CorruptFile, match=r"green_tripdata_2022-05\.parquet"):
        DirectorySource(directory).fetch(Month(2022, 5), target)
    assert target.read_text() == "older"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_without_rows_is_an_empty_month(directory, target):
    pq.write_table(raw_table([{}]).slice(0, 0), directory / file_name(Month(2022, 5)))

    with pytest.raises(EmptyMonth, match="2022-05"):
        DirectorySource(directory).fetch(Month(2022, 5), target)
    assert target.read_text() == "older"


@pytest.mark.parametrize("kind", ["folder", "loop", "nowhere", "empty", "text"])
def test_what_has_a_months_name_and_cannot_be_read_is_the_files_fault(directory, target, kind):
    place = directory / file_name(Month(2022, 5))
    if kind == "folder":
        place.mkdir()
    elif kind in ("loop", "nowhere"):
        place.symlink_to(place if kind == "loop" else directory / "gone")
    else:
        place.write_bytes(b"no parquet" if kind == "text" else b"")

    source = DirectorySource(directory)
    assert Month(2022, 5) in source.published()
    with pytest.raises(CorruptFile, match=r"green_tripdata_2022-05\.parquet: (cannot be read|truncated)"):
        source.fetch(Month(2022, 5), target)
    assert target.read_text() == "older"


def test_a_folder_that_cannot_be_made_is_the_storages_fault(directory, target):
    with pytest.raises(StorageUnavailable, match=r"march\.parquet/x\.parquet: cannot be written"):
        DirectorySource(directory).fetch(MARCH, target / "x.parquet")


def test_a_disk_that_fills_up_leaves_the_older_file_and_nothing_else(directory, target):
    """The kernel refuses to let the file grow, as it does when a disk is full."""
    script = f"""
        import resource
        from pathlib import Path
        from autoops.errors import StorageUnavailable
        from autoops.ingestion.source import DirectorySource
        from autoops.months import Month
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
        try:
            DirectorySource(Path({str(directory)!r})).fetch(Month(2022, 3), Path({str(target)!r}))
        except StorageUnavailable as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)

    assert f"{target}: cannot be written: File too large" in done.stdout
    assert target.read_text() == "older"
    assert list(target.parent.iterdir()) == [target]


def test_a_block_that_fails_lands_nothing(target):
    with pytest.raises(TypeError), atomic_write(target) as file:
        file.write("newer")

    assert target.read_text() == "older"
    assert list(target.parent.iterdir()) == [target]


def test_a_landing_is_seen_only_when_it_is_whole(target):
    with atomic_write(target) as file:
        file.write(b"newer")
        file.flush()
        assert target.read_text() == "older"
    assert target.read_text() == "newer"


@pytest.mark.parametrize(
    ("mine", "theirs", "match"),
    [
        (SourceMetadata(5, '"a"', "Mon"), SourceMetadata(5, '"a"', "Mon"), True),
        (SourceMetadata(5, '"a"', "Mon"), SourceMetadata(6, '"a"', "Mon"), False),
        (SourceMetadata(5, '"a"', "Mon"), SourceMetadata(5, '"b"', "Mon"), False),
        (SourceMetadata(5, '"a"', "Mon"), SourceMetadata(5, '"a"', "Tue"), False),
        (SourceMetadata(None, '"a"', None), SourceMetadata(5, '"a"', "Mon"), True),
    ],
)
def test_stamps_match_in_what_both_know(mine, theirs, match):
    assert mine.matches(theirs) is theirs.matches(mine) is match


def test_a_republished_file_has_another_stamp(directory):
    source = DirectorySource(directory)
    before = source.metadata(MARCH)
    path = write_month(directory, [{}] * 3)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))

    assert not source.metadata(MARCH).matches(before)


def test_what_data_source_names_decides_the_kind_of_source(directory, monkeypatch):
    monkeypatch.setenv("HOME", str(directory.parent))

    assert isinstance(open_source(Data(source="HTTPS://example.org/trip-data")), UrlSource)
    assert isinstance(open_source(Data(source=str(directory))), DirectorySource)
    assert open_source(Data(source="~/source")).published() == [MARCH]
    with pytest.raises(SettingsError, match=r"data\.source: 'http://host:port' is no URL"):
        open_source(Data(source="http://host:port"))
