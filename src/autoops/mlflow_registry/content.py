"""The content of a training run in MLflow: parameters, metrics, inputs, figures, bundle and the model itself."""

import json
import shutil
import tempfile
import time
import warnings
import zipfile
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from autoops.errors import BundleError
from autoops.mlflow_registry.answers import told
from autoops.models.registry import Dataset, TrainingRun

BUNDLE = "bundle"
MODEL_REQUIREMENTS = ("mlflow", "scikit-learn", "skops", "numpy", "scipy", "pandas")
BOOSTERS = ("xgboost", "lightgbm", "catboost")
# Without code of their own; boosters and networks have them inside.
PLAIN_TYPES = ("collections.OrderedDict", "numpy.dtype")
# MLflow's limit; the profile of the dataset has the whole digest.
MOST_DIGEST_CHARACTERS = 36


def log_training(client: Any, training: TrainingRun, experiment_id: str, run_id: str) -> str:
    """Log everything and return the id of the logged model."""
    model_id = _log_model(client, training, experiment_id, run_id)
    _log_numbers(client, training, run_id, model_id)
    if training.datasets:
        client.log_inputs(run_id, [_input(dataset) for dataset in training.datasets])
    for name, figure in training.figures.items():
        client.log_figure(run_id, figure, f"figures/{name}")
    client.log_artifacts(run_id, str(training.bundle), BUNDLE)
    return model_id


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the values as text by the same keys, None as "None": MLflow stores tags and parameters as text only."""
    return {key: str(value) for key, value in values.items()}


def _log_numbers(client: Any, training: TrainingRun, run_id: str, model_id: str) -> None:
    from mlflow.entities import Metric, Param

    now_ms = int(time.time() * 1000)
    metrics = [
        Metric(key, number, now_ms, step=0, model_id=model_id, run_id=run_id)
        for key, number in training.metrics.items()
    ]
    client.log_batch(run_id, metrics, [Param(*item) for item in texts(training.parameters).items()])


def _input(dataset: Dataset) -> Any:
    from mlflow import entities

    logged = entities.Dataset(
        dataset.name,
        dataset.digest[:MOST_DIGEST_CHARACTERS],
        source_type="local",
        source=json.dumps({"uri": str(dataset.path)}),
        profile=json.dumps({"num_rows": dataset.rows, "digest": dataset.digest}),
    )
    return entities.DatasetInput(logged, [entities.InputTag("mlflow.data.context", "training")])


def _log_model(client: Any, training: TrainingRun, experiment_id: str, run_id: str) -> str:
    """Log the model and return its id.

    `mlflow.sklearn.log_model` does the same, but only knows the process's global tracking URI.
    """
    from mlflow.entities import LoggedModelOutput

    logged = client.create_logged_model(
        experiment_id, name="model", source_run_id=run_id, params=texts(training.parameters)
    )
    with tempfile.TemporaryDirectory(prefix="autoops-model-") as directory:
        place = Path(directory) / "model"
        _save_model(training, place, run_id, logged)
        _compress(place / "model.skops")
        client.log_model_artifacts(logged.model_id, str(place))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def _save_model(training: TrainingRun, place: Path, run_id: str, logged: Any) -> None:
    import mlflow.sklearn
    from mlflow.models import Model, infer_signature

    types = _trusted_types(training.model)
    try:
        mlflow.sklearn.save_model(
            training.model,
            str(place),
            mlflow_model=Model(logged.artifact_location, run_id, model_uuid=logged.model_id, model_id=logged.model_id),
            signature=infer_signature(training.input_example, training.prediction_example),
            input_example=training.input_example,
            # Otherwise mlflow loads the model in another process to find out what it imports.
            pip_requirements=[f"{name}=={installed(name)}" for name in (*MODEL_REQUIREMENTS, *_packages_of(types))],
            skops_trusted_types=types,
        )
    except mlflow.exceptions.MlflowException as error:
        raise BundleError(f"{type(training.model).__name__} cannot be saved: {told(error)}") from error


def _compress(model: Path) -> None:
    """Compress skops' archive, which MLflow writes uncompressed; `skops.io.load` reads both."""
    fresh = model.with_suffix(".fresh")
    with zipfile.ZipFile(model) as stored, zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name in stored.namelist():
            # The size is not known in advance, and a member above 2 GB needs zip64.
            with stored.open(name) as member, packed.open(name, "w", force_zip64=True) as copy:
                shutil.copyfileobj(member, copy, 1 << 20)
    fresh.replace(model)


def _trusted_types(model: Any) -> list[str]:
    """Return the types that skops does not trust and that are those of scikit-learn, a booster or the model's package.

    All others stay untrusted.
    """
    with warnings.catch_warnings():
        # The import looks up the names of SciPy's functions in every loaded module, and Airflow's modules warn of each.
        warnings.filterwarnings("ignore", r"The `airflow\.", FutureWarning)
        import skops.io

    unknown = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    packages = {"sklearn", *BOOSTERS, type(model).__module__.partition(".")[0]}
    return [name for name in unknown if name.partition(".")[0] in packages or name in PLAIN_TYPES]


def _packages_of(types: list[str]) -> list[str]:
    """Return the names under which what the types need is installed, scikit-learn aside."""
    modules = {name.partition(".")[0] for name in types} - {"sklearn", "numpy", "collections"}
    known = packages_distributions()
    return sorted(known[module][0] for module in modules & known.keys())
