"""Artifacts of a check: its verdict and, for some checks, an HTML page; both in MLflow too."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from autoops.drift.monitor import DriftVerdict, Reference
from autoops.drift.verdict import findings_of
from autoops.loop.context import Context
from autoops.loop.data.windows import Window
from autoops.models.registry import ModelVersion


class Published(TypedDict):
    """Artifacts of a check: its run in MLflow, and files on this machine."""

    mlflow_run_id: str
    files: list[str]


def publish(
    context: Context,
    champion: ModelVersion,
    reference: Reference,
    window: Window,
    current: pd.DataFrame,
    verdict: DriftVerdict,
) -> Published:
    """Write the verdict and, where `wants_page` says so, the page; log both to MLflow.

    `current` are the window's predictions as a frame of rows with `prediction`.
    """
    name = _name(context, champion, window)
    directory = context.reports / name
    directory.mkdir(parents=True, exist_ok=True)
    files: list[Path] = [directory / "verdict.json"]
    files[0].write_text(json.dumps(verdict.to_json(), indent=2))
    if context.draws_pages and len(current) and wants_page(verdict, _judged_today(context, champion)):
        # Imported only where a page is drawn: it takes seconds and 277 MB.
        from autoops.drift.page import write_page

        files.append(directory / "drift.html")
        write_page(files[-1], reference, current, verdict)
    metrics = {f"distance_{result.feature}": result.distance for result in verdict.features}
    metrics |= {f"{result.name.replace(' ', '_')}_distance": result.distance for result in verdict.detectors}
    tags = {"model_version": str(champion.number), "verdict": verdict.verdict, "reason": verdict.reason}
    run_id = context.registry.log_check(name, metrics | {"alarm": float(verdict.alarm)}, tags, files)
    return {"mlflow_run_id": run_id, "files": [str(file) for file in files]}


def _name(context: Context, champion: ModelVersion, window: Window) -> str:
    """Return a name with the days of the window: several windows may be judged within a second."""
    name = f"check-v{champion.number}-{context.clock.now():%Y%m%dT%H%M%S}"
    return name if window.days is None else f"{name}-{window.days.replace(' ', '-')}"


def _judged_today(context: Context, champion: ModelVersion) -> list[Mapping[str, Any]]:
    today = context.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return [check.report for check in context.checks.latest(champion.number, since=today, judged=True, limit=None)]


def wants_page(verdict: DriftVerdict, judged_today: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a window is the first of the day, or alarms for what none of `judged_today` alarmed for.

    A page has 3.7 MB, and an incident that waits months for its data alarms at each check.
    """
    known = frozenset(name for report in judged_today for name in findings_of(report))
    return not judged_today or (verdict.alarm and not verdict.findings <= known)
