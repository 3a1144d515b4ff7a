"""Settings that fit the rows per day."""

from autoops.onboarding.pace import advise
from autoops.settings import Drift, Gate, Training


def advised(rows_per_day: float, months: int) -> dict[str, int]:
    """Return the advice on the default settings."""
    return {one.setting: one.value for one in advise(rows_per_day, months, Training(), Gate(), Drift())}


def test_the_defaults_fit_thousands_of_rows_a_day() -> None:
    assert advised(2_200, 18) == {}


def test_hourly_rows_need_windows_of_a_week() -> None:
    assert advised(24, 8) == {
        "drift.window_size": 170,
        "training.holdout_days": 21,
        "gate.min_segment_rows": 50,
        "training.window_months": 7,
    }


def test_what_is_advised_is_enough() -> None:
    for rows_per_day in (1, 5, 24, 48, 100, 1_000):
        found = advised(rows_per_day, 24)
        training = Training(**{key.partition(".")[2]: value for key, value in found.items() if "training" in key})
        held_out = rows_per_day * training.holdout_days
        assert Gate().min_rows <= held_out or found["gate.min_rows"] <= max(held_out, 30)
        assert training.min_rows <= max(rows_per_day * (training.window_months * 30 - training.holdout_days), 100)
