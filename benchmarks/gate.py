"""How often the gate errs, and whether it rejects good models: `scripts/bench.sh gate`.

First on simulated days whose truth is known, independent, persistent and with a weekly pattern; then, where
AUTOOPS_TLC_DIR and AUTOOPS_HOTEL_DIR name folders of them, on real months (taxis 2022-01 to 2023-06, bookings 2015-07
to 2017-08): models of consecutive three-month windows, compared as the loop compares them, on the challenger's holdout,
and followed through the month after, whose difference the gate's interval should contain.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import ttest_1samp

from autoops.ingestion.source import file_name
from autoops.loop.decide.day_blocks import NEXT_DAYS, DayBlocks, Rows
from autoops.loop.decide.gate import GateVerdict, decide
from autoops.months import Month, month_range
from autoops.settings import Gate, Settings, load_settings
from autoops.training import estimator
from autoops.training.window import capped, hold_out
from autoops.usecase.calendar import local_days
from autoops.usecase.columns import EVENT_AT, TARGET, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import Encoder
from autoops.usecase.segments import segments_of
from autoops.usecase.tasks import losses
from autoops.usecases.taxi.clean import clean
from benchmarks.hotel import months_of

Array = npt.NDArray[np.float64]

HOURS = {"hours 22 to 6": 0.12, "hours 6 to 10": 0.16, "hours 10 to 16": 0.35, "hours 16 to 22": 0.37}
MILES = {"under 2 miles": 0.47, "2 to 5 miles": 0.36, "5 miles and more": 0.17}
MAE = {"under 2 miles": 1.7, "2 to 5 miles": 3.3, "5 miles and more": 6.0}
UNREPORTED = {"no passenger count": 0.1}
"""Shares of trips, and minutes, as on the real months."""

GAPS = (1, 3, 6)
"""Months between champion and challenger."""

ROW_SD = 0.27
"""Of the paired difference of two retrained forests on one row, as a share of the error there (real months)."""


@dataclass(frozen=True)
class Weeks:
    """Simulated stretches of `days`, each `apart` from the one before. Two models differ by the same on every row of a
    day (`day_sd`) and of a day's segment (`segment_sd`), as shares of the error; the medians of the real months are
    0.015 and 0.01. Neighbouring days correlate by `persistence`, and weekdays differ by `weekly` times as much."""

    days: int
    rows_a_day: int = 2_000
    day_sd: float = 0.015
    segment_sd: float = 0.01
    apart: int = 1
    persistence: float = 0.0
    weekly: float = 0.0

    def verdict(self, seed: int, effect: float = 0.0, hurt: str | None = None, by: float = 0.0) -> GateVerdict:
        """Of a challenger that truly differs by the share `effect` of the error everywhere, and by `by` in `hurt`."""
        champion, challenger, days, segments = self.errors(seed, effect, hurt, by)
        return decide(champion, challenger, days, Gate(), segments=segments)

    def errors(
        self, seed: int, effect: float = 0.0, hurt: str | None = None, by: float = 0.0
    ) -> tuple[Array, Array, npt.NDArray[np.int64], dict[str, Rows]]:
        """Of champion and challenger, with each row's day and the segments."""
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(self.days), rng.poisson(self.rows_a_day * np.exp(rng.normal(0, 0.15, self.days))))
        families = [_bands(rng, family, len(day)) for family in (HOURS, MILES, UNREPORTED)]
        segments = {name: rows for family in families for name, rows in family.items()}
        level = np.sum([MAE[name] * rows for name, rows in families[1].items()], axis=0)
        share = effect + self._effects(rng, self.day_sd)[day] + rng.normal(0, ROW_SD, len(day))
        for rows in segments.values():
            share[rows] += self._effects(rng, self.segment_sd)[day[rows]]
        if hurt is not None:
            share[segments[hurt]] += by - effect
        champion = rng.gamma(1.2, level / 1.2)
        return champion, champion + level * share, day * self.apart, segments

    def _effects(self, rng: np.random.Generator, sd: float) -> Array:
        """Of each day."""
        found = rng.normal(0, sd, (self.days - 1) * self.apart + 1)
        for number in range(1, len(found)):
            found[number] *= np.sqrt(1 - self.persistence**2)
            found[number] += self.persistence * found[number - 1]
        pattern = rng.normal(0, self.weekly * sd, 7)
        found += (pattern - pattern.mean())[np.arange(len(found)) % 7]
        return found[:: self.apart]


