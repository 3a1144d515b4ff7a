import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor

from autoops.ingestion.source import file_name
from autoops.months import parse_months
from autoops.usecases.taxi.clean import clean
from autoops.usecases.taxi.sample import write_sample
from tests.unit.ingestion.sampled import fitted, sampled


@pytest.fixture(scope="session")
def steady(tmp_path_factory) -> pd.DataFrame:
    return sampled(tmp_path_factory.mktemp("steady")).rows


@pytest.fixture(scope="session")
def forest(tmp_path_factory) -> RandomForestRegressor:
    """Of two steady months."""
    directory, months = tmp_path_factory.mktemp("trained"), parse_months("2023-03..2023-04")
    write_sample(directory, months)
    return fitted(pd.concat([clean(directory / file_name(month), month).rows for month in months]))
