"""What a check finds, each result with its figures and its reason in plain words."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

Judgement = Literal["drift", "no drift", "not enough data", "no new data"]
DetectorName = Literal["data drift", "prediction drift", "loss"]


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
    distance in standard deviations; for loss, the worse of two deviations as a multiple of what is allowed."""

    name: DetectorName
    alarm: bool
    distance: float
    threshold: float
    rows: int
    reason: str


@dataclass(frozen=True)
class DriftVerdict:
    """`rows` and `labelled_rows` were judged, or, where they were too few, were there. Event times span the rows
    behind the alarms, or all that were judged. A detector without enough rows of its own is left out."""

    verdict: Judgement
    alarm: bool
    reason: str
    rows: int
    labelled_rows: int
    features: tuple[FeatureResult, ...] = ()
    detectors: tuple[DetectorResult, ...] = ()
    event_from: datetime | None = None
    event_until: datetime | None = None

    def detector(self, name: DetectorName) -> DetectorResult | None:
        return next((result for result in self.detectors if result.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """JSON-able; event times as ISO 8601."""
        moments = {"event_from": self.event_from, "event_until": self.event_until}
        return asdict(self) | {name: at.isoformat() if at else None for name, at in moments.items()}
