"""What cleaning makes of a raw month."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from autoops.ingestion.profile import Profile
from autoops.months import Month
from autoops.usecase.contract import Contract
from autoops.usecase.functions import resolve


@dataclass(frozen=True)
class Cleaned:
    """`rows` has one row per row of the use case, sorted by `event_at`, with the features and the target.

    Kept and dropped rows sum to `rows_read`. `profile` is of all rows before cleaning.
    """

    rows: pd.DataFrame
    rows_read: int
    dropped: dict[str, int]
    profile: Profile


Cleaner = Callable[[Path, Month], Cleaned]
"""Cleans a raw file of a month."""
Profiler = Callable[[Any], Profile]
"""Profiles a frame of rows."""


def cleaner_of(contract: Contract) -> Cleaner:
    """Return the contract's own function for raw files, else the cleaning by its declaration."""
    if contract.clean is not None:
        return resolve(contract.clean, "clean")
    from autoops.ingestion import declared

    return partial(declared.clean, contract)


def profiler_of(contract: Contract) -> Profiler:
    """Return the contract's own function from a frame of rows to their profile, else that by its declaration."""
    if contract.profile is not None:
        return resolve(contract.profile, "profile")
    from autoops.ingestion import declared

    return partial(declared.profile_of, contract)
