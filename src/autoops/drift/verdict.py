"""What a check finds, each result with its figures and its reason in plain words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict, cast

from autoops.drift.performance import FINDINGS as LOSS_FINDINGS

Judgement = Literal["drift", "no drift", "not enough data", "no new data", "broken data"]
DetectorName = Literal["data drift", "prediction drift", "loss"]


class FeatureRecord(TypedDict):
    """A `FeatureResult` as JSON."""

    feature: str
    method: str
    distance: float
    threshold: float
    drifted: bool
    importance: float


class DetectorRecord(TypedDict):
    """A `DetectorResult` as JSON; event times as ISO 8601."""

    name: DetectorName
    alarm: bool
    distance: float
    threshold: float
    rows: int
    reason: str
    findings: list[str]
    event_from: str | None
    event_until: str | None


class DriftRecord(TypedDict):
    """A `DriftVerdict` as JSON; event times as ISO 8601."""

    verdict: Judgement
    alarm: bool
    reason: str
    rows: int
    labelled_rows: int
    features: list[FeatureRecord]
    detectors: list[DetectorRecord]
    event_from: str | None
    event_until: str | None
    relative_error: float | None


@dataclass(frozen=True)
class FeatureResult:
    """One feature's distance from the reference. `importance` is the share of its group among the features that
    are watched; `drifted` means `distance >= threshold`."""

    feature: str
    method: str
    distance: float
    threshold: float
    drifted: bool
    importance: float


@dataclass(frozen=True)
class DetectorResult:
    """`distance` is, for data drift, the importance of the drifted features; for prediction drift, the Wasserstein
    distance in standard deviations; for loss, the worst of its deviations as a multiple of what is allowed.
    `findings` name what alarms: the same thing in several windows is what becomes an incident. `event_from` and
    `event_until` span the rows that this detector judged: labels are of older trips than predictions."""

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
    """`rows` and `labelled_rows` were judged, or, where they were too few, were there. Event times span the rows
    behind the alarms, or all that were judged. A detector without enough rows of its own is left out.
    `relative_error` is that of the labelled rows, if they were judged: the next window's verdict asks for it."""

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
        return findings_of(self.to_json())

    def detector(self, name: DetectorName) -> DetectorResult | None:
        return next((result for result in self.detectors if result.name == name), None)

    def to_json(self) -> DriftRecord:
        """Return what records keep of it."""
        content = asdict(self)
        for part in (content, *content["detectors"]):
            for name in ("event_from", "event_until"):
                part[name] = part[name].isoformat() if part[name] else None
        return cast(DriftRecord, content)


def findings_of(verdict: Mapping[str, Any]) -> frozenset[str]:
    """What alarmed, from a verdict as `to_json` writes it. An alarm that names no finding counts as its detector's,
    and one without detectors as one of its own kind."""
    alarmed = [detector for detector in verdict.get("detectors", ()) if detector["alarm"]]
    named = {name for detector in alarmed for name in detector.get("findings") or (detector["name"],)}
    return frozenset(named or ({"drift"} if verdict.get("alarm") else ()))


def judged_findings(verdict: Mapping[str, Any]) -> frozenset[str] | None:
    """Return every finding that the detectors of a verdict looked for, whether it alarmed or not; None where the
    verdict does not name its detectors. A detector of an older record may stand for its findings."""
    detectors = {detector["name"] for detector in verdict.get("detectors", ())}
    return frozenset(detectors | (set(LOSS_FINDINGS) if "loss" in detectors else set())) or None
