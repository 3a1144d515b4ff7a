"""What a parser made of foreign bytes. Whatever it raises that it must not is the test's failure."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def attempt(parse: Callable[[], T], *allowed: type[Exception]) -> tuple[T, None] | tuple[None, Exception]:
    """What it gives, or the refusal."""
    try:
        return parse(), None
    except allowed as refusal:
        return None, refusal