def _bands(rng: np.random.Generator, shares: Mapping[str, float], rows: int) -> dict[str, Rows]:
    drawn = rng.choice(len(shares) + 1, rows, p=[*shares.values(), max(0.0, 1 - sum(shares.values()))])
    return {name: drawn == place for place, name in enumerate(shares)}


def worse_segments(verdict: GateVerdict) -> set[str]:
    """Names of the segments that are worse."""
    return {segment.name for segment in verdict.segments if segment.decision == "worse"}


@dataclass(frozen=True)
class Compared:
    """Losses of two models on the same rows."""

    champion: Array
    challenger: Array
    rows: pd.DataFrame
    contract: Contract

    @property
    def days(self) -> npt.NDArray[np.int64]:
        return local_days(columns_of(self.rows)[EVENT_AT], self.contract.zone)

    @property
    def segments(self) -> dict[str, Rows]:
        names = self.contract.gate.segments
        return segments_of(
            self.contract, columns_of(self.rows), tuple(self.contract.segments) if names is None else names
        )

    def verdict(self, gate: Gate | None = None) -> GateVerdict:
        return decide(self.champion, self.challenger, self.days, gate or Gate(), segments=self.segments)

    def swapped(self, seed: int) -> "Compared":
        """On days drawn by lot champion and challenger change places: neither is better, and days differ as they do."""
        _, block = np.unique(self.days, return_inverse=True)
        lot = np.random.default_rng(seed).random(int(block.max()) + 1)[block] < 0.5
        pair = (self.champion, self.challenger)
        return replace(self, champion=np.where(lot, *pair), challenger=np.where(lot, *pair[::-1]))

    def hurt(self, segment: str, by: float) -> "Compared":
        """The challenger worse by the share `by` of the champion's error in one segment, and there as good before."""
        rows = self.segments[segment]
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

    @property
    def covered(self) -> bool:
        """Whether the interval of the gate contains the difference of the month after."""
        found, after = self.at_gate, self.after
        blocks, every = DayBlocks(found.days, ahead_days=NEXT_DAYS), np.ones(len(found.rows), dtype=np.bool_)
        at_gate = blocks.estimate(found.challenger - found.champion, every, (1 - Gate().confidence) / 2)
        return at_gate.low <= (after.challenger - after.champion).mean() <= at_gate.high


def successions(rows: Mapping[Month, pd.DataFrame], gaps: tuple[int, ...], settings: Settings) -> Iterator[Succession]:
    """Walks forward over the months; `gaps` in months between champion and challenger."""
    months, models, contract = [*rows], [], settings.contract
    for last in range(2, len(months) - 1):
        window = pd.concat([rows[month] for month in months[last - 2 : last + 1]], ignore_index=True)
        fitted, unseen = hold_out(window, contract, settings.training)
        encoder = estimator.encoder_of(contract, settings.model, fitted)
        fitted = capped(fitted, settings.training.max_rows)
        models.append((estimator.fit(settings.model, encoder, fitted), encoder))
        for gap in (gap for gap in gaps if gap < len(models)):
            at_gate, after = (
                Compared(*(_errors(*each, some, contract) for each in (models[-1 - gap], models[-1])), some, contract)
                for some in (unseen, rows[months[last + 1]])
            )
            yield Succession(months[last], gap, at_gate, after)


def _errors(fitted: object, encoder: Encoder, rows: pd.DataFrame, contract: Contract) -> Array:
    return losses(contract, rows[TARGET].to_numpy(dtype=np.float64), estimator.predict(fitted, rows, encoder))


def promoted_by_independent_days(weeks: Weeks, seed: int) -> bool:
    """Of an equally good challenger, by Student's interval, for which days are independent."""
    champion, challenger, days, _ = weeks.errors(seed)
    mean = np.bincount(days, challenger - champion)[:: weeks.apart] / np.bincount(days)[:: weeks.apart]
    return bool(ttest_1samp(mean, 0, alternative="less").pvalue < (1 - Gate().confidence) / 2)


HELD_OUT = Weeks(7, apart=4)
"""The holdout of the default settings."""

