"""Drafts of declarations: each parses as it is, and says what it left out and why."""

import gzip
import string
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autoops.errors import Conflict, CorruptFile, InputError
from autoops.onboarding.draft import Draft, draft
from autoops.onboarding.tables import Raw, read
from autoops.onboarding.written import commands, configure, write
from autoops.usecase import declaration

ROWS = 200
DRAW = np.random.default_rng(5)
HOURS = pd.date_range("2025-01-01", periods=ROWS, freq="h")
NUMBERS = DRAW.normal(0, 1, ROWS)
WORDS = DRAW.choice(["a", "b", "c"], ROWS)


def of(columns: dict[str, Any], target: str | None = None, time: str | None = None) -> Draft:
    """Return the draft for a table of these columns."""
    return draft("tried", Raw(Path("/data/tried.parquet"), pa.table(columns)), target, time)


def role(drafted: Draft, raw: str) -> str:
    """Return what became of a column, and why."""
    return next(f"{one.role}: {one.why}" for one in drafted.found if one.raw == raw)


def test_hourly_demand_needs_no_help() -> None:
    drafted = of(
        {"at": HOURS, "temp": NUMBERS, "weather": WORDS, "holiday": NUMBERS > 1, "count": np.arange(ROWS) % 60}
    )
    contract = drafted.contract
    assert (contract.task, contract.event_time.column, contract.target.column) == ("regression", "at", "count")
    assert [one.type for one in contract.features.values()] == ["float", "category", "bool"]
    assert list(contract.derived) == ["hour_of_day"]
    assert contract.target.at_least == 0
    assert contract.loss == "absolute"


