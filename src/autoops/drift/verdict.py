"""The result of a check: its parts, each with figures and a reason in plain words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from autoops.drift.performance import ABOVE, BELOW, EWMA_ABOVE, EWMA_BELOW
from autoops.drift.performance import FINDINGS as LOSS_FINDINGS

Judgement = Literal["drift", "no drift", "not enough data", "no new data", "broken data"]
DetectorName = Literal["data drift", "prediction drift", "loss"]


@dataclass(frozen=True)
class FeatureResult:
    """One feature's distance from the reference.

    `importance` is the share of its group among the features that are watched; `drifted` means `distance >= threshold`.
    """

    feature: str
    method: str
    distance: float
    threshold: float
    drifted: bool
    importance: float


@dataclass(frozen=True)
class DetectorResult:
    """One detector's result.

    `distance` is, for data drift, the importance of the drifted features; for prediction drift, the Wasserstein
    distance in standard deviations; for loss, the largest of its deviations as a multiple of what is allowed.
    `findings` are the alarm types: an incident takes the same type in several windows. `event_from` and `event_until`
    span the rows that this detector judged: labels are of older rows than predictions.
    """

    name: DetectorName
    alarm: bool
    distance: float
    threshold: float
    rows: int
    reason: str
    findings: tuple[str, ...] = ()
    event_from: datetime | None = None
    event_until: datetime | None = None


@dataclass(frozen=True)
class DriftVerdict:
    """The verdict on a window.

    `rows` and `labelled_rows` are the rows judged, or, where they were too few, the rows there were. Event times span
    the rows behind the alarms, or all that were judged. A detector without enough rows of its own is left out.
    `relative_error` is that of the labelled rows, if they were judged: the next window's verdict takes it as `earlier`.
    """

    verdict: Judgement
    alarm: bool
    reason: str
    rows: int
    labelled_rows: int
    features: tuple[FeatureResult, ...] = ()
    detectors: tuple[DetectorResult, ...] = ()
    event_from: datetime | None = None
    event_until: datetime | None = None
    relative_error: float | None = None

    @property
    def findings(self) -> frozenset[str]:
        """Return the alarm types."""
        # By way of JSON, so that one rule reads a verdict and its record.
        return findings_of(self.to_json())

    def detector(self, name: DetectorName) -> DetectorResult | None:
        """Return the result of the detector of this name; None where it judged nothing, as with too few rows."""
        return next((result for result in self.detectors if result.name == name), None)

    def to_json(self) -> Mapping[str, Any]:
        """Return the verdict as records keep it."""
        content = asdict(self)
        # asdict has copied the detectors, so that the verdict itself stays as it is.
        for part in (content, *content["detectors"]):
            for name in ("event_from", "event_until"):
                part[name] = part[name].isoformat() if part[name] else None
        return content


_RENAMED = {
    "trips take longer": ABOVE,
    "trips take less time": BELOW,
    "trips have taken longer lately": EWMA_ABOVE,
    "trips have taken less time lately": EWMA_BELOW,
}
"""Alarm types in records of earlier releases, by their present names."""


def findings_of(verdict: Mapping[str, Any]) -> frozenset[str]:
    """Return the alarm types of a verdict, given as `to_json` writes it.

    An alarm that names no alarm type counts by its detector's name, and one without detectors as "drift".
    """
    alarmed = [detector for detector in verdict.get("detectors", ()) if detector["alarm"]]
    named = {name for detector in alarmed for name in detector.get("findings") or (detector["name"],)}
    named = {_RENAMED.get(name, name) for name in named}
    return frozenset(named or ({"drift"} if verdict.get("alarm") else ()))


def judged_findings(verdict: Mapping[str, Any]) -> frozenset[str] | None:
    """Return all alarm types that the detectors of a verdict looked for; None where it does not name its detectors.

    Names of detectors are among them: a detector of an older record may stand for its alarm types.
    """
    detectors = {detector["name"] for detector in verdict.get("detectors", ())}
    return frozenset(detectors | (set(LOSS_FINDINGS) if "loss" in detectors else set())) or None
