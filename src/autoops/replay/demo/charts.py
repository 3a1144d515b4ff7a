"""The charts of the demo's page, over event time: each version's error, and each check's distances over thresholds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from autoops.loop.data.validation import QUARANTINED
from autoops.loop.records.checks import BROKEN, Check
from autoops.loop.records.ledger import Entry, Incident
from autoops.replay.tally import Tally
from autoops.usecase.contract import Contract
from autoops.usecase.tasks import MEASURES, loss_unit

VERSIONS = ("#2563eb", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d")
SERIES = ("#0f766e", "#b45309", "#4f46e5", "#be123c", "#64748b", "#0369a1", "#65a30d")
INK, GRID, ALARM = "#1f2937", "#e5e7eb", "#dc2626"
DAY = timedelta(days=1)
MIN_ROWS = 10
"""Fewest answers of a version in a day for which its error is drawn."""

LANES, LANE_HEIGHT = 5, 16
"""Lanes for the marks' labels, and the height of a lane in pixels."""


@dataclass(frozen=True)
class Mark:
    """An event, at the event time that the replay had reached."""

    event_at: datetime
    label: str
    color: str


def figure(tally: Tally, checks: Sequence[Check], marks: Sequence[Mark]) -> go.Figure:
    """Return three charts on one time axis, with the marks through all of them."""
    contract = tally.contract
    unit = f", {contract.target.unit}" if contract.loss == "absolute" and contract.target.unit else ""
    drawn = make_subplots(
        rows=3,
        shared_xaxes=True,
        vertical_spacing=0.09,
        row_heights=[0.44, 0.28, 0.28],
        subplot_titles=(
            f"{MEASURES[contract.loss]} by day{unit}",
            "Detectors: distance ÷ threshold, an alarm from 1 on",
            "Features: distance ÷ threshold, drifted from 1 on",
        ),
    )
    _draw_errors(drawn, tally)
    _draw_detectors(drawn, checks, contract)
    _draw_features(drawn, checks, contract)
    _draw_marks(drawn, marks, contract)
    _style(drawn)
    return drawn


def marks_of(
    tally: Tally, checks: Sequence[Check], incidents: Sequence[Incident], entries: Sequence[Entry]
) -> list[Mark]:
    """Return the marks in order of event time.

    They are the first alarm, the first broken data, incidents of drift, retrainings, gate verdicts on versions that
    were not promoted, promotions, rollbacks, quarantines and swaps.
    """
    happened: list[tuple[datetime, str, str]] = []
    for label, found in (("first alarm", "drift"), (BROKEN, BROKEN)):
        first = next((check for check in checks if check.verdict == found), None)
        happened += [(first.checked_at, label, ALARM)] if first else []
    happened += [(i.opened_at, f"incident {i.id}", ALARM) for i in incidents if i.kind == "drift"]
    happened += [(e.at, "retraining begins", INK) for e in entries if e.kind == "retraining begun"]
    happened += [(e.at, f"v{e.model_version} {e.evidence['decision']}", INK) for e in _kept_out(entries)]
    happened += [(e.at, f"v{e.model_version} promoted", "#059669") for e in entries if e.kind == "promoted"]
    happened += [(e.at, f"v{e.model_version} rolled back", ALARM) for e in entries if e.kind == "rolled back"]
    happened += [(e.at, f"{e.evidence['month']} {QUARANTINED}", ALARM) for e in entries if e.kind == QUARANTINED]
    # Whatever happened before the first answer has no event time.
    marks = [Mark(at, label, color) for wall, label, color in happened if (at := tally.event_time_at(wall)) is not None]
    swaps = sorted(tally.first_answers.items())[1:]
    marks += [Mark(first.event_at, f"v{version} answers", "#059669") for version, first in swaps]
    return sorted(marks, key=lambda mark: mark.event_at)


def _kept_out(entries: Sequence[Entry]) -> list[Entry]:
    """Return the gate's verdicts on versions that were not promoted."""
    promoted = {entry.model_version for entry in entries if entry.kind == "promoted"}
    return [entry for entry in entries if entry.kind == "gate" and entry.model_version not in promoted]


