"""Cleaning by the declaration alone: from a raw period to rows of the contract, every dropped row counted by reason."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from autoops.arrow_values import decoded, is_number, is_text, numbers
from autoops.errors import CorruptFile, EmptyMonth, NotFound, SchemaError
from autoops.ingestion.cleaned import Cleaned
from autoops.ingestion.profile import ALL_ROWS, Profile, Scale
from autoops.ingestion.raw_files import require_columns
from autoops.months import Month
from autoops.usecase.calendar import local_days
from autoops.usecase.columns import EVENT_AT, TARGET, Array
from autoops.usecase.contract import Bounds, Contract, Feature

Mask = npt.NDArray[np.bool_]
_OFFSET = r"(?:[zZ]|[+-]\d\d:?\d\d)$"

ORDINARY_SHARE = 0.9
"""Shares of one and the same value below this are no sign of broken data: a category may have two values."""

MOST_VALUES, MOST_GROUPS, LEAST_IN_GROUP = 100, 20, 5
"""Most frequent values of a category whose shares are kept, and those that make groups of at least so many rows."""
MOSTLY_POSITIVE = 0.5
"""Least share of values above 0 of a number that has a scale."""


def clean(contract: Contract, path: Path, month: Month, accepted: Bounds | None = None) -> Cleaned:
    """Return the rows of a raw month whose target is within `accepted`, by default the bounds of training.

    Raises:
        NotFound: there is no such file.
        CorruptFile: the file is truncated, or no parquet file.
        SchemaError: a column is missing or has a wrong type; the message names it.
        EmptyMonth: no row is left.
    """
    table, of = _read(contract, path), contract.target
    event_at = event_times(contract, table, path.name)
    columns = {name: _values(table, name, feature, path.name) for name, feature in contract.features.items()}
    target = _target(contract, table, path.name)
    failing = _failing(contract, month, event_at, columns, target, accepted or of)
    first = np.select(list(failing.values()), range(len(failing)), len(failing))
    dropped = {reason: int(np.sum(first == position)) for position, reason in enumerate(failing)}
    kept = first == len(failing)
    if not kept.any():
        counts = ", ".join(f"{reason} {count}" for reason, count in dropped.items() if count) or "it has none"
        raise EmptyMonth(f"{path.name}: none of its {len(kept)} rows is a {contract.row} of {month} ({counts})")
    # Where labels mature, a row without one is young.
    told = {reason: count for reason, count in dropped.items() if reason != "no target" or not of.matures_after}
    profile = _profile(contract, month, event_at, columns, told, _repeated(contract, table))
    if contract.id is None:
        # All of a group of equals: where each row came twice, no row is alone.
        equal = pd.DataFrame({**columns, EVENT_AT: event_at, TARGET: target}).duplicated(keep=False).mean()
        profile = replace(profile, equal=round(float(equal), 6))
    features = {name: _stored(feature, columns[name][kept]) for name, feature in contract.features.items()}
    moments = pd.to_datetime(event_at[kept], utc=True).as_unit("us")
    frame = pd.DataFrame({EVENT_AT: moments} | features | {TARGET: target[kept]})
    rows = frame.sort_values(EVENT_AT, kind="stable", ignore_index=True)
    return Cleaned(rows, len(kept), {reason: count for reason, count in dropped.items() if count}, profile)


def profile_of(contract: Contract, frame: pd.DataFrame) -> Profile:
    """Return the profile of a window of rows, with the target where it is known."""
    # A version may be older than a feature of the declaration.
    columns = {name: frame[name].to_numpy() for name in contract.inputs if name in frame}
    target = frame[TARGET].to_numpy(dtype=np.float64) if TARGET in frame else np.full(len(frame), np.nan)
    outside = int((~contract.target.contains(target)).sum()) if TARGET in frame else 0
    event_at = frame[EVENT_AT].dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    return _profile(contract, None, event_at, columns, {"target outside": outside}, 0.0)


def _read(contract: Contract, path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            require_columns(contract.raw_columns, file.schema_arrow.names, path.name)
            return file.read(list(contract.raw_columns))
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path.name}: truncated, or not a parquet file") from error


def event_times(contract: Contract, table: pa.Table, file: str) -> Array:
    """Return event times in UTC, datetime64[us], NaT where there is none; naive ones are the zone's wall clock.

    An hour that occurs twice is the first of the two; a time that the spring change skips is an hour later.

    Raises:
        SchemaError: the column holds no times.
    """
    name = contract.raw_event_time
    column = table[name].combine_chunks()
    if is_text(column.type):
        return _parsed(contract, pd.Series(column.to_pylist(), dtype=object))
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise SchemaError(f"{file}: column {name} is {column.type}, expected a time, a date or ISO 8601 text")
    # Not `safe`, which refuses the nanoseconds that a client wrote.
    micros = pc.cast(column, pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
    moments = pd.DatetimeIndex(micros.to_pandas())
    return _in_utc(moments if moments.tz is not None else _localised(contract, moments))


def _parsed(contract: Contract, texts: "pd.Series[Any]") -> Array:
    """Return ISO 8601 texts as times in UTC; those without an offset are the zone's wall clock."""
    has_offset = texts.astype(str).str.contains(_OFFSET, regex=True)
    naive = pd.DatetimeIndex(pd.to_datetime(texts.mask(has_offset), errors="coerce", format="ISO8601"))
    aware = pd.DatetimeIndex(pd.to_datetime(texts.where(has_offset), errors="coerce", format="ISO8601", utc=True))
    return np.where(has_offset.to_numpy(), _in_utc(aware), _in_utc(_localised(contract, naive)))


