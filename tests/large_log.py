"""A prediction log of any size, made inside the database in seconds, with what months of operation leave beside it.

The story, in parts of the log: version 3 served until 50 % (a first time), version 2 until 99 %, and version 3 again
since then. Every tenth row is of a scored month. Half of the rows have a request id. Labels come 20 % of the log after
their predictions, so that those of version 2 still come long after it was replaced.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from autoops.loop.context import Context
from autoops.loop.promote.promotion import PROMOTED_AT
from autoops.models.registry import CHAMPION, TrainingRun
from autoops.settings import Settings
from tests.fakes import HeldClock
from tests.integration.one_process import context_in

BEGINS_AT = datetime(2025, 6, 15, tzinfo=UTC)
SPAN = timedelta(days=115)
LABELLED = 0.8
SCORED = "2023-01"

_FILLED = ("id", "request_id", "event_at", "predicted_at", "model_version", "source", "inputs", "prediction")
_SQLITE_ROWS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :rows - 1)"
_COLUMNS = ", ".join(_FILLED)
_SQLITE = f"""
INSERT INTO predictions ({_COLUMNS})
{_SQLITE_ROWS},
m(i, ms) AS (SELECT i, CAST(:begin_ms + i * :step_ms AS INTEGER) FROM n)
SELECT printf('%08x-%04x-7000-8000-%012x', ms >> 16, ms & 65535, i), CASE WHEN i % 2 THEN 'ride-' || i END,
  strftime('%Y-%m-%d %H:%M:%f000', ms / 1000.0, 'unixepoch'),
  strftime('%Y-%m-%d %H:%M:%f000', ms / 1000.0, 'unixepoch'),
  CASE WHEN i < :rows * 0.5 THEN 3 WHEN i < :rows * 0.99 THEN 2 ELSE 3 END,
  CASE WHEN i % 10 = 9 THEN '{SCORED}' ELSE 'live' END,
  json_array(i % 10 + 0.5, 1, 1 + i % 200, 1 + i % 190), 12.5
FROM m
"""
_POSTGRES = f"""
INSERT INTO predictions ({_COLUMNS})
SELECT lpad(to_hex(ms >> 16), 8, '0') || '-' || lpad(to_hex(ms & 65535), 4, '0') || '-7000-8000-'
    || lpad(to_hex(i), 12, '0'),
  CASE WHEN i % 2 = 1 THEN 'ride-' || i END, to_timestamp(ms / 1000.0) AT TIME ZONE 'UTC',
  to_timestamp(ms / 1000.0) AT TIME ZONE 'UTC',
  CASE WHEN i < :rows * 0.5 THEN 3 WHEN i < :rows * 0.99 THEN 2 ELSE 3 END,
  CASE WHEN i % 10 = 9 THEN '{SCORED}' ELSE 'live' END,
  jsonb_build_array(i % 10 + 0.5, 1, 1 + i % 200, 1 + i % 190), 12.5
FROM (SELECT i, CAST(:begin_ms + i * :step_ms AS bigint) AS ms FROM generate_series(0, :rows - 1) AS i) AS m
"""
_LABELS = """
INSERT INTO ground_truth (prediction_id, request_id, target, labelled_at)
SELECT CASE WHEN request_id IS NULL THEN id END, request_id, 12, {later}
FROM predictions ORDER BY id LIMIT :labels
"""
_LATER = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', predicted_at, '+' || :delay_s || ' seconds')",
    "postgresql": "predicted_at + make_interval(secs => :delay_s)",
}


@dataclass(frozen=True)
class LargeLog:
    """`rows` predictions up to `now`; version 3 was promoted again at `promoted_at`."""

    rows: int
    now: datetime = BEGINS_AT + SPAN
    promoted_at: datetime = BEGINS_AT + 0.99 * SPAN

    def at(self, share: float) -> datetime:
        return BEGINS_AT + share * SPAN


def fill(engine: sa.Engine, rows: int) -> LargeLog:
    """Fill an empty, migrated database."""
    dialect = engine.dialect.name
    values = {
        "rows": rows,
        "begin_ms": int(BEGINS_AT.timestamp() * 1000),
        "step_ms": SPAN.total_seconds() * 1000 / rows,
        "labels": int(rows * LABELLED),
        "delay_s": 0.2 * SPAN.total_seconds(),
    }
    with engine.begin() as connection:
        for statement in (_SQLITE if dialect == "sqlite" else _POSTGRES, _LABELS.format(later=_LATER[dialect])):
            query = sa.text(statement)
            connection.execute(query, {name: values[name] for name in query.compile().params})
    if dialect == "postgresql":  # what its autovacuum does within a minute
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    return LargeLog(rows)


def context_on(engine: sa.Engine, settings: Settings, directory: Path, log: LargeLog, champion: int) -> Context:
    """Version 2 as champion as it was before the promotion, or version 3 as it is now."""
    built = context_in(directory, settings, engine)
    bundle = directory / "bundle"
    bundle.mkdir()
    for _ in range(3):
        tags = {"trained_until": BEGINS_AT.isoformat()}
        built.registry.register(TrainingRun(None, None, None, {}, {}, tags, {}, (), bundle))  # type: ignore[arg-type]
    promoted_at = log.at(0.5) if champion == 2 else log.promoted_at
    built.registry.tag(champion, {PROMOTED_AT: promoted_at.isoformat()})
    built.registry.set_alias(CHAMPION, champion)
    assert isinstance(built.clock, HeldClock)
    built.clock.advance(seconds=(log.now - built.clock.now()).total_seconds())
    return built
