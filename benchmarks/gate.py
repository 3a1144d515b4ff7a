"""How often the gate errs, and whether it rejects good models: `scripts/bench.sh gate`.

First on simulated weeks with day effects, whose truth is known; then, where AUTOOPS_TLC_DIR names a folder of them, on
the real months of 2022-01 to 2023-06: models of consecutive three-month windows, compared as the loop compares them, on
the last seven days of the challenger's newest month, and followed through the month after.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.ingestion.source import file_name
from autoops.loop.decide.day_blocks import Rows
from autoops.loop.decide.gate import GateVerdict, decide
from autoops.months import Month, month_range
from autoops.settings import Gate, Model, Training
from autoops.training import estimator
from autoops.training.evaluate import holdout_begins_at
from autoops.training.window import hold_out
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.encoding import Encoder
from autoops.usecases.taxi.clean import clean
from tests.taxi import CONTRACT, local_hours, segments_of

Array = npt.NDArray[np.float64]

HOURS = {"hours 22 to 6": 0.12, "hours 6 to 10": 0.16, "hours 10 to 16": 0.35, "hours 16 to 22": 0.37}
MILES = {"under 2 miles": 0.47, "2 to 5 miles": 0.36, "5 miles and more": 0.17}
MAE = {"under 2 miles": 1.7, "2 to 5 miles": 3.3, "5 miles and more": 6.0}
UNREPORTED = {"no passenger count": 0.1}
"""Shares of trips, and minutes, as on the real months."""

ROW_SD = 0.27
"""Of the paired difference of two retrained forests on one row, as a share of the error there (real months)."""


@dataclass(frozen=True)
class Weeks:
    """Simulated stretches of `days`. Two models differ by the same on every row of a day (`day_sd`) and of a day's
    segment (`segment_sd`), as shares of the error; the medians of the real months are 0.015 and 0.01."""

    days: int
    rows_a_day: int = 2_000
    day_sd: float = 0.015
    segment_sd: float = 0.01

    def verdict(self, seed: int, effect: float = 0.0, hurt: str | None = None, by: float = 0.0) -> GateVerdict:
        """Of a challenger that truly differs by the share `effect` of the error everywhere, and by `by` in `hurt`."""
        champion, challenger, days, segments = self.errors(seed, effect, hurt, by)
        return decide(champion, challenger, days, Gate(), segments=segments)

    def errors(
        self, seed: int, effect: float = 0.0, hurt: str | None = None, by: float = 0.0
    ) -> tuple[Array, Array, npt.NDArray[np.int64], dict[str, Rows]]:
        """Of champion and challenger, with each row's day and the segments."""
        rng = np.random.default_rng(seed)
        days = np.repeat(np.arange(self.days), rng.poisson(self.rows_a_day * np.exp(rng.normal(0, 0.15, self.days))))
        families = [_bands(rng, family, len(days)) for family in (HOURS, MILES, UNREPORTED)]
        segments = {name: rows for family in families for name, rows in family.items()}
        level = np.sum([MAE[name] * rows for name, rows in families[1].items()], axis=0)
        share = effect + rng.normal(0, self.day_sd, self.days)[days] + rng.normal(0, ROW_SD, len(days))
        for rows in segments.values():
            share[rows] += rng.normal(0, self.segment_sd, self.days)[days[rows]]
        if hurt is not None:
            share[segments[hurt]] += by - effect
        champion = rng.gamma(1.2, level / 1.2)
        return champion, champion + level * share, days, segments


def _bands(rng: np.random.Generator, shares: Mapping[str, float], rows: int) -> dict[str, Rows]:
    drawn = rng.choice(len(shares) + 1, rows, p=[*shares.values(), max(0.0, 1 - sum(shares.values()))])
    return {name: drawn == place for place, name in enumerate(shares)}


def worse_segments(verdict: GateVerdict) -> set[str]:
    """Names of the segments that are worse."""
    return {segment.name for segment in verdict.segments if segment.decision == "worse"}


