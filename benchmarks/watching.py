"""Checks of a year of traffic as `drift_monitor` makes them: of the newest rows that no window has judged."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from autoops.drift.calibration import thresholds_from
from autoops.drift.monitor import judge
from autoops.drift.thresholds import Thresholds
from autoops.loop.decide.policy import JudgedWindow, decide
from autoops.loop.incidents.judged_windows import MOST_ERRORS
from autoops.settings import Drift
from benchmarks.city_days import BEGINS, Version
from tests.taxi import CONTRACT


def windows_of(year: pd.DataFrame, drift: Drift, hour: float = 0.0) -> Iterator[pd.DataFrame]:
    """The last `window_size` rows before each check, where so many are new; the first check comes at `hour`."""
    at = (year["event_at"].dt.tz_localize(None).to_numpy() - BEGINS) / np.timedelta64(1, "s")
    checks = np.arange(at[0] + hour * 3_600, at[-1] + drift.check_interval_s, drift.check_interval_s)
    used = 0
    for stop in map(int, np.searchsorted(at, checks)):
        if stop - used >= drift.window_size:
            yield year.iloc[stop - drift.window_size : stop]
            used = stop


class Watch:
    """One version under watch with one setting. An incident is closed before the next window, the model as it was."""

    def __init__(self, version: Version, drift: Drift, thresholds: Thresholds) -> None:
        self.version, self.drift, self.thresholds = version, drift, thresholds
        self.windows: list[JudgedWindow] = []
        self.errors: list[float] = []
        self.opened: list[tuple[datetime, str]] = []

    @classmethod
    def with_each(cls, version: Version, drifts: Sequence[Drift]) -> list["Watch"]:
        """Several settings that have the windows in common."""
        history = version.history(drifts[0])
        return [cls(version, drift, thresholds_from(history, drift, CONTRACT)) for drift in drifts]

    def again(self) -> "Watch":
        """From the start."""
        return Watch(self.version, self.drift, self.thresholds)

    def see(self, window: pd.DataFrame) -> tuple[bool, str]:
        """Whether the window alarms, and what is decided."""
        watched = self.version.reference, self.thresholds, self.version.manifest
        verdict = judge(*watched, window, window, self.drift, self.errors)
        assert verdict.relative_error is not None
        self.errors = [verdict.relative_error, *self.errors][:MOST_ERRORS]
        return verdict.alarm, self.note(window, verdict.findings)

    def note(self, window: pd.DataFrame, findings: frozenset[str]) -> str:
        """What is decided about a window of which these are the findings."""
        judged = JudgedWindow(findings, window["event_at"].iloc[0], window["event_at"].iloc[-1])
        self.windows = [judged, *self.windows][: self.drift.alarms_of]
        decision = decide(self.windows, None, self.opened[-1][0] if self.opened else None, self.drift)
        if decision.action == "open incident":
            assert decision.evidence_start
            self.opened.append((decision.evidence_start, decision.reason.partition(" for ")[2].partition(",")[0]))
        return decision.action


def see_all(watches: Sequence[Watch], window: pd.DataFrame) -> list[bool]:
    """What `see` finds, of watches that differ in nothing but their rates, the highest first: where that one's limits
    are kept, so are the wider ones of the others."""
    loosest, *others = watches
    alarms = [loosest.see(window)[0]]
    for watch in others:
        if alarms[0]:
            alarms.append(watch.see(window)[0])
        else:
            watch.errors = loosest.errors
            watch.note(window, frozenset())
            alarms.append(False)
    return alarms
