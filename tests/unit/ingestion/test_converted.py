"""Sources that hold something else than parquet of one month: one file of many months, CSV, rows to prepare."""

import gzip
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoops.backtest.published import MovedClock
from autoops.errors import CorruptFile, EmptyMonth, NotPublished, SchemaError, SettingsError, SourceUnavailable
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.converted import OneFileSource, _Table
from autoops.ingestion.raw_files import PIECE_ROWS
from autoops.ingestion.source import DirectorySource, Source, SourceMetadata
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import MonthStore
from autoops.months import Month
from autoops.settings import Data
from autoops.usecase import declaration
from autoops.usecase.contract import Contract

JANUARY, FEBRUARY, MARCH = (Month(2026, number) for number in (1, 2, 3))
DECLARED: dict[str, Any] = {
    "name": "shop",
    "row": "sale",
    "event_time": {"column": "at", "zone": "Asia/Kolkata"},
    "id": {"column": "number"},
    "target": {"column": "paid", "unit": "EUR"},
    "features": {
        "price": {"type": "float", "missing": "allowed"},
        "items": {"type": "int", "column": "Items"},
        "code": {"type": "category", "missing": "allowed"},
        "shelf": {"type": "category", "of": "int"},
        "member": {"type": "bool", "missing": "allowed"},
    },
}
COLUMNS = ["at", "paid", "price", "Items", "code", "shelf", "member", "number"]


def contract_of(files: str, folder: Path | None = None, **changes: Any) -> Contract:
    source = {"files": files} | changes.pop("source", {})
    return declaration.parse(DECLARED | {"source": source} | changes, "shop.yaml", folder)


def sales(*times: str) -> pd.DataFrame:
    """Raw rows at these times, with a column that is not declared."""
    rows = len(times)
    return pd.DataFrame(
        {
            "at": pd.to_datetime(list(times), format="ISO8601"),
            "paid": [float(row) for row in range(rows)],
            "price": [None if row % 3 == 1 else row / 2 for row in range(rows)],
            "Items": range(rows),
            "code": [None if row % 2 else f"{row:03d}" for row in range(rows)],
            "shelf": [7] * rows,
            "member": pd.array([None if row % 5 == 4 else bool(row % 2) for row in range(rows)], dtype="boolean"),
            "number": range(rows),
            "note": ["x"] * rows,
        }
    )


QUARTER = ("2026-01-03", "2026-03-31 23:59:59", "2026-01-31", "2026-03-01 00:00:00")
"""Times on the wall clock of the shop, out of order, with none in February."""


def opened(folder: Path, contract: Contract) -> Source:
    return open_source(Data(source=str(folder)), contract)


def fetched(source: Source, month: Month, tmp_path: Path) -> pa.Table:
    target = tmp_path / "fetched" / source.file_name(month)
    assert source.fetch(month, target) == source.metadata(month)
    return pq.read_table(target)


def test_one_file_is_split_by_the_months_of_the_declared_zone(tmp_path: Path) -> None:
    rows = sales(*QUARTER)
    rows["at"] = rows["at"].dt.tz_localize("Asia/Kolkata").dt.tz_convert("UTC")
    rows.to_parquet(tmp_path / "sales.parquet", row_group_size=1)
    source = opened(tmp_path, contract_of("sales.parquet"))
    assert source.published() == [JANUARY, MARCH]
    assert source.file_name(MARCH) == "sales_2026-03.parquet"
    table = fetched(source, MARCH, tmp_path)
    assert table.column_names == COLUMNS
    assert table["number"].to_pylist() == [1, 3]
    assert fetched(source, JANUARY, tmp_path)["number"].to_pylist() == [0, 2]
    with pytest.raises(NotPublished, match=r"2026-02 is not published: sales\.parquet holds 2026-01 to 2026-03"):
        source.fetch(FEBRUARY, tmp_path / "february.parquet")
    assert not (tmp_path / "february.parquet").exists()


def test_a_file_that_grows_publishes_again_only_the_months_that_changed(tmp_path: Path) -> None:
    path, contract = tmp_path / "sales.parquet", contract_of("sales.parquet")
    sales(*QUARTER).to_parquet(path)
    source, store = opened(tmp_path, contract), MonthStore(tmp_path / "months", cleaner_of(contract))
    assert [store.ingest(source, month).status for month in (JANUARY, MARCH)] == ["ingested", "ingested"]
    before = {month: source.metadata(month) for month in (JANUARY, MARCH)}

    more = pd.concat([sales(*QUARTER), sales("2026-02-10", "2026-03-05")], ignore_index=True)
    # Other row groups, and so other pieces: in some of them a column has no null.
    more.to_parquet(path, row_group_size=3)
    assert source.published() == [JANUARY, FEBRUARY, MARCH]
    assert source.metadata(JANUARY) == before[JANUARY]
    assert source.metadata(MARCH) != before[MARCH]
    assert [store.ingest(source, month).status for month in (JANUARY, MARCH)] == ["unchanged", "republished"]
    assert store.ingest(source, MARCH).rows == 3

    more.assign(paid=more["paid"].where(more["number"] != 0, 99.0)).to_parquet(path)
    assert source.metadata(JANUARY) != before[JANUARY]


