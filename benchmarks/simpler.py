"""Models that are simpler than a forest, and would have to be taken if they did as well."""

from collections.abc import Mapping

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from autoops.settings import Model
from autoops.usecase.columns import TARGET, columns_of
from benchmarks.origins import Answers, Minutes
from tests.taxi import feature_matrix

ROUTE = ["pickup_location_id", "dropoff_location_id"]
FEATURES = Model().features


def median(fitted: pd.DataFrame, served: pd.DataFrame) -> Minutes:
    return pd.Series(fitted[TARGET].median(), served.index).to_numpy()


def median_of_route(fitted: pd.DataFrame, served: pd.DataFrame) -> Minutes:
    """The median of all trips where nobody went that way."""
    by_route = fitted.groupby(ROUTE)[TARGET].median().rename("minutes")
    return served.join(by_route, on=ROUTE)["minutes"].fillna(fitted[TARGET].median()).to_numpy()


def pace_of_the_hour(fitted: pd.DataFrame, served: pd.DataFrame) -> Minutes:
    """The way's miles at the median pace of the hour and the kind of day."""
    pace = (fitted[TARGET] / fitted["trip_distance"]).groupby(_hours(fitted)).median()
    return (served["trip_distance"].to_numpy() * pd.Series(_hours(served)).map(pace)).to_numpy()


def _hours(trips: pd.DataFrame) -> Minutes:
    hour, day = feature_matrix(columns_of(trips), ("hour", "day_of_week")).T
    return hour + 24 * (day >= 5)


def linear(fitted: pd.DataFrame, served: pd.DataFrame) -> Minutes:
    """Distance, and a term for each zone, hour, weekday and number of passengers."""
    terms = [*ROUTE, "passenger_count", "hour", "day_of_week"]
    encoded = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), terms), remainder=StandardScaler())
    return make_pipeline(encoded, Ridge()).fit(_inputs(fitted), fitted[TARGET]).predict(_inputs(served))


def one_tree(fitted: pd.DataFrame, served: pd.DataFrame) -> Minutes:
    tree = DecisionTreeRegressor(min_samples_leaf=50, random_state=7)
    return tree.fit(_inputs(fitted), fitted[TARGET]).predict(_inputs(served))


def _inputs(trips: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(feature_matrix(columns_of(trips), FEATURES), columns=list(FEATURES))


SIMPLER: Mapping[str, Answers] = {
    "the median of all trips": median,
    "the median of the route": median_of_route,
    "the hour's median pace": pace_of_the_hour,
    "linear in distance, with a term for each zone, hour and weekday": linear,
    "one tree": one_tree,
}
