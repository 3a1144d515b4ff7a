"""The months of a demo: made up, with a change that calls for a retraining, or real, with whatever they bring."""

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from autoops.errors import InputError
from autoops.ingestion.source import Source
from autoops.ingestion.sources import open_source
from autoops.months import Month, month_range
from autoops.replay.demo import scenarios
from autoops.replay.demo.scenarios import Scenario
from autoops.replay.demo.summary import SAMPLE
from autoops.settings import Data
from autoops.usecase import declaration
from autoops.usecase.contract import Contract
from autoops.usecases.made_up import MODULE, NAME, MadeUp

FIRST_MONTHS = 3
BEGINS, CHANGES_FROM = Month(2023, 1), Month(2023, 5)
"""Three months to train on, a steady one, and those in which something has changed."""

BAD_PROMOTION, BROKEN = Month(2023, 7), Month(2023, 8)
"""The months of the further scenarios; the change stays."""


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
    made_up: MadeUp | None = None


def declared(usecase: str) -> MadeUp:
    """Return what a demo of a built-in use case makes up.

    Raises:
        InputError: it is not built in, or brings nothing of the kind.
    """
    module = f"autoops.usecases.{usecase}.{MODULE}"
    if usecase not in declaration.built_in() or importlib.util.find_spec(module) is None:
        raise InputError(
            f"demo: nothing is made up for the use case {usecase}; name real months by --source and --months"
        )
    found: MadeUp = getattr(importlib.import_module(module), NAME)
    return found


def label_lag(contract: Contract) -> timedelta:
    """Return how long after its row a label is sent."""
    return contract.target.matures_after or timedelta(days=1)


def made_up(
    directory: Path, rows_per_month: int, usecase: str = declaration.DEFAULT, choice: scenarios.Choice = "core"
) -> World:
    """Write the months into `directory`, the same ones each time, and return them as a world.

    Raises:
        InputError: nothing is made up for the use case, or no further acts.
    """
    made, contract = declared(usecase), declaration.load(usecase)
    months = list(month_range(BEGINS, BEGINS.plus(FIRST_MONTHS + made.later - 1)))
    first, further = months[:FIRST_MONTHS], _further(made, usecase, months) if choice == "all" else ()
    months += [scenario.month for scenario in further]
    world = {"seed": made.seed, "scenario": made.scenario, "changes_from": CHANGES_FROM, "magnitude": made.magnitude}
    made.sample(directory, months, rows_per_month=rows_per_month, **world)
    if made.broken is not None and further:
        made.broken(directory / contract.source.file_name(str(BROKEN)))
    source = open_source(Data(source=str(directory)), contract)
    return World(SAMPLE, source, first, months[FIRST_MONTHS:], further, made)


def _further(made: MadeUp, usecase: str, months: Sequence[Month]) -> Sequence[Scenario]:
    if made.broken is None:
        raise InputError(f"demo: the use case {usecase} has no further acts; leave --acts out")
    return scenarios.bad_promotion(BAD_PROMOTION, months[:FIRST_MONTHS]), scenarios.broken_data(BROKEN)


def real(source: str, months: Sequence[Month], contract: Contract) -> World:
    """Return the months of a directory or URL as a world; each is fetched only when it is needed.

    Raises:
        InputError: there are too few months, or they do not follow one another.
        NotPublished: a month is not there.
        SourceUnavailable: the source does not answer.
    """
    check_months(months)
    opened = open_source(Data(source=source), contract)
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
