"""A trial of the model in the settings, before anything is fetched: it is fitted to made-up rows and converted."""

import warnings
from typing import Any

import numpy as np
import onnxruntime
from threadpoolctl import threadpool_limits

from autoops.errors import BundleError, SettingsError
from autoops.settings import Model
from autoops.training.converters import to_onnx
from autoops.training.estimator import build, outputs, refused
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import UNSEEN, Encoder, Inputs, check_features

ROWS = 300
TOLERANCE = 1e-3
"""By how much ONNX may differ from the original here, where targets are between 1 and 2, and probabilities too.

What a version may is much less (`tasks.tolerance`); this finds what a converter gets wrong, not what it rounds.
"""
TAKE_MISSING = (
    "RandomForest*, ExtraTrees*, DecisionTree* and HistGradientBoosting* of scikit-learn, XGB*, LGBM*, CatBoost* and a "
    "Pipeline with a SimpleImputer take them"
)


def check_model(model: Model, contract: Contract) -> None:
    """Require features, an estimator and parameters that can be trained, and written as ONNX.

    Raises:
        SettingsError: one of them cannot; the message names it.
    """
    check_features(contract, model.features)
    encoder = Encoder(contract, model.features, {})
    inputs = _inputs(encoder)
    # Before the limit below, which is one of the libraries that are loaded.
    build(model, contract)
    with warnings.catch_warnings():
        # Of a fit that does not converge: these rows have nothing to find.
        warnings.simplefilter("ignore")
        # Each of many small rounds would wait for a thread on a busy machine.
        with threadpool_limits(1):
            fitted = _fitted(model, encoder, inputs)
        _check_onnx(model, fitted, inputs, encoder.may_miss)


def _inputs(encoder: Encoder) -> Inputs:
    """Return small whole numbers, with each input that may be missing or unseen so in some rows."""
    inputs = np.random.default_rng(0).integers(0, 10, (ROWS, len(encoder.features))).astype(np.float32)
    for position, (missing, unseen) in enumerate(encoder.edges):
        if unseen:
            inputs[position :: len(encoder.features) + 3, position] = UNSEEN
        if missing:
            inputs[position :: len(encoder.features) + 2, position] = np.nan
    return inputs


def _fitted(model: Model, encoder: Encoder, inputs: Inputs) -> Any:
    contract = encoder.contract
    target = np.linspace(1, 2, ROWS) if contract.task == "regression" else np.arange(ROWS) % 2
    try:
        return build(model, contract).fit(inputs, target)
    except SettingsError:
        raise
    except Exception as error:  # boosters raise classes of their own
        if encoder.may_miss and _fits(build(model, contract), np.nan_to_num(inputs), target):
            edges = zip(encoder.features, encoder.edges, strict=True)
            missing = ", ".join(name for name, (may_miss, _) in edges if may_miss)
            raise SettingsError(
                f"model.estimator: {model.estimator} takes no missing values, and the declaration allows them in "
                f"{missing}. {TAKE_MISSING}; or declare the value that a missing one stands for, such as `missing: 0`"
            ) from None
        raise refused(model, error) from error


def _fits(estimator: Any, inputs: Inputs, target: Any) -> bool:
    try:
        estimator.fit(inputs, target)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def _check_onnx(model: Model, fitted: Any, inputs: Inputs, missing: bool) -> None:
    expected = outputs(fitted, inputs)
    try:
        onnx = to_onnx(fitted, inputs.shape[1], missing).SerializeToString()
        session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        found = np.asarray(session.run(None, {session.get_inputs()[0].name: inputs})[0], dtype=np.float64).reshape(-1)
        off = np.abs(found - expected)
    except BundleError as error:
        raise SettingsError(f"model.estimator: {error}. A package may add a converter: docs/estimators.md") from error
    except Exception as error:  # onnxruntime raises no narrower common class, and a converter is anybody's
        raise SettingsError(f"model.estimator: {model.estimator} as ONNX does not run: {error}") from error
    # Not `np.any(off > ...)`: NaN compares as false.
    if not np.all(off <= TOLERANCE):
        raise SettingsError(
            f"model.estimator: {model.estimator} as ONNX predicts otherwise than the original, by up to "
            f"{np.max(off):.2g} on made-up rows"
        )
