"""The TLC's raw file of green taxi trips: its columns, in its order, with the types that they had in the month."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from autoops.months import Month
from autoops.usecases.taxi.traffic import Trips

Array = npt.NDArray[Any]

NEW_TYPES_FROM = Month(2023, 2)
_MONEY = ("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount")
_UNREPORTED = (
    "store_and_fwd_flag",
    "RatecodeID",
    "passenger_count",
    "payment_type",
    "trip_type",
    "congestion_surcharge",
)


def schema_of(month: Month) -> pa.Schema:
    """Return the schema of a month's file.

    Older files hold ids as int64 and codes as doubles, newer ones ids as int32 and codes as integers with nulls.
    """
    new = month >= NEW_TYPES_FROM
    identity = pa.int32() if new else pa.int64()
    code = pa.int64() if new else pa.float64()
    return pa.schema(
        [
            ("VendorID", identity),
            ("lpep_pickup_datetime", pa.timestamp("us")),
            ("lpep_dropoff_datetime", pa.timestamp("us")),
            ("store_and_fwd_flag", pa.large_string() if new else pa.string()),
            ("RatecodeID", code),
            ("PULocationID", identity),
            ("DOLocationID", identity),
            ("passenger_count", code),
            ("trip_distance", pa.float64()),
            *((name, pa.float64()) for name in _MONEY),
            ("ehail_fee", pa.float64() if new else pa.null()),
            ("improvement_surcharge", pa.float64()),
            ("total_amount", pa.float64()),
            ("payment_type", code),
            ("trip_type", code),
            ("congestion_surcharge", pa.float64()),
        ]
    )


def raw_table(trips: Trips, refund: Array, month: Month, rng: np.random.Generator) -> pa.Table:
    """Return trips as the TLC would publish them; `refund` marks the rows whose amounts are negated."""
    columns = _codes(trips, refund, rng) | _times_and_places(trips) | _amounts(trips, refund, month, rng)
    arrays = []
    for field in schema_of(month):
        hidden = trips.unreported if field.name in _UNREPORTED else None
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(len(trips), field.type))
        else:
            arrays.append(pa.array(values, mask=hidden).cast(field.type))
    return pa.table(arrays, schema=schema_of(month))


def _times_and_places(trips: Trips) -> dict[str, Array]:
    seconds = np.round(trips.minutes * 60).astype("timedelta64[s]")
    return {
        "lpep_pickup_datetime": trips.picked_up.astype("datetime64[us]"),
        "lpep_dropoff_datetime": (trips.picked_up + seconds).astype("datetime64[us]"),
        "PULocationID": trips.pickup_zone,
        "DOLocationID": trips.dropoff_zone,
        "passenger_count": trips.passengers,
        "trip_distance": trips.miles,
    }


def _codes(trips: Trips, refund: Array, rng: np.random.Generator) -> dict[str, Array]:
    agreed = rng.random(len(trips)) < 0.04
    by_card = rng.choice([1, 2], size=len(trips), p=[0.64, 0.36])
    return {
        "VendorID": rng.choice([1, 2], size=len(trips), p=[0.14, 0.86]),
        "store_and_fwd_flag": np.where(rng.random(len(trips)) < 0.007, "Y", "N").astype(object),
        "RatecodeID": np.where(agreed, 5, 1),
        "trip_type": np.where(agreed, 2, 1),
        "payment_type": np.where(refund, 3, by_card),
    }


def _amounts(trips: Trips, refund: Array, month: Month, rng: np.random.Generator) -> dict[str, Array]:
    """Return amounts by the published tariff: a base fare, miles and time, and from 2023 a higher one."""
    dearer = month >= Month(2023, 1)
    fare = np.round(2.5 + 2.5 * np.clip(trips.miles, 0, 100) + 0.1 * np.clip(trips.minutes, 0, 60), 1)
    amounts = {
        "fare_amount": fare * 1.2 if dearer else fare,
        "extra": rng.choice([0.0, 0.5, 1.0, 2.5], size=len(trips), p=[0.63, 0.12, 0.18, 0.07]),
        "mta_tax": np.full(len(trips), 0.5),
        "tip_amount": fare * rng.choice([0.0, 0.15, 0.2], size=len(trips), p=[0.55, 0.25, 0.2]),
        "tolls_amount": np.where(rng.random(len(trips)) < 0.03, 6.55, 0.0),
        "improvement_surcharge": np.full(len(trips), 1.0 if dearer else 0.3),
        "congestion_surcharge": np.where(rng.random(len(trips)) < 0.27, 2.75, 0.0),
    }
    sign = np.where(refund, -1.0, 1.0)
    rounded = {name: np.round(values * sign, 2) for name, values in amounts.items()}
    return rounded | {"total_amount": np.round(np.sum(list(rounded.values()), axis=0), 2)}
