"""One incident for one cause: a key that no two incidents share"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("incidents", sa.Column("key", sa.String(length=100), nullable=True))
    # Earlier incidents have no key: a unique index takes any number of NULLs.
    op.create_index("ix_incidents_key", "incidents", ["key"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_incidents_key", "incidents")
    op.drop_column("incidents", "key")
