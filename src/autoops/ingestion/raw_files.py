"""Raw files in pieces: parquet, or CSV whose texts get the types of the declaration; `prepare` is applied to both."""

import codecs
import csv
import gzip
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from autoops.arrow_values import is_number, is_text
from autoops.errors import CorruptFile, EmptyMonth, NotFound, SchemaError
from autoops.ingestion.time_parts import with_times
from autoops.usecase.contract import Contract
from autoops.usecase.contract import Source as Declared
from autoops.usecase.functions import resolve

Kind = Literal["number", "bool", "text"]

PIECE_ROWS = 1 << 16
_BLOCK_BYTES = 1 << 22
"""CSV is read in blocks of this size, so no row may be longer."""
_DELIMITERS = ",;\t|"
_NOT_THERE = ("", "na", "n/a", "nan", "null", "none")
"""What a number or a boolean is in CSV where it is missing; of a text, which may be "NA", only the empty one is."""
_TRUE, _FALSE = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no")


def pieces(contract: Contract, path: Path, typed: bool = False) -> Generator[pa.Table, None, None]:
    """Yield the rows of a raw file in the declared raw columns, some ten thousand rows at a time.

    Where the use case has a `clean` of its own, all columns are there. `prepare` sees one piece at a time, so it must
    treat each row for itself; of CSV it sees texts. `typed` also gives plain parquet the types of the
    declaration, as several files that become one need.

    Raises:
        NotFound: there is no such file.
        CorruptFile: the file is truncated, no parquet file, or no CSV in the declared encoding.
        SchemaError: a column is missing, a value of CSV has another type than declared, or `prepare` fails.
    """
    read = _csv if contract.source.is_csv else _parquet
    with closing(read(contract, path)) as tables:
        if not contract.is_converted and not typed:
            yield from tables
            return
        yield from declared_columns(contract, tables, path.name)


def declared_columns(contract: Contract, tables: Iterable[pa.Table], where: str) -> Iterator[pa.Table]:
    """Yield tables of raw rows as tables of the declared raw columns, each in one type for its kind.

    Raises:
        SchemaError: a column is missing, a value has another type than declared, or `prepare` fails.
    """
    kinds = _kinds(contract)
    for table in tables:
        made = _prepared(contract, table, where)
        if parts := contract.event_time.parts:
            require_columns(parts.columns, made.column_names, where)
            made = with_times(parts, contract.raw_event_time, made, where)
        require_columns(contract.raw_columns, made.column_names, where)
        names = made.column_names if contract.clean else contract.raw_columns
        yield pa.table({name: _typed(made[name], kinds.get(name), f"{where}: column {name}") for name in names})


def write_pieces(tables: Iterable[pa.Table], file: BinaryIO, name: str) -> None:
    """Write tables to one parquet file, in the types of the first one.

    Raises:
        EmptyMonth: there are no rows.
        SchemaError: a column has another type later on.
    """
    writer: pq.ParquetWriter | None = None
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            try:
                writer.write_table(table.cast(writer.schema))
            except (pa.ArrowException, ValueError) as error:
                raise SchemaError(f"{name}: a column has several types: {error}") from error
    finally:
        if writer:
            writer.close()
    if writer is None:
        raise EmptyMonth(f"{name}: the file holds no rows")


def require_columns(names: Iterable[str], there: list[str], file: str) -> None:
    """Require that each column is there once.

    Raises:
        SchemaError: one is missing, or there several times; the message names it.
    """
    for name in names:
        if there.count(name) != 1:
            many = "is missing" if name not in there else f"is there {there.count(name)} times"
            raise SchemaError(f"{file}: column {name} {many}; there are {', '.join(there)}")


def _wanted(contract: Contract) -> list[str] | None:
    """Return the columns to read, None for all."""
    return None if contract.prepare or contract.clean else list(contract.source_columns)


def _parquet(contract: Contract, path: Path) -> Generator[pa.Table, None, None]:
    try:
        with pq.ParquetFile(path) as file:
            wanted = _wanted(contract)
            require_columns(wanted or (), file.schema_arrow.names, path.name)
            for batch in file.iter_batches(PIECE_ROWS, columns=wanted):
                yield pa.Table.from_batches([batch])
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path.name}: truncated, or not a parquet file") from error


