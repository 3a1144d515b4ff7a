"""Whose database this is: the name of its use case, which the first start writes

A database with records of a release before use cases, or of the default one, is the default's. This only adds a
table.
"""

import sqlalchemy as sa
from alembic import op

from autoops.usecase import declaration

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    table = op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("use_case", sa.String(length=63), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    default = declaration.load(declaration.DEFAULT)
    connection = op.get_bind()
    newest = connection.exec_driver_sql("SELECT contract FROM predictions ORDER BY id DESC LIMIT 1").first()
    if newest is None:
        ours = connection.exec_driver_sql("SELECT id FROM ledger LIMIT 1").first() is not None
    else:
        # Rows that were logged before 0010 name no contract.
        ours = newest[0] in (None, default.inputs_id)
    if ours:
        op.bulk_insert(table, [{"id": 1, "use_case": default.name}])


def downgrade() -> None:
    op.drop_table("installation")
