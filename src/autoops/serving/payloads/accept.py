"""The media type of a response, by the client's Accept header."""

import math
from collections.abc import Sequence


def preferred(header: str, offered: Sequence[str]) -> str | None:
    """Return the media type in `offered` that the header prefers, the first of equals; None if it accepts none."""
    if not header.strip():
        return offered[0]
    wanted = [_weight(header, kind) for kind in offered]
    best = max(wanted)
    return offered[wanted.index(best)] if best > 0 else None


def _weight(header: str, kind: str) -> float:
    """Return the quality of a media type, by the most specific range that covers it."""
    weights = {}
    for part in header.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        weights[media_range] = _quality(parameters)
    for media_range in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            # `float` takes "nan", for which `max` depends on the order.
            return 0.0 if math.isnan(quality) else min(max(quality, 0.0), 1.0)
    return 1.0
