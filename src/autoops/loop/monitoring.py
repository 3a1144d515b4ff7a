"""Watching the champion: what the `drift_monitor` DAG and `autoops check-drift` run."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from autoops import bundle
from autoops.drift.monitor import DriftVerdict, Reference, judge
from autoops.drift.thresholds import Thresholds
from autoops.loop import policy
from autoops.loop.checks import JUDGED
from autoops.loop.pipeline import Pipeline
from autoops.loop.retraining import ACTION, reaches
from autoops.loop.windows import frame_of, labelled_frame_of, next_window, promoted_at
from autoops.registry import CHAMPION, ModelVersion
from autoops.scoring import fetch_bundle

ACTOR = "drift_monitor"
ASK_AGAIN_AFTER = timedelta(minutes=15)
"""A retraining that was asked for and not begun is asked for again after this long (wall time)."""


def check(pipeline: Pipeline) -> dict[str, Any]:
    """Judges the newest unjudged window of the champion's predictions, decides, and leaves a record of both.

    `actionable` lists the incidents for which a retraining should start now.
    """
    champion = pipeline.registry.by_alias(CHAMPION)
    if champion is None:
        reason = "no version is champion yet: nothing to watch"
        return {"check_id": None, "verdict": "no champion", "alarm": False, "reason": reason, "actionable": []}
    directory = fetch_bundle(pipeline.registry, champion, pipeline.model_cache)
    reference = Reference.read(directory)
    thresholds = Thresholds.from_json((directory / bundle.THRESHOLDS).read_text())
    size = max(pipeline.settings.drift.window_size, thresholds.window_size)
    window = next_window(pipeline, champion, size)
    current = frame_of(window.logged)
    verdict = judge(
        reference,
        thresholds,
        bundle.verify(directory, champion.bundle_digest),
        current,
        labelled_frame_of(window.labelled),
        pipeline.settings.drift,
    )
    judged = verdict.verdict in JUDGED
    report = _publish(pipeline, champion, reference, current, verdict) if judged else {}
    ends = window.ends(size if judged else None)
    check_id = _record(pipeline, champion, verdict, ends, report | {"source": window.source})
    return {
        "check_id": check_id,
        "verdict": verdict.verdict,
        "alarm": verdict.alarm,
        "reason": verdict.reason,
        "model_version": champion.number,
        "incident_id": _decide(pipeline, champion, verdict, check_id) if judged else None,
        "actionable": actionable(pipeline),
    }


def _publish(
    pipeline: Pipeline, champion: ModelVersion, reference: Reference, current: pd.DataFrame, verdict: DriftVerdict
) -> dict[str, Any]:
    """Writes the verdict and, for an alarm and once a day, the page; logs both to MLflow."""
    now = pipeline.clock.now()
    name = f"check-v{champion.number}-{now:%Y%m%dT%H%M%S}"
    directory = pipeline.reports / name
    directory.mkdir(parents=True, exist_ok=True)
    files: list[Path] = [directory / "verdict.json"]
    files[0].write_text(json.dumps(verdict.to_json(), indent=2))
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first_today = not pipeline.checks.latest(champion.number, since=today, judged=True)
    if len(current) and (verdict.alarm or first_today):
        from autoops.drift.page import write_page

        files.append(directory / "drift.html")
        write_page(files[-1], reference, current, verdict)
    metrics = {f"distance_{result.feature}": result.distance for result in verdict.features}
    metrics |= {f"{result.name.replace(' ', '_')}_distance": result.distance for result in verdict.detectors}
    tags = {"model_version": str(champion.number), "verdict": verdict.verdict, "reason": verdict.reason}
    run_id = pipeline.registry.log_check(name, metrics | {"alarm": float(verdict.alarm)}, tags, files)
    return {"mlflow_run_id": run_id, "files": [str(file) for file in files]}


def _record(
    pipeline: Pipeline,
    champion: ModelVersion,
    verdict: DriftVerdict,
    ends: tuple[str | None, int | None],
    report: dict[str, Any],
) -> int:
    check_id = pipeline.checks.append(
        model_version=champion.number,
        verdict=verdict.verdict,
        alarm=verdict.alarm,
        reason=verdict.reason,
        event_from=verdict.event_from,
        event_until=verdict.event_until,
        last_prediction_id=ends[0],
        last_label_id=ends[1],
        report=verdict.to_json() | report,
    )
    if verdict.verdict in JUDGED:
        reason = f"{verdict.verdict}: {verdict.reason}"
        evidence = {"check_id": check_id}
        pipeline.ledger.record("check", reason, actor=ACTOR, model_version=champion.number, evidence=evidence)
    return check_id


def _decide(pipeline: Pipeline, champion: ModelVersion, verdict: DriftVerdict, check_id: int) -> int | None:
    """Opens an incident where the policy says so; returns the one that is new or stands."""
    drift = pipeline.settings.drift
    since = promoted_at(champion)
    checks = pipeline.checks.latest(champion.number, since=since, judged=True, limit=drift.alarms_of)
    windows = [
        policy.JudgedWindow(c.alarm, c.event_from, c.event_until) for c in checks if c.event_from and c.event_until
    ]
    past = [incident for incident in pipeline.ledger.incidents() if incident.kind == "drift"]
    standing = next((incident.id for incident in past if incident.status != "closed"), None)
    decision = policy.decide(windows, standing, past[0].holds_from if past else None, drift)
    if decision.action == "open incident":
        return pipeline.ledger.open_incident(
            "drift",
            f"{verdict.reason} ({decision.reason})",
            actor=ACTOR,
            model_version=champion.number,
            holds_from=decision.holds_from,
            evidence_until=decision.evidence_until,
            evidence={"check_id": check_id, "verdict": verdict.to_json()},
        )
    if decision.action == "nothing":
        return None
    kind, version = f"policy: {decision.action}", champion.number
    pipeline.ledger.record(kind, decision.reason, actor=ACTOR, incident_id=standing, model_version=version)
    return standing if decision.action == "incident stands" else None


def actionable(pipeline: Pipeline) -> list[int]:
    """Unclaimed drift incidents whose evidence the published months contain; the others wait for data."""
    unclaimed = [
        incident
        for incident in pipeline.ledger.incidents(unresolved=True)
        if incident.kind == "drift" and pipeline.ledger.holder(incident.id, ACTION) is None
    ]
    published = pipeline.source.published() if unclaimed else []
    ready = []
    for incident in unclaimed:
        if not reaches(published, incident.evidence_until):
            newest = str(published[-1]) if published else "none"
            reason = f"evidence reaches {incident.evidence_until:%Y-%m-%d}, the newest published month is {newest}"
            pipeline.ledger.set_status(incident.id, "waiting_for_data", reason, actor=ACTOR)
            continue
        pipeline.ledger.set_status(incident.id, "open", "the month that it waited for is published", actor=ACTOR)
        if not _asked_lately(pipeline, incident.id):
            pipeline.ledger.record("retraining asked for", incident.reason, actor=ACTOR, incident_id=incident.id)
            ready.append(incident.id)
    return ready


def _asked_lately(pipeline: Pipeline, incident_id: int) -> bool:
    asked = pipeline.ledger.entries(incident_id=incident_id, kind="retraining asked for")
    return bool(asked) and asked[-1].at > pipeline.clock.now() - ASK_AGAIN_AFTER
