"""A trained model as a bundle: ONNX that predicts as the original does, golden rows, reference and thresholds."""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from autoops.errors import BundleError
from autoops.models import bundle
from autoops.models.scoring import Scorer
from autoops.training.converters import to_onnx
from autoops.training.estimator import inputs_of, outputs
from autoops.training.train import Trained
from autoops.usecase.columns import TARGET
from autoops.usecase.encoding import UNSEEN, Encoder
from autoops.usecase.tasks import tolerance

log = logging.getLogger(__name__)

LARGE_MODEL_BYTES = 100_000_000
GOLDEN_ROWS = 200
MOST_CORNERS = 128

Inputs = npt.NDArray[np.float32]


def write_bundle(
    trained: Trained, thresholds_json: str, directory: Path, detectable: Sequence[bundle.Detectable] = ()
) -> str:
    """Fill `directory`, seal it, and return the bundle's digest.

    Raises:
        BundleError: the model cannot be converted, or its ONNX form is off by more than the manifest's `tolerance` on a
            row of the holdout or a golden row.
    """
    holdout = inputs_of(trained.holdout, trained.encoder)
    golden = _golden_inputs(holdout, trained.encoder)
    _write_model(trained, directory / bundle.MODEL)
    _check(trained, directory, np.concatenate([holdout, golden]))
    _write_golden(trained, golden, directory / bundle.GOLDEN)
    trained.reference.to_parquet(directory / bundle.REFERENCE, index=False, compression="zstd")
    (directory / bundle.THRESHOLDS).write_text(thresholds_json)
    return bundle.seal(directory, replace(_manifest(trained), detectable=tuple(detectable)))


def _manifest(trained: Trained) -> bundle.Manifest:
    """Return the manifest without the digests of files."""
    encoder = trained.encoder
    return bundle.Manifest(
        encoder.features,
        trained.importances,
        trained.trained_until,
        encoder.contract,
        encoder.vocabularies,
        files={},
        tolerance=tolerance(encoder.contract, trained.holdout[TARGET].to_numpy(dtype=np.float64)),
    )


def _write_model(trained: Trained, path: Path) -> None:
    model = to_onnx(trained.model, len(trained.encoder.features), missing=trained.encoder.may_miss)
    path.write_bytes(model.SerializeToString())
    size = path.stat().st_size
    if size > LARGE_MODEL_BYTES:
        log.warning("%s has %.0f MB: it loads slowly and answers slowly; fewer or smaller trees help", path, size / 1e6)


def _check(trained: Trained, directory: Path, inputs: Inputs) -> None:
    # The scorer needs the features alone; the manifest is written once the model has passed.
    manifest = _manifest(trained)
    off = np.abs(Scorer(directory, manifest).predict(inputs) - outputs(trained.model, inputs))
    # Not `np.any(off > ...)`: NaN compares as false, and would pass.
    if not np.all(off <= manifest.tolerance):
        raise BundleError(
            f"{type(trained.model).__name__}: ONNX differs from the original by up to "
            f"{np.max(off):.3g}{manifest.contract.unit} on {len(inputs)} rows, allowed are {manifest.tolerance:.3g}"
        )


def _golden_inputs(holdout: Inputs, encoder: Encoder) -> Inputs:
    """Return combinations of the features' extremes, up to MOST_CORNERS, rows from all over the holdout, and edges."""
    extremes = zip(np.nanmin(holdout, axis=0), np.nanmax(holdout, axis=0), strict=True)
    # Seven features have 2**7 corners. With more, `product` varies the last features only.
    corners = np.array(list(itertools.islice(itertools.product(*extremes), MOST_CORNERS)), dtype=np.float32)
    spread = np.linspace(0, len(holdout) - 1, min(len(holdout), GOLDEN_ROWS - len(corners))).astype(int)
    return np.concatenate([corners, holdout[spread], _edges(holdout[spread[:1]], encoder)])


def _edges(row: Inputs, encoder: Encoder) -> Inputs:
    """Return the row with each input that may be missing missing, and each category unseen, one at a time."""
    edges = []
    for position, (missing, unseen) in enumerate(encoder.edges):
        for wanted, value in ((missing, np.nan), (unseen, UNSEEN)):
            if wanted:
                edge = row.copy()
                edge[:, position] = value
                edges.append(edge)
    return np.concatenate([row[:0], *edges])


def _write_golden(trained: Trained, inputs: Inputs, path: Path) -> None:
    golden = pd.DataFrame(inputs, columns=list(trained.encoder.features))
    golden.assign(**{bundle.EXPECTED: outputs(trained.model, inputs)}).to_parquet(path, index=False)
