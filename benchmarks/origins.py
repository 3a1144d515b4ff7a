"""Real months walked forward: what could have been fitted before each of some months, and that month to answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.ingestion.source import file_name
from autoops.loop.decide.day_blocks import DayBlocks, Estimate
from autoops.months import Month
from autoops.settings import Gate, Model, Training
from autoops.training import estimator
from autoops.training.window import hold_out
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecases.taxi.clean import clean
from tests.taxi import CONTRACT, local_hours

Minutes = npt.NDArray[np.float64]
Answers = Callable[[pd.DataFrame, pd.DataFrame], Minutes]
"""From the trips to fit on and those to answer to minutes for the latter."""


@dataclass(frozen=True)
class Origin:
    """`fitted` are the trips of the three months before `month`, less the holdout, as a retraining has them."""

    month: Month
    fitted: pd.DataFrame
    served: pd.DataFrame

    @property
    def truth(self) -> Minutes:
        return self.served[TARGET].to_numpy()


def origins(directory: Path, months: Sequence[Month], training: Training | None = None) -> list[Origin]:
    training = training or Training()
    found = []
    for month in months:
        window = [_trips(directory, month.plus(-back)) for back in range(training.window_months, 0, -1)]
        earlier, _ = hold_out(pd.concat(window, ignore_index=True), CONTRACT, training)
        found.append(Origin(month, earlier, _trips(directory, month)))
    return found


def _trips(directory: Path, month: Month) -> pd.DataFrame:
    return clean(directory / file_name(month), month).rows


def of_model(model: Model) -> Answers:
    def answers(fitted: pd.DataFrame, served: pd.DataFrame) -> Minutes:
        encoder = estimator.encoder_of(CONTRACT, model, fitted)
        return estimator.predict(estimator.fit(model, encoder, fitted), served, encoder)

    return answers


def changed(model: Model, **parameters: Any) -> Model:
    return model.model_copy(update={"parameters": {**model.parameters, **parameters}})


def with_features(model: Model, features: Sequence[str]) -> Model:
    return model.model_copy(update={"features": tuple(features)})


def absolute_errors(walked: Sequence[Origin], answers: Answers) -> Minutes:
    """Of all served trips, one month after the other."""
    return np.concatenate([np.abs(answers(origin.fitted, origin.served) - origin.truth) for origin in walked])


def beside(walked: Sequence[Origin], shipped: Minutes, other: Minutes) -> Estimate:
    """How much larger the other one's absolute errors are, with an interval for dependent days."""
    days = np.concatenate([local_hours(columns_of(origin.served)["event_at"]) // 24 for origin in walked])
    blocks = DayBlocks(days)
    return blocks.estimate(other - shipped, np.ones(len(days), dtype=np.bool_), (1 - Gate().confidence) / 2)


def leave_one_out(model: Model) -> Mapping[str, Model]:
    """By the feature that is left out; a split goes on choosing among as many of those that are left."""
    chosen_from = int(model.parameters["max_features"] * len(model.features))
    return {
        name: with_features(changed(model, max_features=chosen_from), [each for each in model.features if each != name])
        for name in model.features
    }
