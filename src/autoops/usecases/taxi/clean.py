"""Cleaning: from a raw TLC month to trips as `trips` defines them, with every dropped row counted by reason.

The TLC changes column types between months (ids int64 or int32, counts double or int64, all-null columns of type null);
whatever holds the same values is read the same.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from autoops.arrow_values import is_number
from autoops.errors import CorruptFile, EmptyMonth, NotFound, SchemaError
from autoops.ingestion.cleaned import Cleaned
from autoops.ingestion.profile import Profile
from autoops.months import NEW_YORK, Month
from autoops.usecase.columns import TARGET
from autoops.usecase.contract import Bounds
from autoops.usecases.taxi import trips
from autoops.usecases.taxi.profile import profile_of

TIMES = ("lpep_pickup_datetime", "lpep_dropoff_datetime")
NUMBERS = ("PULocationID", "DOLocationID", "passenger_count", "trip_distance")
PAYMENT = "payment_type"
"""Not needed for trips; where the column exists, its share of missing values says something about the file."""
REASONS = (
    "no_time",
    "other_month",
    "too_short",
    "too_long",
    "no_distance",
    "too_far",
    "unknown_zone",
    "impossible_passengers",
)
"""Reasons for dropping a row; a row with several counts under the first of them."""

Array = npt.NDArray[Any]
Raw = dict[str, Array]


def clean(path: Path, month: Month, durations: Bounds = trips.DURATION_MINUTES) -> Cleaned:
    """Return the trips of a raw month whose duration is within `durations`, with counts and a profile.

    `durations` are those of the contract of training, or those of all trips that a client would send ground truth of.

    Raises:
        NotFound: there is no such file.
        CorruptFile: the file is truncated, or no parquet file.
        SchemaError: a column is missing or has a wrong type; the message names it.
        EmptyMonth: no row is left.
    """
    raw = _read(path)
    pickup_at, minutes = _times(raw, month)
    first_failing = _first_failing(raw, minutes, month, durations)
    dropped = {reason: int(np.sum(first_failing == i)) for i, reason in enumerate(REASONS)}
    kept = first_failing == len(REASONS)
    if not kept.any():
        counts = ", ".join(f"{reason} {count}" for reason, count in dropped.items() if count)
        raise EmptyMonth(f"{path.name}: none of its {len(kept)} rows is a trip of {month} ({counts or 'it has none'})")
    profile = _profile(raw, minutes, dropped, month)
    dropped = {reason: count for reason, count in dropped.items() if count}
    return Cleaned(_frame(raw, pickup_at, minutes, kept), len(kept), dropped, profile)


def _profile(raw: Raw, minutes: Array, dropped: dict[str, int], month: Month) -> Profile:
    columns = {
        "picked_up": raw["lpep_pickup_datetime"],
        "minutes": minutes,
        "miles": raw["trip_distance"],
        "pickup_zone": raw["PULocationID"],
        "dropoff_zone": raw["DOLocationID"],
        "passengers": raw["passenger_count"],
    }
    payment = {"payment": raw[PAYMENT]} if PAYMENT in raw else {}
    return profile_of(columns | payment, dropped, month)


def _read(path: Path) -> Raw:
    try:
        with pq.ParquetFile(path) as file:
            _check_schema(file.schema_arrow, path.name)
            codes = [PAYMENT] if _has_number(file.schema_arrow, PAYMENT) else []
            table = file.read([*TIMES, *NUMBERS, *codes])
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    # pyarrow decodes column names only when they are read, and they may be no UTF-8.
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path.name}: truncated, or not a parquet file") from error
    times = {name: _values(table, name, pa.timestamp("us"), path.name) for name in TIMES}
    return times | {name: _values(table, name, pa.float64(), path.name) for name in (*NUMBERS, *codes)}


def _values(table: pa.Table, name: str, wanted: pa.DataType, file: str) -> Array:
    try:
        # A safe cast fails on nanoseconds that are no whole microseconds, and on integers beyond
        # 2**53, which no bound admits anyway.
        return np.asarray(table[name].cast(wanted, safe=False).to_numpy())
    except pa.ArrowException as error:
        raise SchemaError(f"{file}: column {name} is not readable as {wanted}: {error}") from error


def _has_number(schema: pa.Schema, name: str) -> bool:
    return schema.names.count(name) == 1 and _is_number(schema.field(name).type)


def _check_schema(schema: pa.Schema, file: str) -> None:
    for name in (*TIMES, *NUMBERS):
        if name not in schema.names:
            raise SchemaError(f"{file}: column {name} is missing; there are {', '.join(schema.names)}")
        if schema.names.count(name) > 1:
            raise SchemaError(f"{file}: column {name} is there {schema.names.count(name)} times")
        came = schema.field(name).type
        wanted, fits = ("a local time", _is_time(came)) if name in TIMES else ("a number", _is_number(came))
        if not fits:
            raise SchemaError(f"{file}: column {name} is {came}, expected {wanted}")


def _is_number(came: pa.DataType) -> bool:
    return is_number(came) or bool(pa.types.is_null(came))


def _is_time(came: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(came)) and came.tz is None


def _bounds(month: Month) -> tuple[np.datetime64, np.datetime64]:
    """Return the first timestamp of the month and that of the next month, on the wall clock."""
    return np.datetime64(str(month), "us"), np.datetime64(str(month.plus(1)), "us")


def _times(raw: Raw, month: Month) -> tuple[pd.DatetimeIndex, Array]:
    """Return pickups in UTC and minutes to the dropoff, each of shape (rows,); NaT and NaN outside the month.

    An hour that the spring skips is read an hour later. In the hour that the autumn repeats, the pair is read as the
    shortest trip that does not end before it begins.
    """
    begin, end = _bounds(month)
    pickup, dropoff = (raw[name] for name in TIMES)
    # NaT here and the clip below: pandas cannot localize years beyond those of datetime.
    pickup = np.where((pickup >= begin) & (pickup < end), pickup, np.datetime64("NaT"))
    day = np.timedelta64(1, "D")
    dropoff = np.clip(dropoff, begin - day, end + day)  # beyond these a trip is too short or too long anyway
    (picked_up, picked_up_again), (dropped_off, dropped_off_again) = _readings(pickup), _readings(dropoff)
    # `where` keeps the first reading where the condition holds. The dropoff is read first: the
    # pickup moves to its second reading only where it still is not after the dropoff.
    dropped_off = dropped_off.where(dropped_off >= picked_up, dropped_off_again)
    picked_up = picked_up.where(picked_up_again > dropped_off, picked_up_again)
    return picked_up, ((dropped_off - picked_up) / pd.Timedelta(minutes=1)).to_numpy()


def _readings(wall: Array) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """Return UTC for New York's wall clock, an hour that occurs twice taken as the first, and as the second."""
    hour = pd.Timedelta(hours=1)
    index = pd.DatetimeIndex(wall)
    first, second = (
        # True reads an hour that occurs twice as daylight saving time, which comes first.
        index.tz_localize(NEW_YORK, ambiguous=np.full(len(index), summer), nonexistent=hour).tz_convert("UTC")
        for summer in (True, False)
    )
    return first, second


