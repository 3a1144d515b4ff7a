"""What would have been served, and its errors: every clean row of a month through the bundle of a version."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from autoops.backtest.fingerprint import fingerprint
from autoops.ingestion.atomic_write import atomic_write
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.models.registry import ModelVersion
from autoops.models.scoring import load_version
from autoops.months import Month
from autoops.usecase.calendar import local_days
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.tasks import losses


@dataclass(frozen=True)
class DayErrors:
    """Errors by local day: days since the epoch, rows, and the sums of their losses by the contract.

    Their field `minutes` has an older name.
    """

    days: list[int]
    rows: list[int]
    minutes: list[float]

    @property
    def mae(self) -> float:
        """Return the mean loss."""
        return sum(self.minutes) / sum(self.rows)


class Served:
    """Errors on whole months, published or not, for judging policies; only `oracle` decides with them."""

    def __init__(self, store: MonthStore, directory: Path) -> None:
        self._store = store
        self._directory = directory

    def errors(self, context: Context, version: ModelVersion, month: Month) -> DayErrors:
        """Return a version's errors on a month.

        They are cached by bundle and data: policies that serve the same version share them.
        """
        ingested = self._store.get(month)
        name = fingerprint(version.bundle_digest, ingested and ingested.digest)
        path = self._directory / f"{month}-{name}.json"
        if path.is_file():
            return DayErrors(**json.loads(path.read_text()))
        errors = self._errors(context, version, month)
        with atomic_write(path) as file:
            file.write(json.dumps(asdict(errors)).encode())
        return errors

    def _errors(self, context: Context, version: ModelVersion, month: Month) -> DayErrors:
        frame = self._store.load([month])
        columns = columns_of(frame)
        predicted = load_version(context.registry, version, context.model_cache).predict_rows(columns)
        off = losses(context.contract, frame[TARGET].to_numpy(dtype=np.float64), predicted)
        days, block = np.unique(local_days(columns["event_at"], context.contract.zone), return_inverse=True)
        return DayErrors(days.tolist(), np.bincount(block).tolist(), np.bincount(block, weights=off).tolist())
