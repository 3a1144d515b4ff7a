"""The drift check: a pure function from reference, thresholds and a window to a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops import settings
from autoops.drift.distances import compare, evenly, matched, method, seasons
from autoops.drift.performance import judge_errors
from autoops.drift.thresholds import DATA_DRIFT, PREDICTION_DRIFT, Limits, Thresholds, span_days
from autoops.drift.verdict import DetectorResult, DriftVerdict, FeatureResult
from autoops.event_times import span_of
from autoops.models import bundle
from autoops.usecase.columns import EVENT_AT, PREDICTION, TARGET, columns_of
from autoops.usecase.contract import Contract

__all__ = ["DetectorResult", "DriftVerdict", "FeatureResult", "Reference", "judge"]


@dataclass(frozen=True)
class Reference:
    """A version's own rows with prediction and target, and the contract under which it was trained.

    `window` is a sample of what the model was fitted on, `holdout` what it never saw.
    """

    window: pd.DataFrame
    holdout: pd.DataFrame
    contract: Contract

    @classmethod
    def read(cls, directory: Path, manifest: bundle.Manifest) -> "Reference":
        """Read the reference from a bundle's directory."""
        rows, contract = pd.read_parquet(directory / bundle.REFERENCE), manifest.contract
        if manifest.schema_version == bundle.WITHOUT_CONTRACT:
            rows = rows.rename(columns={contract.event_time.column: EVENT_AT, contract.target.column: TARGET})
        return cls(rows[rows["part"] == "window"], rows[rows["part"] == "holdout"], contract)

    def matching(self, window: pd.DataFrame) -> pd.DataFrame:
        """Return fitted rows with the window's mix of seasons."""
        return self.window.iloc[matched(self.contract, self._seasons, seasons(self.contract, columns_of(window)))]

    @cached_property
    def _seasons(self) -> npt.NDArray[np.int64]:
        return seasons(self.contract, columns_of(self.window))

    def distances(self, window: pd.DataFrame, columns: Sequence[str]) -> dict[str, float]:
        """Return the distance between the window and the matching rows, by column."""
        return compare(self.contract, self.matching(window), window, columns)


def judge(
    reference: Reference,
    thresholds: Thresholds,
    manifest: bundle.Manifest,
    current: pd.DataFrame,
    labelled: pd.DataFrame,
    drift: settings.Drift,
    earlier: Sequence[float] = (),
) -> DriftVerdict:
    """Judge the predictions in `current` and the errors of `labelled`; each alone where the other has too few rows.

    Both are frames of rows with their predictions; `labelled` has the target, too. Of more rows
    than the thresholds' window size, as many as that are judged, spread evenly over event time. `earlier` are the
    `relative_error`s of the verdicts in this champion tenure so far, newest first: their EWMA shows changes that are
    too small for any single window.
    """
    needed = thresholds.rows_needed(drift.window_size)
    too_little = _too_little(current, labelled, needed, thresholds)
    if too_little is not None:
        return too_little
    features: tuple[FeatureResult, ...] = ()
    judged: list[tuple[DetectorResult, pd.DataFrame]] = []
    relative_error = None
    if len(current) >= needed:
        # A window of more rows varies less than its limits assume, so it is cut to their size.
        window = thinned(current, thresholds.window_size)
        limits = thresholds.for_span(span_days(window["event_at"]))
        distances = reference.distances(window, (*manifest.contract.watched(manifest.features), PREDICTION))
        features = _feature_results(distances, limits, manifest)
        judged.append(_spanning(_data_drift(features, len(window), drift, manifest.contract), window))
        judged.append(_spanning(_prediction_drift(distances[PREDICTION], limits, len(window)), window))
    if len(labelled) >= needed:
        window = thinned(labelled, thresholds.window_size)
        found, relative_error = _loss(
            window, thresholds.for_span(span_days(window["event_at"])), earlier, manifest.contract
        )
        judged.append(_spanning(found, window))
    verdict = _verdict(features, judged, current, labelled, thresholds, manifest.contract)
    return replace(verdict, relative_error=relative_error)


def _spanning(found: DetectorResult, window: pd.DataFrame) -> tuple[DetectorResult, pd.DataFrame]:
    """Return the result with the event times that its window spans, and the window."""
    event_from, event_until = span_of(columns_of(window)["event_at"])
    return replace(found, event_from=event_from, event_until=event_until), window


def thinned(rows: pd.DataFrame, size: int) -> pd.DataFrame:
    """Return the rows in event order; where there are more than `size`, that many, spread evenly."""
    ordered = rows.sort_values("event_at", kind="stable")
    return ordered if len(ordered) <= size else ordered.iloc[evenly(len(ordered), size)]


