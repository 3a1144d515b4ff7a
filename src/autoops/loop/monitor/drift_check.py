"""One check of the champion: what the `drift_monitor` DAG and `autoops check-drift` run.

fetch    `Monitored.windows`: what no check has judged yet
judge    `_judge`: is the window broken data; has it drifted; has the error grown
record   `_record`: a row in `checks`, a page in MLflow
decide   `_decide`: roll back, open an incident, or nothing; `decide/policy.py` has the rules
act      `actions.actionable`: incidents for which a retraining should start now
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from autoops import settings
from autoops.cadence import asked_of
from autoops.drift.detectable import summary
from autoops.drift.monitor import DriftVerdict, Reference, judge
from autoops.drift.thresholds import WEEK_DAYS, Thresholds
from autoops.ingestion.cleaned import Profiler, profiler_of
from autoops.ingestion.quality import Quality
from autoops.loop.context import Context
from autoops.loop.data import traffic_time
from autoops.loop.data.cursor import MATURED_UNTIL, Cursor
from autoops.loop.data.excluded_windows import consumed, page_once, verdict_of
from autoops.loop.data.label_coverage import ROWS, coverage_of
from autoops.loop.data.label_lag import LabelLag, lag_of
from autoops.loop.data.live_quality import quality_of
from autoops.loop.data.published_windows import published_windows
from autoops.loop.data.windows import Window, frame_of, labelled_frame_of, live_window
from autoops.loop.decide import policy
from autoops.loop.incidents.judged_windows import earlier_errors
from autoops.loop.incidents.response import Response, respond
from autoops.loop.monitor.actions import actionable
from autoops.loop.monitor.check_report import publish
from autoops.loop.monitor.recovery import withdraw
from autoops.loop.monitor.results import CheckResult, WindowResult
from autoops.loop.monitor.slice_analysis import analyse
from autoops.loop.monitor.window_errors import errors_of
from autoops.loop.promote import post_promotion
from autoops.loop.promote.no_champion import page_if_lost
from autoops.loop.promote.promotion import reconcile, roll_back
from autoops.loop.records.checks import ACTOR as ACTOR
from autoops.loop.records.checks import BROKEN, JUDGED
from autoops.models import bundle
from autoops.models.bundle_cache import fetch_bundle
from autoops.models.registry import CHAMPION, ModelVersion
from autoops.storage.predictions import LIVE
from autoops.telemetry import tracing
from autoops.usecase.contract import QualityRules


@dataclass(frozen=True)
class Monitored:
    """The champion with the reference and the thresholds that its predictions are compared with."""

    version: ModelVersion
    reference: Reference
    thresholds: Thresholds
    manifest: bundle.Manifest
    profile: Profiler
    rules: QualityRules

    @classmethod
    def fetch(cls, context: Context, version: ModelVersion) -> "Monitored":
        """Fetch the version's bundle, unless it is in the cache, and read reference and thresholds from it."""
        fetched = fetch_bundle(context.registry, version, context.model_cache)
        # By the installation's own declaration: no code that a bundle names is run.
        profile = profiler_of(context.contract)
        thresholds = Thresholds.from_json((fetched.directory / bundle.THRESHOLDS).read_text())
        reference, rules = Reference.read(fetched.directory, fetched.manifest), context.contract.quality
        return cls(version, reference, thresholds, fetched.manifest, profile, rules)

    def window_size(self, drift: settings.Drift) -> int:
        """Return how many rows a window needs."""
        return self.thresholds.rows_needed(drift.window_size)

    def windows(self, context: Context) -> Iterator[Window]:
        """Yield the windows not judged yet: the newest of live traffic, or all of published months."""
        drift = context.settings.drift
        size = self.window_size(drift)
        if drift.source == "months":
            watermark = self.reference.holdout["event_at"].max().to_pydatetime()
            yield from published_windows(context, self.version, watermark, size)
        else:
            yield live_window(context, self.version, size)


@dataclass(frozen=True)
class Judged:
    """A window with its verdict. `current` and `labelled` are its predictions and labels as frames of rows; `quality`
    has findings where the window is broken data."""

    window: Window
    current: pd.DataFrame
    labelled: pd.DataFrame
    verdict: DriftVerdict
    quality: Quality


@tracing.span("drift_monitor.check")
def check(context: Context) -> CheckResult:
    """Judge the champion's predictions that have not been judged, window by window; record and decide after each.

    A new incident ends the check: its retraining comes before further windows. So does another champion, such as the
    one that a rollback restores. The result is about a rollback, else about the last window that alarmed, else about a
    month of broken data, else about the last window.

    Two concurrent checks would count the same rows twice: the second waits for the first.

    Raises:
        Conflict: another check has been running for longer than `storage.lock_timeout_s`.
    """
    with context.ledger.advisory_lock("check"):
        return _check_under_lock(context)


