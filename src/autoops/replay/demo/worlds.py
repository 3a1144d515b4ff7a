"""The months of a demo: made up, with a change that calls for a retraining, or real, with whatever they bring."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from autoops.errors import InputError
from autoops.ingestion.source import DirectorySource, Source, file_name
from autoops.ingestion.sources import open_source
from autoops.months import Month, month_range
from autoops.replay.demo import scenarios
from autoops.replay.demo.scenarios import Scenario
from autoops.replay.demo.summary import SAMPLE
from autoops.settings import Data
from autoops.usecases.taxi.sample import write_sample

FIRST_MONTHS = 3
MADE_UP_MONTHS = tuple(month_range(Month(2023, 1), Month(2023, 6)))
CHANGES_FROM = Month(2023, 5)
"""Three months to train on, a steady one, and two in which all traffic is a quarter slower."""

BAD_PROMOTION, BROKEN = Month(2023, 7), Month(2023, 8)
"""The months of the further scenarios; traffic stays slow."""

KILOMETRES = 1.609344
"""Kilometres per mile."""

SEED = 42
"""Seed of ordinary traffic.

Single windows of steady traffic alarm now and then, which opens no incident unless it persists. With this seed every
window of the steady month stays within its limits.
"""


@dataclass(frozen=True)
class World:
    """The months of a demo.

    The `first` are published at the start. The `later` ones are replayed, with those of the `acts` last.
    """

    name: str
    source: Source
    first: Sequence[Month]
    later: Sequence[Month]
    acts: Sequence[Scenario] = ()


def made_up(directory: Path, trips_per_month: int, choice: scenarios.Choice = "core") -> World:
    """Write the months into `directory`, the same ones each time, and return them as a world."""
    first = MADE_UP_MONTHS[:FIRST_MONTHS]
    further = (scenarios.bad_promotion(BAD_PROMOTION, first), scenarios.broken_data(BROKEN)) if choice == "all" else ()
    months = (*MADE_UP_MONTHS, *(scenario.month for scenario in further))
    write_sample(
        directory, months, trips_per_month=trips_per_month, seed=SEED, scenario="speed", changes_from=CHANGES_FROM
    )
    if BROKEN in months:
        _to_kilometres(directory / file_name(BROKEN))
    return World(SAMPLE, DirectorySource(directory), first, months[FIRST_MONTHS:], further)


def _to_kilometres(path: Path) -> None:
    """Rewrite a raw month's distances in kilometres, as a device sends them whose unit was changed."""
    table = pq.read_table(path)
    place, miles = table.schema.get_field_index("trip_distance"), table["trip_distance"]
    kilometres = pc.round(pc.multiply(miles, pa.scalar(KILOMETRES)), ndigits=2)
    pq.write_table(table.set_column(place, table.schema.field(place), kilometres), path, compression="zstd")


def real(source: str, months: Sequence[Month]) -> World:
    """Return the months of a directory or URL as a world; each is fetched only when it is needed.

    Raises:
        InputError: there are too few months, or they do not follow one another.
        NotPublished: a month is not there.
        SourceUnavailable: the source does not answer.
    """
    check_months(months)
    opened = open_source(Data(source=source))
    # Asked for in advance: a missing month ends the demo before any service is started.
    for month in months:
        opened.metadata(month)
    return World(source, opened, months[:FIRST_MONTHS], months[FIRST_MONTHS:])


def check_months(months: Sequence[Month]) -> None:
    """Require enough months without a gap, over which event time would jump.

    Raises:
        InputError: there are too few, or they do not follow one another.
    """
    if len(months) <= FIRST_MONTHS:
        raise InputError(f"demo: needs at least {FIRST_MONTHS + 1} months, {FIRST_MONTHS} of them to train on")
    if list(months) != list(month_range(months[0], months[-1])):
        raise InputError(f"demo: months must follow one another, got {', '.join(map(str, months))}")
