"""How many rows a day a use case has, and the settings that fit so many: the defaults are those of some 2,000 a day."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from autoops.settings import Drift, Gate, Training

DAYS_A_MONTH = 30
FEWEST_ROWS = 100
"""Fewest rows of a window, and of a training, that this module proposes."""


@dataclass(frozen=True)
class Advice:
    """A setting that does not fit the rows, what would, and why."""

    setting: str
    value: int
    why: str


def advise(rows_per_day: float, months: int, training: Training, gate: Gate, drift: Drift) -> Iterator[Advice]:
    """Yield the settings that do not fit `rows_per_day`, with values that do; `months` are known."""
    told = f"{rows_per_day:,.0f}" if rows_per_day >= 1 else f"{rows_per_day:.2g}"
    days = drift.window_size / rows_per_day
    if days > 14:
        week = max(FEWEST_ROWS, ceil(7 * rows_per_day / 10) * 10)
        why = f"{drift.window_size} rows are {days:.0f} days at {told} a day: so long takes each check"
        yield from _if_other("drift.window_size", drift.window_size, week, why)
    holdout_days = training.holdout_days
    if holdout_days * rows_per_day < gate.min_rows:
        holdout_days = max(holdout_days, min(28, ceil(gate.min_rows / rows_per_day)))
        why = f"{training.holdout_days} days hold {training.holdout_days * rows_per_day:.0f} rows"
        yield from _if_other("training.holdout_days", training.holdout_days, holdout_days, why)
    held_out = int(holdout_days * rows_per_day)
    if held_out < gate.min_rows:
        why = f"with so few rows that neither model was trained on, the gate decides nothing; {held_out} are held out"
        yield Advice("gate.min_rows", max(30, int(held_out * 0.8)), why)
    if held_out < 4 * gate.min_segment_rows:
        why = f"no segment of {held_out} rows has as many"
        yield from _if_other("gate.min_segment_rows", gate.min_segment_rows, max(20, held_out // 10), why)
    window = training.window_months
    if (window * DAYS_A_MONTH - holdout_days) * rows_per_day < 2 * training.min_rows:
        wanted = ceil((2 * training.min_rows / rows_per_day + holdout_days) / DAYS_A_MONTH)
        window = max(window, min(12, wanted, max(months, 1)))
        why = f"{training.window_months} months hold {training.window_months * DAYS_A_MONTH * rows_per_day:.0f} rows"
        yield from _if_other("training.window_months", training.window_months, window, why)
    fitted = int((window * DAYS_A_MONTH - holdout_days) * rows_per_day)
    if fitted < 1.2 * training.min_rows:
        why = f"{window} months have some {max(fitted, 0)} rows before the holdout"
        yield Advice("training.min_rows", max(FEWEST_ROWS, int(fitted * 0.6)), why)


def _if_other(setting: str, present: int, value: int, why: str) -> Iterator[Advice]:
    if value != present:
        yield Advice(setting, value, why)
