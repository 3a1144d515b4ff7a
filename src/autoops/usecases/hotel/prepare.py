"""The published table of bookings, made ready for the declaration."""

import pyarrow as pa
import pyarrow.compute as pc

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
PARTS = ("arrival_date_year", "arrival_date_month", "arrival_date_day_of_month")
"""The day of arrival; the month is an English name."""


def prepare(table: pa.Table) -> pa.Table:
    """Return the table, shape (rows, columns), with the column `arrival`: the day of arrival.

    It is null where the three parts make no day. A table that has the column already stays as it is.
    """
    if "arrival" in table.column_names:
        return table
    year, month, day = (table[part].combine_chunks() for part in PARTS)
    number = pc.add(pc.index_in(pc.cast(month, pa.string()), pa.array(MONTHS)), 1)
    parts = [pc.cast(pc.cast(part, pa.int64()), pa.string()) for part in (year, number, day)]
    padded = [pc.utf8_lpad(part, width, "0") for part, width in zip(parts, (4, 2, 2), strict=True)]
    text = pc.binary_join_element_wise(*padded, "-")
    moments = pc.strptime(text, format="%Y-%m-%d", unit="us", error_is_null=True)
    # The parser takes 31 April for 1 May: no such day is no day.
    same = pc.equal(pc.day(moments), pc.cast(day, pa.int64()))
    return table.append_column("arrival", pc.if_else(same, moments, pa.scalar(None, moments.type)))
