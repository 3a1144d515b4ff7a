"""The simulation of one policy at one label lag through all months."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict, cast

from autoops.backtest.calendar import Step, publications, steps
from autoops.backtest.challengers import Challengers
from autoops.backtest.fingerprint import SIMULATION_CODE, code, fingerprint, simulation_settings
from autoops.backtest.installation import Installation, installed
from autoops.backtest.policies import Policy, draw, policy_named
from autoops.backtest.served import Served
from autoops.errors import NoChampion
from autoops.ingestion.atomic_write import atomic_write
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.source import DirectorySource
from autoops.ingestion.store import MonthStore
from autoops.models.registry import champion_of
from autoops.months import Month
from autoops.settings import Settings

JudgedWindow = TypedDict(
    "JudgedWindow", {"version": int, "from": str | None, "until": str | None, "alarm": bool, "reason": str}
)
"""A check's verdict on a window; `from` and `until` are event times."""


class RetrainingRecord(TypedDict):
    """A `Retraining` as JSON."""

    at: str
    months: list[str]
    decision: str
    promoted: bool
    reason: str
    version: int | None
    kind: str
    detected: bool
    evidence_start: str | None
    evidence_end: str | None
    kept_cpu_s: float


class Errors(TypedDict):
    """Errors by day since the epoch: rows, and the sums of their losses (`minutes`, an older name)."""

    days: list[int]
    rows: list[int]
    minutes: list[float]


class SimulatedMonth(TypedDict):
    """The version that served a month, its errors, and what the policy did at the month's end."""

    month: str
    errors: Errors
    version: int
    training_months: list[str]
    cpu_seconds: float
    rolled_back: int
    checks: list[JudgedWindow]
    retrainings: list[RetrainingRecord]


class Simulated(TypedDict):
    """The simulation of one policy at one label lag, with one seed where its months are drawn."""

    policy: str
    lag: int
    seed: int | None
    cpu_seconds: float
    months: list[SimulatedMonth]


Progress = Callable[[], None]
"""Called after each month."""


@dataclass(frozen=True)
class Order:
    """A simulation to run.

    `retrainings` is the number that autoops made, and `seed` draws their months: for the random-date baseline (`blind`)
    alone. `workspace` holds the `raw` and the clean `months`, and what is cached between simulations.
    """

    policy: str
    lag_months: int
    months: tuple[Month, ...]
    settings: Settings
    workspace: Path
    retrainings: int = 0
    seed: int | None = None

    @property
    def name(self) -> str:
        """Return the simulation's name: the policy, the label lag in months and, if there is one, the seed."""
        seed = "" if self.seed is None else f"-seed-{self.seed}"
        return f"{self.policy}-lag-{self.lag_months}{seed}"

    def kept_at(self) -> Path:
        """Return the path of the cached result: another path where anything changes that the result depends on."""
        store = MonthStore(self.workspace / "months", cleaner_of(self.settings.contract))
        digests = [ingested and ingested.digest for ingested in map(store.get, self.months)]
        depends = [self.name, digests, simulation_settings(self.settings), self.retrainings, code(SIMULATION_CODE)]
        return self.workspace / "walks" / f"{self.name}-{fingerprint(*depends)}.json"


def simulate(order: Order, progress: Progress) -> Simulated:
    """Return the cached result, or simulate from the start.

    What a killed simulation has trained and scored is used again.
    """
    path = order.kept_at()
    if path.is_file():
        kept: Simulated = json.loads(path.read_text())
        return kept
    simulated = _simulate(order, progress)
    with atomic_write(path) as file:
        file.write(json.dumps(simulated).encode())
    return simulated


def _simulate(order: Order, progress: Progress) -> Simulated:
    place, window = order.workspace, order.settings.training.window_months
    served = Served(MonthStore(place / "months", cleaner_of(order.settings.contract)), place / "errors")
    ahead = steps(order.months, window, order.lag_months)
    out = publications(ahead)
    drawn = [] if order.seed is None else draw(out, order.retrainings, order.seed)
    policy = policy_named(order.policy, out, served, drawn)
    raw, home = DirectorySource(place / "raw", order.settings.contract.source.fetched), place / "homes" / order.name
    months: list[SimulatedMonth] = []
    with installed(
        order.settings, home, raw, order.months[0], order.months[window - 1], Challengers(place / "challengers")
    ) as installation:
        _first_version(installation)
        for step in ahead:
            months.append(_step(installation, served, policy, step))
            progress()
    return {
        "policy": order.policy,
        "lag": order.lag_months,
        "seed": order.seed,
        "cpu_seconds": sum(month["cpu_seconds"] for month in months),
        "months": months,
    }


def _first_version(installation: Installation) -> None:
    first = installation.retrain(reason="first model")
    if not first.promoted:
        raise NoChampion(f"the first version is not promoted: {first.reason}")


def _step(installation: Installation, served: Served, policy: Policy, step: Step) -> SimulatedMonth:
    # Before the policy acts: what it promotes at the month's end serves from the next month on.
    champion = champion_of(installation.context.registry)
    errors = served.errors(installation.context, champion, step.month)
    installation.clock.move_to(step.month.ends_in(installation.context.contract.zone))
    # Only now: scoring the month is work of the study, not of the policy.
    begun, judged, undone = time.process_time(), len(_judged(installation)), _rollbacks(installation)
    retrainings = []
    if step.published is not None:
        installation.source.publish(step.published)
        retrainings = policy.act(installation, step)
    kept = sum(retraining.kept_cpu_s for retraining in retrainings)
    return {
        "month": str(step.month),
        "errors": cast(Errors, asdict(errors)),
        "version": champion.number,
        "training_months": champion.tags["training_months"].split(","),
        "cpu_seconds": time.process_time() - begun + kept,
        "rolled_back": _rollbacks(installation) - undone,
        "checks": _judged(installation)[judged:],
        "retrainings": [cast(RetrainingRecord, asdict(retraining)) for retraining in retrainings],
    }


def _rollbacks(installation: Installation) -> int:
    return len(installation.context.ledger.entries(kind="rolled back"))


def _judged(installation: Installation) -> list[JudgedWindow]:
    """Return the verdicts of the checks so far, oldest first: they explain why there was an incident, or none."""
    checks = installation.context.checks.latest(judged=True, limit=None)[::-1]
    return [
        {
            "version": check.model_version,
            "from": check.event_from.isoformat() if check.event_from else None,
            "until": check.event_until.isoformat() if check.event_until else None,
            "alarm": check.alarm,
            "reason": check.reason,
        }
        for check in checks
    ]
