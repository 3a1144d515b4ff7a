"""Which releases can use the schema: the rule by which an older process accepts a newer revision

A migration after this one only adds, so that the release before runs on its schema. One that cannot, raises
`readable_from` to its own revision, and its downgrade puts the old value back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    table = op.create_table(
        "schema_compatibility",
        sa.Column("readable_from", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("readable_from", name=op.f("pk_schema_compatibility")),
    )
    op.bulk_insert(table, [{"readable_from": "0005"}])


def downgrade() -> None:
    op.drop_table("schema_compatibility")
