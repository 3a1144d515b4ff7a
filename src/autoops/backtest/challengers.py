"""Trained challengers, cached by what they were trained from: training is deterministic, so policies share them."""

import fcntl
import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoops.backtest.fingerprint import TRAINING_CODE, code, fingerprint, training_settings
from autoops.backtest.registry import LocalRegistry, copy_bundle
from autoops.loop.context import Context
from autoops.loop.retrain import retraining
from autoops.loop.retrain.retraining import Plan
from autoops.months import parse_months


@dataclass(frozen=True)
class Kept:
    """A cached challenger: its bundle, its tags, and the CPU seconds of its training."""

    bundle: Path
    tags: dict[str, str]
    cpu_s: float


class Challengers:
    """A folder of cached challengers, which several processes share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._code = code(TRAINING_CODE)

    def train(self, context: Context, registry: LocalRegistry, plan: Plan) -> tuple[int, float]:
        """Run the retraining's training step; return the version's number and the CPU seconds of an earlier training.

        The seconds are those that the training of a cached challenger took, 0 where this call trains it. A cached
        version is registered with this run's tags, so that the step finds it as after a crash. An interim re-evaluation
        trains nothing.
        """
        if plan["challenger"] is not None:
            return retraining.train(context, plan), 0.0
        place = self._directory / self._key(context, plan)
        with _locked(place):
            kept = _read(place)
            if kept is not None:
                registry.adopt(kept.bundle, kept.tags | retraining.tags_of(plan))
            begun = time.process_time()
            number = retraining.train(context, plan)
            if kept is None:
                tags = dict(registry.version(number).tags)
                _keep(place, registry.bundle_of(number), tags, time.process_time() - begun)
        return number, kept.cpu_s if kept else 0.0

    def _key(self, context: Context, plan: Plan) -> str:
        months = [context.store.get(month) for month in parse_months(plan["months"])]
        digests = [month and month.digest for month in months]
        settings = training_settings(context.settings)
        return fingerprint(plan["months"], plan["evidence_start"], digests, settings, self._code)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Lock a challenger: another process that needs it waits until it is trained."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as file:
        # The file is never deleted: a lock on a deleted file excludes nobody.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(place: Path) -> Kept | None:
    if not place.is_dir():
        return None
    about = json.loads((place / "about.json").read_text())
    return Kept(place / "bundle", about["tags"], about["cpu_s"])


def _keep(place: Path, bundle: Path, tags: dict[str, str], cpu_s: float) -> None:
    """Write a challenger to the cache atomically: all of it or nothing."""
    temporary = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        copy_bundle(bundle, temporary / "bundle")
        (temporary / "about.json").write_text(json.dumps({"tags": tags, "cpu_s": cpu_s}, indent=2))
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
