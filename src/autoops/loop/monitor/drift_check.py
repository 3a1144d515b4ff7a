"""Watching the champion: what the `drift_monitor` DAG and `autoops check-drift` run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autoops import settings
from autoops.drift.monitor import DriftVerdict, Reference, judge
from autoops.drift.thresholds import Thresholds
from autoops.ingestion.quality import Quality
from autoops.loop.context import Context
from autoops.loop.data import traffic_time
from autoops.loop.data.excluded_windows import consumed, page_once, verdict_of
from autoops.loop.data.label_coverage import coverage_of
from autoops.loop.data.label_lag import lag_of
from autoops.loop.data.live_quality import quality_of
from autoops.loop.data.published_windows import published_windows
from autoops.loop.data.windows import Window, frame_of, labelled_frame_of, live_window
from autoops.loop.decide import policy
from autoops.loop.incidents.judged_windows import earlier_errors
from autoops.loop.incidents.response import respond
from autoops.loop.monitor.actions import actionable
from autoops.loop.monitor.check_report import publish
from autoops.loop.monitor.recovery import withdraw
from autoops.loop.monitor.slice_analysis import root_cause
from autoops.loop.monitor.window_errors import errors_of
from autoops.loop.promote import post_promotion
from autoops.loop.promote.no_champion import nothing_to_watch
from autoops.loop.promote.promotion import reconcile, roll_back
from autoops.loop.records.checks import ACTOR as ACTOR
from autoops.loop.records.checks import BROKEN, JUDGED
from autoops.models import bundle
from autoops.models.bundle_cache import fetch_bundle
from autoops.models.registry import CHAMPION, ModelVersion
from autoops.storage.predictions import LIVE
from autoops.telemetry import tracing


@dataclass(frozen=True)
class Watched:
    """The champion with what its predictions are held against."""

    version: ModelVersion
    reference: Reference
    thresholds: Thresholds
    manifest: bundle.Manifest

    @classmethod
    def fetch(cls, context: Context, version: ModelVersion) -> "Watched":
        fetched = fetch_bundle(context.registry, version, context.model_cache)
        thresholds = Thresholds.from_json((fetched.directory / bundle.THRESHOLDS).read_text())
        return cls(version, Reference.read(fetched.directory), thresholds, fetched.manifest)

    def window_size(self, drift: settings.Drift) -> int:
        """Rows that a window needs."""
        return max(drift.window_size, self.thresholds.window_size)

    def windows(self, context: Context) -> Iterator[Window]:
        """What has not been judged yet: the newest window of live traffic, or all windows of published months."""
        drift = context.settings.drift
        size = self.window_size(drift)
        if drift.source == "months":
            watermark = self.reference.holdout["pickup_at"].max().to_pydatetime()
            yield from published_windows(context, self.version, watermark, size)
        else:
            yield live_window(context, self.version, size)


@tracing.span("drift_monitor.check")
def check(context: Context) -> dict[str, Any]:
    """Judges what has not been judged of the champion's predictions, window by window, decides after each, and leaves
    a record of both. An incident ends it: its remedy comes before further windows. So does another champion, such as
    the one that a rollback restores.

    The result is about a rollback, otherwise about the last window that alarmed, otherwise about the last; `windows`
    has them all. `quarantined` lists what was found to be broken data, `recovered` the incidents that are over by
    themselves, `actionable` those for which a retraining should start now.

    Two checks at a time would count the same trips twice: the second waits for the first.
    """
    with context.ledger.advisory_lock("check"):
        return _check_under_lock(context)


def _check_under_lock(context: Context) -> dict[str, Any]:
    reconcile(context, ACTOR)
    champion = context.registry.by_alias(CHAMPION)
    if champion is None:
        return nothing_to_watch(context)
    watched = Watched.fetch(context, champion)
    checked: list[dict[str, Any]] = []
    after = _last_check(context)
    for window in watched.windows(context):
        if checked and context.registry.by_alias(CHAMPION) != champion:
            break
        checked.append(_check(context, watched, window))
        if checked[-1]["decision"] in ("open incident", "roll back"):
            break
    telling = next((one for one in reversed(checked) if one["alarm"] or one["decision"] == "roll back"), checked[-1])
    broken = _quarantined(context, champion, after)
    if broken and telling["decision"] in ("nothing", "not enough data"):
        telling = broken[-1]
    broken += [one for one in checked if one["verdict"] == BROKEN]
    over = withdraw(context, champion, ACTOR)
    lists = {"windows": checked, "quarantined": broken, "recovered": over, "actionable": actionable(context)}
    return telling | lists


def verdict_on(
    watched: Watched, window: Window, drift: settings.Drift, earlier: Sequence[float]
) -> tuple[DriftVerdict, Quality]:
    """What is to be said of a window; of live traffic, whether it is broken data comes first. A month's contents were
    judged before it was scored."""
    if window.span is None:
        size = watched.window_size(drift)
        quality = quality_of(watched.reference.window, window, size)
        if quality.findings:
            return verdict_of(quality, window, size), quality
    current, labelled = frame_of(window.logged), labelled_frame_of(window.labelled)
    verdict = judge(watched.reference, watched.thresholds, watched.manifest, current, labelled, drift, earlier)
    return verdict, Quality()


def _last_check(context: Context) -> int:
    return max((check.id for check in context.checks.latest()), default=0)


def _quarantined(context: Context, champion: ModelVersion, after: int) -> list[dict[str, Any]]:
    """Months whose data this check found broken."""
    checks = context.checks.latest(champion.number, verdicts=[BROKEN], limit=None)
    found = []
    for check in reversed([check for check in checks if check.id > after and check.report["source"] != LIVE]):
        decision = policy.unjudged(check.verdict, check.reason)
        about = {"check_id": check.id, "verdict": check.verdict, "alarm": False, "reason": check.reason}
        decided = {"decision": decision.action, "because": decision.reason, "incident_id": None}
        found.append(about | {"model_version": champion.number} | decided)
    return found


def _check(context: Context, watched: Watched, window: Window) -> dict[str, Any]:
    """Judges one window and records it."""
    current, labelled = frame_of(window.logged), labelled_frame_of(window.labelled)
    verdict, quality = verdict_on(watched, window, context.settings.drift, earlier_errors(context, watched.version))
    if window.days:
        verdict = replace(verdict, reason=f"{window.days}: {verdict.reason}")
    champion, judged = watched.version, verdict.verdict in JUDGED
    report = publish(context, champion, watched.reference, window, current, verdict) if judged else {}
    lag = lag_of(context, window)
    report |= {traffic_time.KEY: traffic_time.of_window(context, window)}
    report |= consumed(quality, window) | ({"labels": lag.to_json()} if lag else {})
    covered = coverage_of(context, champion) if window.span is None else None
    report |= {"coverage": covered.to_json()} if covered else {}
    report |= {"errors": errors_of(labelled)} if verdict.relative_error is not None else {}
    check_id = _record(context, champion, window, verdict, report)
    found = {
        "check_id": check_id,
        "verdict": verdict.verdict,
        "alarm": verdict.alarm,
        "reason": verdict.reason,
        "model_version": champion.number,
        "labels": lag.told if lag else None,
    }
    if quality.findings:
        page_once(context, champion, check_id, ACTOR)
        found |= {"findings": report["findings"]}
    if not _is_champion(context, champion):
        because = f"version {champion.number} was replaced while it was judged"
        return found | {"decision": "nothing", "because": because, "incident_id": None}
    mistaken = None if verdict.verdict == BROKEN else _post_promotion_check(context, champion, window)
    if mistaken is not None:
        return found | {"reason": mistaken, "decision": "roll back", "because": mistaken, "incident_id": None}
    response = respond(context, champion, verdict, check_id, lambda: root_cause(watched.reference, verdict, labelled))
    return found | {"decision": response.action, "because": response.reason, "incident_id": response.incident_id}


def _is_champion(context: Context, version: ModelVersion) -> bool:
    """Judging takes seconds, in which a retraining may promote another version: what was found of this one is on
    record, and no reason to act any more."""
    champion = context.registry.by_alias(CHAMPION)
    return champion is not None and champion.number == version.number


def _post_promotion_check(context: Context, champion: ModelVersion, window: Window) -> str | None:
    """Rolls back a champion that does worse than the version that it replaced, and says why."""
    watch = post_promotion.watch_of(context, champion)
    found = post_promotion.look(context, watch, window) if watch else None
    if found is None:
        return None
    post_promotion.record(context, found, actor=ACTOR)
    if found.decision.action != "roll back":
        return None
    assert found.verdict is not None
    evidence = {"verdict": found.verdict.to_json(), "event_until": found.event_until.isoformat()}
    roll_back(context, reason=found.decision.reason, actor=ACTOR, expected=champion.number, evidence=evidence)
    return found.decision.reason


def _record(
    context: Context, champion: ModelVersion, window: Window, verdict: DriftVerdict, report: dict[str, Any]
) -> int:
    judged = verdict.verdict in JUDGED
    broken = verdict.verdict == BROKEN
    cursor = (broken and window.cursor_if_broken) or (window.next_cursor if judged or broken else window.cursor)
    check_id = context.checks.append(
        model_version=champion.number,
        verdict=verdict.verdict,
        alarm=verdict.alarm,
        reason=verdict.reason,
        event_from=verdict.event_from,
        event_until=verdict.event_until,
        last_prediction_id=cursor.prediction_id,
        last_label_id=cursor.label_id,
        report=verdict.to_json() | report | window.to_json(),
    )
    if judged:
        reason = f"{verdict.verdict}: {verdict.reason}"
        evidence = {"check_id": check_id}
        context.ledger.record("check", reason, actor=ACTOR, model_version=champion.number, evidence=evidence)
    return check_id
