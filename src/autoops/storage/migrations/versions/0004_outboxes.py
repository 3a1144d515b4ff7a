"""What came through outboxes: how far each has been taken in, and answers that another answer stands for"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "outboxes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("predictions_through", sa.BigInteger(), nullable=False),
        sa.Column("labels_through", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outboxes")),
    )
    op.create_table(
        "repeats",
        sa.Column("prediction_id", sa.String(length=36), nullable=False),
        sa.Column("request_id", sa.String(length=200), nullable=False),
        sa.Column("predicted_at", sa.DateTime(), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("prediction", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("prediction_id", name=op.f("pk_repeats")),
    )


def downgrade() -> None:
    op.drop_table("repeats")
    op.drop_table("outboxes")
