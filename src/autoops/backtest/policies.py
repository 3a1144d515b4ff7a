"""Policies: when to retrain, and whether to ask the gate. What the loop does by itself, and what it is compared with.

frozen             never: version 1 serves all along
monthly            whenever a month is published; promoted whatever the gate says
monthly+gate       whenever a month is published; promoted where the gate says so
every-2-months+gate  at every other publication, through the same gate
blind              as often as autoops, at publications drawn at random, through the same gate
evidently-default  when Evidently's drift preset calls the new month drifted, through the same gate
autoops            when production's own check leads to an incident (an alarm or a scheduled retraining), through the
                   same gate; an inconclusive verdict gets interim re-evaluations
oracle             a challenger whenever a month is published, promoted where it serves the next month better: it
                   knows the next month's rows, which no real policy does
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from autoops.backtest.calendar import Step
from autoops.backtest.installation import Installation, Retraining
from autoops.backtest.served import Served
from autoops.errors import InputError
from autoops.loop.context import Context
from autoops.loop.decide.gate import GateVerdict, unit_of
from autoops.loop.monitor import drift_check
from autoops.loop.records.checks import JUDGED
from autoops.loop.retrain.retraining import GateRecord, Plan
from autoops.models.registry import champion_of
from autoops.months import Month

FROZEN, GATED, BLIND, AUTOOPS = "frozen", "monthly+gate", "blind", "autoops"
POLICIES = (FROZEN, "monthly", GATED, "every-2-months+gate", BLIND, "evidently-default", AUTOOPS, "oracle")


class Policy(Protocol):
    """A rule for when to retrain, and for which challengers to promote."""

    def act(self, installation: Installation, step: Step) -> list[Retraining]:
        """Act when a month is published; return the retrainings and interim re-evaluations that this began."""


@dataclass(frozen=True)
class At(Policy):
    """A policy that retrains at the end of these months."""

    months: Collection[Month]
    force: bool = False

    def act(self, installation: Installation, step: Step) -> list[Retraining]:
        """Retrain at the end of one of `months`, else do nothing; `force` promotes against the gate, too."""
        if step.month not in self.months:
            return []
        return [installation.retrain(reason=f"{step.published} is published", force=self.force)]


class AutoOps(Policy):
    """Production's own policy.

    It checks at the scheduled interval until nothing is left to judge or to act on, and retrains as Airflow would.
    """

    def act(self, installation: Installation, step: Step) -> list[Retraining]:
        """Check and act on incidents, one interval apart, until a check judges no window and no run has a version."""
        done: list[Retraining] = []
        while True:
            found = drift_check.check(installation.context)
            begun = [self._take_up(installation, incident) for incident in found["actionable"]]
            done += begun
            if found["verdict"] not in JUDGED and not any(one.version for one in begun):
                return done
            installation.clock.advance(installation.context.settings.drift.check_interval_s)

    def _take_up(self, installation: Installation, incident_id: int) -> Retraining:
        """Retrain for an incident, which counts as detected only where it is about drift.

        A scheduled retraining follows the calendar, and an interim re-evaluation follows a publication.
        """
        noticed = installation.context.ledger.incident(incident_id).kind == "drift"
        return installation.retrain(reason="", incident_id=incident_id, detected=noticed)


class EvidentlyDefault(Policy):
    """A policy that retrains, through the gate, when Evidently's drift preset finds drift in the new month."""

    def act(self, installation: Installation, step: Step) -> list[Retraining]:
        """Retrain if the preset finds drift in the month just published, which must not be None."""
        from autoops.backtest.evidently_default import drifted  # importing Evidently takes seconds

        assert step.published is not None
        champion = champion_of(installation.context.registry)
        if not drifted(installation.context, champion, step.published):
            return []
        return [installation.retrain(reason=f"Evidently: {step.published} drifted", detected=True)]


@dataclass(frozen=True)
class Oracle(Policy):
    """A policy that decides by the errors on the next month, which no real policy knows."""

    served: Served

    def act(self, installation: Installation, step: Step) -> list[Retraining]:
        """Retrain, and promote the challenger if its mean loss in the month after `step.month` is lower."""

        def known_afterwards(context: Context, plan: Plan, number: int) -> GateRecord:
            champion, challenger = champion_of(context.registry), context.registry.version(number)
            ahead = step.month.plus(1)
            keep, retrain = (self.served.errors(context, one, ahead).mae for one in (champion, challenger))
            unit = unit_of(context.contract)
            reason = f"known afterwards: {retrain:.3f} against {keep:.3f}{unit.short} in {ahead}"
            verdict = GateVerdict("promote" if retrain < keep else "reject", reason, rows=0, days=0)
            compared: GateRecord = {
                **verdict.to_json(),
                "champion": champion.number,
                "challenger": number,
                "months": [str(ahead)],
                "logged": [],
                "look": 1,
                "challengers_before": 0,
            }
            return compared

        return [installation.retrain(reason=f"{step.published} is published", judge=known_afterwards)]


def policy_named(name: str, publications: Sequence[Month], served: Served, drawn: Collection[Month] = ()) -> Policy:
    """Return the policy of this name; `drawn` are the months of the random-date baseline, `blind`.

    Raises:
        InputError: there is no such policy; the message names the existing ones.
    """
    made: dict[str, Policy] = {
        FROZEN: At(()),
        "monthly": At(publications, force=True),
        GATED: At(publications),
        "every-2-months+gate": At(publications[1::2]),
        BLIND: At(drawn),
        "evidently-default": EvidentlyDefault(),
        AUTOOPS: AutoOps(),
        "oracle": Oracle(served),
    }
    if name not in made:
        raise InputError(f"policy {name!r}: expected one of {', '.join(POLICIES)}")
    return made[name]


def draw(publications: Sequence[Month], count: int, seed: int) -> list[Month]:
    """Return `count` random months in order, each at most once; all of them where there are fewer."""
    chosen = np.random.default_rng(seed).choice(len(publications), min(count, len(publications)), replace=False)
    return sorted(publications[position] for position in chosen)
