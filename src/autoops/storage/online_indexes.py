"""Indexes of the large tables, built on PostgreSQL while the API writes to these tables.

CREATE INDEX CONCURRENTLY cannot run in a transaction, and a migration is one. So `prepare` runs before the migration,
which then skips these indexes. SQLite has no such statement: there the migration itself builds them, in some ten
seconds for ten million rows.
"""

import sqlalchemy as sa

ONLINE = {
    "ix_predictions_model_version_source_id": ("predictions", ["model_version", "source", "id"]),
    "ix_ground_truth_labelled_at": ("ground_truth", ["labelled_at"]),
}

_VALID = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def prepare(engine: sa.Engine) -> None:
    """Build missing indexes, none on a database without tables. Interruptible; one process at a time."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.scalar(sa.select(sa.func.to_regclass("ground_truth"))) is None:
            return
        for name, (table, columns) in ONLINE.items():
            _build(connection, name, f"{table} ({', '.join(columns)})")


def _build(connection: sa.Connection, name: str, what: str) -> None:
    valid = connection.scalar(_VALID, {"name": name})
    if valid:
        return
    if valid is False:  # left behind by an interrupted build
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {name}")
    connection.exec_driver_sql(f"CREATE INDEX CONCURRENTLY {name} ON {what}")
