"""Training of a challenger on ingested months: fit it, calibrate its thresholds, register it with its bundle."""

import logging
import os
import resource
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from autoops import __version__
from autoops.drift.calibration import measure, thresholds_from
from autoops.drift.detectable import detectable, figures_of, summary
from autoops.loop.context import Context
from autoops.loop.data.labelled_log import digest_of
from autoops.loop.retrain.training_window import Months, load
from autoops.models.registry import CPU_SECONDS, NOTE, Dataset, ModelVersion, TrainingRun
from autoops.training.estimator import outputs
from autoops.training.export import write_bundle
from autoops.training.train import Trained, train
from autoops.usecase.columns import columns_of

logger = logging.getLogger(__name__)


def train_challenger(
    context: Context, months: Months, evidence_start: datetime | None, tags: Mapping[str, str]
) -> tuple[ModelVersion, Trained]:
    """Train on the months, of which the published ones are ingested, and register the result as `challenger`.

    `tags` say why it was trained.
    """
    settings, begun = context.settings, _cpu_seconds()
    frame = load(context, months)
    contract = context.contract
    trained = train(frame, contract, settings.model, settings.training, evidence_start)
    frames = trained.history, trained.holdout, trained.reference
    history = measure(*frames, trained.encoder.features, contract, settings.drift)
    thresholds = thresholds_from(history, settings.drift, contract)
    blind = thresholds.blind_to(contract)
    changes = detectable(history, thresholds, trained.holdout, contract, settings.drift)
    figures = figures_of(changes) | {"blind_detectors": float(len(blind))}
    found = summary(changes, contract, settings.drift)
    told = " ".join(filter(None, (thresholds.moved, str(found.get("told", "")))))
    datasets = _datasets(context, months, frame)
    with tempfile.TemporaryDirectory(prefix="autoops-") as temporary:
        directory = Path(temporary) / "bundle"
        directory.mkdir()
        digest = write_bundle(trained, thresholds.to_json(), directory, changes)
        own = {
            "training_months": ",".join(map(str, months.all)),
            "training_source": months.source,
            "training_rows": trained.window_choice,
            NOTE: " ".join(filter(None, (trained.note, told, _told(blind)))),
            "blind_to": ", ".join(blind),
            "detectable": told,
            "data_digests": ",".join(dataset.digest[:12] for dataset in datasets),
            "trained_until": trained.trained_until.isoformat(),
            "bundle_digest": digest,
            # Of all threads and of processes that have ended: boosters and forests use several.
            CPU_SECONDS: f"{_cpu_seconds() - begun:.2f}",
            "autoops_version": __version__,
            "git_commit": _git_commit(),
        }
        version = context.registry.register(_run(trained, directory, {**own, **tags}, datasets, figures))
    if blind:
        logger.warning("version %s: %s", version.number, _told(blind))
    return version, trained


def _told(blind: Sequence[str]) -> str | None:
    if not blind:
        return None
    return (
        f"Drift checks of this version are blind to {', '.join(blind)}: its history has too few ordinary windows, or "
        "windows that differ too much. A longer one (training.window_months) says more."
    )


def _datasets(context: Context, months: Months, frame: pd.DataFrame) -> list[Dataset]:
    """Return a dataset for each published month, and one for the rows from the log, with a digest of its rows."""
    ingested = [month for month in map(context.store.get, months.published) if month is not None]
    found = [
        Dataset(Path(context.contract.source.file_name(str(m.month))).stem, m.digest, m.rows, m.path) for m in ingested
    ]
    if months.logged:
        first, last = months.logged[0], months.logged[-1]
        logged = frame[frame["event_at"] >= first.starts_in(context.contract.zone)]
        found.append(Dataset(f"labelled_log_{first}_{last}", digest_of(logged), len(logged), Path("prediction-log")))
    return found


def _run(
    trained: Trained, directory: Path, tags: Mapping[str, str], datasets: list[Dataset], figures: dict[str, float]
) -> TrainingRun:
    example = columns_of(trained.reference.head(5))
    inputs = pd.DataFrame(trained.encoder.matrix(example), columns=list(trained.encoder.features))
    return TrainingRun(
        model=trained.model,
        input_example=inputs,
        # An array, like the data it was fitted on: scikit-learn warns of column names.
        prediction_example=outputs(trained.model, inputs.to_numpy()),
        parameters=trained.parameters,
        metrics=trained.metrics | figures | {CPU_SECONDS: float(tags[CPU_SECONDS])},
        tags=tags,
        figures=trained.figures,
        datasets=datasets,
        bundle=directory,
    )


def _cpu_seconds() -> float:
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def _git_commit() -> str:
    """Return the commit that the image was built from, else that of the working directory."""
    named = os.environ.get("AUTOOPS_GIT_COMMIT")
    if named:
        return named
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return asked.stdout.strip() or "unknown"
