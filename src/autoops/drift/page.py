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

from autoops.drift.distances import method
from autoops.drift.monitor import Reference, thinned
from autoops.drift.thresholds import PREDICTION
from autoops.drift.verdict import DriftVerdict

_STYLE = "font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto 0;padding:0 1rem"


def write_page(path: Path, reference: Reference, current: pd.DataFrame, verdict: DriftVerdict) -> None:
    """Write the page of a check; `reference`, `current` and `verdict` are what `monitor.judge` took and returned.

    Where only labels were judged, the page has no distributions.
    """
    summary = _summary(verdict)
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
    metrics = [ValueDrift(column=name, method=method(name), threshold=limit) for name, limit in thresholds.items()]
    columns = list(thresholds)
    report = Report(metrics, include_tests=True)
    return report.run(_dataset(window, columns), _dataset(reference.matching(window), columns))


def _dataset(rows: pd.DataFrame, columns: list[str]) -> Dataset:
    """Return the rows with types that Evidently takes.

    It fails on nullable integers, and takes a column of few distinct numbers for categories.
    """
    categories = [name for name in columns if method(name) == "jensenshannon"]
    numbers = [name for name in columns if name not in categories]
    types = dict.fromkeys(numbers, "float64") | dict.fromkeys(categories, "int64")
    # By way of int64, so that a zone has the same text in both frames, whatever its type there.
    frame = rows[columns].astype(types).astype(dict.fromkeys(categories, "str"))
    return Dataset.from_pandas(
        frame, data_definition=DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    )


def _summary(verdict: DriftVerdict) -> str:
    spanned = ""
    if verdict.event_from and verdict.event_until:
        spanned = f", trips from {verdict.event_from:%Y-%m-%d %H:%M} to {verdict.event_until:%Y-%m-%d %H:%M} UTC"
    lines = [
        f"<li><b>{escape(result.name)}</b>: {'alarm' if result.alarm else 'no alarm'}; {escape(result.reason)}</li>"
        for result in verdict.detectors
    ]
    return (
        f'<section style="{_STYLE}"><h1>{escape(verdict.verdict.capitalize())}</h1><p>{escape(verdict.reason)}.</p>'
        f"<p>{verdict.rows} predictions and {verdict.labelled_rows} labels{spanned}. The reference is matched to the "
        f"hours of the week of these trips.</p><ul>{''.join(lines)}</ul></section>"
    )
