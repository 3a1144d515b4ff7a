"""The adapters that the use cases of the loop work on; built by `bootstrap`, handed to every step."""

from dataclasses import dataclass
from pathlib import Path

from autoops.clock import Clock
from autoops.ingestion.source import Source
from autoops.ingestion.store import MonthStore
from autoops.loop.records.checks import CheckLog
from autoops.loop.records.ledger import Ledger
from autoops.models.registry import Registry
from autoops.settings import Settings
from autoops.storage.instances import Instances
from autoops.storage.predictions import PredictionLog
from autoops.usecase.contract import Contract


@dataclass(frozen=True)
class Context:
    """Settings and adapters that each step of the loop is given."""

    settings: Settings
    clock: Clock
    source: Source
    store: MonthStore
    registry: Registry
    log: PredictionLog
    instances: Instances
    ledger: Ledger
    checks: CheckLog
    draws_pages: bool = True
    """Whether checks write HTML pages; a backtest needs none."""

    @property
    def contract(self) -> Contract:
        """Return the contract of the use case."""
        return self.settings.contract

    @property
    def model_cache(self) -> Path:
        """Return the directory of downloaded bundles, `models` in `storage.home`."""
        return self.settings.storage.home / "models"

    @property
    def reports(self) -> Path:
        """Return the directory of the reports of checks, `reports` in `storage.home`."""
        return self.settings.storage.home / "reports"
