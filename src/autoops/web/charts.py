"""Charts as inline SVG. Colours are classes of console.css: the page's policy allows no style attribute."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from math import ceil, floor, log10
from typing import Any

from markupsafe import Markup, escape

from autoops.web.line import Line, Mark

COLOURS = 6
"""Classes v0, v1, ... of console.css, one for a version."""

LEFT, RIGHT, TOP, BOTTOM = 44, 20, 12, 26
LANE, LANES, LETTER = 15, 5, 7
"""Pixels between the labels of marks, how many lie above each other at most, and the width of a letter."""

Scale = Callable[[float], float]


def line_chart(line: Line, width: int, height: int) -> Markup:
    """Return the loss over time; `width` and `height` are in pixels at the size in which it is drawn."""
    moments = [point.at for point in line.points] + [mark.at for mark in line.marks]
    first, last = min(moments), max(moments)
    x = _scale(first.timestamp(), last.timestamp(), LEFT, width - RIGHT)
    lanes = _lanes(line.marks, x, width)
    top = TOP + LANE * (max((lane for lane in lanes if lane is not None), default=-1) + 1)
    highest = max([point.loss for point in line.points] + list(line.ordinary.values())) * 1.08 or 1.0
    y = _scale(0, highest, height - BOTTOM, top)
    body = [
        *_versions(line, x, y, band=True),
        *_axes(first, last, highest, x, y, width, height),
        *_marks(line.marks, lanes, x, top, height, width),
        *_versions(line, x, y, band=False),
    ]
    label = f"Mean absolute error{line.unit} from {first:%Y-%m-%d} to {last:%Y-%m-%d}; the table below has the figures"
    return _svg(width, height, label, body)


def ratio_of(found: Mapping[str, Any]) -> float:
    """Return the distance of a detector or a feature as a multiple of its threshold."""
    return float(found["distance"] / found["threshold"] if found["threshold"] else found["distance"] > 0)


def bar_chart(ratio: float, most: float, alarm: bool, label: str) -> Markup:
    """Return a bar of `ratio` against a line at 1, on an axis that reaches `most`, but no further than 4."""
    width, full = 200, min(max(most, 1.5), 4)
    x = _scale(0, full, 0, width)
    body = [
        f'<rect class="track" width="{width}" height="10" y="3" rx="2"/>',
        f'<rect class="{"alarm" if alarm else "calm"}" width="{x(min(ratio, full)):.1f}" height="10" y="3" rx="2"/>',
        f'<line class="limit" x1="{x(1):.1f}" x2="{x(1):.1f}" y1="0" y2="16"/>',
    ]
    return _svg(width, 16, label, body, stretched=True)


def number_line(difference: float, low: float, high: float, width: int, margin: float | None = None) -> Markup:
    """Return an interval of a difference in loss against 0, with the margin that a segment may be worse by."""
    ends = [low, high, 0.0, *([margin] if margin is not None else [])]
    reach = 0.1 * (max(ends) - min(ends)) or 1.0
    x = _scale(min(ends) - reach, max(ends) + reach, 4, width - 4)
    kind = "better" if high < 0 else "worse" if low > 0 else "open"
    body = [f'<line class="axis" x1="0" x2="{width}" y1="14" y2="14"/>', _upright("zero", x(0), 2, 26)]
    body += [
        f'<line class="interval {kind}" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="14" y2="14"/>',
        f'<circle class="{kind}" cx="{x(difference):.1f}" cy="14" r="5"/>',
    ]
    if margin is not None:
        body.append(_upright("margin", x(margin), 4, 24))
    label = f"difference {difference:+.3f}, between {low:+.3f} and {high:+.3f}; below 0 the new version is better"
    return _svg(width, 28, label, body)


def colour_of(version: int) -> str:
    """Return the class of a version's colour."""
    return f"v{version % COLOURS}"