def test_a_month_that_is_not_over_is_not_published(tmp_path: Path) -> None:
    sales(*QUARTER).to_parquet(tmp_path / "sales.parquet")
    # In the shop's zone it is April already.
    clock = MovedClock(datetime(2026, 3, 31, 18, 31, tzinfo=UTC))
    contract = contract_of("sales.parquet")
    assert OneFileSource(DirectorySource(tmp_path, "sales.parquet"), contract, clock).published() == [JANUARY, MARCH]
    clock = MovedClock(datetime(2026, 3, 31, 18, 29, tzinfo=UTC))
    source = OneFileSource(DirectorySource(tmp_path, "sales.parquet"), contract, clock)
    assert source.published() == [JANUARY]
    with pytest.raises(NotPublished):
        source.metadata(MARCH)


def test_a_large_file_is_read_in_pieces_and_only_where_the_month_is(tmp_path: Path) -> None:
    begin, rows = datetime(2026, 1, 1), 2 * PIECE_ROWS
    times = pa.array([begin + timedelta(seconds=30 * row) for row in range(rows)], pa.timestamp("ns"))
    table = pa.table(
        {"at": times, "number": range(rows), "note": ["x"] * rows} | dict.fromkeys(COLUMNS[1:7], [1] * rows)
    )
    pq.write_table(table, tmp_path / "sales.parquet", row_group_size=PIECE_ROWS // 2)
    source = opened(tmp_path, contract_of("sales.parquet"))
    assert source.published() == [JANUARY, FEBRUARY]
    assert len(fetched(source, JANUARY, tmp_path)) == 31 * 24 * 120
    assert len(fetched(source, FEBRUARY, tmp_path)) == rows - 31 * 24 * 120
    contract, path = contract_of("sales.parquet"), tmp_path / "sales.parquet"
    held = _Table.of(contract, path, SourceMetadata())
    # A first row group that is broken keeps nobody from a month that is not in it.
    whole = bytearray(path.read_bytes())
    begins = pq.read_metadata(path).row_group(0).column(0).dictionary_page_offset or 4
    whole[begins : begins + 2000] = bytes(2000)
    path.write_bytes(whole)
    assert sum(map(len, held.rows_of(FEBRUARY))) == held.months[FEBRUARY]
    with pytest.raises(CorruptFile, match=r"sales\.parquet"):
        sum(map(len, held.rows_of(JANUARY)))


def test_rows_without_a_time_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = sales(*QUARTER)
    rows.loc[0, "at"] = pd.NaT
    rows.loc[1, "at"] = pd.Timestamp("1970-01-01")
    rows.to_parquet(tmp_path / "sales.parquet")
    with caplog.at_level(logging.WARNING):
        assert opened(tmp_path, contract_of("sales.parquet")).published() == [JANUARY, MARCH]
    assert "sales.parquet: 2 of 4 rows belong to no month" in caplog.text


def test_one_file_that_cannot_be_split_is_refused(tmp_path: Path) -> None:
    source = opened(tmp_path, contract_of("sales.parquet"))
    with pytest.raises(SourceUnavailable, match=r"data.source: sales.parquet is not there"):
        source.published()
    with pytest.raises(SourceUnavailable, match=r"sales.parquet is not there"):
        source.fetch(MARCH, tmp_path / "x.parquet")
    (tmp_path / "sales.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SourceUnavailable, match=r"sales.parquet: truncated, or not a parquet file"):
        source.published()
    with pytest.raises(CorruptFile):
        source.fetch(MARCH, tmp_path / "x.parquet")
    sales(*QUARTER).rename(columns={"at": "sold"}).to_parquet(tmp_path / "sales.parquet")
    with pytest.raises(SourceUnavailable, match=r"column at is missing; there are sold, paid"):
        source.published()
    sales(*QUARTER).assign(at=["31/12/2025"] * 4).to_parquet(tmp_path / "sales.parquet")
    with pytest.raises(SourceUnavailable, match=r"column at holds no time of 1980 to 2099, as ISO 8601"):
        source.published()
    sales(*QUARTER).drop(columns="shelf").to_parquet(tmp_path / "sales.parquet")
    with pytest.raises(SchemaError, match=r"column shelf is missing"):
        source.fetch(MARCH, tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


CSV = [
    "at,paid,price,Items,code,shelf,member,number,note",
    "2026-03-02T09:00:00,20.5,,2,007,7,true,1,x",
    '2026-03-03 10:30:00+05:30,3,1e1,3.0,"a,\n""b""", 8 ,No,2,x',
    "2026-03-04,-1,NA,4,NA,9,,3,x",
    "2026-01-04T00:00,4,2.5,5,,10,1,4,x",
]


def wrote(path: Path, lines: Iterable[str], encoding: str = "utf-8") -> None:
    content = "\n".join(lines).encode(encoding)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)


@pytest.mark.parametrize("name", ["sales.csv", "sales.csv.gz", "sales_{period}.csv", "sales_{period}.csv.gz"])
def test_csv_is_fetched_as_parquet_in_the_declared_types(tmp_path: Path, name: str) -> None:
    contract = contract_of(name)
    months = {MARCH: CSV[:4], JANUARY: [CSV[0], CSV[4]]} if "{period}" in name else {MARCH: CSV}
    for month, lines in months.items():
        wrote(tmp_path / name.replace("{period}", str(month)), lines)
    source = opened(tmp_path, contract)
    assert source.published() == [JANUARY, MARCH]
    assert source.file_name(MARCH) == "sales_2026-03.parquet"
    table = fetched(source, MARCH, tmp_path)
    assert table.column_names == COLUMNS
    assert table["price"].to_pylist() == [None, 10.0, None]
    assert table["code"].to_pylist() == ["007", 'a,\n"b"', "NA"]
    assert table["member"].to_pylist() == [True, False, None]
    assert table["shelf"].to_pylist() == [7.0, 8.0, 9.0]
    assert fetched(source, JANUARY, tmp_path)["code"].to_pylist() == [None]
    rows = MonthStore(tmp_path / "months", cleaner_of(contract)).ingest(source, MARCH)
    assert (rows.rows, rows.dropped) == (3, {})


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda line: line.replace(",", ";"), SchemaError, "found one column, named 'at;paid;price;Items;code;shelf"),
        (lambda line: line.replace("shelf", "shelves"), SchemaError, "column shelf is missing; there are at, paid"),
        (lambda line: line.replace("1e1", "much"), SchemaError, "column price holds a value that is no number: .*much"),
        (lambda line: line.replace("No", "maybe"), SchemaError, "column member holds 'maybe', expected true, false, 0"),
        (lambda line: line.replace("007", "é"), CorruptFile, "no text in utf-8; set source.encoding to the file's own"),
        (lambda line: line.replace("007", "0,07"), CorruptFile, "no readable CSV: .*Expected 9 columns, got 10"),
        (lambda line: line if line.startswith("at") else "", EmptyMonth, "the file holds no rows"),
        (lambda _: "", EmptyMonth, "the file holds no rows"),
    ],
)
def test_csv_that_is_not_as_declared_is_refused(tmp_path: Path, change: Any, error: type[Exception], said: str) -> None:
    wrote(tmp_path / "sales_2026-03.csv", filter(None, map(change, CSV[:4])), "latin-1")
    source = opened(tmp_path, contract_of("sales_{period}.csv"))
    with pytest.raises(error, match=f"^sales_2026-03.csv: {said}"):
        source.fetch(MARCH, tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def test_gzip_that_is_none_or_cut_off_is_refused(tmp_path: Path) -> None:
    path, source = tmp_path / "sales_2026-03.csv.gz", opened(tmp_path, contract_of("sales_{period}.csv.gz"))
    whole = gzip.compress("\n".join([*CSV[:4] * 50]).encode(), 0)
    for content in (b"at,paid", whole[: len(whole) // 2], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(CorruptFile, match=r"sales_2026-03.csv.gz: cannot be read: truncated, or not gzipped"):
            source.fetch(MARCH, tmp_path / "x.parquet")


def test_delimiter_and_encoding_may_be_declared(tmp_path: Path) -> None:
    lines = [line.replace(",", ";").replace("007", "Ångström") for line in CSV[:2]]
    wrote(tmp_path / "sales_2026-03.csv", lines, "cp1252")
    contract = contract_of("sales_{period}.csv", source={"delimiter": ";", "encoding": "cp1252"})
    assert fetched(opened(tmp_path, contract), MARCH, tmp_path)["code"].to_pylist() == ["Ångström"]
    # Excel's own UTF-8.
    wrote(tmp_path / "sales_2026-03.csv", CSV, "utf-8-sig")
    assert fetched(opened(tmp_path, contract_of("sales_{period}.csv")), MARCH, tmp_path)["code"][0].as_py() == "007"


@pytest.mark.parametrize(
    ("target", "written", "expected"),
    [
        ({"positive": 1}, ["true", "0"], [1.0, 0.0]),
        ({"positive": True}, ["1", "no"], [1.0, 0.0]),
        ({"positive": "yes", "negative": "no"}, ["yes", "no"], [1.0, 0.0]),
        ({"positive": 2, "negative": 1}, ["2", "1"], [1.0, 0.0]),
    ],
)
def test_binary_targets_of_csv_are_those_declared(
    tmp_path: Path, target: dict[str, Any], written: list[str], expected: list[float]
) -> None:
    contract = contract_of("{period}.csv", task="binary", target={"column": "paid"} | target)
    lines = [f"2026-03-0{day},{paid},1,1,a,1,1,1,x" for day, paid in enumerate(written, 1)]
    wrote(tmp_path / "2026-03.csv", [CSV[0], *lines])
    source = opened(tmp_path, contract)
    store = MonthStore(tmp_path / "months", cleaner_of(contract))
    store.ingest(source, MARCH)
    assert store.load([MARCH])["target"].tolist() == expected


PREPARE = """
import pyarrow as pa
from .json import ISO

def prepare(table):
    rows = table.to_pandas()
    days = rows["year"].astype(str) + "-" + rows["month"] + "-" + rows["day"].astype(str)
    import pandas as pd
    rows["at"] = pd.to_datetime(days, format=ISO)
    return pa.Table.from_pandas(rows.drop(columns=["year", "month", "day"]), preserve_index=False)

def broken(table):
    raise KeyError("year")

def other(table):
    return table.to_pandas()

def less(table):
    return table.drop_columns(["price"])
"""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder of a declaration with functions; one module has the name of one of the standard library."""
    folder = tmp_path / "declared"
    folder.mkdir()
    (folder / "make.py").write_text(PREPARE)
    (folder / "json.py").write_text('ISO = "%Y-%B-%d"\n')
    return folder


def in_parts(rows: pd.DataFrame) -> pd.DataFrame:
    parts = {"year": rows["at"].dt.year, "month": rows["at"].dt.month_name(), "day": rows["at"].dt.day}
    return rows.drop(columns="at").assign(**parts)


@pytest.mark.parametrize("name", ["sales.parquet", "sales_{period}.parquet", "sales.csv"])
def test_rows_are_prepared_before_they_are_split(tmp_path: Path, beside: Path, name: str) -> None:
    contract, rows = contract_of(name, beside, prepare="make:prepare"), in_parts(sales(*QUARTER[1::2]))
    path = tmp_path / name.replace("{period}", str(MARCH))
    rows.to_csv(path, index=False) if name.endswith("csv") else rows.to_parquet(path)
    source = opened(tmp_path, contract)
    assert source.published() == [MARCH]
    table = fetched(source, MARCH, tmp_path)
    assert table.column_names == COLUMNS
    assert table["at"].to_pylist() == [datetime(2026, 3, 31), datetime(2026, 3, 1)]
    assert table["code"].to_pylist() == ["000", None]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("broken", "prepare: make:broken raised KeyError: 'year'"),
        ("other", "prepare: make:other returned DataFrame, expected a pyarrow.Table"),
        ("less", "column price is missing; there are at, paid, Items"),
    ],
)
def test_a_function_that_fails_is_named(tmp_path: Path, beside: Path, function: str, said: str) -> None:
    sales(*QUARTER).to_parquet(tmp_path / "sales_2026-03.parquet")
    source = opened(tmp_path, contract_of("sales_{period}.parquet", beside, prepare=f"make:{function}"))
    with pytest.raises(SchemaError, match=f"^sales_2026-03.parquet: {said}"):
        source.fetch(MARCH, tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("make:prepair", "make has no function 'prepair'"),
        ("nowhere:prepare", "cannot be imported: No module named 'nowhere'; it is not in "),
        ("bad:prepare", "cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_a_function_that_is_not_there_is_refused_at_start(
    tmp_path: Path, beside: Path, function: str, said: str
) -> None:
    (beside / "bad.py").write_text("1 / 0")
    with pytest.raises(SettingsError, match=f"prepare: .*{said}"):
        opened(tmp_path, contract_of("sales_{period}.parquet", beside, prepare=function))
