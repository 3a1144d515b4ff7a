"""What would have been served, and how far off it was: every clean trip of a month through the champion's bundle."""

import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from autoops.backtest.fingerprint import fingerprint
from autoops.features import local_hours
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.models.registry import ModelVersion
from autoops.models.scoring import load_version
from autoops.months import Month
from autoops.trips import TARGET, columns_of


@dataclass(frozen=True)
class DayErrors:
    """By New York day, since the epoch: its trips, and the sum of their absolute errors in minutes."""

    days: list[int]
    rows: list[int]
    minutes: list[float]

    @property
    def mae(self) -> float:
        return sum(self.minutes) / sum(self.rows)


class Served:
    """Looks at whole months, published or not: for judging a policy, never for deciding in its place."""

    def __init__(self, store: MonthStore, directory: Path) -> None:
        self._store = store
        self._directory = directory

    def errors(self, context: Context, version: ModelVersion, month: Month) -> DayErrors:
        """Kept by bundle and data: policies that serve the same version share them."""
        ingested = self._store.get(month)
        name = fingerprint(version.bundle_digest, ingested and ingested.digest)
        path = self._directory / f"{month}-{name}.json"
        if path.is_file():
            return DayErrors(**json.loads(path.read_text()))
        errors = self._errors(context, version, month)
        write_whole(path, json.dumps(asdict(errors)))
        return errors

    def _errors(self, context: Context, version: ModelVersion, month: Month) -> DayErrors:
        frame = self._store.load([month])
        trips = columns_of(frame)
        predicted = load_version(context.registry, version, context.model_cache).predict_trips(trips)
        off = np.abs(predicted - frame[TARGET].to_numpy())
        days, block = np.unique(local_hours(trips["pickup_at"]) // 24, return_inverse=True)
        return DayErrors(days.tolist(), np.bincount(block).tolist(), np.bincount(block, weights=off).tolist())


def write_whole(path: Path, text: str) -> None:
    """The file is there with all of the text, or as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_text(text)
    temporary.replace(path)
