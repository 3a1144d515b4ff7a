"""A check as a page to look at: the verdict, above Evidently's view of the same rows.

Evidently gets the matched reference, our methods and our thresholds, so that the page never contradicts the verdict.
Importing this module takes seconds and 277 MB: only code that draws a page imports it.
"""

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

from autoops.drift.distances import method, values_of
from autoops.drift.monitor import Reference, thinned
from autoops.drift.verdict import DriftVerdict
from autoops.usecase.columns import PREDICTION
from autoops.usecase.contract import Contract

_STYLE = "font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto 0;padding:0 1rem"


def write_page(path: Path, reference: Reference, current: pd.DataFrame, verdict: DriftVerdict) -> None:
    """Write the page of a check; `reference`, `current` and `verdict` are what `monitor.judge` took and returned.

    Where only labels were judged, the page has no distributions.
    """
    summary = _summary(reference.contract, verdict)
    if verdict.features:
        page = compared(reference, current, verdict).get_html_str(as_iframe=False)
        page = page.replace("<body>", f"<body>{summary}", 1)
    else:
        page = f'<!doctype html><html lang="en"><meta charset="utf-8"><body>{summary}</body></html>'
    path.write_text(page, encoding="utf-8")


def compared(reference: Reference, current: pd.DataFrame, verdict: DriftVerdict) -> Any:
    """Return Evidently's snapshot of the columns that the verdict judged."""
    # `verdict.rows` is the size that was judged, so that these are the judged rows.
    window = thinned(current, verdict.rows)
    thresholds = {result.feature: result.threshold for result in verdict.features}
    prediction = verdict.detector("prediction drift")
    if prediction is not None:
        thresholds[PREDICTION] = prediction.threshold
    contract = reference.contract
    metrics = [
        ValueDrift(column=name, method=method(contract, name), threshold=limit) for name, limit in thresholds.items()
    ]
    columns = list(thresholds)
    report = Report(metrics, include_tests=True)
    return report.run(*(_dataset(contract, rows, columns) for rows in (window, reference.matching(window))))


def _dataset(contract: Contract, rows: pd.DataFrame, columns: list[str]) -> Dataset:
    """Return the rows with types that Evidently takes.

    It fails on nullable integers, and takes a column of few distinct numbers for categories.
    """
    categories = [name for name in columns if method(contract, name) == "jensenshannon"]
    numbers = [name for name in columns if name not in categories]
    rows = rows.assign(**{name: values_of(contract, name, rows) for name in columns if name not in rows})
    # A whole number has the same text in both frames, whatever its type there: floats where some are missing.
    texts = {
        name: [f"{value:g}" if isinstance(value, float) else str(value) for value in rows[name]] for name in categories
    }
    frame = rows[numbers].astype("float64").assign(**texts)[columns]
    return Dataset.from_pandas(
        frame, data_definition=DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    )


def _summary(contract: Contract, verdict: DriftVerdict) -> str:
    spanned, plural = "", escape(contract.plural)
    season = {"hour_of_week": "hours of the week", "day_of_week": "days of the week", "none": ""}[
        contract.drift.seasonality
    ]
    matched = f" The reference is matched to the {season} of these {plural}." if season else ""
    if verdict.event_from and verdict.event_until:
        begin, end = (f"{at:%Y-%m-%d %H:%M}" for at in (verdict.event_from, verdict.event_until))
        spanned = f", {plural} from {begin} to {end} UTC"
    lines = [
        f"<li><b>{escape(result.name)}</b>: {'alarm' if result.alarm else 'no alarm'}; {escape(result.reason)}</li>"
        for result in verdict.detectors
    ]
    return (
        f'<section style="{_STYLE}"><h1>{escape(verdict.verdict.capitalize())}</h1><p>{escape(verdict.reason)}.</p>'
        f"<p>{verdict.rows} predictions and {verdict.labelled_rows} labels{spanned}.{matched}</p>"
        f"<ul>{''.join(lines)}</ul></section>"
    )
