"""All policies at all label lags over the same months: the data is fetched once, and simulations run side by side."""

import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from autoops.backtest.calendar import steps
from autoops.backtest.policies import AUTOOPS, BLIND, FROZEN, POLICIES
from autoops.backtest.processes import sharing_cores, simulate_all
from autoops.backtest.published import KeptFiles
from autoops.backtest.results.summary import Result, retrainings_of, summarise
from autoops.backtest.simulation import Order, Simulated
from autoops.errors import Conflict, InputError
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.source import Source
from autoops.ingestion.store import MonthStore
from autoops.months import Month
from autoops.settings import Settings
from autoops.usecase.tasks import MEASURES

Progress = Callable[[int, int | None], None]
"""Called with the months simulated so far, by all policies together, and the months to simulate."""

OnResult = Callable[[Order, Simulated], None]
"""Called with each finished simulation."""


@dataclass(frozen=True)
class Study:
    """What to simulate. An interrupted study goes on from its `workspace`; no other process may work there."""

    settings: Settings
    months: tuple[Month, ...]
    lags: tuple[int, ...]
    policies: tuple[str, ...]
    workspace: Path
    seeds: int = 10
    jobs: int = 1
    changes_from: Month | None = None

    @property
    def runs(self) -> tuple[str, ...]:
        """Return the policies asked for, and the controls that they are compared with, in the order of the table.

        Raises:
            InputError: a policy is unknown; the message names the existing ones.
        """
        unknown = set(self.policies) - set(POLICIES)
        if unknown:
            raise InputError(f"policy {sorted(unknown)[0]!r}: expected one of {', '.join(POLICIES)}")
        needed = {FROZEN, *self.policies}
        needed |= {BLIND} if AUTOOPS in needed else {AUTOOPS} if BLIND in needed else set()
        return tuple(name for name in POLICIES if name in needed)


def run(study: Study, source: Source, progress: Progress, on_result: OnResult) -> Result:
    """Simulate all policies at all lags, and return the result.

    Raises:
        InputError: the months, the lags or the policies cannot be simulated.
        Conflict: another backtest is at work in the workspace.
        DataError: a month is not published, or cannot be read or cleaned.
        SourceUnavailable: the source does not answer.
        StorageUnavailable: a month cannot be written.
    """
    # Only for its checks: wrong months and lags are refused before data is fetched.
    for lag in study.lags:
        steps(study.months, study.settings.training.window_months, lag)
    names = study.runs
    with _locked(study.workspace):
        fetch(study, source)
        simulations = _simulations(study, names, progress, on_result)
    gate, contract = study.settings.gate, study.settings.contract
    change = (study.changes_from, contract.zone) if study.changes_from else None
    return {
        "months": [str(month) for month in study.months],
        "rows": contract.plural,
        "measure": MEASURES[contract.loss],
        "unit": (contract.target.unit or "") if contract.loss == "absolute" else "",
        "runs": [summarise(lag, {name: simulations[name, lag] for name in names}, gate, change) for lag in study.lags],
    }


@contextmanager
def _locked(workspace: Path) -> Iterator[None]:
    workspace.mkdir(parents=True, exist_ok=True)
    with (workspace / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{workspace}: another backtest is at work there") from None
        # Left by a study that was killed; under the lock no other one uses them.
        shutil.rmtree(workspace / "homes", ignore_errors=True)
        yield


def fetch(study: Study, source: Source) -> None:
    """Fetch the raw months, which the simulations publish, and the clean ones, on which they are judged: each once."""
    raw = KeptFiles(source, study.workspace / "raw")
    store = MonthStore(study.workspace / "months", cleaner_of(study.settings.contract))
    for month in study.months:
        store.ingest(raw, month, refetch=not raw.kept(month).is_file())


def _simulations(
    study: Study, names: Iterable[str], progress: Progress, on_result: OnResult
) -> dict[tuple[str, int], list[Simulated]]:
    """Return the simulations by policy and lag.

    Policies whose trainings others share run first; `blind` waits for the number of autoops' retrainings.
    """
    simulations: dict[tuple[str, int], list[Simulated]] = {}
    first = sorted(set(names) - {BLIND}, key=(AUTOOPS, "monthly", *POLICIES).index)
    settings = sharing_cores(on_history(study.settings), study.jobs)
    orders = [Order(name, lag, study.months, settings, study.workspace) for name in first for lag in study.lags]
    blind = study.seeds * len(study.lags) if BLIND in names else 0
    total = (len(orders) + blind) * (len(study.months) - settings.training.window_months)

    def done(order: Order, simulated: Simulated) -> list[Order]:
        simulations.setdefault((order.policy, order.lag_months), []).append(simulated)
        on_result(order, simulated)
        return _blind(order, len(retrainings_of(simulated)), study) if order.policy == AUTOOPS and blind else []

    simulate_all(orders, study.jobs, done, lambda simulated: progress(simulated, total))
    return {key: sorted(found, key=lambda simulated: simulated["seed"] or 0) for key, found in simulations.items()}


def _blind(order: Order, retrainings: int, study: Study) -> list[Order]:
    """Return the orders of the random-date baseline, one for each seed, with as many retrainings as `order` had."""
    return [replace(order, policy=BLIND, retrainings=retrainings, seed=seed) for seed in range(study.seeds)]


def on_history(settings: Settings) -> Settings:
    """Return the settings of a simulation.

    There is no live traffic, so checks judge the published months. No person is there to approve of promotions, and no
    decision depends on how busy the simulating machine is.
    """
    drift = settings.drift.model_copy(update={"source": "months"})
    training = settings.training.model_copy(update={"approval": False, "source": "months"})
    # `model_copy` validates nothing; a configuration may not contain infinity.
    gate = settings.gate.model_copy(update={"max_latency_ms": inf})
    return settings.model_copy(update={"drift": drift, "training": training, "gate": gate})
