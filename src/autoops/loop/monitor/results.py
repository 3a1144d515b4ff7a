"""The results of a check, for Airflow, the command line and tests: plain JSON with a type."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from autoops.ingestion.quality import FindingRecord
from autoops.loop.decide.policy import Action


class WindowResult(TypedDict):
    """The verdict and the decision on one window.

    `labels` describes how far ground truth is behind; `findings` are present where the window is broken data;
    `incident_id` is the incident that is new or open.
    """

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
    """The window that a reader should see first, and lists of everything.

    These are all `windows`, the windows and months of broken data (`quarantined`), the incidents that are over without
    an action (`recovered`), and the incidents to retrain for now (`actionable`).
    """

    windows: list[WindowResult]
    quarantined: list[WindowResult]
    recovered: list[int]
    actionable: list[int]