@pytest.mark.parametrize(
    ("values", "positive", "other"),
    [
        (np.where(NUMBERS > 0, "UP", "DOWN"), "UP", "DOWN"),
        (NUMBERS > 0, True, False),
        ((NUMBERS > 0).astype(int), 1, 0),
        (np.where(NUMBERS > 0, 2, 1), 2, 1),
        (np.where(NUMBERS > 0, "yes", "no"), "yes", "no"),
    ],
)
def test_two_values_are_a_binary_target(values: Any, positive: object, other: object) -> None:
    contract = of({"at": HOURS, "x": NUMBERS * 0.5 + DRAW.normal(0, 1, ROWS), "class": values}).contract
    assert contract.task == "binary"
    assert (contract.target.positive, contract.target.other) == (positive, other)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("none", [None] * ROWS, "it has no value"),
        ("same", ["x"] * ROWS, "constant"),
        ("comment", [f"text {n}" for n in range(ROWS // 2)] * 2, ""),
        ("note", [f"text {n // 1.5}" for n in range(ROWS)], "different texts"),
        ("ids", [f"id {n}" for n in range(ROWS)], "each value occurs once"),
        ("rowno", list(range(7, ROWS + 7)), "each value occurs once"),
        ("lists", [[1]] * ROWS, "its type is list"),
        ("huge", [1e35] * (ROWS - 1) + [1.0], "beyond"),
        ("paid_at", list(HOURS.shift(30)), "another time"),
        ("stunde", list(HOURS.hour), "the hour of the event time"),
        ("tag", list(HOURS.day), "the day of the month of the event time"),
        ("twice", list(NUMBERS * 2 + 1), "nearly is the target"),
        ("near", list(NUMBERS - DRAW.integers(0, 3, ROWS)), ""),
        ("long", ["x" * 300, "y"] * (ROWS // 2), "text of up to 300 characters"),
        ("control", ["x\x07", "y"] * (ROWS // 2), "is no category"),
    ],
)
def test_columns_that_are_no_features_are_left_out_with_the_reason(name: str, values: list[Any], reason: str) -> None:
    drafted = of({"at": HOURS, "kept": WORDS, name: values, "y": NUMBERS})
    assert ("left out" in role(drafted, name) or "id" in role(drafted, name)) == bool(reason)
    assert reason in role(drafted, name)
    assert (name in drafted.contract.features) == (not reason)


def test_a_counter_of_half_hours_follows_from_the_time_and_a_rare_flag_does_not() -> None:
    at = pd.date_range("2025-01-01", periods=48 * 60, freq="30min")
    half_hour, y = at.hour * 2 + at.minute // 30 + 1, np.random.default_rng(1).normal(0, 1, len(at))
    drafted = of({"at": at, "half_hour": half_hour, "flag": np.arange(len(at)) % 700 == 0, "y": y})
    assert role(drafted, "half_hour").startswith("left out: it follows from the time of day of the event time")
    assert list(drafted.contract.features) == ["flag"]
    # Here a time of day has a row or two, and a random code would follow from it.
    at = pd.date_range("2025-01-01", periods=3_000, freq="2791s")
    assert list(of({"at": at, "code": np.arange(3_000) % 7, "y": y[:1].repeat(3_000)}).contract.features) == ["code"]


def test_empty_days_of_the_table_itself_are_no_broken_data() -> None:
    """Neither is a table that begins in the middle of a month, nor weekends without rows."""
    at = pd.date_range("2025-01-14", "2025-06-30 23:00", freq="h")
    at = at[at.dayofweek < 5]
    closed = (at >= "2025-04-07") & (at < "2025-04-12")
    drafts = [of({"at": one, "x": np.arange(len(one)) % 7, "y": one.hour.to_numpy()}) for one in (at, at[~closed])]
    assert [one.contract.quality.empty_days for one in drafts] == [None, 6]
    assert "a month of the table has 5 empty days; 3 are broken data by default" in drafts[1].text


def test_summands_and_labels_of_the_target_are_left_out() -> None:
    registered = DRAW.integers(0, 90, ROWS)
    casual = DRAW.integers(0, 30, ROWS)
    drafted = of({"at": HOURS, "x": WORDS, "casual": casual, "registered": registered, "cnt": casual + registered})
    assert "casual + registered is the target" in role(drafted, "casual")
    assert list(drafted.contract.features) == ["x"]
    status = np.where(NUMBERS > 0, np.where(WORDS == "a", "No-Show", "Canceled"), "Check-Out")
    assert "will it be known" in role(of({"at": HOURS, "x": WORDS, "status": status, "y": NUMBERS > 0}), "status")


def test_names_that_cannot_be_used_are_replaced() -> None:
    names = [
        "Größe (m)",
        "größe.m",
        "1. Preis",
        "target",
        "request_id",
        "copy",
        "model_config",
        "日本",
        "a\nb",
        "event_at",
    ]
    columns = {name: DRAW.normal(0, 1, ROWS) for name in names}
    drafted = of({"Datum/Zeit": HOURS, **columns, "Ziel wert": NUMBERS}, "Ziel wert")
    contract = drafted.contract
    assert (contract.event_time.raw_column, contract.target.raw_column) == ("Datum/Zeit", "Ziel wert")
    assert [one.column or name for name, one in contract.features.items()] == names


def test_bounds_are_far_from_what_occurs() -> None:
    columns = {"share": abs(NUMBERS) / 9, "temp": abs(NUMBERS) + 4, "net": NUMBERS, "n": np.arange(ROWS) % 7}
    features = of({"at": HOURS, **columns, "y": DRAW.normal(0, 1, ROWS)}).contract.features
    bounds = {name: (one.low, one.high) for name, one in features.items()}
    assert bounds == {"share": (0, 10), "temp": (-100, 100), "net": (-100, 100), "n": (0, 100)}


def test_missing_values_are_allowed_where_they_occur() -> None:
    holes = np.where(NUMBERS > 0.5, np.nan, NUMBERS)
    drafted = of({"at": HOURS, "x": holes, "z": WORDS, "y": np.where(NUMBERS > 1, np.nan, DRAW.normal(0, 1, ROWS))})
    assert {name: one.missing for name, one in drafted.contract.features.items()} == {"x": "allowed", "z": "refused"}
    assert "rows have none, and are dropped" in role(drafted, "y")


@pytest.mark.parametrize(
    ("times", "zone", "derived"),
    [
        (HOURS, "UTC", ["hour_of_day"]),
        (HOURS.tz_localize("Europe/Lisbon"), "Europe/Lisbon", ["hour_of_day"]),
        (pd.date_range("2024-01-01", periods=ROWS).date, "UTC", ["day_of_week"]),
        (
            pd.date_range("2021-01-01", periods=ROWS, freq="3D").strftime("%Y-%m-%d"),
            "UTC",
            ["day_of_week", "month_of_year"],
        ),
        (HOURS.strftime("%Y-%m-%dT%H:%M:%SZ"), "UTC", ["hour_of_day"]),
        (HOURS.strftime("%Y-%m-%d %H:%M"), "UTC", ["hour_of_day"]),
    ],
)
def test_times_in_many_forms_are_found(times: Any, zone: str, derived: list[str]) -> None:
    contract = of({"x": NUMBERS, "z": WORDS, "when": times, "y": NUMBERS**2}, "y").contract
    assert (contract.event_time.column, contract.event_time.zone) == ("when", zone)
    assert list(contract.derived) == derived


def test_without_an_event_time_the_draft_says_so() -> None:
    columns = {"arrival_year": [2015, 2016] * 100, "arrival_month": ["July", "May"] * 100, "adr": NUMBERS}
    drafted = of({**columns, "is_canceled": DRAW.integers(0, 2, ROWS)}, "is_canceled")
    assert drafted.span is None
    assert "NO EVENT TIME was found" in drafted.notes[0]
    assert "arrival_year, arrival_month may be parts of one" in drafted.notes[0]
    assert "NO EVENT TIME was found" in drafted.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "cuont"}, "--target cuont: tried.parquet has no such column; did you mean count?"),
        ({"target": "word"}, "--target word: expected numbers, or two values, got string with 3 values"),
        ({"target": "at"}, "--target at: this is the event time"),
        ({"time": "count"}, "--time count: expected times, dates or ISO 8601 text"),
    ],
)
def test_columns_that_a_person_named_are_checked(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match="^" + message):
        of({"at": HOURS, "x": NUMBERS, "word": WORDS, "count": NUMBERS}, **options)


def test_repeated_names_and_one_row_are_drafted() -> None:
    repeated = pa.table([pa.array(HOURS), pa.array(WORDS), pa.array(NUMBERS), pa.array(NUMBERS), pa.array(NUMBERS)],
                        names=["at", "x", "z", "z", "y"])  # fmt: skip
    drafted = draft("tried", Raw(Path("tried.parquet"), repeated))
    assert "more than one column" in role(drafted, "z")
    one = of({"at": [datetime(2025, 1, 1)], "x": [1.5], "y": [2.0]})
    assert list(one.contract.features) == ["x"]


def test_files_that_cannot_be_drafted_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("a,b\n")
    (tmp_path / "no.parquet").write_text("a,b\n1,2\n")
    (tmp_path / "no.csv.gz").write_text("a,b\n1,2\n")
    (tmp_path / "some.xlsx").touch()
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "none.parquet")
    for name in ("empty.csv", "header.csv", "no.parquet", "no.csv.gz", "none.parquet"):
        with pytest.raises(CorruptFile, match=name):
            read(tmp_path / name)
    with pytest.raises(InputError, match=r"some\.xlsx: expected a name that ends in \.parquet, \.csv or \.csv\.gz"):
        read(tmp_path / "some.xlsx")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_csv_of_any_delimiter_and_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    text = 'Zeit;"Größe, m";ja;y\n' + "".join(
        f"2025-01-{1 + n % 28:02} 13:00;{n}.5;{'true' if n % 3 else 'false'};{n % 5}\n" for n in range(60)
    )
    path = tmp_path / "a_2025-01.csv.gz"
    path.write_bytes(gzip.compress(text.encode(encoding)))
    raw = read(path)
    assert (raw.delimiter, raw.encoding) == (";", "cp1252" if encoding == "cp1252" else "utf-8")
    contract = draft("tried", raw).contract
    assert {name: one.type for name, one in contract.features.items()} == {"Grosse_m": "float", "ja": "bool"}
    assert contract.source.files == "a_{period}.csv.gz"