@dataclass(frozen=True)
class Compared:
    """Absolute errors of two models on the same trips."""

    champion: Array
    challenger: Array
    trips: pd.DataFrame

    def verdict(self, gate: Gate | None = None) -> GateVerdict:
        gate, trips = gate or Gate(), columns_of(self.trips)
        days = local_hours(trips["event_at"]) // 24
        return decide(self.champion, self.challenger, days, gate, segments=segments_of(trips, gate.segments))

    def swapped(self, seed: int) -> "Compared":
        """On days drawn by lot champion and challenger change places: neither is better, and days differ as they do."""
        days = local_hours(columns_of(self.trips)["event_at"]) // 24
        _, block = np.unique(days, return_inverse=True)
        lot = np.random.default_rng(seed).random(int(block.max()) + 1)[block] < 0.5
        pair = (self.champion, self.challenger)
        return replace(self, champion=np.where(lot, *pair), challenger=np.where(lot, *pair[::-1]))

    def hurt(self, segment: str, by: float) -> "Compared":
        """The challenger worse by the share `by` of the champion's error in one segment, and there as good before."""
        rows = segments_of(columns_of(self.trips), Gate().segments)[segment]
        shift = by * self.champion[rows].mean() - (self.challenger - self.champion)[rows].mean()
        challenger = self.challenger.copy()
        challenger[rows] += shift
        return replace(self, challenger=challenger)


@dataclass(frozen=True)
class Succession:
    """A challenger, `gap` months younger than its champion, at its gate and in the month after."""

    month: Month
    gap: int
    at_gate: Compared
    after: Compared


def successions(directory: Path, gaps: tuple[int, ...], model: Model) -> Iterator[Succession]:
    """Walks forward over the real months; `gaps` in months between champion and challenger."""
    months = list(month_range(Month(2022, 1), Month(2023, 6)))
    trips = {month: clean(directory / file_name(month), month).rows for month in months}
    models = []
    for last in range(2, len(months) - 1):
        window = pd.concat([trips[month] for month in months[last - 2 : last + 1]], ignore_index=True)
        fitted, _ = hold_out(window, CONTRACT, Training())
        encoder = estimator.encoder_of(CONTRACT, model, fitted)
        models.append((estimator.fit(model, encoder, fitted), encoder))
        newest, following = trips[months[last]], trips[months[last + 1]]
        begins_at = holdout_begins_at(newest["event_at"].iloc[-1], Training().holdout_days, CONTRACT)
        for gap in (gap for gap in gaps if gap < len(models)):
            unseen = newest[newest["event_at"] >= begins_at]
            at_gate, after = (
                Compared(*(_errors(*each, rows) for each in (models[-1 - gap], models[-1])), rows)
                for rows in (unseen, following)
            )
            yield Succession(months[last], gap, at_gate, after)


def _errors(fitted: object, encoder: Encoder, trips: pd.DataFrame) -> Array:
    return np.abs(estimator.predict(fitted, trips, encoder) - trips[TARGET].to_numpy())


