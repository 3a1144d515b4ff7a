"""The taxi's demo: all traffic becomes a quarter slower, and in a further act distances come in kilometres."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from autoops.usecases.made_up import MadeUp
from autoops.usecases.taxi.sample import sample

KILOMETRES = 1.609344
"""Kilometres per mile."""


def to_kilometres(path: Path) -> None:
    """Rewrite a raw month's distances in kilometres, as a device sends them whose unit was changed."""
    table = pq.read_table(path)
    place, miles = table.schema.get_field_index("trip_distance"), table["trip_distance"]
    kilometres = pc.round(pc.multiply(miles, pa.scalar(KILOMETRES)), ndigits=2)
    pq.write_table(table.set_column(place, table.schema.field(place), kilometres), path, compression="zstd")


# Single windows of steady traffic alarm now and then, which opens no incident unless it persists. With this seed every
# window of the steady month stays within its limits.
MADE_UP = MadeUp(
    sample=sample,
    scenario="speed",
    told="everybody drives a quarter slower",
    truth="what they really took",
    seed=42,
    broken=to_kilometres,
)
