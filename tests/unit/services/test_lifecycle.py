"""What `autoops up` refuses before anything is started."""

from pathlib import Path

import pytest

from autoops import services
from autoops.errors import SettingsError
from tests.conftest import configured


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("model.estimator", "sklearn.ensemble.RandomForestRegresor", r"model\.estimator: .*RandomForestRegressor"),
        ("model.parameters", '{"n_estimater": 10}', r"model\.parameters\.n_estimater: .* but n_estimators"),
        ("model.features", '["trip_distanz"]', r"model\.features: .*trip_distance"),
    ],
)
def test_a_model_that_could_not_be_trained_is_named_and_nothing_is_started(
    tmp_path: Path, setting: str, value: str, said: str
) -> None:
    home = tmp_path / "var"
    # Features are refused when settings are loaded, which is within `configured`.
    with pytest.raises(SettingsError, match=said), configured({"storage.home": home, setting: value}) as settings:
        services.up(settings)
    assert not home.exists()