def _csv(contract: Contract, path: Path) -> Generator[pa.Table, None, None]:
    """Yield the rows of a CSV file as texts, with null for empty ones.

    Raises:
        NotFound: there is no such file.
        CorruptFile: it is no CSV in the declared encoding.
    """  # noqa: DOC501 - the function that is raised returns it
    declared = contract.source
    try:
        header, wanted = _header(declared, path), _wanted(contract)
        if header:
            _require_delimiter(declared, header, path.name)
            require_columns(wanted or (), header, path.name)
        read = pa_csv.ReadOptions(block_size=_BLOCK_BYTES, encoding=declared.encoding)
        parse = pa_csv.ParseOptions(delimiter=declared.delimiter, newlines_in_values=True)
        texts = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            include_columns=wanted,
            null_values=[""],
            strings_can_be_null=True,
        )
        compression = "gzip" if path.name.endswith(".gz") else None
        with pa.input_stream(str(path), compression=compression) as stream:
            for batch in pa_csv.open_csv(stream, read, parse, texts) if header else ():
                yield pa.Table.from_batches([batch])
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise _not_encoded(declared, path) from error
    except (pa.ArrowException, csv.Error) as error:
        if "UTF8" in str(error):
            raise _not_encoded(declared, path) from error
        # What is said of a file that ends with its header; `write_pieces` says that there are no rows.
        if "Empty CSV" not in str(error):
            raise CorruptFile(f"{path.name}: no readable CSV: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptFile(f"{path.name}: cannot be read: truncated, or not gzipped as its name says") from error


def _header(declared: Declared, path: Path) -> list[str]:
    """Return the names of the columns, none for an empty file."""
    is_utf8 = codecs.lookup(declared.encoding).name == "utf-8"
    opened = gzip.open if path.name.endswith(".gz") else open
    # Excel begins UTF-8 with a byte order mark, which would be a part of the first name.
    with opened(path, "rt", encoding="utf-8-sig" if is_utf8 else declared.encoding, newline="") as text:
        return next(csv.reader(text, delimiter=declared.delimiter), [])


def _require_delimiter(declared: Declared, header: list[str], file: str) -> None:
    others = [other for other in _DELIMITERS if other in header[0]]
    if len(header) == 1 and others:
        raise SchemaError(
            f"{file}: found one column, named {header[0]!r}: it holds {others[0]!r}, and the delimiter is "
            f"{declared.delimiter!r}; set source.delimiter"
        )


def _not_encoded(declared: Declared, path: Path) -> CorruptFile:
    return CorruptFile(
        f"{path.name}: no text in {declared.encoding}; set source.encoding to the file's own, such as latin-1 or cp1252"
    )


def _prepared(contract: Contract, table: pa.Table, file: str) -> pa.Table:
    if contract.prepare is None:
        return table
    prepare, called = resolve(contract.prepare, "prepare"), f"{file}: prepare: {contract.prepare}"
    try:
        made = prepare(table)
    # A user's function may raise anything.
    except Exception as error:
        raise SchemaError(f"{called} raised {type(error).__name__}: {error}") from error
    if not isinstance(made, pa.Table):
        raise SchemaError(f"{called} returned {type(made).__name__}, expected a pyarrow.Table")
    return made


def _kinds(contract: Contract) -> dict[str, Kind]:
    """Return the declared kinds of raw columns; times and ids are texts in CSV."""
    kinds: dict[str, Kind] = {}
    if contract.task == "regression":
        kinds[contract.target.raw_name] = "number"
    elif {contract.target.positive, contract.target.other} == {0, 1}:
        # Of True and False, too, which are equal to these.
        kinds[contract.target.raw_name] = "bool"
    else:
        kinds[contract.target.raw_name] = "text" if isinstance(contract.target.positive, str) else "number"
    for name, feature in contract.features.items():
        kind: Kind = "text" if feature.is_text else "bool" if feature.type == "bool" else "number"
        kinds[feature.column or name] = kind
    return kinds


def _typed(column: pa.ChunkedArray, kind: Kind | None, where: str) -> pa.ChunkedArray:
    """Return a column in one type for its kind, so that all pieces of a file have the same.

    Raises:
        SchemaError: a text is no number, or no boolean.
    """
    if kind in (None, "text") or not (is_text(column.type) or pa.types.is_null(column.type)):
        plain = pa.types.is_null(column.type) or pa.types.is_dictionary(column.type)
        if kind == "number" and (is_number(column.type) or pa.types.is_boolean(column.type)):
            # By way of int8, because booleans have no cast to floats.
            column = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
            return column.cast(pa.float64(), safe=False)
        return column.cast(pa.string()) if plain else column
    words = pc.utf8_trim_whitespace(column.cast(pa.string()))
    lower = pc.utf8_lower(words)
    words = pc.if_else(pc.is_in(lower, pa.array(_NOT_THERE)), pa.scalar(None, pa.string()), words)
    if kind == "number":
        try:
            return words.cast(pa.float64())
        except pa.ArrowInvalid as error:
            raise SchemaError(f"{where} holds a value that is no number: {error}") from error
    known = pc.is_in(lower, pa.array(_TRUE))
    odd = words.filter(pc.invert(pc.or_(known, pc.is_in(lower, pa.array(_FALSE))))).drop_null()
    if len(odd):
        raise SchemaError(f"{where} holds {odd[0].as_py()!r}, expected true, false, 0, 1, yes or no")
    return pc.if_else(pc.is_valid(words), known, pa.scalar(None, pa.bool_()))
