"""What the file of an outbox holds: the rows that wait, and how far they have arrived."""

import sqlalchemy as sa

from autoops import tables

metadata = sa.MetaData()


def _waiting(table: sa.Table, *unique: str) -> sa.Table:
    """The columns of `table` behind a number that is never given twice, which says how far rows have arrived."""
    columns = [sa.Column(c.name, c.type, nullable=c.nullable, unique=c.name in unique) for c in table.c]
    number = sa.Column("number", sa.Integer, primary_key=True)
    kept = [column for column in columns if not (table is tables.ground_truth and column.name == "id")]
    return sa.Table(table.name, metadata, number, *kept, sqlite_autoincrement=True)


predictions = _waiting(tables.predictions, "id", "request_id")
ground_truth = _waiting(tables.ground_truth)
arrived = sa.Table(
    "arrived",
    metadata,
    sa.Column("predictions", sa.Integer, nullable=False),
    sa.Column("labels", sa.Integer, nullable=False),
)


def create(connection: sa.Connection) -> None:
    """Create the tables, and the columns that are new since the release that left this file."""
    metadata.create_all(connection)
    for table in metadata.tables.values():
        there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        for column in table.c:
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                connection.exec_driver_sql(f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {kind}')
