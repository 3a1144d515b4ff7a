"""Evaluation: the errors on rows that the model never saw, and the importance of its features."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score

from autoops.training.estimator import outputs
from autoops.usecase.columns import PREDICTION, TARGET, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import Encoder
from autoops.usecase.tasks import baseline, losses

Array = npt.NDArray[Any]

IMPORTANCE_ROWS = 5_000
IMPORTANCE_REPEATS = 3


class Predictor(Protocol):
    """A fitted model."""

    def predict(self, inputs: Array) -> Array:
        """Return the predictions, of shape (rows,), for inputs of shape (rows, features)."""


def split_at(rows: pd.DataFrame, moment: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows before the timestamp, and those from it on; `rows` is sorted by event time."""
    position = int(rows["event_at"].searchsorted(pd.Timestamp(moment).tz_convert("UTC")))
    return rows.iloc[:position], rows.iloc[position:]


def metrics(contract: Contract, holdout: pd.DataFrame, history: pd.DataFrame) -> dict[str, float]:
    """Return the errors of the holdout's predictions and of the baseline, with the number of `rows`.

    Both frames have target and prediction. For regression they are in the target's unit; `bias` is positive where the
    model predicts too much. For a binary task `bias` is the mean probability less the share of positives.
    """
    truth, prediction = (holdout[name].to_numpy(dtype=np.float64) for name in (TARGET, PREDICTION))
    constant = np.full(len(truth), baseline(contract, history[TARGET].to_numpy(dtype=np.float64)))
    error = prediction - truth
    found = {
        "loss": float(losses(contract, truth, prediction).mean()),
        "baseline_loss": float(losses(contract, truth, constant).mean()),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "bias": float(error.mean()),
        "rows": float(len(holdout)),
    }
    return found | (
        _of_classes(truth, prediction) if contract.task == "binary" else _of_numbers(truth, error, constant)
    )


def _of_numbers(truth: Array, error: Array, constant: Array) -> dict[str, float]:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return {
        # Of a constant target R² is 0/0.
        "r2": 1 - float((error**2).sum()) / spread if spread > 0 else 0.0,
        "baseline_mae": float(np.abs(constant - truth).mean()),
    }


def _of_classes(truth: Array, probability: Array) -> dict[str, float]:
    # The area under the curve needs both classes.
    auc = float(roc_auc_score(truth, probability)) if 0 < truth.mean() < 1 else 0.5
    return {"auc": auc, "brier": float(((probability - truth) ** 2).mean()), "base_rate": float(truth.mean())}


def importances(model: Predictor, holdout: pd.DataFrame, encoder: Encoder) -> dict[str, float]:
    """Return the permutation importance of each feature, or group of features (Breiman 2001).

    It is the share of each in the model's accuracy: by how much the mean loss grows when its columns are permuted
    together. The shares sum to 1; a feature that does not help has 0.
    """
    # Fixed seeds: the same rows give the same bundle to the byte.
    draw = np.random.default_rng(0)
    some = holdout.sample(min(IMPORTANCE_ROWS, len(holdout)), random_state=0)
    inputs, actual = encoder.matrix(columns_of(some)), some[TARGET].to_numpy(dtype=np.float64)
    contract = encoder.contract
    intact = losses(contract, actual, outputs(model, inputs)).mean()
    growth = {}
    for group, columns in _columns_by_group(encoder).items():
        errors = []
        for _ in range(IMPORTANCE_REPEATS):
            permuted = inputs.copy()
            permuted[:, columns] = inputs[draw.permutation(len(inputs))][:, columns]
            errors.append(losses(contract, actual, outputs(model, permuted)).mean())
        growth[group] = max(0.0, float(np.mean(errors) - intact))
    return _normalised(growth)


def _columns_by_group(encoder: Encoder) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(encoder.features):
        groups.setdefault(encoder.contract.group_of(name), []).append(position)
    return groups


def _normalised(growth: Mapping[str, float]) -> dict[str, float]:
    total = sum(growth.values())
    # A model that uses no feature: equal shares still sum to 1.
    if total == 0:
        return {name: 1 / len(growth) for name in growth}
    return {name: value / total for name, value in growth.items()}
