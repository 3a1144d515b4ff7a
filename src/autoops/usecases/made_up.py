"""A use case's own made-up stream: its scenarios, and what a demo without real months plays of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autoops.errors import InputError

MODULE, NAME = "demo", "MADE_UP"
"""Where the folder of a use case has it."""


@dataclass(frozen=True)
class MadeUp:
    """Months that `sample` writes, with a `scenario` of it from the fifth month on.

    `told` says in a sentence's second half what changes, and `truth` what follows each row later. `broken` makes broken
    data of a raw month; without it there are no further acts. `later` months are played.
    """

    sample: Callable[..., object]
    scenario: str
    told: str
    truth: str
    seed: int
    magnitude: float | None = None
    later: int = 3
    broken: Callable[[Path], None] | None = None


Magnitudes = Mapping[str, tuple[float, float, float]]
"""The default magnitude of each scenario, the least and the largest."""


def magnitude_of(scenarios: Magnitudes, scenario: str, magnitude: float | None) -> float:
    """Return the magnitude of a scenario's change, by default the scenario's own.

    Raises:
        InputError: there is no such scenario, or it cannot take this magnitude.
    """
    if scenario not in scenarios:
        raise InputError(f"scenario {scenario!r}: expected one of {', '.join(scenarios)}")
    default, low, high = scenarios[scenario]
    if magnitude is not None and not low <= magnitude <= high:
        raise InputError(f"scenario {scenario}: magnitude: expected {low:g} to {high:g}, got {magnitude:g}")
    return default if magnitude is None else magnitude