def _too_little(
    current: pd.DataFrame, labelled: pd.DataFrame, needed: int, thresholds: Thresholds
) -> DriftVerdict | None:
    rows, labelled_rows = len(current), len(labelled)
    if rows == labelled_rows == 0:
        return DriftVerdict("no new data", False, "no prediction and no label since the last check", 0, 0)
    if max(rows, labelled_rows) < needed:
        reason = f"{rows} new predictions and {labelled_rows} new labels: a window has {needed}"
        return DriftVerdict("not enough data", False, reason, rows, labelled_rows)
    if not thresholds.limits:
        reason = "this version's history is too short to say what is ordinary: retrain it on more months"
        return DriftVerdict("not enough data", False, reason, rows, labelled_rows)
    return None


def _feature_results(
    distances: Mapping[str, float], limits: Limits, manifest: bundle.Manifest
) -> tuple[FeatureResult, ...]:
    contract, importances = manifest.contract, manifest.importances
    # Calendar features are never judged, so they must not dilute the shares of the others.
    total = sum(share for group, share in importances.items() if not contract.is_calendar(group))
    return tuple(
        FeatureResult(
            feature=name,
            method=method(contract, name),
            distance=found,
            threshold=limits.distances[name],
            drifted=found >= limits.distances[name],
            importance=importances.get(contract.group_of(name), 0.0) / total if total > 0 else 0.0,
        )
        for name, found in distances.items()
        if name != PREDICTION
    )


def _data_drift(
    features: tuple[FeatureResult, ...], rows: int, drift: settings.Drift, contract: Contract
) -> DetectorResult:
    drifted = [result for result in features if result.drifted]
    # By group: each member carries the importance of its group, which counts once.
    share = sum({contract.group_of(result.feature): result.importance for result in drifted}.values())
    names = ", ".join(result.feature for result in drifted)
    reason = f"{names} drifted: {share:.0%} of the model's importance" if drifted else "no feature drifted"
    # Where `drift.threshold` is 0, a share of 0 would reach it.
    alarm = bool(drifted) and share >= drift.threshold
    return DetectorResult(DATA_DRIFT, alarm, share, drift.threshold, rows, reason, (DATA_DRIFT,) if alarm else ())


def _prediction_drift(found: float, limits: Limits, rows: int) -> DetectorResult:
    threshold = limits.distances[PREDICTION]
    reason = f"predictions are {found:.3f} standard deviations from the reference; ordinary windows stay below " + (
        f"{threshold:.3f}"
    )
    findings = (PREDICTION_DRIFT,) if found >= threshold else ()
    return DetectorResult(PREDICTION_DRIFT, bool(findings), found, threshold, rows, reason, findings)


def _loss(
    window: pd.DataFrame, limits: Limits, earlier: Sequence[float], contract: Contract
) -> tuple[DetectorResult, float]:
    """Return the loss detector's result, and the window's relative error."""
    truth, predicted = (window[name].to_numpy(dtype=np.float64) for name in (TARGET, PREDICTION))
    loss = judge_errors(contract, truth, predicted, limits.errors, earlier)
    alarm = bool(loss.findings)
    result = DetectorResult("loss", alarm, loss.excess, 1.0, len(window), loss.reason, loss.findings)
    return result, loss.relative


def _verdict(
    features: tuple[FeatureResult, ...],
    judged: list[tuple[DetectorResult, pd.DataFrame]],
    current: pd.DataFrame,
    labelled: pd.DataFrame,
    thresholds: Thresholds,
    contract: Contract,
) -> DriftVerdict:
    detectors = tuple(result for result, _ in judged)
    alarms = [(result, window) for result, window in judged if result.alarm]
    named = {result.name for result in detectors}
    reasons = [f"{result.name}: {result.reason}" for result, _ in alarms or judged]
    if "loss" not in named:
        reasons.append(f"loss not judged: {len(labelled)} new labels")
    elif "data drift" not in named:
        reasons.append(f"data and prediction drift not judged: {len(current)} new predictions")
    windows = [window for _, window in alarms or judged]
    shortest, size = thresholds.limits[0].span_days, thresholds.window_size
    # So short a window has no limits of its own: it gets those of longer ones, which vary less.
    if alarms and min(span_days(window["event_at"]) for window in windows) < shortest / 2:
        reasons.append(
            f"these {contract.plural} follow more densely than any of the {shortest * 24:.1f} hours calibrated on"
        )
    spans = [(result.event_from, result.event_until) for result, _ in alarms or judged]
    return DriftVerdict(
        verdict="drift" if alarms else "no drift",
        alarm=bool(alarms),
        reason="; ".join(reasons),
        rows=min(len(current), size),
        labelled_rows=min(len(labelled), size),
        features=features,
        detectors=detectors,
        event_from=min(begin for begin, _ in spans if begin),
        event_until=max(end for _, end in spans if end),
    )
