"""The log of any use case: raw values as JSON in place of four typed columns

`raw_inputs` has converted a large log before, beside running traffic; here the result is put in its place. Releases
before cannot use this schema.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from autoops.errors import SettingsError
from autoops.storage import raw_inputs
from autoops.usecase import declaration

revision = "0010"
down_revision = "0009"

_KINDS: dict[str, sa.types.TypeEngine[Any]] = dict(
    zip(raw_inputs.TYPED, (sa.Float(), sa.SmallInteger(), sa.SmallInteger(), sa.SmallInteger()), strict=True)
)


def upgrade() -> None:
    raw_inputs.place(op.get_bind())
    op.execute("UPDATE schema_compatibility SET readable_from = '0010'")


def downgrade() -> None:
    """Give each row its typed columns back.

    Raises:
        SettingsError: the log is of another use case, which has no such values.
    """
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    length = "json_array_length(inputs)" if sqlite else "jsonb_array_length(inputs)"
    taxi = declaration.load(declaration.DEFAULT).inputs_id
    foreign = f"{length} <> {len(raw_inputs.TYPED)} OR contract <> '{taxi}'"
    others = connection.exec_driver_sql(f"SELECT count(*) FROM predictions WHERE {foreign}").scalar_one()
    if others:
        raise SettingsError(f"--to: {others} predictions are of another use case, which the release before cannot keep")
    for name, kind in _KINDS.items():
        op.add_column("predictions", sa.Column(name, kind, nullable=False, server_default="0"))
    for position, (name, kind) in enumerate(_KINDS.items()):
        value = f"json_extract(inputs, '$[{position}]')" if sqlite else f"(inputs ->> {position})::{kind.compile()}"
        op.execute(f"UPDATE predictions SET {name} = {value}")
    for name in ("inputs", "contract"):
        op.drop_column("predictions", name)
    op.execute(f"ALTER TABLE ground_truth RENAME COLUMN target TO {raw_inputs.OLD_TARGET}")
    op.execute("UPDATE schema_compatibility SET readable_from = '0005'")