@pytest.mark.parametrize(("name", "period"), [("2025-W05", "week"), ("2025-02-01", "day"), ("2025-02", "month")])
def test_the_period_of_files_is_guessed_by_the_name(tmp_path: Path, name: str, period: str) -> None:
    pd.DataFrame({"at": HOURS, "x": WORDS, "y": NUMBERS}).to_parquet(tmp_path / f"a_{name}_v2.parquet")
    source = draft("tried", read(tmp_path / f"a_{name}_v2.parquet")).contract.source
    assert (source.files, source.period) == ("a_{period}_v2.parquet", period)


def test_a_declaration_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    drafted = of({"at": HOURS, "x": WORDS, "y": NUMBERS})
    folder = write(drafted, tmp_path / "usecases" / "tried")
    assert declaration.load(str(folder)) == drafted.contract
    assert "holdout_days: 21" in (folder / "README.md").read_text()
    (folder / "usecase.yaml").write_text("edited")
    with pytest.raises(Conflict, match="exists already"):
        write(drafted, folder)
    assert (folder / "usecase.yaml").read_text() == "edited"


VALUES = {
    "float": st.one_of(st.none(), st.floats()),
    "int": st.one_of(st.none(), st.integers(-(2**62), 2**62)),
    "bool": st.one_of(st.none(), st.booleans()),
    "text": st.one_of(st.none(), st.text(max_size=5), st.sampled_from(["2025-01-01", "true", "no", "1,5", "null"])),
    "time": st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), datetime(2090, 1, 1))),
}
TYPES = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "text": pa.string(), "time": pa.timestamp("us")}
NAMES = st.one_of(
    st.text(max_size=8), st.sampled_from([*string.ascii_lowercase[:3], "target", "event_at", "copy", "key"])
)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(1, 30))
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=6))
    names = draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds)))
    columns = [
        pa.array(draw(st.lists(VALUES[kind], min_size=rows, max_size=rows)), TYPES[kind], from_pandas=False)
        for kind in kinds
    ]
    return pa.table(columns, names=names)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=tables())
