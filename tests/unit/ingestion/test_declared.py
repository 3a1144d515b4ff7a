"""Cleaning of a table that Auto-Ops does not know, by its declaration alone."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoops.errors import CorruptFile, EmptyMonth, NotFound, SchemaError
from autoops.ingestion.cleaned import Cleaned
from autoops.ingestion.declared import clean, profile_of
from autoops.months import Month
from autoops.usecase import declaration
from autoops.usecase.columns import columns_of
from autoops.usecase.contract import Contract

MARCH = Month(2026, 3)
DECLARED: dict[str, Any] = {
    "name": "shop",
    "row": "sale",
    "event_time": {"column": "at", "zone": "Europe/Lisbon"},
    "id": {"column": "number"},
    "target": {"column": "paid", "unit": "EUR", "above": 0, "at_most": 1000, "accepted": {"at_least": -50}},
    "features": {
        "price": {"type": "float", "above": 0},
        "items": {"type": "int", "at_least": 1, "at_most": 99, "column": "Items"},
        "kind": {"type": "category", "values": ["web", "shop"]},
        "town": {"type": "category", "missing": "allowed"},
        "member": {"type": "bool", "missing": "allowed"},
        "shelf": {"type": "category", "of": "int", "missing": -1},
    },
}
ROW = {
    "at": datetime(2026, 3, 2, 9),
    "number": 1,
    "paid": 20.0,
    "price": 10.0,
    "Items": 2,
    "kind": "web",
    "town": "Porto",
    "member": True,
    "shelf": 7,
}


@pytest.fixture
def contract() -> Contract:
    return declaration.parse(DECLARED, "shop.yaml")


def cleaned(contract: Contract, folder: Path, rows: list[dict[str, Any]], **columns: pa.Array) -> Cleaned:
    table = pa.table({name: pa.array([(ROW | row)[name] for row in rows]) for name in ROW} | columns)
    pq.write_table(table, folder / "shop_2026-03.parquet")
    return clean(contract, folder / "shop_2026-03.parquet", MARCH)


def test_rows_come_as_declared_in_order_of_time(contract: Contract, tmp_path: Path) -> None:
    found = cleaned(contract, tmp_path, [{"at": datetime(2026, 3, 30, 9), "paid": 1.0}, {"town": None, "member": None}])
    rows = found.rows
    assert rows.columns.tolist() == ["event_at", "price", "items", "kind", "town", "member", "shelf", "target"]
    assert rows["event_at"].tolist() == [
        pd.Timestamp("2026-03-02T09:00", tz="UTC"),
        pd.Timestamp("2026-03-30T08:00", tz="UTC"),
    ]
    assert rows["target"].tolist() == [20.0, 1.0]
    assert rows["items"].dtype == np.int64
    assert columns_of(rows)["town"].tolist() == [None, "Porto"]
    assert np.isnan(rows["member"].tolist()[0])
    assert (found.rows_read, found.dropped) == (2, {})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"at": None}, "no time"),
        ({"at": datetime(2026, 4, 1, 0, 0)}, "other month"),
        ({"at": datetime(2026, 2, 28, 23, 59)}, "other month"),
        ({"price": None}, "price missing"),
        ({"price": 0.0}, "price impossible"),
        ({"price": float("inf")}, "price impossible"),
        ({"Items": 100}, "items impossible"),
        ({"kind": "moon"}, "kind impossible"),
        ({"kind": None}, "kind missing"),
        ({"paid": None}, "no target"),
        ({"paid": 0.0}, "target outside"),
        ({"paid": 1000.5}, "target outside"),
    ],
)
def test_each_row_that_is_dropped_has_its_reason(
    contract: Contract, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    found = cleaned(contract, tmp_path, [{}, change, {}])
    assert (len(found.rows), found.dropped) == (2, {reason: 1})
    assert found.profile.dropped[reason] == pytest.approx(1 / 3, abs=1e-6)


def test_a_missing_value_is_what_it_stands_for(contract: Contract, tmp_path: Path) -> None:
    assert cleaned(contract, tmp_path, [{"shelf": None}, {}]).rows["shelf"].tolist() == [-1, 7]


@pytest.mark.parametrize(
    "times",
    [
        pa.array(["2026-03-02T09:00:00", "2026-03-02T09:00:00"]),
        pa.array(["2026-03-02T09:00:00+00:00", "2026-03-02T10:00:00+01:00"]),
        pa.array([datetime(2026, 3, 2, 9, tzinfo=UTC)] * 2, pa.timestamp("ns", "UTC")),
        pa.array([datetime(2026, 3, 2, 9, tzinfo=UTC)] * 2, pa.timestamp("s", "Asia/Tokyo")),
        pa.array([datetime(2026, 3, 2, 9)] * 2, pa.timestamp("ms")),
    ],
)
def test_times_are_read_however_they_are_written(contract: Contract, tmp_path: Path, times: pa.Array) -> None:
    found = cleaned(contract, tmp_path, [{}, {}], at=times)
    assert found.rows["event_at"].tolist() == [pd.Timestamp("2026-03-02T09:00", tz="UTC")] * 2


def test_a_date_is_its_first_instant_and_an_hour_that_is_skipped_the_next(contract: Contract, tmp_path: Path) -> None:
    days = cleaned(contract, tmp_path, [{}], at=pa.array([date(2026, 3, 30)]))
    assert days.rows["event_at"].tolist() == [pd.Timestamp("2026-03-29T23:00", tz="UTC")]
    skipped = cleaned(contract, tmp_path, [{"at": datetime(2026, 3, 29, 1, 30)}])
    assert skipped.rows["event_at"].tolist() == [pd.Timestamp("2026-03-29T01:30", tz="UTC")]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"price": pa.array(["dear"])}, "column price is string, expected a number"),
        ({"kind": pa.array([1])}, "column kind is int64, expected strings"),
        ({"at": pa.array([1])}, "column at is int64, expected a time"),
        ({"paid": pa.array(["20"])}, "column paid is string, expected a number"),
    ],
)
def test_a_column_of_another_type_is_named(
    contract: Contract, tmp_path: Path, columns: dict[str, pa.Array], said: str
) -> None:
    with pytest.raises(SchemaError, match=said):
        cleaned(contract, tmp_path, [{}], **columns)


def test_a_file_that_does_not_fit_is_named(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "shop_2026-03.parquet"
    with pytest.raises(NotFound):
        clean(contract, path, MARCH)
    path.write_bytes(b"no parquet")
    with pytest.raises(CorruptFile):
        clean(contract, path, MARCH)
    pq.write_table(pa.table({"at": [ROW["at"]], "paid": [1.0]}), path)
    with pytest.raises(SchemaError, match="column price is missing; there are at, paid"):
        clean(contract, path, MARCH)
    with pytest.raises(EmptyMonth, match=r"none of its 1 rows is a sale of 2026-03 \(target outside 1\)"):
        cleaned(contract, tmp_path, [{"paid": -1.0}])


def test_binary_targets_are_the_declared_values(tmp_path: Path) -> None:
    target = {"column": "paid", "positive": "yes", "negative": "no"}
    contract = declaration.parse(DECLARED | {"task": "binary", "target": target}, "shop.yaml")
    found = cleaned(contract, tmp_path, [{}] * 4, paid=pa.array(["no", "yes", "maybe", None]))
    assert sorted(found.rows["target"]) == [0.0, 1.0]
    assert found.dropped == {"no target": 2}


def test_only_rows_of_one_id_repeat_another(contract: Contract, tmp_path: Path) -> None:
    assert cleaned(contract, tmp_path, [{"number": 1}, {"number": 1}, {"number": 2}]).profile.duplicated == (
        pytest.approx(1 / 3, abs=1e-6)
    )
    without = declaration.parse({key: value for key, value in DECLARED.items() if key != "id"}, "shop.yaml")
    assert cleaned(without, tmp_path, [{}, {}]).profile.duplicated == 0


def test_a_profile_tells_what_is_missing_and_constant_but_not_that_a_value_is_common(
    contract: Contract, tmp_path: Path
) -> None:
    found = cleaned(contract, tmp_path, [{"town": None, "price": 1.0 + n, "member": n < 8} for n in range(10)]).profile
    assert (found.missing["town"], found.missing["kind"]) == (1.0, 0.0)
    assert (found.commonest["kind"], found.commonest["member"], found.commonest["price"]) == (1.0, 0.9, 0.9)
    assert (sum(found.days), len(found.days), found.weekday) == (10, 31, 6)


def test_a_window_is_profiled_as_a_month_is(contract: Contract, tmp_path: Path) -> None:
    rows = cleaned(contract, tmp_path, [{"town": None}, {}, {"paid": 999.0}]).rows
    found = profile_of(contract, rows.assign(target=[20.0, 5_000.0, -3.0]))
    assert (found.rows, found.missing["town"]) == (3, pytest.approx(1 / 3, abs=1e-6))
    assert found.dropped == {"target outside": pytest.approx(2 / 3, abs=1e-6)}
    assert profile_of(contract, rows.drop(columns="target")).dropped == {"target outside": 0.0}
