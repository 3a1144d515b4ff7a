"""Metrics of the checks; those of judged windows cover the champion's tenure alone, not that of a replaced version."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from prometheus_client.metrics_core import Metric

from autoops.loop.metrics.samples import counters, gauge, gauges
from autoops.loop.records.checks import BROKEN, JUDGED, Check, CheckLog
from autoops.storage import tables
from autoops.storage.database import storage_errors

RECENT = 20
"""Judged checks that are searched for the newest results on features, errors and labels: labels arrive later than
predictions, and are then judged alone."""
VERDICTS = (*JUDGED, BROKEN, "not enough data", "no new data")

Report = Mapping[str, Any]


def check_figures(engine: sa.Engine, checks: CheckLog, since: datetime | None) -> Iterator[Metric]:
    """Yield the metrics; `since` is when the champion's tenure began."""
    yield counters("autoops_checks", "Windows checked, by verdict", "verdict", VERDICTS, _by_verdict(engine))
    last = checks.latest()
    judged = checks.latest(since=since, judged=True, limit=RECENT)
    yield gauge("autoops_check_timestamp_seconds", "When the last check ended", _seconds(last, "checked_at"))
    yield gauge(
        "autoops_judged_timestamp_seconds",
        "When a window was last judged, in the champion's tenure",
        _seconds(judged, "checked_at"),
    )
    alarm = float(judged[0].alarm) if judged else None
    yield gauge("autoops_check_alarm", "1: the last judged window alarmed", alarm)
    reports = [check.report for check in judged]
    yield from _drift(_newest(reports, "features") or ())
    yield from _detectors(reports)
    yield from _errors(_newest(reports, "errors"))
    strays = reports[0].get("strays") if reports else None
    yield gauge("autoops_stray_times", "Rows of the last judged window far from the time of the others", strays)
    yield from _coverage(last)
    # A check that judged nothing may have label figures, newer than those of judged windows.
    in_tenure = [check.report for check in last if since is None or check.checked_at >= since]
    yield from _labels(_newest([*in_tenure, *reports], "labels") or {})
    yield from _detectable(_newest([*in_tenure, *reports], "detectable") or {})


def _by_verdict(engine: sa.Engine) -> Mapping[str, float]:
    verdict = tables.checks.c.verdict
    query = sa.select(verdict, sa.func.count()).group_by(verdict)
    with storage_errors(), engine.connect() as connection:
        return dict(connection.execute(query).all())


def _seconds(checks: Sequence[Check], moment: str) -> float | None:
    return getattr(checks[0], moment).timestamp() if checks else None


def _newest(reports: Sequence[Report], part: str) -> Any:
    return next((report[part] for report in reports if report.get(part)), None)


def _drift(features: Sequence[Report]) -> Iterator[Metric]:
    distances = {one["feature"]: one["distance"] for one in features}
    thresholds = {one["feature"]: one["threshold"] for one in features}
    importances = {one["feature"]: one["importance"] for one in features}
    yield gauges("autoops_drift_distance", "Distance from the reference", "feature", distances)
    yield gauges("autoops_drift_threshold", "Distance from which on it has drifted", "feature", thresholds)
    yield gauges("autoops_drift_importance", "Share of the model's importance", "feature", importances)


def _detectors(reports: Sequence[Report]) -> Iterator[Metric]:
    """Yield the results of each detector in the newest window that it judged."""
    newest = {one["name"]: one for report in reversed(reports) for one in report.get("detectors", ())}
    distances = {name: one["distance"] for name, one in newest.items()}
    thresholds = {name: one["threshold"] for name, one in newest.items()}
    yield gauges("autoops_detector_distance", "What the detector measured", "detector", distances)
    yield gauges("autoops_detector_threshold", "From which on it alarms", "detector", thresholds)


def _errors(errors: Report | None) -> Iterator[Metric]:
    found = errors or {}
    for bound, name in (("mean", ""), ("low", "_low"), ("high", "_high")):
        values = {kind: found[kind][bound] for kind in ("signed", "absolute") if kind in found}
        text = f"Error of the last labelled window, {bound}"
        # The name is older than use cases; the figure has the unit of the target.
        yield gauges(f"autoops_error{name}_minutes", text, "kind", values)
    yield gauge("autoops_error_rows", "Labelled rows behind it", found.get("rows"))


def _coverage(last: Sequence[Check]) -> Iterator[Metric]:
    """Yield the coverage of the last check, whichever version was champion: labels depend on the clients."""
    found = (last[0].report.get("coverage") if last else None) or {}
    yield gauge(
        "autoops_label_coverage", "Labelled share of the predictions that labels are due for", found.get("share")
    )
    text = "What it was before; while labels are missing, before that"
    yield gauge("autoops_label_coverage_ordinary", text, found.get("ordinary"))
    missing = float(found.get("missing", False))
    yield gauge("autoops_labels_missing", "1: fewer than alerts.least_label_share of the ordinary share", missing)


def _detectable(found: Report) -> Iterator[Metric]:
    text = "Least lasting change of errors found within a week, by what it costs as a share of the loss"
    yield gauge("autoops_detectable_loss_share", text, found.get("share"))
    too_large = float(found.get("too_large", False))
    yield gauge("autoops_detects_too_little", "1: it is larger than drift.worth_noticing, or never found", too_large)


def _labels(labels: Report) -> Iterator[Metric]:
    yield gauge("autoops_label_delay_seconds", "Median from prediction to label", labels.get("delay_s"))
    yield gauge("autoops_label_behind_seconds", "Newest row less newest labelled row", labels.get("behind_s"))
    yield gauge("autoops_labelled_share", "Of the last window's predictions", labels.get("share"))
    yield gauge(
        "autoops_labels_outside_share",
        "Of the last window's labels, outside training's bounds",
        labels.get("outside"),
    )