def _first_failing(raw: Raw, minutes: Array, month: Month, durations: Bounds) -> Array:
    """Return per row the position in REASONS of the first that applies; their count where none does."""
    begin, end = _bounds(month)
    pickup, dropoff = (raw[name] for name in TIMES)
    distance, zones = raw["trip_distance"], (raw["PULocationID"], raw["DOLocationID"])
    failing = {
        "no_time": np.isnat(pickup) | np.isnat(dropoff),
        "other_month": ~((pickup >= begin) & (pickup < end)),
        # Capped at the upper bound, minutes can fail at the lower one only, be it open or closed.
        "too_short": ~durations.contains(np.minimum(minutes, durations.high or np.inf)),
        "too_long": ~durations.contains(minutes),
        # Negated, because every comparison with NaN is false: a missing distance counts here, too.
        "no_distance": ~(distance > trips.DISTANCE_MILES.low),
        "too_far": ~trips.DISTANCE_MILES.contains(distance),
        "unknown_zone": ~(_whole(zones[0], trips.LOCATION_ID) & _whole(zones[1], trips.LOCATION_ID)),
        # NaN becomes 0, in the contract the value for not reported; infinity stays out of bounds.
        "impossible_passengers": ~_whole(np.nan_to_num(raw["passenger_count"]), trips.PASSENGER_COUNT),
    }
    return np.select([failing[reason] for reason in REASONS], range(len(REASONS)), len(REASONS))


def _whole(values: Array, bounds: Bounds) -> Array:
    return np.asarray(bounds.contains(values) & (values == np.trunc(values)))


def _frame(raw: Raw, pickup_at: pd.DatetimeIndex, minutes: Array, kept: Array) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "event_at": pickup_at[kept],
            "trip_distance": raw["trip_distance"][kept],
            "passenger_count": np.nan_to_num(raw["passenger_count"][kept]).astype(np.int16),
            "pickup_location_id": raw["PULocationID"][kept].astype(np.int16),
            "dropoff_location_id": raw["DOLocationID"][kept].astype(np.int16),
            TARGET: minutes[kept],
        }
    )
    # Stable: a month's digest depends on the order of the rows, also of those with one timestamp.
    return frame.sort_values("event_at", kind="stable", ignore_index=True)
