"""Fingerprints of what a cached result depends on: another one where any of it changes."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from autoops.settings import Settings

PACKAGE = Path(__file__).parent.parent

TRAINING_CODE = (
    *("training", "drift", "usecase", "months.py", "event_times.py", "arrow_values.py"),
    "models/bundle.py",
    "loop/retrain/candidates.py",
)
SIMULATION_CODE = (
    *TRAINING_CODE,
    *("loop", "ingestion", "usecases", "storage", "models"),
    *(f"backtest/{name}.py" for name in ("calendar", "challengers", "evidently_default", "installation")),
    *(f"backtest/{name}.py" for name in ("policies", "published", "registry", "served", "simulation")),
)
LIBRARIES = ("numpy", "pandas", "scikit-learn", "skl2onnx", "onnxruntime", "evidently")


def fingerprint(*parts: Any) -> str:
    """Return the first 24 hex digits of the SHA-256 of the parts as JSON; other objects count by their text."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:24]


def code(names: tuple[str, ...]) -> str:
    """Return a fingerprint of these modules and packages of Auto-Ops on disk, and of the versions of `LIBRARIES`."""
    files = sorted({file for name in names for file in _files(PACKAGE / name)})
    content = [(str(file.relative_to(PACKAGE)), file.read_text()) for file in files]
    return fingerprint(content, [version(library) for library in LIBRARIES])


def _files(place: Path) -> list[Path]:
    return list(place.rglob("*.py")) if place.is_dir() else [place]


def training_settings(settings: Settings) -> Mapping[str, object]:
    """Return the settings that a trained version depends on.

    It depends neither on the number of cores that fit it, nor on when it is trained or replaced.
    """
    parts = {"model": settings.model, "training": settings.training, "drift": settings.drift}
    dumped = {name: part.model_dump(mode="json") for name, part in parts.items()}
    dumped["model"]["parameters"].pop("n_jobs", None)
    for name in ("post_promotion_looks", "approval", "most_per_week", "retrain_after_months", "budget"):
        del dumped["training"][name]
    return {**dumped, "contract": settings.contract.id_of_contract}


def simulation_settings(settings: Settings) -> Mapping[str, object]:
    """Return the settings that a simulation depends on."""
    when = {name: getattr(settings, name).model_dump(mode="json") for name in ("gate", "training")}
    # The whole of `training` replaces the part of it: when to retrain matters to a simulation.
    limits = {"min_kept_share": settings.data.min_kept_share, "max_model_mb": settings.serving.max_model_mb}
    return {**training_settings(settings), **when, **limits}
