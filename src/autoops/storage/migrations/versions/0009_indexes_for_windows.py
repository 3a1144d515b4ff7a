"""Indexes by which the loop reads windows and months, however much the log holds

On PostgreSQL `online_indexes` has built those of the large tables before, beside running traffic; here they are found.
"""

from alembic import op

from autoops.storage.online_indexes import ONLINE

revision = "0009"
down_revision = "0008"

SMALL = {
    "ix_checks_model_version_verdict_id": ("checks", ["model_version", "verdict", "id"]),
    "ix_ledger_kind_at": ("ledger", ["kind", "at"]),
    "ix_ledger_model_version_id": ("ledger", ["model_version", "id"]),
    "ix_deliveries_receiver_told_at": ("deliveries", ["receiver", "told_at"]),
}
REPLACED = "ix_predictions_model_version_id"


def upgrade() -> None:
    for name, (table, columns) in {**ONLINE, **SMALL}.items():
        op.create_index(name, table, columns, if_not_exists=True)
    op.drop_index(REPLACED, "predictions", if_exists=True)


def downgrade() -> None:
    op.create_index(REPLACED, "predictions", ["model_version", "id"])
    for name, (table, _) in {**ONLINE, **SMALL}.items():
        op.drop_index(name, table)
