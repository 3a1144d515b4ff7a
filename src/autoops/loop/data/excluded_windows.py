"""Exclusion of broken live traffic: it counts as consumed, is never trained on, and pages a person once."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import NotRequired, TypedDict

from autoops.drift.verdict import DriftVerdict
from autoops.event_times import span_of, times_of
from autoops.ingestion.quality import FindingRecord, Quality
from autoops.loop.context import Context
from autoops.loop.data.cursor import promoted_at
from autoops.loop.data.windows import Window
from autoops.loop.decide import policy
from autoops.loop.records.checks import BROKEN, JUDGED, Check
from autoops.loop.records.ledger import PAGE
from autoops.models.registry import ModelVersion
from autoops.storage.predictions import LIVE


def verdict_of(quality: Quality, window: Window, size: int) -> DriftVerdict:
    """Return a verdict without an alarm on a window of broken data: the data is wrong, not the model.

    Predictions and labelled rows are counted only where there are at least `size` of them.
    """
    logged = window.logged if len(window.logged) >= size else []
    labels = window.with_any_label
    labelled = [row.logged for row in labels] if len(labels) >= size else []
    event_from, event_until = span_of(times_of([row.event_at for row in chain(logged, labelled)]))
    reason = f"live traffic: {'; '.join(finding.reason for finding in quality.findings)}"
    return DriftVerdict(
        BROKEN,
        alarm=False,
        reason=reason,
        rows=len(logged),
        labelled_rows=len(labelled),
        event_from=event_from,
        event_until=event_until,
    )


_FIRST = datetime.min.replace(tzinfo=UTC)


class IdRanges(TypedDict):
    """Ranges of ids, `[first, last]`, with `first` excluded and `last` included; None where there is no such id.

    `matured` is the range of event times of labelled rows, where labels mature.
    """

    predictions: list[str | None]
    labels: list[int | None]
    matured: NotRequired[list[str | None]]


class Consumed(TypedDict, total=False):
    """What the check's record keeps of a window of broken data: its findings and the id ranges of its rows."""

    findings: list[FindingRecord]
    broken: IdRanges


def consumed(quality: Quality, window: Window) -> Consumed:
    """Return the findings and the id ranges of the rows that they concern; empty without findings."""
    if not quality.findings:
        return {}
    before, after = window.cursor, window.cursor_if_broken or window.next_cursor
    broken: IdRanges = {
        "predictions": [before.prediction_id, after.prediction_id],
        "labels": [before.label_id, after.label_id],
    }
    if window.matured_until is not None:
        ends = (before.matured_until, after.matured_until)
        broken["matured"] = [at.isoformat() if at else None for at in ends]
    return {"findings": [finding.to_json() for finding in quality.findings], "broken": broken}


def page_once(context: Context, champion: ModelVersion, check_id: int, actor: str) -> None:
    """Page a person about the check just recorded, unless the window before it had all of the same findings."""
    # Checks that judged nothing do not count: one in between would bring a second page.
    check, *earlier = context.checks.latest(
        champion.number, since=promoted_at(champion), verdicts=(*JUDGED, BROKEN), limit=2
    )
    if earlier and _named(check) <= _named(earlier[0]):
        return
    reason = policy.unjudged(check.verdict, check.reason).reason
    evidence = {"check_id": check_id, "findings": check.report["findings"]}
    context.ledger.record(PAGE, reason, actor=actor, model_version=champion.number, evidence=evidence)


def _named(check: Check) -> set[tuple[str, str]]:
    """Return name and column of each finding of a check on live traffic; empty for any other check."""
    if check.verdict != BROKEN or check.report["source"] != LIVE:
        return set()
    return {(finding["name"], finding["column"]) for finding in check.report["findings"]}


@dataclass(frozen=True)
class BrokenRows:
    """Rows of a version's live log that are broken data, as ranges of prediction ids, of label ids, of event times.

    The first of a range is not part of it, the last is.
    """

    predictions: tuple[tuple[str, str], ...]
    labels: tuple[tuple[int, int], ...]
    matured: tuple[tuple[datetime, datetime], ...] = ()

    def contains(self, prediction_id: str, label_id: int, event_at: datetime) -> bool:
        """Return whether the prediction id, the label id or the event time lies in a range; any one is enough."""
        return (
            any(first < prediction_id <= last for first, last in self.predictions)
            or any(first < label_id <= last for first, last in self.labels)
            or any(first < event_at <= last for first, last in self.matured)
        )


def broken_rows(context: Context, model_version: int) -> BrokenRows:
    """Return the rows of the version's live log that must never be trained on."""
    checks = context.checks.latest(model_version, verdicts=[BROKEN], limit=None)
    found = [check.report["broken"] for check in checks if check.report["source"] == LIVE]
    # The first cursor of a tenure is None, which stands before all ids.
    predictions = [(first or "", last) for first, last in (each["predictions"] for each in found)]
    labels = [(first or 0, last) for first, last in (each["labels"] for each in found)]
    matured = [
        tuple(datetime.fromisoformat(at) if at else _FIRST for at in each["matured"])
        for each in found
        if each.get("matured", [None, None])[1]
    ]
    # Where a cursor did not move, there were too few rows of its kind, and none was judged.
    return BrokenRows(
        tuple((first, last) for first, last in predictions if last and first != last),
        tuple((first, last) for first, last in labels if last and first != last),
        tuple((first, last) for first, last in matured),
    )
