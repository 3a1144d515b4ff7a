"""Widen `ground_truth.id` from 32 to 64 bits on PostgreSQL without a long lock.

ALTER TYPE locks the table against reads and writes while it rewrites it. A small table takes about a second. For
a large one `prepare` fills a second column in batches while other processes read and write, and `widen` only puts it in
the place of the first.
"""

import sqlalchemy as sa

ROWS_AT_ONCE = 200_000
"""A table of up to so many rows is rewritten under the lock, in about a second."""

_BATCH = 20_000
# A CHECK that is validated later spares SET NOT NULL its scan of the table under the lock.
_SECOND_COLUMN = """
ALTER TABLE ground_truth ADD COLUMN id_wide BIGINT;
CREATE FUNCTION ground_truth_id_wide() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.id_wide := NEW.id; RETURN NEW; END $$;
CREATE TRIGGER ground_truth_id_wide BEFORE INSERT ON ground_truth
    FOR EACH ROW EXECUTE FUNCTION ground_truth_id_wide();
ALTER TABLE ground_truth ADD CONSTRAINT id_wide_filled CHECK (id_wide IS NOT NULL) NOT VALID;
"""

# The sequence is detached first, because it is dropped with the column that owns it.
_SWAP = """
DROP TRIGGER ground_truth_id_wide ON ground_truth;
DROP FUNCTION ground_truth_id_wide();
ALTER TABLE ground_truth ALTER COLUMN id_wide SET NOT NULL;
ALTER TABLE ground_truth DROP CONSTRAINT id_wide_filled;
ALTER TABLE ground_truth DROP CONSTRAINT pk_ground_truth;
ALTER SEQUENCE ground_truth_id_seq OWNED BY NONE;
ALTER TABLE ground_truth DROP COLUMN id;
ALTER TABLE ground_truth RENAME COLUMN id_wide TO id;
ALTER TABLE ground_truth ADD CONSTRAINT pk_ground_truth PRIMARY KEY USING INDEX ground_truth_id_wide;
ALTER TABLE ground_truth ALTER COLUMN id SET DEFAULT nextval('ground_truth_id_seq');
ALTER SEQUENCE ground_truth_id_seq OWNED BY ground_truth.id;
"""


def prepare(engine: sa.Engine) -> None:
    """Fill the second column of a large table, one transaction per batch. Interruptible; one process at a time."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if _is_large(connection):
            _prepare(connection)


def widen(connection: sa.Connection) -> None:
    """Make the ids 64 bits wide, by the column that `prepare` has filled if there is one. Does nothing if they are."""
    columns = _columns(connection)
    if columns["id"] == "bigint":
        return
    connection.exec_driver_sql(
        _SWAP if "id_wide" in columns else "ALTER TABLE ground_truth ALTER COLUMN id TYPE BIGINT"
    )
    connection.exec_driver_sql("ALTER SEQUENCE ground_truth_id_seq AS BIGINT")


def _prepare(connection: sa.Connection) -> None:
    if "id_wide" not in _columns(connection):
        # In one transaction: no interruption may leave the column without its trigger.
        connection.exec_driver_sql(f"BEGIN; {_SECOND_COLUMN} COMMIT")
    # From here on the trigger fills the column of new rows.
    first, last = connection.exec_driver_sql("SELECT min(id), max(id) FROM ground_truth").one()
    for start in range(first, last + 1, _BATCH):
        rows = f"id BETWEEN {start} AND {start + _BATCH - 1} AND id_wide IS NULL"
        connection.exec_driver_sql(f"UPDATE ground_truth SET id_wide = id WHERE {rows}")
    connection.exec_driver_sql("ALTER TABLE ground_truth VALIDATE CONSTRAINT id_wide_filled")
    # An interrupted build leaves an invalid index behind.
    connection.exec_driver_sql("DROP INDEX CONCURRENTLY IF EXISTS ground_truth_id_wide")
    connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY ground_truth_id_wide ON ground_truth (id_wide)")


def _is_large(connection: sa.Connection) -> bool:
    if _columns(connection).get("id") != "integer":
        return False
    # The span of the ids, because count(*) scans the table.
    span = "SELECT coalesce(max(id)::bigint - min(id) + 1, 0) FROM ground_truth"
    return bool(connection.exec_driver_sql(span).scalar_one() > ROWS_AT_ONCE)


def _columns(connection: sa.Connection) -> dict[str, str]:
    query = """SELECT column_name, data_type FROM information_schema.columns
        WHERE table_name = 'ground_truth' AND table_schema = current_schema()"""
    return {row.column_name: row.data_type for row in connection.exec_driver_sql(query)}
