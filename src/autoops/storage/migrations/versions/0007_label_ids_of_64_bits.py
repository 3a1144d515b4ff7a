"""Label ids of 64 bits on PostgreSQL; SQLite's integers have them

A downgrade keeps the wide columns, which earlier releases read too.
"""

from alembic import op

from autoops.storage import label_ids

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        label_ids.widen(connection)
        op.execute("ALTER TABLE checks ALTER COLUMN last_label_id TYPE BIGINT")


def downgrade() -> None:
    pass