def _localised(contract: Contract, wall: pd.DatetimeIndex) -> pd.DatetimeIndex:
    summer = np.ones(len(wall), dtype=bool)
    return wall.tz_localize(contract.zone, ambiguous=summer, nonexistent=pd.Timedelta(hours=1))


def _in_utc(moments: pd.DatetimeIndex) -> Array:
    return np.asarray(moments.tz_convert("UTC").tz_localize(None).to_numpy(dtype="datetime64[us]"))


def _values(table: pa.Table, name: str, feature: Feature, file: str) -> Array:
    """Return a feature's raw values: numbers and booleans as floats with NaN, strings as objects with None.

    Raises:
        SchemaError: the column has another type.
    """
    raw = feature.column or name
    column = decoded(table[raw].combine_chunks())
    if pa.types.is_null(column.type):
        return np.full(len(column), None if feature.is_text else np.nan, dtype=object if feature.is_text else float)
    if feature.is_text:
        if not is_text(column.type):
            raise SchemaError(f"{file}: column {raw} is {column.type}, expected strings")
        return np.array(column.to_pylist(), dtype=object)
    if pa.types.is_boolean(column.type):
        return numbers(pc.cast(column, pa.int8()))
    if not is_number(column.type):
        raise SchemaError(f"{file}: column {raw} is {column.type}, expected a number")
    return numbers(column)


def _target(contract: Contract, table: pa.Table, file: str) -> Array:
    """Return the targets as floats with NaN; of a binary one 1 for the positive value and 0 for the other.

    Raises:
        SchemaError: the column of a regression holds no numbers.
    """
    name = contract.target.raw_name
    column = decoded(table[name].combine_chunks())
    if contract.task == "binary":
        of = contract.target
        known: dict[Any, float] = {of.positive: 1.0, of.other: 0.0}
        return np.array([known.get(value, np.nan) for value in column.to_pylist()], dtype=np.float64)
    if not is_number(column.type):
        raise SchemaError(f"{file}: column {name} is {column.type}, expected a number")
    return numbers(column)


def _failing(
    contract: Contract, month: Month, event_at: Array, columns: dict[str, Array], target: Array, accepted: Bounds
) -> dict[str, Mask]:
    """Return the rows that each reason drops; a row with several counts under the first of them."""
    missing = np.isnat(event_at)
    failing = {"no time": missing, "other month": months_of(contract, event_at) != np.datetime64(str(month), "M")}
    for name, feature in contract.features.items():
        values = columns[name]
        absent = np.array([value is None for value in values.tolist()]) if feature.is_text else np.isnan(values)
        if not feature.nullable:
            failing[f"{name} missing"] = absent
        failing[f"{name} impossible"] = ~absent & ~_possible(feature, values)
    failing |= {"no target": np.isnan(target), "target outside": ~accepted.contains(target)}
    return failing


def months_of(contract: Contract, event_at: Array) -> Array:
    """Return the month of each event time in the contract's zone, datetime64[M] of shape (rows,), NaT for NaT."""
    missing = np.isnat(event_at)
    days = local_days(np.where(missing, np.datetime64(0, "us"), event_at), contract.zone).astype("datetime64[D]")
    return np.where(missing, np.datetime64("NaT"), days.astype("datetime64[M]"))


def _possible(feature: Feature, values: Array) -> Mask:
    if feature.is_text:
        if feature.values is None:
            return np.ones(len(values), dtype=bool)
        return np.isin(values.astype(str), np.array(feature.values, dtype=str))
    possible = feature.contains(values) & np.isfinite(values)
    if feature.type == "bool":
        return possible & np.isin(values, (0, 1))
    if feature.type == "int" or feature.is_whole:
        possible &= values == np.trunc(values)
    if feature.values is not None:
        possible &= np.isin(values, np.array(feature.values, dtype=np.float64))
    return possible