def _versions(line: Line, x: Scale, y: Scale, band: bool) -> Iterator[str]:
    """Yield the band or the points of each stretch of days of one version."""
    for version, stretch in groupby(line.points, key=lambda point: point.version):
        points = list(stretch)
        places = [(x(point.at.timestamp()), y(point.loss)) for point in points]
        limit = line.ordinary.get(version)
        if band and limit is not None:
            left, length = places[0][0] - 3, places[-1][0] - places[0][0] + 6
            up, high = y(limit), y(0) - y(limit)
            yield f'<rect class="band" x="{left:.1f}" width="{length:.1f}" y="{up:.1f}" height="{high:.1f}"/>'
        if band:
            continue
        path = " ".join(f"{left:.1f},{up:.1f}" for left, up in places)
        yield f'<polyline class="series {colour_of(version)}" points="{path}"/>'
        for point, (left, up) in zip(points, places, strict=True):
            told = f"version {version}, {point.at:%Y-%m-%d %H:%M}: {point.loss:.2f}{line.unit}, {point.rows} rows"
            alarmed, kind = (", alarmed", " alarmed") if point.alarm else ("", "")
            yield f'<circle class="{colour_of(version)}{kind}" cx="{left:.1f}" cy="{up:.1f}" r="3.5">'
            yield f"<title>{escape(told)}{alarmed}</title></circle>"


def _axes(
    first: datetime, last: datetime, highest: float, x: Scale, y: Scale, width: int, height: int
) -> Iterator[str]:
    power = 10.0 ** floor(log10(highest / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= highest / 4 * 0.999)
    for count in range(ceil(highest / step)):
        up, told = y(count * step), f"{count * step:.{max(0, -floor(log10(step)))}f}"
        yield f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{up:.1f}" y2="{up:.1f}"/>'
        yield _text(LEFT - 6, up + 4, told, "end")
    several = max(2, min(6, width // 140)) if first < last else 1
    form = "%-d %b %H:%M" if last - first < timedelta(days=3) else "%-d %b %Y"
    for count in range(several):
        at = first + (last - first) * count / max(several - 1, 1)
        anchor = "middle" if several == 1 or 0 < count < several - 1 else "start" if count == 0 else "end"
        yield _text(x(at.timestamp()), height - 8, at.strftime(form), anchor)


def _lanes(marks: Sequence[Mark], x: Scale, width: int) -> list[int | None]:
    """Return the lane of each mark's label, so that none covers another; None where there is no room for it."""
    ends, lanes = [0.0] * LANES, list[int | None]()
    for mark in marks:
        left = _label_left(mark, x, width)
        lane = next((lane for lane, end in enumerate(ends) if end <= left), None)
        lanes.append(lane)
        if lane is not None:
            ends[lane] = left + LETTER * len(mark.label) + 8
    return lanes


def _marks(
    marks: Sequence[Mark], lanes: Sequence[int | None], x: Scale, top: int, height: int, width: int
) -> Iterator[str]:
    for mark, lane in zip(marks, lanes, strict=True):
        kind, up = f"mark {mark.kind.replace(' ', '-')}", top if lane is None else TOP + LANE * lane
        told = f"<title>{escape(mark.label)}, {mark.at:%Y-%m-%d %H:%M}</title>"
        yield _upright(kind, x(mark.at.timestamp()), up, height - BOTTOM, told)
        if lane is not None:
            yield _text(_label_left(mark, x, width), up + 4, mark.label, "start", kind)


def _label_left(mark: Mark, x: Scale, width: int) -> float:
    return min(x(mark.at.timestamp()) + 3, width - LETTER * len(mark.label) - 5)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _upright(kind: str, x: float, up: float, down: float, body: str = "") -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{up:.1f}" y2="{down:.1f}">{body}</line>'


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    """Return a function from values to pixels; a single value is in the middle."""
    if high == low:
        return lambda _value: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _svg(width: int, height: int, label: str, body: Sequence[str], stretched: bool = False) -> Markup:
    shape = ' preserveAspectRatio="none"' if stretched else ""
    head = f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}"{shape}>'
    return Markup(f"{head}{''.join(body)}</svg>")


DRAWN: Mapping[str, Any] = {each.__name__: each for each in (line_chart, bar_chart, number_line, colour_of, ratio_of)}
"""What the templates draw with."""
