"""Answers of the API, summed by model version and hour of event time.

Memory grows with the hours and versions of a replay, not with its requests, so that a soak test may run for weeks.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from autoops.months import Month
from autoops.usecase.contract import Contract
from autoops.usecase.tasks import losses

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answered row; `answered_at` is wall time. Of a binary target it has a probability, and a truth of 1 or 0."""

    event_at: datetime
    prediction: float
    truth: float
    model_version: int
    answered_at: datetime

    @property
    def error(self) -> float:
        """Return the signed error in the target's unit, positive where the prediction was too high."""
        return self.prediction - self.truth


@dataclass(slots=True)
class Sums:
    """Running sums over answers: of their losses by the contract, and of their signed errors.

    Only `judged` answers count in these, whose targets are within the bounds of training. Errors on other rows say
    nothing about a version.
    """

    rows: int = 0
    judged: int = 0
    loss: float = 0.0
    signed: float = 0.0

    @classmethod
    def of(cls, answer: Answer, contract: Contract) -> "Sums":
        """Return the sums of one answer; it is not judged where the truth is outside the target's bounds."""
        truth = np.array([answer.truth])
        if not contract.target.contains(truth)[0]:
            return cls(1)
        return cls(1, 1, float(losses(contract, truth, np.array([answer.prediction]))[0]), answer.error)

    def add(self, other: "Sums") -> None:
        """Add other sums to these, in place."""
        self.rows += other.rows
        self.judged += other.judged
        self.loss += other.loss
        self.signed += other.signed

    @property
    def mae(self) -> float:
        """Return the mean loss by the contract, NaN without judged answers."""
        return self.loss / self.judged if self.judged else math.nan

    @property
    def bias(self) -> float:
        """Return the mean signed error, NaN without judged answers."""
        return self.signed / self.judged if self.judged else math.nan


@dataclass(frozen=True)
class Segment:
    """All answers of one version within one span of event time, which begins at `event_at`."""

    event_at: datetime
    model_version: int
    rows: int
    mae: float
    bias: float


@dataclass(frozen=True)
class FirstAnswer:
    """When a version answered for the first time, in event time and in wall time."""

    event_at: datetime
    answered_at: datetime


class Tally:
    """Sums of answers by model version and hour of event time, and each version's first answer."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._cells: defaultdict[tuple[int, int], Sums] = defaultdict(Sums)
        self._hour_began_at: dict[int, datetime] = {}
        self.first_answers: dict[int, FirstAnswer] = {}

    def add(self, answer: Answer) -> None:
        """Add an answer to the sums of its version and hour; call it in the order of the answers."""
        hour = (answer.event_at - EPOCH) // HOUR
        self._cells[answer.model_version, hour].add(Sums.of(answer, self.contract))
        self._hour_began_at.setdefault(hour, answer.answered_at)
        first = FirstAnswer(answer.event_at, answer.answered_at)
        self.first_answers.setdefault(answer.model_version, first)

    def by_month(self) -> list[Segment]:
        """Return one segment per month and version, in order; `event_at` is the month's start."""
        zone = self.contract.zone
        # Of a zone whose offset is no whole hours, the hour across a month's end counts to the month that it begins in.
        return list(self._group(lambda moment: Month.of(moment, zone).starts_in(zone)))

    def by_span(self, span: timedelta) -> list[Segment]:
        """Return one segment per `span` of event time and version, in order."""
        return list(self._group(lambda moment: EPOCH + (moment - EPOCH) // span * span))

    def _group(self, start_of: Callable[[datetime], datetime]) -> Iterator[Segment]:
        groups: defaultdict[tuple[datetime, int], Sums] = defaultdict(Sums)
        for (version, hour), sums in self._cells.items():
            groups[start_of(EPOCH + hour * HOUR), version].add(sums)
        for (event_at, version), sums in sorted(groups.items()):
            yield Segment(event_at, version, sums.rows, sums.mae, sums.bias)

    def event_time_at(self, wall: datetime) -> datetime | None:
        """Return the event time, to the hour, that was reached at a wall time; None before the first answer."""
        reached = [hour for hour, began_at in self._hour_began_at.items() if began_at <= wall]
        return EPOCH + max(reached) * HOUR if reached else None
