"""Months from weekly and daily files: rows of every hour, made up here."""

import logging
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autoops.backtest.published import MovedClock
from autoops.errors import CorruptFile, MonthError, NotPublished, SchemaError, SettingsError
from autoops.ingestion.assembled import AssembledSource
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.source import DirectorySource, Source
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import IngestedMonth, MonthStore
from autoops.months import Day, Month, Period, Week, covering, periods_of
from autoops.settings import Data
from autoops.usecase import declaration
from autoops.usecase.contract import Contract

JANUARY, FEBRUARY, MARCH = (Month(2026, number) for number in (1, 2, 3))


def contract_of(period: str = "week", zone: str = "UTC", ending: str = "parquet") -> Contract:
    content: dict[str, Any] = {
        "name": "bikes",
        "row": "hour",
        "event_time": {"column": "at", "zone": zone},
        "id": {"column": "number"},
        "target": {"column": "rented"},
        "source": {"files": f"bikes_{{period}}.{ending}", "period": period},
        "features": {"docks": {"type": "int", "missing": "allowed"}, "open": {"type": "bool"}},
    }
    return declaration.parse(content, "bikes.yaml")


def hours(first: str, last: str, zone: str = "UTC") -> pd.DataFrame:
    """A row an hour from one day to another, both included, on the wall clock of the zone; the time is UTC."""
    at = pd.date_range(first, pd.Timestamp(last) + pd.Timedelta(days=1), freq="h", inclusive="left", tz=zone)
    number = (at.tz_convert("UTC").as_unit("s").asi8 // 3600).astype(np.int64)
    table = {"at": at.tz_convert("UTC"), "rented": number % 24 * 1.0, "docks": number % 7, "open": number % 2 == 0}
    return pd.DataFrame(table | {"number": number})


def publish(folder: Path, rows: pd.DataFrame, kind: type[Period] = Week, zone: str = "UTC") -> dict[str, Path]:
    """Write a file for each period of the zone's wall clock."""
    folder.mkdir(exist_ok=True)
    days = rows["at"].dt.tz_convert(zone).dt.date
    written = {}
    for period, part in rows.groupby(days.map(lambda day: str(kind.holding(day)))):
        written[str(period)] = folder / f"bikes_{period}.parquet"
        part.reset_index(drop=True).to_parquet(written[str(period)])
    return written


def ingested(source: Source, contract: Contract, tmp_path: Path, month: Month) -> IngestedMonth:
    return MonthStore(tmp_path / "months", cleaner_of(contract)).ingest(source, month)


@pytest.mark.parametrize(
    ("text", "begins"), [("2026-W05", (2026, 1, 26)), ("2026-W53", (2026, 12, 28)), ("2025-W01", (2024, 12, 30))]
)
def test_a_week_is_one_of_iso_8601(text: str, begins: tuple[int, int, int]) -> None:
    week = Week.parse(text)
    assert (week.begins, str(week)) == (date(*begins), text)
    assert Week.holding(date(*begins[:2], begins[2])) == week == week.plus(1).plus(-1)


def test_years_of_weeks_have_52_or_53_of_them() -> None:
    assert str(Week.parse("2026-W53").plus(1)) == "2027-W01"
    assert [len(periods_of(Week, year)) for year in (2025, 2026, 2027)] == [52, 53, 52]
    assert [str(week) for week in periods_of(Week, 2025)[::51]] == ["2025-W01", "2025-W52"]
    assert (len(periods_of(Day, 2024)), len(periods_of(Month, 2024))) == (366, 12)
    assert covering(Week, Month(2026, 12))[-1] == covering(Week, Month(2027, 1))[0] == Week.parse("2026-W53")


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Week, "2025-W53", "2025 has the weeks W01 to W52"),
        (Week, "2026-W00", "2026 has the weeks W01 to W53"),
        (Week, "2026-05", "expected YYYY-Www, such as 2026-W05"),
        (Week, "2026-W5", "expected YYYY-Www"),
        (Day, "2026-02-29", "expected YYYY-MM-DD"),
        (Day, "20260201", "expected YYYY-MM-DD"),
        (Day, "1899-12-31", "expected YYYY-MM-DD"),
    ],
)
def test_what_is_no_period_is_refused(kind: type[Period], text: str, said: str) -> None:
    with pytest.raises(MonthError, match=said):
        kind.parse(text)


