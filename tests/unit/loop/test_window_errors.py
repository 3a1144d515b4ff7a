import numpy as np
import pandas as pd
import pytest

from autoops.loop.monitor.window_errors import errors_of
from autoops.usecase.columns import TARGET


def window(hours: int, per_hour: int = 40, shift: float = -2.0) -> pd.DataFrame:
    """Predictions that are too low by two minutes, give or take what an hour and a trip have of their own."""
    random = np.random.default_rng(3)
    rows = hours * per_hour
    moments = pd.date_range("2022-04-01", periods=rows, freq=pd.Timedelta(hours=1) / per_hour, tz="UTC").as_unit("us")
    truth = random.uniform(5, 30, rows)
    error = shift + np.repeat(random.normal(0, 0.5, hours), per_hour) + random.normal(0, 3, rows)
    return pd.DataFrame({"event_at": moments, "prediction": truth + error, TARGET: truth})


def test_the_sign_and_the_size_of_the_error_each_with_its_interval() -> None:
    rows = window(hours=24)
    found = errors_of(rows)
    assert found is not None
    error = rows["prediction"] - rows[TARGET]
    assert (found["rows"], found["confidence"]) == (960, 0.95)
    assert found["signed"]["mean"] == pytest.approx(error.mean())
    assert found["absolute"]["mean"] == pytest.approx(error.abs().mean())
    assert found["signed"]["low"] < -2 < found["signed"]["high"] < 0
    assert found["absolute"]["low"] < found["absolute"]["mean"] < found["absolute"]["high"]


def test_hours_and_not_rows_say_how_sure_it_is() -> None:
    rows = window(hours=24)
    found = errors_of(rows)
    assert found is not None
    error = (rows["prediction"] - rows[TARGET]).to_numpy()
    of_rows = 2 * 1.96 * error.std() / np.sqrt(len(error))
    assert found["signed"]["high"] - found["signed"]["low"] > 1.2 * of_rows


def test_where_hours_are_too_few_the_means_stand_alone() -> None:
    found = errors_of(window(hours=2))
    assert found is not None
    assert found["signed"]["mean"] == pytest.approx(-2, abs=1.5)
    assert (found["signed"]["low"], found["absolute"]["high"]) == (None, None)
    assert errors_of(window(hours=2).iloc[:0]) is None
