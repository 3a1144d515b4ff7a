"""The shipped model is worth what it takes: on a month after its training, real or made up.

`benchmarks/model.py` is the whole study; a fifth of the trees tell the same here.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autoops.months import Month, month_range
from autoops.settings import Model, load_settings
from autoops.usecases.taxi.sample import write_sample
from benchmarks.model import neighbours
from benchmarks.origins import Minutes, Origin, absolute_errors, beside, changed, leave_one_out, of_model, origins
from benchmarks.simpler import SIMPLER, pace_of_the_hour
from benchmarks.slices import HARDLY_KNOWN, ZONES, Slice, slices
from tests.conftest import CONFIG

pytestmark = pytest.mark.study

SERVED = Month(2023, 2)
TREES = 20

Walk = list[Origin]


@pytest.fixture(scope="module")
def model() -> Model:
    return changed(load_settings(CONFIG).model, n_estimators=TREES, n_jobs=2)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    directory = tmp_path_factory.mktemp("city")
    write_sample(directory, list(month_range(SERVED.plus(-3), SERVED)), trips_per_month=20_000)
    return origins(directory, [SERVED])


@pytest.fixture(scope="module")
def real(tlc_dir: Path) -> Walk:
    return origins(tlc_dir, [SERVED])


@pytest.fixture(scope="module")
def answered(real: Walk, model: Model) -> Minutes:
    return of_model(model)(real[0].fitted, real[0].served)


@pytest.fixture(scope="module")
def shipped(real: Walk, answered: Minutes) -> Minutes:
    """Absolute errors on real trips."""
    return np.abs(answered - real[0].truth)


@pytest.mark.parametrize("city", ["made_up", "real"])
def test_no_simpler_model_does_as_well(city: str, model: Model, request: pytest.FixtureRequest) -> None:
    walked: Walk = request.getfixturevalue(city)
    forest = absolute_errors(walked, of_model(model))
    for name, simple in SIMPLER.items():
        worse = beside(walked, forest, absolute_errors(walked, simple))
        assert worse.low > 0, f"{name}: {worse}"


def test_a_simpler_model_that_does_as_well_would_be_found(made_up: Walk, model: Model) -> None:
    """Of a forest that is no better than the median of all trips."""
    no_better = absolute_errors(made_up, of_model(changed(model, max_depth=1, min_samples_leaf=20_000)))
    assert beside(made_up, no_better, absolute_errors(made_up, pace_of_the_hour)).low < 0


@pytest.fixture(scope="module")
def real_twice(tlc_dir: Path) -> Walk:
    """Weekdays differ by less than one month tells."""
    return origins(tlc_dir, [Month(2022, 9), SERVED])


def test_each_feature_but_one_earns_its_place(real_twice: Walk, model: Model) -> None:
    """Without it the next month is answered worse, beyond chance."""
    shipped = absolute_errors(real_twice, of_model(model))
    without = {
        name: beside(real_twice, shipped, absolute_errors(real_twice, of_model(other)))
        for name, other in leave_one_out(model).items()
    }
    assert {name for name, worse in without.items() if worse.low <= 0} <= {"passenger_count"}, without


def test_no_other_value_of_a_parameter_is_better_by_a_hundredth(real: Walk, shipped: Minutes, model: Model) -> None:
    for name, other in neighbours(model).items():
        if not name.startswith("n_estimators"):
            better = -beside(real, shipped, absolute_errors(real, of_model(other))).mean
            assert better < shipped.mean() / 100, f"{name}: {better:.3f} of {shipped.mean():.3f} minutes"


@pytest.fixture(scope="module")
def served(real: Walk, answered: Minutes, tlc_dir: Path) -> dict[str, Slice]:
    simply = pace_of_the_hour(real[0].fitted, real[0].served)
    return {each.name: each for each in slices(real, answered, simply, tlc_dir / ZONES)}


@pytest.mark.parametrize(
    "fits",
    [
        pytest.param(lambda each, all: each.error < each.simple, id="better than the hour's median pace"),
        pytest.param(lambda each, all: each.relative < 1.5 * all.relative, id="errors in proportion to the way"),
        pytest.param(lambda each, all: abs(each.signed) < each.minutes / 10, id="neither too long nor too short"),
    ],
)
def test_every_part_of_the_city_is_served(served: dict[str, Slice], fits: Callable[[Slice, Slice], bool]) -> None:
    """Who rides is not known, and where they live stands in for it: each borough, and places with few trips."""
    everybody = served["all"]
    assert {f"pickup in {borough}" for borough in ("Bronx", "Brooklyn", "Manhattan", "Queens")} < served.keys()
    assert f"pickup zone with fewer than {HARDLY_KNOWN}" in served
    assert [each for each in served.values() if not fits(each, everybody)] == []