def test_shorter_periods_need_files_of_their_own() -> None:
    with pytest.raises(SettingsError, match=r"source: .*period week: bikes.csv has no \{period\} in its name"):
        declaration.parse(contract_of().to_json() | {"source": {"files": "bikes.csv", "period": "week"}}, "bikes.yaml")
    with pytest.raises(SettingsError, match=r"source.period"):
        declaration.parse(contract_of().to_json() | {"source": {"period": "quarter"}}, "bikes.yaml")


@pytest.mark.parametrize(("period", "kind"), [("week", Week), ("day", Day)])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_months_come_from_the_files_that_cover_them(
    tmp_path: Path, period: str, kind: type[Period], ending: str
) -> None:
    rows = hours("2025-12-29", "2026-03-22")
    # As in tables that pandas wrote: an integer column with a null is one of floats.
    rows["docks"] = rows["docks"].astype(object).where(rows["number"] % 500 != 3)
    for path in publish(tmp_path / "raw", rows.infer_objects(), kind).values():
        if ending == "csv":
            pd.read_parquet(path).to_csv(path.with_suffix(".csv"), index=False)
            path.unlink()
    contract = contract_of(period, ending=ending)
    source = open_source(Data(source=str(tmp_path / "raw")), contract)
    assert source.published() == [JANUARY, FEBRUARY]
    months = [ingested(source, contract, tmp_path, month) for month in source.published()]
    assert [(one.rows, one.dropped) for one in months] == [(31 * 24, {}), (28 * 24, {})]
    assert months[1].profile.days == (24,) * 28
    assert source.file_name(FEBRUARY) == "bikes_2026-02.parquet"
    assert ingested(source, contract, tmp_path, FEBRUARY).status == "unchanged"


def test_the_newest_month_is_open_until_its_last_file_is_there(tmp_path: Path) -> None:
    contract, folder = contract_of(), tmp_path / "raw"
    publish(folder, hours("2026-02-02", "2026-03-22"))
    source = open_source(Data(source=str(folder)), contract)
    # The first of February belongs to the week before.
    assert source.published() == []
    publish(folder, hours("2026-01-26", "2026-02-01"))
    assert source.published() == [FEBRUARY]
    publish(folder, hours("2026-03-23", "2026-04-05"))
    assert source.published() == [FEBRUARY, MARCH]
    # A file of a week that has not begun opens no month.
    clock = MovedClock(datetime(2026, 3, 29, 23, tzinfo=UTC))
    raw = DirectorySource(folder, contract.source.files, Week)
    assert AssembledSource(raw, contract, clock).published() == [FEBRUARY]


