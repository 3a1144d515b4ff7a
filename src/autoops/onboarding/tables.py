"""The table that a draft is made from: its columns, and what can be measured of each."""

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from autoops.arrow_values import decoded, is_number, is_text, numbers
from autoops.errors import CorruptFile, InputError

Kind = Literal["number", "bool", "text", "time", "other"]
Array = npt.NDArray[Any]

CSV = (".csv", ".csv.gz")
_DELIMITERS = ",;\t|"
_SNIFFED_CHARACTERS = 64_000
_TRIED_TEXTS = 1_000


@dataclass(frozen=True)
class Raw:
    """A file as it was read; `delimiter` and `encoding` are those of CSV, None of parquet."""

    path: Path
    table: pa.Table
    delimiter: str | None = None
    encoding: str | None = None


def read(path: Path) -> Raw:
    """Return the rows of a parquet or CSV file, also a gzipped one.

    Raises:
        InputError: there is no such file, or its name ends otherwise.
        CorruptFile: the file does not read as what its name says, or has no rows.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    is_csv = path.name.lower().endswith(CSV)
    if not is_csv and path.suffix.lower() != ".parquet":
        raise InputError(f"{path.name}: expected a name that ends in .parquet, {' or '.join(CSV)}")
    try:
        raw = _read_csv(path) if is_csv else Raw(path, pq.ParquetFile(path).read())
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        why = str(error).partition("\n")[0]
        raise CorruptFile(f"{path}: does not read as {'CSV' if is_csv else 'parquet'}: {why}") from None
    if not raw.table.num_rows:
        raise CorruptFile(f"{path}: has no rows")
    return raw


def _read_csv(path: Path) -> Raw:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rb") as file:
        content = file.read()
    try:
        beginning, encoding = content.decode("utf-8-sig")[:_SNIFFED_CHARACTERS], "utf-8"
    except UnicodeDecodeError:
        # Any bytes are text in a code page; it is that of Windows in western languages.
        beginning, encoding = content.decode("cp1252", "replace")[:_SNIFFED_CHARACTERS], "cp1252"
    delimiter = _delimiter(beginning)
    table = pa_csv.read_csv(
        pa.BufferReader(content),
        pa_csv.ReadOptions(encoding=encoding),
        pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        pa_csv.ConvertOptions(strings_can_be_null=True),
    )
    return Raw(path, table, delimiter, encoding)


def _delimiter(beginning: str) -> str:
    """Return the delimiter that the header has most often; the sniffer of `csv` is misled by decimal commas."""
    header = re.sub('"[^"]*"', "", beginning.partition("\n")[0])
    return max(_DELIMITERS, key=header.count)


@dataclass(frozen=True)
class Column:
    """A column of the table under its raw name."""

    raw: str
    data: pa.Array

    @cached_property
    def kind(self) -> Kind:
        """Return what the values are, whatever the type they are stored in."""
        kind = self.data.type
        if pa.types.is_boolean(kind):
            return "bool"
        if is_number(kind):
            return "number"
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return "time"
        return "text" if is_text(kind) else "other"

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.data)

    @cached_property
    def nulls(self) -> int:
        """Return the number of rows without a value; NaN is none."""
        return int(pc.sum(pc.is_null(self.data, nan_is_null=True)).as_py() or 0)

    @cached_property
    def counts(self) -> dict[Any, int]:
        """Return how often each value occurs, the most frequent first; lists and the like are not counted."""
        if self.kind == "other":
            return {}
        values = self._plain
        counts = pd.Series(values[~pd.isna(values)]).value_counts()
        return dict(zip(counts.index.tolist(), counts.tolist(), strict=True))

    @cached_property
    def _plain(self) -> Array:
        return self.numbers if self.kind == "number" else np.array(self.data.to_pylist(), dtype=object)

    @cached_property
    def numbers(self) -> Array:
        """Return the numbers, shape (rows,), with NaN for none."""
        return numbers(self.data)

    @cached_property
    def finite(self) -> Array:
        """Return the finite numbers, shape (at most rows,)."""
        return self.numbers[np.isfinite(self.numbers)]

    @property
    def is_whole(self) -> bool:
        """Return whether the column is one of integers."""
        return bool(pa.types.is_integer(self.data.type))

    @cached_property
    def codes(self) -> Array:
        """Return a number for each distinct value, shape (rows,); -1 for none."""
        return np.asarray(pd.factorize(self._plain)[0])

    def times(self) -> "pd.Series[Any] | None":
        """Return the values as times on their own wall clock, NaT for none; None if they are no times."""
        if self.kind == "time":
            zone = getattr(self.data.type, "tz", None)
            return pd.Series(pc.cast(self.data, pa.timestamp("us", zone)).to_pandas()).dt.tz_localize(None)
        if self.kind != "text" or not self.counts:
            return None
        texts = pd.Series(self.data.to_pylist(), dtype=object)
        tried = texts.dropna()
        tried = tried.iloc[:: max(1, len(tried) // _TRIED_TEXTS)]
        # A year alone would be a time for pandas.
        looks = tried.str.match(r"\s*\d{4}-\d\d").mean() > 0.9
        if not looks or pd.to_datetime(tried, errors="coerce", format="ISO8601", utc=True).isna().mean() > 0.1:
            return None
        return pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True).dt.tz_localize(None)


def columns_of(table: pa.Table) -> tuple[dict[str, Column], dict[str, str]]:
    """Return the columns by name, and by name why others cannot be declared."""
    names: Sequence[str] = table.column_names
    unusable = {name: "more than one column has this name" for name in sorted(set(names)) if names.count(name) > 1}
    unusable |= {"": "it has no name"} if "" in names else {}
    single = {name: Column(name, decoded(table[name].combine_chunks())) for name in names if name not in unusable}
    return single, unusable