def _check_under_lock(context: Context) -> CheckResult:
    # Before the champion is read: it may set the tag that says when the tenure begins.
    reconcile(context, ACTOR)
    champion = context.registry.by_alias(CHAMPION)
    if champion is None:
        return _no_champion(context)
    monitored = Monitored.fetch(context, champion)
    last_check = max((check.id for check in context.checks.latest()), default=0)
    checked: list[WindowResult] = []
    for window in monitored.windows(context):
        # The first window is judged in any case: a result is about at least one.
        if checked and context.registry.by_alias(CHAMPION) != champion:
            break
        checked.append(_check(context, monitored, window))
        if checked[-1]["decision"] in ("open incident", "roll back"):
            break
    months = _broken_months(context, champion, after=last_check)
    return {
        **_first_to_read(checked, months),
        "windows": checked,
        "quarantined": [*months, *(one for one in checked if one["verdict"] == BROKEN)],
        "recovered": withdraw(context, champion, ACTOR),
        "actionable": actionable(context),
    }


def _check(context: Context, monitored: Monitored, window: Window) -> WindowResult:
    """Judge one window, record the verdict and decide what to do about it."""
    judged = _judge(context, monitored, window)
    lag = lag_of(context, window)
    check_id = _record(context, monitored, judged, lag)
    decided = _decide(context, monitored, judged, check_id)
    verdict = judged.verdict
    result: WindowResult = {
        "check_id": check_id,
        "verdict": verdict.verdict,
        "alarm": verdict.alarm,
        "reason": decided.reason if decided.action == "roll back" else verdict.reason,
        "model_version": monitored.version.number,
        "labels": lag.told if lag else None,
        "decision": decided.action,
        "because": decided.reason,
        "incident_id": decided.incident_id,
    }
    if judged.quality.findings:
        result["findings"] = [finding.to_json() for finding in judged.quality.findings]
    return result


def _judge(context: Context, monitored: Monitored, window: Window) -> Judged:
    earlier = earlier_errors(context, monitored.version)
    judged = judge_window(monitored, window, context.settings.drift, earlier)
    if not window.days:
        return judged
    return replace(judged, verdict=replace(judged.verdict, reason=f"{window.days}: {judged.verdict.reason}"))


def judge_window(
    monitored: Monitored, window: Window, drift: settings.Drift, earlier_errors: Sequence[float]
) -> Judged:
    """Return the verdict on a window; of live traffic, whether it is broken data comes first.

    A published month was validated before it was scored. `earlier_errors` are the relative errors of the windows
    before, newest first.
    """
    contract = monitored.manifest.contract
    current, labelled = frame_of(contract, window.logged), labelled_frame_of(contract, window.labelled)
    if window.span is None:
        size = monitored.window_size(drift)
        quality = quality_of(monitored.reference, window, size, monitored.profile, monitored.rules)
        if quality.findings:
            return Judged(window, current, labelled, verdict_of(quality, window, size), quality)
    verdict = judge(
        monitored.reference, monitored.thresholds, monitored.manifest, current, labelled, drift, earlier_errors
    )
    return Judged(window, current, labelled, verdict, Quality())


def _record(context: Context, monitored: Monitored, judged: Judged, lag: LabelLag | None) -> int:
    """Write the check with all that explains it, and return its id; page once for broken data."""
    champion, window, verdict = monitored.version, judged.window, judged.verdict
    report: dict[str, object] = {**verdict.to_json()}
    if verdict.verdict in JUDGED:
        report |= publish(context, champion, monitored.reference, window, judged.current, verdict)
    report |= {traffic_time.KEY: traffic_time.of_window(context, window)}
    report |= consumed(judged.quality, window)
    if lag:
        report |= {"labels": lag.to_json()}
    rows = asked_of(ROWS, monitored.thresholds.rows_per_day, WEEK_DAYS)
    if window.span is None and (coverage := coverage_of(context, champion, rows)):
        report |= {"coverage": coverage.to_json()}
    manifest = monitored.manifest
    report |= {"detectable": summary(manifest.detectable, manifest.contract, context.settings.drift)}
    if verdict.relative_error is not None:
        report |= {"errors": errors_of(judged.labelled)}
    cursor = _cursor_after(window, verdict)
    if cursor.matured_until is not None:
        report |= {MATURED_UNTIL: cursor.matured_until.isoformat()}
    check_id = context.checks.append(
        model_version=champion.number,
        verdict=verdict.verdict,
        alarm=verdict.alarm,
        reason=verdict.reason,
        event_from=verdict.event_from,
        event_until=verdict.event_until,
        last_prediction_id=cursor.prediction_id,
        last_label_id=cursor.label_id,
        report=report | window.to_json(),
    )
    if verdict.verdict in JUDGED:
        reason, evidence = f"{verdict.verdict}: {verdict.reason}", {"check_id": check_id}
        context.ledger.record("check", reason, actor=ACTOR, model_version=champion.number, evidence=evidence)
    if judged.quality.findings:
        page_once(context, champion, check_id, ACTOR)
    return check_id


