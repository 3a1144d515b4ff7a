"""What a task decides: the loss per row, the constant that a first version must beat, and the label behind a number."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from autoops.usecase.contract import Contract

Values = npt.NDArray[np.float64]

MEASURES: Mapping[str, str] = {"absolute": "MAE", "squared": "MSE", "log_loss": "log loss", "brier": "Brier score"}
"""The names of mean losses."""

CLIPPED = 1e-3
"""Probabilities nearer to 0 or 1 count as this far from them: one confident mistake must not decide a comparison."""


def losses(contract: Contract, truth: Values, prediction: Values) -> Values:
    """Return the loss of each row by the contract, shape (rows,).

    The log loss is that of Good (1952), clipped at CLIPPED; the Brier score is the squared error of a probability.
    """
    if contract.loss == "log_loss":
        likely = np.clip(prediction, CLIPPED, 1 - CLIPPED)
        return np.asarray(-(truth * np.log(likely) + (1 - truth) * np.log(1 - likely)), dtype=np.float64)
    error = prediction - truth
    return np.asarray(np.abs(error) if contract.loss == "absolute" else error**2, dtype=np.float64)


def measure_key(contract: Contract) -> str:
    """Return the name of the mean loss as a key of JSON, such as `mae`."""
    return MEASURES[contract.loss].lower().replace(" ", "_")


def measure_told(contract: Contract, loss: float) -> str:
    """Return a mean loss with its name and its unit, such as `MAE 2.857 min`."""
    return f"{MEASURES[contract.loss]} {loss:.3f}{loss_unit(contract)}"


def loss_unit(contract: Contract) -> str:
    """Return the unit of a mean loss with a leading space, empty where it has none."""
    return contract.short_unit if contract.loss == "absolute" else ""


def baseline(contract: Contract, truth: Values) -> float:
    """Return the constant prediction with the least loss on these targets: their median, mean, or base rate."""
    return float(np.median(truth) if contract.loss == "absolute" else np.mean(truth))


def tolerance(contract: Contract, truth: Values) -> float:
    """Return by how much an exported model may differ from the original.

    It is relative to the range between the first and the last decile of the targets, and no less than what float32
    resolves; a probability may differ by 1e-5.
    """
    if contract.task == "binary":
        return 1e-5
    low, high = np.quantile(truth, [0.1, 0.9])
    return max(1e-5 * float(high - low), 4 * float(np.finfo(np.float32).eps) * float(np.abs(truth).max()))