WORLDS = (
    *(replace(HELD_OUT, persistence=by) for by in (0.0, 0.4, 0.7)),
    replace(HELD_OUT, weekly=0.7),
    *(Weeks(days, persistence=by) for days in (7, 28) for by in (0.0, 0.4, 0.7)),
    replace(HELD_OUT, rows_a_day=300),
    replace(HELD_OUT, day_sd=0.05),
)


def _simulated_study(runs: int = 500) -> None:
    margin = Gate().segment_margin
    print(f"simulated, {runs} runs each; in % of runs")
    print(
        "days apart persist. weekly rows/day   sd  | equally good                   | better by 3 %   | by the margin"
    )
    print("                                          | promoted (indep.) rejected*    | better promoted | rejected*")
    print("(indep.: by Student's interval of independent days; *: for a segment)")
    for weeks in WORLDS:
        same, good, edge = ([weeks.verdict(seed, effect) for seed in range(runs)] for effect in (0.0, -0.03, margin))
        figures = [
            _share(_promoted(verdict) for verdict in same),
            _share(promoted_by_independent_days(weeks, seed) for seed in range(runs)),
            _share(bool(worse_segments(verdict)) for verdict in same),
            _share((verdict.high or 0.0) < 0 for verdict in good),
            _share(_promoted(verdict) for verdict in good),
            _share(bool(worse_segments(verdict)) for verdict in edge),
        ]
        row = "{:8.1f} {:11.1f} {:9.1f} | {:6.1f} {:8.1f} | {:6.1f}".format(*figures)
        print(f"{_described(weeks)} | {row}", flush=True)
    print(f"\nbetter by 15 % but worse by {2 * margin:.0%} in one segment: rejected, inconclusive, promoted")
    for weeks in (HELD_OUT, replace(HELD_OUT, rows_a_day=300), replace(HELD_OUT, day_sd=0.05)):
        for hurt in (*HOURS, *MILES, *UNREPORTED):
            verdicts = [weeks.verdict(seed, -0.15, hurt, 2 * margin) for seed in range(runs // 5)]
            print(f"{_described(weeks)} {hurt:20} {_shares(verdicts)}", flush=True)


def _described(weeks: Weeks) -> str:
    dependence = f"{weeks.days:>4} {weeks.apart:>5} {weeks.persistence:>8} {weeks.weekly:>6}"
    return f"{dependence} {weeks.rows_a_day:>8} {weeks.day_sd:5.3f}"


def _promoted(verdict: GateVerdict) -> bool:
    return verdict.decision == "promote"


def _share(held: Iterable[bool]) -> float:
    """In %."""
    return 100 * float(np.mean([*held]))


def _shares(verdicts: list[GateVerdict]) -> str:
    counts = Counter(verdict.decision for verdict in verdicts)
    return "  ".join(f"{counts[decision] / len(verdicts):>6.1%}" for decision in ("reject", "inconclusive", "promote"))


def _covered(name: str, found: Sequence[Succession]) -> None:
    inside = sum(each.covered for each in found)
    print(f"\n{name}: the gate's interval contains the next month's difference in {inside} of {len(found)}", flush=True)


def _hotel_study(directory: Path) -> None:
    settings = load_settings(usecase="hotel")
    rows = months_of(directory, settings.contract, [*month_range(Month(2015, 7), Month(2017, 8))])
    for days in (7, 14):
        training = settings.training.model_copy(update={"holdout_days": days})
        found = [*successions(rows, GAPS, settings.model_copy(update={"training": training}))]
        _covered(f"bookings, {days} days held out", found)


def taxi_successions(directory: Path) -> list[Succession]:
    """Of the real months."""
    months = month_range(Month(2022, 1), Month(2023, 6))
    rows = {month: clean(directory / file_name(month), month).rows for month in months}
    return list(successions(rows, GAPS, load_settings(usecase="taxi")))


def _real_study(directory: Path) -> None:
    found = taxi_successions(directory)
    _covered("taxis", found)
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
    for name, study in (("AUTOOPS_HOTEL_DIR", _hotel_study), ("AUTOOPS_TLC_DIR", _real_study)):
        directory = os.environ.get(name)
        if directory:
            study(Path(directory))
        else:
            print(f"\n{name} is not set: its real months were not studied.")


if __name__ == "__main__":
    main()