def promoted_by_percentiles(weeks: Weeks, seed: int) -> bool:
    """Of an equally good challenger, if the percentiles of resampled days were not widened."""
    champion, challenger, days, _ = weeks.errors(seed)
    sums, counts = np.bincount(days, challenger - champion), np.bincount(days)
    draws = np.random.default_rng(0).integers(0, len(sums), (Gate().resamples, len(sums)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    return bool(np.quantile(means, (1 + Gate().confidence) / 2) < 0)


def _simulated_study(runs: int = 500) -> None:
    margin = Gate().segment_margin
    print(f"simulated, {runs} runs each; in % of runs")
    print("                     | equally good                   | better by 3 %   | worse by the margin")
    print("days  rows/day   sd  | promoted (unwidened) rejected* | better promoted | rejected*    (*: for a segment)")
    for weeks in (Weeks(5), Weeks(7), Weeks(28), Weeks(7, 300), Weeks(5, day_sd=0.05), Weeks(7, day_sd=0.05)):
        same, good, edge = ([weeks.verdict(seed, effect) for seed in range(runs)] for effect in (0.0, -0.03, margin))
        figures = [
            _share(_promoted(verdict) for verdict in same),
            _share(promoted_by_percentiles(weeks, seed) for seed in range(runs)),
            _share(bool(worse_segments(verdict)) for verdict in same),
            _share((verdict.high or 0.0) < 0 for verdict in good),
            _share(_promoted(verdict) for verdict in good),
            _share(bool(worse_segments(verdict)) for verdict in edge),
        ]
        row = "{:8.1f} {:11.1f} {:9.1f} | {:6.1f} {:8.1f} | {:6.1f}".format(*figures)
        print(f"{weeks.days:>4} {weeks.rows_a_day:>9} {weeks.day_sd:5.3f} | {row}", flush=True)
    print(f"\nbetter by 15 % but worse by {2 * margin:.0%} in one segment: rejected, inconclusive, promoted")
    for weeks in (Weeks(5), Weeks(7), Weeks(7, 300), Weeks(7, day_sd=0.05)):
        for hurt in (*HOURS, *MILES, *UNREPORTED):
            verdicts = [weeks.verdict(seed, -0.15, hurt, 2 * margin) for seed in range(runs // 5)]
            print(
                f"{weeks.days:>4} {weeks.rows_a_day:>9} {weeks.day_sd:5.3f} {hurt:20} {_shares(verdicts)}", flush=True
            )


def _promoted(verdict: GateVerdict) -> bool:
    return verdict.decision == "promote"


def _share(held: Iterable[bool]) -> float:
    """In %."""
    return 100 * float(np.mean([*held]))


def _shares(verdicts: list[GateVerdict]) -> str:
    counts = Counter(verdict.decision for verdict in verdicts)
    return "  ".join(f"{counts[decision] / len(verdicts):>6.1%}" for decision in ("reject", "inconclusive", "promote"))


def _real_study(directory: Path) -> None:
    found = list(successions(directory, (1, 3, 6), Model()))
    print(
        "\nreal months: months between the models, challenger's newest month, verdict; then segments at the gate and "
        "in the month after, as shares of the champion's error"
    )
    for each in found:
        verdict, after = each.at_gate.verdict(), each.after.verdict()
        print(
            f"{each.gap} {each.month} {verdict.decision:12} {_relative(verdict):+6.1%} {_worst_segment(verdict)} | "
            f"after {_relative(after):+6.1%} {_worst_segment(after)}"
            + (f" | days needed {verdict.days_needed}" if verdict.settled_by else ""),
            flush=True,
        )
    swapped = [each.at_gate.swapped(seed).verdict() for each in found for seed in range(20)]
    print(
        f"\ndays swapped by lot, {len(swapped)} comparisons: promoted "
        f"{np.mean([verdict.decision == 'promote' for verdict in swapped]):.1%}, rejected by segment "
        f"{np.mean([bool(worse_segments(verdict)) for verdict in swapped]):.1%}"
    )
    promoted = [each.at_gate for each in found if each.at_gate.verdict().decision == "promote"]
    margin = Gate().segment_margin
    print(
        f"\n{len(promoted)} promoted ones, made worse by {2 * margin:.0%} in one segment: rejected, inconclusive, "
        "promoted"
    )
    for segment in (*HOURS, *MILES, *UNREPORTED):
        print(f"{segment:20} {_shares([each.hurt(segment, 2 * margin).verdict() for each in promoted])}")


def _relative(verdict: GateVerdict) -> float:
    assert verdict.difference is not None
    assert verdict.champion_mae is not None
    return verdict.difference / verdict.champion_mae


def _worst_segment(verdict: GateVerdict) -> str:
    shares = {s.name: (s.difference / s.champion_mae, s.decision) for s in verdict.segments if s.champion_mae}
    name = max(shares, key=lambda each: shares[each][0])
    return f"{name:18} {shares[name][0]:+6.1%} {shares[name][1]:13}"


def main() -> None:
    _simulated_study()
    directory = os.environ.get("AUTOOPS_TLC_DIR")
    if directory:
        _real_study(Path(directory))
    else:
        print("\nAUTOOPS_TLC_DIR is not set: real months were not studied.")


if __name__ == "__main__":
    main()
