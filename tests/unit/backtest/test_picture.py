"""The tables and the picture say what the result says."""

from pathlib import Path

import matplotlib.image as image
import pytest

from autoops.backtest.results import picture
from autoops.backtest.results.summary import summarise
from autoops.backtest.results.table import tables
from autoops.settings import Gate
from tests.unit.backtest.walks import month, retraining, simulated


@pytest.fixture
def result() -> dict:
    look = retraining("inconclusive", kind="re-evaluation")
    walks = {
        "frozen": [simulated("frozen", month("2022-04", 3.0), month("2022-05", 4.0))],
        "blind": [
            simulated("blind", month("2022-04", 3.0), month("2022-05", 3.8 + seed), seed=seed) for seed in (0, 1)
        ],
        "autoops": [simulated("autoops", month("2022-04", 3.0, retraining()), month("2022-05", 3.5, look))],
    }
    runs = [summarise(lag, walks, Gate()) for lag in (0, 2)]
    months = ["2022-01", "2022-02", "2022-03", "2022-04", "2022-05"]
    return {"months": months, "rows": "trips", "measure": "MAE", "unit": "minutes", "runs": runs}


def test_each_lag_has_its_tables(result: dict) -> None:
    errors, efforts, compared = tables(result)[:3]
    assert len(tables(result)) == 6
    assert errors[0] == "Label lag 0 months: minutes of error over all 2000 trips of 2022-04 to 2022-05"
    assert errors[2][2] == ["autoops", "3.250", "-0.250 [-0.495, -0.005]", "–"]
    assert efforts[2][2] == ["autoops", "1 + 1 re-evaluation", "1, 0, 0, 0", "4", "–"]
    assert compared[2][-1] == ["MAE of 2 draws of blind", "3.400 to 3.900"]
    of_loans = tables(result | {"rows": "loans", "measure": "log loss", "unit": ""})
    assert of_loans[0][0] == "Label lag 0 months: log loss over all 2000 loans of 2022-04 to 2022-05"
    assert of_loans[0][1][1] == "log loss"
    assert all(len(columns) == len(row) for _, columns, rows in tables(result) for row in rows)


def test_the_picture_is_one_and_has_ink_on_it(result: dict, tmp_path: Path) -> None:
    picture.draw(result, tmp_path / "new" / "backtest.png")
    drawn = image.imread(tmp_path / "new" / "backtest.png")
    assert drawn.shape[0] > 1000
    for shown in result["runs"][0]["policies"]["autoops"]["per_month"]:
        shown["retrained_after"] = []
    picture.draw(result, tmp_path / "unmarked.png")
    assert (drawn != image.imread(tmp_path / "unmarked.png")).any()
