"""The schema that the code uses: the prediction log, ground truth, checks, the ledger, the API's instances, what came
through their outboxes, and alerts.

The Alembic tree in `migrations/` brings a database there, and a test holds the two together.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """UTC-aware in Python, a plain timestamp in UTC in the database (SQLite keeps no offsets)."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


LabelId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite's integers have 64 bits, and only one that is called INTEGER numbers its rows by itself."""

RequestId = sa.String(265).with_variant(sa.String(200), "sqlite")
"""200 characters of a client's own after 64 of its key and a separator. SQLite does not look at the length."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("request_id", RequestId, unique=True),
    sa.Column("event_at", UtcDateTime, nullable=False),
    sa.Column("predicted_at", UtcDateTime, nullable=False),
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("source", sa.String(20), nullable=False),
    sa.Column("trip_distance", sa.Float, nullable=False),
    sa.Column("passenger_count", sa.SmallInteger, nullable=False),
    sa.Column("pickup_location_id", sa.SmallInteger, nullable=False),
    sa.Column("dropoff_location_id", sa.SmallInteger, nullable=False),
    sa.Column("prediction", sa.Float, nullable=False),
    sa.Column("key", sa.String(64)),
    sa.Index(None, "model_version", "source", "id"),
)

ground_truth = sa.Table(
    "ground_truth",
    metadata,
    sa.Column("id", LabelId, primary_key=True, autoincrement=True),
    sa.Column("prediction_id", sa.String(36), index=True),
    sa.Column("request_id", RequestId, index=True),
    sa.Column("trip_duration_minutes", sa.Float, nullable=False),
    sa.Column("labelled_at", UtcDateTime, nullable=False),
    sa.Index(None, "labelled_at"),
)

checks = sa.Table(
    "checks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("checked_at", UtcDateTime, nullable=False),
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("verdict", sa.String(30), nullable=False),
    sa.Column("alarm", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("event_from", UtcDateTime),
    sa.Column("event_until", UtcDateTime),
    sa.Column("last_prediction_id", sa.String(36)),
    sa.Column("last_label_id", LabelId),
    sa.Column("report", sa.JSON, nullable=False),
    sa.Index(None, "model_version", "id"),
    sa.Index(None, "model_version", "verdict", "id"),
)

incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("holds_from", UtcDateTime, key="evidence_start"),
    sa.Column("evidence_until", UtcDateTime, key="evidence_end"),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("model_version", sa.Integer),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("closed_at", UtcDateTime),
    sa.Column("key", sa.String(100)),
    sa.Index(None, "key", unique=True),
)

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("kind", sa.String(30), nullable=False),
    sa.Column("actor", sa.String(100), nullable=False),
    sa.Column("incident_id", sa.Integer, sa.ForeignKey("incidents.id"), index=True),
    sa.Column("model_version", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Index(None, "kind", "at"),
    sa.Index(None, "model_version", "id"),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("incident_id", sa.Integer, sa.ForeignKey("incidents.id"), primary_key=True),
    sa.Column("action", sa.String(30), primary_key=True),
    sa.Column("holder", sa.String(250), nullable=False),
    sa.Column("claimed_at", UtcDateTime, nullable=False),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("model_version", sa.Integer),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("hostname", sa.String(255)),
)

outboxes = sa.Table(
    "outboxes",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("predictions_through", sa.BigInteger, nullable=False),
    sa.Column("labels_through", sa.BigInteger, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

repeats = sa.Table(
    "repeats",
    metadata,
    sa.Column("prediction_id", sa.String(36), primary_key=True),
    sa.Column("request_id", sa.String(200), nullable=False),
    sa.Column("predicted_at", UtcDateTime, nullable=False),
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("prediction", sa.Float, nullable=False),
)
"""Unused: the release before reads and writes it, and may run beside this one."""

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("ledger_id", sa.Integer, sa.ForeignKey("ledger.id"), nullable=False, unique=True),
    sa.Column("queued_at", UtcDateTime, nullable=False),
    sa.Column("event", sa.String(30), nullable=False),
    sa.Column("urgency", sa.String(10), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_failure", sa.Text),
    sa.Column("settled_at", UtcDateTime, index=True),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("alert_id", sa.Integer, sa.ForeignKey("alerts.id"), primary_key=True),
    sa.Column("receiver", sa.String(50), primary_key=True),
    sa.Column("told_at", UtcDateTime, nullable=False),
    sa.Index(None, "receiver", "told_at"),
)

schema_compatibility = sa.Table(
    "schema_compatibility",
    metadata,
    sa.Column("readable_from", sa.String(32), primary_key=True),
)
"""One row: the oldest revision whose release can use this schema."""