def _draw_errors(drawn: go.Figure, tally: Tally) -> None:
    days = [segment for segment in tally.by_span(DAY) if segment.rows >= MIN_ROWS]
    for position, version in enumerate(sorted({segment.model_version for segment in days})):
        mine = [segment for segment in days if segment.model_version == version]
        drawn.add_scatter(
            x=[_local(segment.event_at + DAY / 2, tally.contract) for segment in mine],
            y=[segment.mae for segment in mine],
            customdata=[segment.rows for segment in mine],
            hovertemplate=f"%{{y:.2f}}{loss_unit(tally.contract)} over %{{customdata}} {tally.contract.plural}",
            mode="lines+markers",
            name=f"version {version}",
            legend="legend",
            line={"color": VERSIONS[position % len(VERSIONS)], "width": 2.5},
            marker={"size": 6},
            row=1,
            col=1,
        )


def _draw_detectors(drawn: go.Figure, checks: Sequence[Check], contract: Contract) -> None:
    names = _names(found["name"] for check in checks for found in check.report.get("detectors", ()))
    for position, name in enumerate(names):
        _draw_ratios(drawn, 2, name, SERIES[position], checks, "detectors", "name", contract)


def _draw_features(drawn: go.Figure, checks: Sequence[Check], contract: Contract) -> None:
    names = _names(found["feature"] for check in checks for found in check.report.get("features", ()))
    for position, name in enumerate(names):
        _draw_ratios(drawn, 3, name, SERIES[position % len(SERIES)], checks, "features", "feature", contract)


def _draw_ratios(
    drawn: go.Figure, row: int, name: str, color: str, checks: Sequence[Check], kind: str, key: str, contract: Contract
) -> None:
    found = [
        (check.event_until, one)
        for check in checks
        for one in check.report.get(kind, ())
        if one[key] == name and check.event_until is not None
    ]
    drawn.add_scatter(
        x=[_local(at, contract) for at, _ in found],
        y=[one["distance"] / one["threshold"] if one["threshold"] else 0.0 for _, one in found],
        customdata=[[one["distance"], one["threshold"]] for _, one in found],
        hovertemplate="%{customdata[0]:.3g}, threshold %{customdata[1]:.3g}",
        mode="lines+markers",
        name=name.replace("_", " "),
        legend=f"legend{row}",
        line={"color": color, "width": 1.5},
        marker={"size": 8},
        row=row,
        col=1,
    )


def _draw_marks(drawn: go.Figure, marks: Sequence[Mark], contract: Contract) -> None:
    """Draw the marks; their labels stand above the first chart, neighbours on different lanes."""
    for position, mark in enumerate(marks):
        at = _local(mark.event_at, contract)
        for row in (1, 2, 3):
            drawn.add_vline(x=at, line={"color": mark.color, "width": 1, "dash": "dot"}, row=row, col=1)
        drawn.add_annotation(
            x=at,
            y=1.0,
            yref="y domain",
            yshift=12 + LANE_HEIGHT * (LANES - 1 - position % LANES),
            text=mark.label,
            showarrow=False,
            xanchor="left",
            xshift=-3,
            font={"color": mark.color, "size": 12},
        )


def _style(drawn: go.Figure) -> None:
    drawn.update_layout(
        height=1000,
        margin={"l": 60, "r": 190, "t": 60 + LANES * LANE_HEIGHT, "b": 40},
        plot_bgcolor="white",
        paper_bgcolor="white",
        hovermode="x unified",
        showlegend=True,
        font={"family": "system-ui, sans-serif", "color": INK, "size": 13},
        legend={"x": 1.01, "y": 1.0, "title": {"text": "answered by"}},
        legend2={"x": 1.01, "y": 0.51},
        legend3={"x": 1.01, "y": 0.22},
    )
    drawn.update_xaxes(gridcolor=GRID, linecolor=GRID, showticklabels=True)
    drawn.update_yaxes(gridcolor=GRID, rangemode="tozero", zeroline=False)
    for row in (2, 3):
        drawn.add_hline(y=1, line={"color": ALARM, "width": 1.5}, row=row, col=1)
    # The titles that make_subplots added come first, then the labels of the marks.
    for title in drawn.layout.annotations[:3]:
        title.update(x=0, xanchor="left", font={"size": 15, "color": INK})
    drawn.layout.annotations[0].update(yshift=10 + LANES * LANE_HEIGHT)


def _names(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))


def _local(moment: datetime, contract: Contract) -> datetime:
    """Return the time on the wall clock of the event time."""
    return moment.astimezone(contract.zone).replace(tzinfo=None)
