"""Kinds of incidents and of ledger entries in the words of the field

Releases before this one do not know the new names.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_INCIDENTS = {"second look": "re-evaluation", "refresh": "scheduled"}
_ENTRIES = {"second look begun": "re-evaluation begun", "regret watch over": "post-promotion check over"}


def upgrade() -> None:
    for (old, new), (before, after) in zip(_INCIDENTS.items(), _ENTRIES.items(), strict=True):
        _rename("incidents", old, new)
        _rename("ledger", before, after)
    op.execute("UPDATE schema_compatibility SET readable_from = '0011'")


def downgrade() -> None:
    for (old, new), (before, after) in zip(_INCIDENTS.items(), _ENTRIES.items(), strict=True):
        _rename("incidents", new, old)
        _rename("ledger", after, before)
    op.execute("UPDATE schema_compatibility SET readable_from = '0010'")


def _rename(table: str, old: str, new: str) -> None:
    """Rename a kind; the key of an incident begins with its kind."""
    connection = op.get_bind()
    connection.execute(sa.text(f"UPDATE {table} SET kind = :new WHERE kind = :old"), {"old": old, "new": new})
    if table == "incidents":
        begins = "UPDATE incidents SET key = :new || substr(key, :after) WHERE key LIKE :begins"
        connection.execute(sa.text(begins), {"new": new, "after": len(old) + 1, "begins": f"{old} %"})
