"""What a check returns, as it goes to Airflow, the command line and tests: plain JSON with a type."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from autoops.ingestion.quality import FindingRecord
from autoops.loop.decide.policy import Action


class WindowResult(TypedDict):
    """What a check found in one window and decided about it. `labels` says in words how far ground truth is behind;
    `findings` are there where the window is broken data; `incident_id` is the incident that is new or stands."""

    check_id: int | None
    verdict: str
    alarm: bool
    reason: str
    decision: Action
    because: str
    incident_id: NotRequired[int | None]
    model_version: NotRequired[int]
    labels: NotRequired[str | None]
    findings: NotRequired[Sequence[FindingRecord]]


class CheckResult(WindowResult):
    """The window that a reader should see first, and lists of everything: all `windows`, what was `quarantined`,
    incidents that are over by themselves (`recovered`) and incidents to retrain for now (`actionable`)."""

    windows: list[WindowResult]
    quarantined: list[WindowResult]
    recovered: list[int]
    actionable: list[int]