def _cursor_after(window: Window, verdict: DriftVerdict) -> Cursor:
    """Return the cursor after the window: a window that could not be judged is not consumed."""
    if verdict.verdict == BROKEN:
        return window.cursor_if_broken or window.next_cursor
    return window.next_cursor if verdict.verdict in JUDGED else window.cursor


def _decide(context: Context, monitored: Monitored, judged: Judged, check_id: int) -> Response:
    """Roll back a mistaken promotion, or respond to the verdict as the policy says."""
    champion, verdict = monitored.version, judged.verdict
    if not _is_champion(context, champion):
        return Response("nothing", None, f"version {champion.number} was replaced while it was judged")
    if verdict.verdict != BROKEN:
        mistake = _mistaken_promotion(context, monitored, judged.window)
        if mistake is not None:
            return Response("roll back", None, mistake)
    return respond(context, champion, verdict, check_id, lambda: analyse(monitored.reference, verdict, judged.labelled))


def _is_champion(context: Context, version: ModelVersion) -> bool:
    """Return whether the version is still champion.

    Judging takes seconds, in which a retraining may promote another version. The verdict on this one is then on record,
    but no reason to act.
    """
    champion = context.registry.by_alias(CHAMPION)
    return champion is not None and champion.number == version.number


def _mistaken_promotion(context: Context, monitored: Monitored, window: Window) -> str | None:
    """Roll back a champion that does worse than the version that it replaced, and return why; None otherwise."""
    champion = monitored.version
    watch = post_promotion.watch_of(context, champion)
    found = post_promotion.look(context, watch, window, monitored.thresholds) if watch else None
    if found is None:
        return None
    # Recorded first: `promotion._finish` reads it if the rollback breaks off.
    post_promotion.record(context, found, actor=ACTOR)
    if found.decision.action != "roll back":
        return None
    assert found.verdict is not None
    evidence = {"verdict": found.verdict.to_json(), "event_until": found.event_until.isoformat()}
    roll_back(context, reason=found.decision.reason, actor=ACTOR, expected=champion.number, evidence=evidence)
    return found.decision.reason


def _first_to_read(checked: Sequence[WindowResult], months: Sequence[WindowResult]) -> WindowResult:
    """Return a rollback, else the last alarm, else a broken month if nothing else was found, else the last window."""
    first = next((one for one in reversed(checked) if one["alarm"] or one["decision"] == "roll back"), checked[-1])
    return months[-1] if months and first["decision"] in ("nothing", "not enough data") else first


def _broken_months(context: Context, champion: ModelVersion, after: int) -> list[WindowResult]:
    """Return the months whose data this check found broken: checks with ids above `after`, oldest first."""
    checks = context.checks.latest(champion.number, verdicts=[BROKEN], limit=None)
    found: list[WindowResult] = []
    for check in reversed([check for check in checks if check.id > after and check.report["source"] != LIVE]):
        decision = policy.unjudged(check.verdict, check.reason)
        result: WindowResult = {
            "check_id": check.id,
            "verdict": check.verdict,
            "alarm": False,
            "reason": check.reason,
            "model_version": champion.number,
            "decision": decision.action,
            "because": decision.reason,
            "incident_id": None,
        }
        found.append(result)
    return found


def _no_champion(context: Context) -> CheckResult:
    """Return a result without a window, and page if the alias was deleted.

    The API goes on serving then, but no check monitors it, and no new process could begin to serve.
    """
    lost = page_if_lost(context, ACTOR)
    reason = lost or "no version is champion yet: nothing to watch"
    return {
        "check_id": None,
        "verdict": "no champion",
        "alarm": False,
        "reason": reason,
        "decision": "page" if lost else "nothing",
        "because": reason,
        "windows": [],
        "quarantined": [],
        "recovered": [],
        "actionable": [],
    }
