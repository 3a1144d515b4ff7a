"""Whose a request_id is: the API key that made a prediction, and room for its name before the id

A stored request_id of a client with a key is the key's name, the character 31, and the client's id.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_AS_SENT = {
    "postgresql": "split_part(request_id, chr(31), 2)",
    "sqlite": "substr(request_id, instr(request_id, char(31)) + 1)",
}
_HAS_KEY = {"postgresql": "position(chr(31) IN request_id) > 0", "sqlite": "instr(request_id, char(31)) > 0"}


def upgrade() -> None:
    op.add_column("predictions", sa.Column("key", sa.String(length=64), nullable=True))
    # SQLite enforces no length.
    if op.get_bind().dialect.name == "postgresql":
        for table in ("predictions", "ground_truth"):
            # 64 of the key's name, the separator, and 200 of the client's id.
            op.alter_column(table, "request_id", type_=sa.String(length=265))


def downgrade() -> None:
    """Give ids back as clients sent them, so that their labels find them. Of two keys' equal ids one stays as it is."""
    dialect = op.get_bind().dialect.name
    as_sent, has_key = _AS_SENT[dialect], _HAS_KEY[dialect]
    # Not where a row has the bare id already, because request_id is unique.
    op.execute(
        f"UPDATE predictions SET request_id = {as_sent} WHERE id IN "
        f"(SELECT min(id) FROM predictions WHERE {has_key} GROUP BY {as_sent}) "
        f"AND NOT EXISTS (SELECT 1 FROM predictions AS other WHERE other.request_id = {_of('predictions', as_sent)})"
    )
    # After the predictions: a label whose prediction keeps its key in the id keeps it as well.
    op.execute(
        f"UPDATE ground_truth SET request_id = {as_sent} WHERE {has_key} "
        "AND NOT EXISTS (SELECT 1 FROM predictions WHERE predictions.request_id = ground_truth.request_id)"
    )
    op.drop_column("predictions", "key")


def _of(table: str, expression: str) -> str:
    return expression.replace("request_id", f"{table}.request_id")
