"""What cleaning makes of a raw month."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd

from autoops.ingestion.profile import Profile
from autoops.months import Month
from autoops.usecase.contract import Bounds, Contract
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


_WITH_BOUNDS = 3
"""Parameters of a function that takes bounds of the target."""

Cleaner = Callable[[Path, Month], Cleaned]
"""Cleans a raw file of a month."""
Profiler = Callable[[Any], Profile]
"""Profiles a frame of rows."""


def cleaner_of(contract: Contract, accepted: Bounds | None = None) -> Cleaner:
    """Return the contract's own function for raw files, else the cleaning by its declaration.

    It keeps rows whose target is within `accepted`, by default the bounds of training. A function of one's own that
    takes no bounds after the month keeps what it keeps.
    """
    if contract.clean is not None:
        clean = resolve(contract.clean, "clean")
    else:
        from autoops.ingestion import declared

        clean = partial(declared.clean, contract)
    if accepted is None or len(signature(clean).parameters) < _WITH_BOUNDS:
        return clean
    return lambda path, month: clean(path, month, accepted)


def profiler_of(contract: Contract) -> Profiler:
    """Return the contract's own function from a frame of rows to their profile, else that by its declaration."""
    if contract.profile is not None:
        return resolve(contract.profile, "profile")
    from autoops.ingestion import declared

    return partial(declared.profile_of, contract)
