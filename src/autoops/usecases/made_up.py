"""What a demo without real months plays: a use case's own made-up stream, in which a change begins."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    later: int = 3
    broken: Callable[[Path], None] | None = None
