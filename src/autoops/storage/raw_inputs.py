"""From four typed columns to `inputs`: the log of releases that knew one use case, in the form of any use case.

A large log is converted in batches, which may be interrupted and go on where they stopped; the migration itself then
only puts the result in place. PostgreSQL fills a new column beside running traffic. SQLite cannot change a column, so
it fills a second table there.
"""

import sqlalchemy as sa

from autoops.storage.tables import metadata, predictions

TYPED = ("trip_distance", "passenger_count", "pickup_location_id", "dropoff_location_id")
"""The columns of the releases before, in the order of the default contract's inputs."""
OLD_TARGET = "trip_duration_minutes"

_BATCH = 20_000
_NEXT = "predictions_next"
_KEPT = [column.name for column in predictions.c if column.name not in ("inputs", "contract")]

SQLITE_INPUTS = "'[' || printf('%!.17g', {}) || ',' || {} || ',' || {} || ',' || {} || ']'".format(*TYPED)
"""17 digits, because SQLite's own JSON functions write a float with 15 and would change it."""

_SECOND_COLUMN = f"""
ALTER TABLE predictions ADD COLUMN IF NOT EXISTS inputs JSONB;
ALTER TABLE predictions ADD COLUMN IF NOT EXISTS contract VARCHAR(16);
CREATE OR REPLACE FUNCTION predictions_inputs() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.inputs := coalesce(NEW.inputs, jsonb_build_array({", ".join(f"NEW.{name}" for name in TYPED)}));
    RETURN NEW; END $$;
DROP TRIGGER IF EXISTS predictions_inputs ON predictions;
CREATE TRIGGER predictions_inputs BEFORE INSERT ON predictions
    FOR EACH ROW EXECUTE FUNCTION predictions_inputs();
ALTER TABLE predictions DROP CONSTRAINT IF EXISTS inputs_filled;
ALTER TABLE predictions ADD CONSTRAINT inputs_filled CHECK (inputs IS NOT NULL) NOT VALID;
"""
"""Rows that a process of the release before inserts meanwhile are filled by the trigger."""

_FILL = f"UPDATE predictions SET inputs = jsonb_build_array({', '.join(TYPED)}) WHERE inputs IS NULL"
_PLACE = f"""
DROP TRIGGER IF EXISTS predictions_inputs ON predictions;
DROP FUNCTION IF EXISTS predictions_inputs();
ALTER TABLE predictions ALTER COLUMN inputs SET NOT NULL;
ALTER TABLE predictions DROP CONSTRAINT IF EXISTS inputs_filled;
{" ".join(f"ALTER TABLE predictions DROP COLUMN {name};" for name in TYPED)}
"""


def prepare(engine: sa.Engine) -> None:
    """Convert the rows of a log with typed columns, a transaction per batch; does nothing on any other."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if is_typed(connection):
            (_prepare_sqlite if engine.dialect.name == "sqlite" else _prepare_postgresql)(connection)


def place(connection: sa.Connection) -> None:
    """Convert the rows that are left, and put the result in the place of the typed columns."""
    (_place_sqlite if connection.dialect.name == "sqlite" else _place_postgresql)(connection)


def is_typed(connection: sa.Connection) -> bool:
    """Return whether there is a log, and it has the typed columns."""
    inspector = sa.inspect(connection)
    if not inspector.has_table("predictions"):
        return False
    return TYPED[0] in {column["name"] for column in inspector.get_columns("predictions")}


def _prepare_postgresql(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"BEGIN; {_SECOND_COLUMN} COMMIT")
    last = ""
    upper = sa.text(f"SELECT max(id) FROM (SELECT id FROM predictions WHERE id > :last ORDER BY id LIMIT {_BATCH}) s")
    while (end := connection.scalar(upper, {"last": last})) is not None:
        connection.execute(sa.text(f"{_FILL} AND id > :last AND id <= :end"), {"last": last, "end": end})
        last = end
    connection.exec_driver_sql("ALTER TABLE predictions VALIDATE CONSTRAINT inputs_filled")


def _place_postgresql(connection: sa.Connection) -> None:
    connection.exec_driver_sql(
        "ALTER TABLE predictions ADD COLUMN IF NOT EXISTS inputs JSONB, ADD COLUMN IF NOT EXISTS contract VARCHAR(16)"
    )
    connection.exec_driver_sql(_FILL)
    connection.exec_driver_sql(_PLACE)
    connection.exec_driver_sql(f"ALTER TABLE ground_truth RENAME COLUMN {OLD_TARGET} TO target")


def _prepare_sqlite(connection: sa.Connection) -> None:
    """Fill the second table; several processes may do so at once, each batch under the lock of the database."""
    more, step = True, _begin
    while more:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            # Another process may have put the result in place since the last batch.
            more = is_typed(connection) and step(connection)
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            # SQLAlchemy has closed an invalidated connection, such as that of an interrupted process.
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")
            raise
        step = _copy_batch


def _begin(connection: sa.Connection) -> bool:
    """Make the second table, or have an earlier one forget pruned rows, whose request ids may have come again."""
    _next_table().create(connection, checkfirst=True)
    connection.exec_driver_sql(f"DELETE FROM {_NEXT} WHERE id NOT IN (SELECT id FROM predictions)")
    return True


def _copy_batch(connection: sa.Connection) -> bool:
    """Copy a batch, and return whether there may be another."""
    return _copy(connection, f"LIMIT {_BATCH}") == _BATCH


def _copy(connection: sa.Connection, limit: str) -> int:
    """Copy the rows after the last copied one, and return how many."""
    after = f"id > (SELECT coalesce(max(id), '') FROM {_NEXT})"
    return connection.exec_driver_sql(f"{_insert(connection)} WHERE {after} ORDER BY id {limit}").rowcount


def _insert(connection: sa.Connection) -> str:
    # A log of an earlier revision has no `key` yet.
    there = {column["name"] for column in sa.inspect(connection).get_columns("predictions")}
    names = ", ".join(name for name in _KEPT if name in there)
    return f"INSERT INTO {_NEXT} ({names}, inputs) SELECT {names}, {SQLITE_INPUTS} FROM predictions"


def _next_table() -> sa.Table:
    """Return the second table, without indexes: they have names that the first one still uses."""
    columns = [sa.Column(c.name, c.type, primary_key=c.primary_key, nullable=c.nullable) for c in predictions.c]
    unique = sa.UniqueConstraint("request_id", name="uq_predictions_request_id")
    return sa.Table(_NEXT, sa.MetaData(naming_convention=metadata.naming_convention), *columns, unique)


def _place_sqlite(connection: sa.Connection) -> None:
    _begin(connection)
    _copy(connection, "")
    # Rows with older ids may have come meanwhile.
    missing = f"NOT EXISTS (SELECT 1 FROM {_NEXT} WHERE {_NEXT}.id = predictions.id)"
    connection.exec_driver_sql(f"{_insert(connection)} WHERE {missing}")
    connection.exec_driver_sql("DROP TABLE predictions")
    connection.exec_driver_sql(f"ALTER TABLE {_NEXT} RENAME TO predictions")
    for index in predictions.indexes:
        columns = ", ".join(column.name for column in index.columns)
        connection.exec_driver_sql(f"CREATE INDEX {index.name} ON predictions ({columns})")
    connection.exec_driver_sql(f"ALTER TABLE ground_truth RENAME COLUMN {OLD_TARGET} TO target")