def test_a_week_that_is_missing_is_named_and_may_come_late(tmp_path: Path) -> None:
    contract, folder = contract_of(), tmp_path / "raw"
    written = publish(folder, hours("2025-12-29", "2026-04-05"))
    late = written["2026-W07"].rename(tmp_path / "late.parquet")
    source = open_source(Data(source=str(folder)), contract)
    assert source.published() == [JANUARY, FEBRUARY, MARCH]
    with pytest.raises(NotPublished, match=r"2026-02 is not published as a whole: there is no bikes_2026-W07.parquet;"):
        source.fetch(FEBRUARY, tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()
    assert ingested(source, contract, tmp_path, MARCH).status == "ingested"
    late.rename(written["2026-W07"])
    assert ingested(source, contract, tmp_path, FEBRUARY).rows == 28 * 24
    assert ingested(source, contract, tmp_path, MARCH).status == "unchanged"
    # A stored month stays when one of its files goes.
    written["2026-W07"].unlink()
    assert ingested(source, contract, tmp_path, FEBRUARY).rows == 28 * 24


def test_a_file_that_comes_twice_changes_the_months_that_it_holds(tmp_path: Path) -> None:
    contract, folder = contract_of(), tmp_path / "raw"
    written = publish(folder, hours("2025-12-29", "2026-04-05"))
    source = open_source(Data(source=str(folder)), contract)
    months = JANUARY, FEBRUARY, MARCH
    assert [ingested(source, contract, tmp_path, month).status for month in months] == ["ingested"] * 3
    again = pd.read_parquet(written["2026-W05"])
    os.utime(written["2026-W05"], (1, 1))
    assert [ingested(source, contract, tmp_path, month).status for month in months] == ["unchanged"] * 3
    again.loc[again["at"] >= "2026-02-01", "rented"] += 1
    again.to_parquet(written["2026-W05"])
    statuses = [ingested(source, contract, tmp_path, month).status for month in months]
    assert statuses == ["unchanged", "republished", "unchanged"]
    # Rows that another week's file brings a second time are duplicates.
    pd.concat([again, pd.read_parquet(written["2026-W06"])]).to_parquet(written["2026-W06"])
    february = ingested(source, contract, tmp_path, FEBRUARY)
    assert (february.rows, february.profile.duplicated) == (29 * 24, round(24 / (29 * 24), 6))


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_files_that_another_zone_cut_lose_no_row(tmp_path: Path, zone: str) -> None:
    contract = contract_of("day", zone)
    publish(tmp_path / "raw", hours("2026-01-31", "2026-04-02"), Day)
    source = open_source(Data(source=str(tmp_path / "raw")), contract)
    assert source.published() == [FEBRUARY, MARCH]
    march = ingested(source, contract, tmp_path, MARCH)
    # In New York the clocks go forward in March.
    assert (march.rows, march.dropped) == (31 * 24 - (zone == "America/New_York"), {})
    rows = MonthStore(tmp_path / "months", cleaner_of(contract)).load([MARCH])
    assert rows["event_at"].min().tz_convert(zone).isoformat()[:16] in ("2026-03-01T00:00", "2026-03-01T00:30")


def test_rows_of_no_near_month_are_counted(tmp_path: Path) -> None:
    contract, folder = contract_of(), tmp_path / "raw"
    written = publish(folder, hours("2026-01-26", "2026-04-05"))
    rows = pd.read_parquet(written["2026-W06"])
    rows.loc[:2, "at"] = pd.NaT
    rows.loc[3, "at"] = pd.Timestamp("1970-01-01", tz="UTC")
    rows.loc[4, "at"] = pd.Timestamp("2026-03-01", tz="UTC")
    rows.to_parquet(written["2026-W06"])
    source = open_source(Data(source=str(folder)), contract)
    assert source.published() == [FEBRUARY, MARCH]
    february, march = (ingested(source, contract, tmp_path, month) for month in (FEBRUARY, MARCH))
    assert (february.rows, february.dropped) == (28 * 24 - 5, {"no time": 3, "other month": 2})
    assert (march.rows, march.dropped) == (31 * 24, {})


def test_broken_and_empty_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    contract, folder = contract_of(), tmp_path / "raw"
    written = publish(folder, hours("2025-12-29", "2026-04-05"))
    source = open_source(Data(source=str(folder)), contract)
    # A week without rows has a file without rows.
    pd.read_parquet(written["2026-W07"]).head(0).to_parquet(written["2026-W07"])
    assert ingested(source, contract, tmp_path, FEBRUARY).rows == 21 * 24
    written["2026-W06"].write_bytes(b"PAR1 and no more")
    with pytest.raises(CorruptFile, match=r"bikes_2026-W06.parquet"):
        source.fetch(FEBRUARY, tmp_path / "x.parquet")
    # January needs no row of that file.
    with caplog.at_level(logging.WARNING):
        assert ingested(source, contract, tmp_path, JANUARY).rows == 31 * 24
    assert "2026-01 is assembled without the file beside it" in caplog.text
    pd.read_parquet(written["2026-W08"]).drop(columns="docks").to_parquet(written["2026-W06"])
    with pytest.raises(SchemaError, match=r"bikes_2026-W06.parquet: column docks is missing"):
        source.fetch(FEBRUARY, tmp_path / "x.parquet")
    pd.read_parquet(written["2026-W08"]).assign(number="a").to_parquet(written["2026-W06"])
    with pytest.raises(SchemaError, match=r"bikes_2026-W06.parquet: a column has another type than in the files"):
        source.fetch(FEBRUARY, tmp_path / "x.parquet")


def test_a_name_that_is_no_period_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("bikes_2026-02.parquet", "bikes_2025-W53.parquet", "notes.txt"):
        (tmp_path / name).touch()
    with caplog.at_level(logging.WARNING):
        assert open_source(Data(source=str(tmp_path)), contract_of()).published() == []
    assert "bikes_2026-02.parquet is left out: week '2026-02': expected YYYY-Www" in caplog.text
    assert "2025 has the weeks W01 to W52" in caplog.text
    assert "notes" not in caplog.text