@example(pa.table({"\x85": [1.5, 2.5, 3.5, 4.5, 5.5] * 18, "y": [1.0, 2.0, 3.0] * 30}))
def test_a_draft_of_any_table_parses_or_is_refused_in_words(table: pa.Table) -> None:
    try:
        drafted = draft("tried", Raw(Path("tried.parquet"), table))
    except InputError as error:
        if not str(error).startswith("tried.parquet: no column"):
            raise
        return
    assert {one.raw for one in drafted.found} <= set(table.column_names)
    assert drafted.contract.features


DAYS = HOURS.normalize()


@pytest.mark.parametrize(
    ("columns", "parts"),
    [
        (
            {"year": HOURS.year, "month": HOURS.month, "day": HOURS.day, "hour": HOURS.hour},
            {"year": "year", "month": "month", "day": "day", "hour": "hour"},
        ),
        ({"dteday": DAYS.strftime("%Y-%m-%d"), "hr": HOURS.hour}, {"date": "dteday", "hour": "hr"}),
        ({"date": DAYS, "period": HOURS.hour * 2}, {"date": "date", "half_hour": "period"}),
        ({"date": DAYS.strftime("%Y%m%d").astype(int), "hour": HOURS.hour}, {"date": "date", "hour": "hour"}),
    ],
)
def test_an_event_time_in_parts_is_put_together(columns: dict[str, Any], parts: dict[str, str]) -> None:
    drafted = of(columns | {"x": WORDS, "y": NUMBERS})
    assert drafted.contract.event_time.parts is not None
    assert drafted.contract.event_time.parts.model_dump(exclude_none=True) == parts
    assert list(drafted.contract.features) == ["x"]
    assert drafted.span is not None
    assert (drafted.span.first, drafted.span.step) == (HOURS[0], "1 hour apart")


def test_one_row_a_day_needs_no_parts() -> None:
    days = pd.date_range("2025-01-01", periods=ROWS)
    assert of({"day": days, "hour": np.arange(ROWS) % 24, "y": NUMBERS}).contract.event_time.column == "day"


def test_the_commands_name_whole_months_to_train_on_and_to_replay(tmp_path: Path) -> None:
    hours = pd.date_range("2025-01-20", "2025-06-10", freq="h")
    drafted = of({"at": hours, "it's": DRAW.choice(["a", "b"], len(hours)), "y": DRAW.normal(0, 1, len(hours))})
    told = "\n".join(commands(drafted, tmp_path / "tried", configured=False))
    assert f"export AUTOOPS__USECASE={tmp_path}/tried" in told
    assert "train --months 2025-02..2025-04 " in told
    assert "--months 2025-05 " in told
    assert drafted.request in ('{"it_s": "a"}', '{"it_s": "b"}')
    assert configure(drafted, tmp_path / "tried", tmp_path / "config.yaml")
    written = (tmp_path / "config.yaml").read_text()
    assert f'usecase: "{tmp_path}/tried"' in written
    assert not configure(drafted, tmp_path / "tried", tmp_path / "config.yaml")


def test_a_second_draft_at_one_place_is_read_and_its_commands_name_the_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOOPS__SERVING__PORT", "8123")
    for target in ("first", "second"):
        drafted = of({"at": HOURS, "x": NUMBERS, "y": WORDS, target: DRAW.normal(0, 1, ROWS)}, target=target)
        folder = write(drafted, tmp_path / "tried")
        assert declaration.load(str(folder)).target.column == target
        assert "curl -s http://127.0.0.1:8123/predict" in "\n".join(commands(drafted, folder, configured=True))
        assert "8123" in (folder / "README.md").read_text()
        (folder / "usecase.yaml").unlink()


def test_bytes_are_text_as_tools_that_read_arff_write_it() -> None:
    drafted = of({"at": HOURS, "x": [one.encode() for one in WORDS], "class": [b"UP", b"DOWN"] * (ROWS // 2)})
    assert (drafted.contract.target.positive, drafted.contract.features["x"].type) == ("UP", "category")
