"""Foreign bytes: nearly right, and anything at all."""

from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

_EDGES = (0, 1, -1, 2**15, 2**31, 2**63 - 1, -(2**63), 2**64, 10**400)
_NUMBERS = st.sampled_from(_EDGES) | st.integers() | st.floats()

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
"""What JSON can say, and what Python's own reading of it takes besides: NaN, infinities, numbers of any length."""


@st.composite
def mutations(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` after a few changes: bytes that are others, missing or doubled, an end that did not arrive."""
    body = bytearray(whole)
    for _ in range(draw(st.integers(1, 5))):
        at, length = draw(st.integers(0, max(len(body) - 1, 0))), draw(st.integers(1, 8))
        match draw(st.sampled_from(("others", "missing", "doubled", "end"))):
            case "others":
                body[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case "missing":
                del body[at : at + length]
            case "doubled":
                body[at:at] = body[at : at + length]
            case "end":
                del body[at:]
    return bytes(body)


@st.composite
def replaced(draw: st.DrawFn, content: dict[str, Any]) -> dict[str, Any]:
    """`content` with something else, or nothing, in place of a value or two."""
    changed = dict(content)
    for name in draw(st.lists(st.sampled_from([*content]), min_size=1, max_size=2, unique=True)):
        changed[name] = draw(anything)
        if draw(st.booleans()):
            del changed[name]
    return changed


_FLOATS = st.floats(width=16)
_WHOLE = st.integers(-3, 100)
_MOMENTS = st.integers(1_646_000_000, 1_649_000_000) | st.sampled_from((0, -1))
_TYPES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    *((kind, _WHOLE) for kind in (pa.int8(), pa.int32(), pa.int64())),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    *((kind, _FLOATS) for kind in (pa.float16(), pa.float32(), pa.float64())),
    (pa.decimal128(20, 2), st.decimals(-10, 400, places=2)),
    *((pa.timestamp(unit), st.integers(-(2**53), 2**53)) for unit in ("s", "ms", "us", "ns")),
    *((pa.timestamp("s", zone), _MOMENTS) for zone in (None, "UTC", "America/New_York")),
    (pa.date32(), _WHOLE),
    (pa.duration("us"), _WHOLE),
    (pa.bool_(), st.booleans()),
    (pa.null(), st.none()),
    (pa.string(), st.text(max_size=10) | st.datetimes().map(str)),
    (pa.large_string(), st.text(max_size=10)),
    (pa.binary(), st.binary(max_size=4)),
    (pa.list_(pa.int64()), st.lists(_WHOLE, max_size=2)),
    (pa.struct([("a", pa.int64())]), st.fixed_dictionaries({"a": _WHOLE})),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from("ab")),
]


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pa.Array:
    """A column of some type, with nulls."""
    kind, values = draw(st.sampled_from(_TYPES))
    return pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind)


@st.composite
def odd_tables(draw: st.DrawFn, table: pa.Table) -> pa.Table:
    """`table` with a column or two of another type, missing, there twice, or of another name."""
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, table.num_columns - 1))
        name = table.column_names[at]
        match draw(st.sampled_from(("other", "other", "other", "missing", "twice", "renamed"))):
            case "other":
                table = table.set_column(at, name, draw(columns(table.num_rows)))
            case "missing" if table.num_columns > 1:
                table = table.remove_column(at)
            case "twice":
                table = table.append_column(name, draw(columns(table.num_rows)))
            case "renamed":
                table = table.append_column(draw(st.text(max_size=5)), table[at])
    return table
