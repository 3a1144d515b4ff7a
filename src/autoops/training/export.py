"""A trained model as a bundle: ONNX that predicts as scikit-learn does, golden rows, reference and thresholds."""

import itertools
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from autoops.errors import BundleError
from autoops.models import bundle
from autoops.models.scoring import Scorer
from autoops.training import trees
from autoops.training.estimator import inputs_of
from autoops.training.train import Trained

log = logging.getLogger(__name__)

LARGE_MODEL_BYTES = 100_000_000
GOLDEN_ROWS = 200
MOST_CORNERS = 128
MOST_CHARACTERS = 300

Inputs = npt.NDArray[np.float32]


def write_bundle(trained: Trained, thresholds_json: str, directory: Path) -> str:
    """Fill `directory`, seal it, and return the bundle's digest.

    Raises:
        BundleError: the model cannot be converted, or its ONNX form is off by more than `bundle.GOLDEN_TOLERANCE`
            minutes on a row of the holdout or a golden row.
    """
    holdout = inputs_of(trained.holdout, trained.features)
    golden = _golden_inputs(holdout)
    _write_model(trained, directory / bundle.MODEL)
    _check(trained, directory, np.concatenate([holdout, golden]))
    _write_golden(trained, golden, directory / bundle.GOLDEN)
    trained.reference.to_parquet(directory / bundle.REFERENCE, index=False, compression="zstd")
    (directory / bundle.THRESHOLDS).write_text(thresholds_json)
    return bundle.seal(directory, trained.features, trained.importances, trained.trained_until, trained.zones)


def _write_model(trained: Trained, path: Path) -> None:
    path.write_bytes(_to_onnx(trained.model, len(trained.features)).SerializeToString())
    size = path.stat().st_size
    if size > LARGE_MODEL_BYTES:
        log.warning("%s has %.0f MB: it loads slowly and answers slowly; fewer or smaller trees help", path, size / 1e6)


def _to_onnx(model: Any, width: int) -> Any:
    if trees.convertible(model):
        return trees.convert(model)
    try:
        return convert_sklearn(model, initial_types=[("input", FloatTensorType([None, width]))])
    except Exception as error:  # skl2onnx's many converters raise no common class
        why = str(error).partition("\n")[0][:MOST_CHARACTERS]
        raise BundleError(f"{type(model).__name__} cannot be converted to ONNX: {why}") from error


def _check(trained: Trained, directory: Path, inputs: Inputs) -> None:
    # The scorer needs the features alone; the manifest is written once the model has passed.
    unsealed = bundle.Manifest(trained.features, trained.importances, trained.trained_until, trained.zones, files={})
    off = np.abs(Scorer(directory, unsealed).predict(inputs) - _expected(trained, inputs))
    # Not `np.any(off > ...)`: NaN compares as false, and would pass.
    if not np.all(off <= bundle.GOLDEN_TOLERANCE):
        raise BundleError(
            f"{type(trained.model).__name__}: ONNX differs from scikit-learn by up to {np.max(off):.3g} minutes "
            f"on {len(inputs)} rows, allowed are {bundle.GOLDEN_TOLERANCE:g}"
        )


def _expected(trained: Trained, inputs: Inputs) -> npt.NDArray[np.float64]:
    return np.asarray(trained.model.predict(inputs), dtype=np.float64).reshape(-1)


def _golden_inputs(holdout: Inputs) -> Inputs:
    """Return combinations of the features' extremes, up to MOST_CORNERS, and rows from all over the holdout."""
    extremes = zip(holdout.min(axis=0), holdout.max(axis=0), strict=True)
    # Seven features have 2**7 corners. With more, `product` varies the last features only.
    corners = np.array(list(itertools.islice(itertools.product(*extremes), MOST_CORNERS)), dtype=np.float32)
    spread = np.linspace(0, len(holdout) - 1, min(len(holdout), GOLDEN_ROWS - len(corners))).astype(int)
    return np.concatenate([corners, holdout[spread]])


def _write_golden(trained: Trained, inputs: Inputs, path: Path) -> None:
    golden = pd.DataFrame(inputs, columns=list(trained.features))
    golden.assign(**{bundle.EXPECTED: _expected(trained, inputs)}).to_parquet(path, index=False)