def _stored(feature: Feature, values: Array) -> Array:
    """Return the values of kept rows as the loop holds them, with what a missing one stands for."""
    if feature.is_text:
        filling = feature.stands_for
        return (
            values if filling is None else np.array([filling if one is None else one for one in values], dtype=object)
        )
    if feature.stands_for is not None:
        values = np.where(np.isnan(values), float(feature.stands_for), values)
    return values if feature.type == "float" or np.isnan(values).any() else values.astype(np.int64)


def _profile(
    contract: Contract,
    month: Month | None,
    event_at: Array,
    columns: dict[str, Array],
    dropped: dict[str, int],
    repeated: float,
) -> Profile:
    rows, frame = len(event_at), pd.DataFrame(columns)
    of = {name: feature.type for name, feature in contract.features.items()}
    begins = np.datetime64(f"{month}-01", "D") if month else None
    return Profile(
        rows=rows,
        missing={name: round(float(frame[name].isna().mean()), 6) for name in columns},
        dropped={reason: round(count / rows, 6) for reason, count in dropped.items()},
        commonest={name: _commonest(frame[name]) for name in columns},
        duplicated=repeated,
        days=_days(contract, month, event_at) if month else (),
        weekday=int((begins.astype(np.int64) + 3) % 7) if begins is not None else 0,
        values={name: _frequent(frame[name], MOST_VALUES) for name in columns if of[name] == "category"},
        scales=_scales(
            frame[[name for name in columns if of[name] in ("float", "int")]],
            frame[[name for name in columns if of[name] in ("bool", "category")]],
        ),
    )


def _frequent(values: "pd.Series[Any]", most: int) -> dict[str, float]:
    """Return the shares of the most frequent values."""
    counts = values.value_counts(normalize=True).head(most)
    return {_label(value): round(float(share), 6) for value, share in counts.items()}


def _label(value: Any) -> str:
    return value if isinstance(value, str) else f"{float(value):.9g}"


def _scales(numbers: pd.DataFrame, others: pd.DataFrame) -> dict[str, dict[str, Scale]]:
    """Return how large each number is in all rows, and in groups by each of the others."""
    values = numbers.to_numpy(dtype=np.float64)
    positive = (values > 0) & np.isfinite(values)
    logs = np.log(np.where(positive, values, np.nan))
    groups: dict[str, tuple[Array, Any]] = {ALL_ROWS: (np.zeros(len(values), dtype=np.int64), [""])}
    groups |= {str(name): pd.factorize(others[name]) for name in others}
    return {
        str(name): {
            other: scale
            for other, (codes, labels) in groups.items()
            if (scale := _scale(logs[:, place], codes, labels)) is not None
        }
        for place, name in enumerate(numbers)
        if positive[:, place].mean() > MOSTLY_POSITIVE
    }


def _scale(logs: Array, codes: Array, labels: Any) -> Scale | None:
    """Return the scale of a number in the largest groups, None where all are too small; a code of -1 is no group."""
    known = (codes >= 0) & ~np.isnan(logs)
    codes, logs = codes[known], logs[known]
    rows = np.bincount(codes, minlength=len(labels))
    means = np.bincount(codes, logs, len(labels)) / np.maximum(rows, 1)
    squares = np.bincount(codes, (logs - means[codes]) ** 2, len(labels))
    groups = np.argsort(-rows, kind="stable")[:MOST_GROUPS]
    groups = groups[rows[groups] >= LEAST_IN_GROUP]
    if not len(groups):
        return None
    names = [_label(labels[group]) for group in groups]
    return Scale(
        round(float(np.sqrt(squares[groups].sum() / (rows[groups] - 1).sum())), 6),
        dict(zip(names, rows[groups].tolist(), strict=True)),
        dict(zip(names, means[groups].round(6).tolist(), strict=True)),
    )


def _repeated(contract: Contract, table: pa.Table) -> float:
    """Return the share of rows whose id another row has; 0 without ids, as equal rows may be different ones."""
    if contract.id is None or not len(table):
        return 0.0
    ids = table[contract.id.column]
    distinct: int = pc.count_distinct(ids, mode="all").as_py()
    return round(1 - distinct / len(ids), 6)


def _commonest(values: "pd.Series[Any]") -> float:
    """Return the share of the most frequent value, and ORDINARY_SHARE at least."""
    counts = values.value_counts(normalize=True)
    return max(round(float(counts.iloc[0]), 6), ORDINARY_SHARE) if len(counts) else ORDINARY_SHARE


def _days(contract: Contract, month: Month, event_at: Array) -> tuple[int, ...]:
    begins, ends = (np.datetime64(f"{of}-01", "D").astype(np.int64) for of in (month, month.plus(1)))
    day = local_days(event_at[~np.isnat(event_at)], contract.zone) - begins
    length = int(ends - begins)
    return tuple(np.bincount(day[(day >= 0) & (day < length)], minlength=length).tolist())
