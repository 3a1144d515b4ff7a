"""Random histories of predictions, labels, windows and prunes against a model of dictionaries, on both databases.

`AUTOOPS_HISTORIES=2000 pytest tests/integration/test_label_histories.py` tries as many on each database.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.loop.context import Context
from autoops.loop.data.retention import first_id_of, prune
from autoops.models.registry import CHAMPION
from autoops.serving.log.inbox import Inbox
from autoops.serving.log.outbox import Outbox
from autoops.settings import Settings
from autoops.storage import tables
from autoops.storage.logged import LIVE, LoggedPrediction, as_sent, owned
from autoops.storage.predictions import Label, LogSelection
from tests.bundles import register_small
from tests.integration.one_process import context_in
from tests.unit.serving.test_prediction_log import row

HISTORIES = int(os.environ.get("AUTOOPS_HISTORIES", "15"))
STEPS = 25
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SCOPES = [LogSelection(2), LogSelection(1), LogSelection(2, "2023-01")]


@dataclass
class Model:
    """What the log has to say: predictions by id, and labels in the order in which they came."""

    log: dict[str, LoggedPrediction] = field(default_factory=dict)
    labels: list[tuple[Label, datetime]] = field(default_factory=list)
    came: list[float] = field(default_factory=lambda: [0.0])
    """The minutes of all labels as they came, after nought: where a label stands in the order."""
    judged: tuple[str, float] = ("", 0)

    def of_request(self, request_id: str | None) -> LoggedPrediction | None:
        return next((one for one in self.log.values() if request_id and one.request_id == request_id), None)

    def predict(self, one: LoggedPrediction) -> LoggedPrediction:
        return self.of_request(one.request_id) or self.log.setdefault(one.id, one)

    def label(self, label: Label, at: datetime) -> None:
        name = label.request_id
        if name and self.of_request(name) is None and self.of_request(as_sent(name)) is not None:
            label = replace(label, request_id=as_sent(name))
        self.labels.append((label, at))
        self.came.append(label.target)

    def named(self, label: Label) -> LoggedPrediction | None:
        return self.of_request(label.request_id) or self.log.get(label.prediction_id or "")

    def labelled(self, scope: LogSelection) -> list[tuple[str, float]]:
        """Prediction id and minutes of every label in scope, in their order."""
        named = ((self.named(label), label.target) for label, _ in self.labels)
        return [
            (one.id, minutes)
            for one, minutes in named
            if one is not None and (one.model_version, one.source) == (scope.model_version, scope.source)
        ]

    def window(self, scope: LogSelection, limit: int, after: float) -> list[tuple[str, float]]:
        labelled = self.labelled(scope)
        cursor = self.came.index(after)
        counted = {name for name, minutes in labelled if self.came.index(minutes) <= cursor}
        newest = {name: minutes for name, minutes in labelled if name not in counted}
        return sorted(newest.items(), key=lambda pair: self.came.index(pair[1]))[-limit:]

    def first_labels(self) -> dict[str, datetime]:
        first: dict[str, datetime] = {}
        for label, at in self.labels:
            if (one := self.named(label)) is not None:
                first[one.id] = min(at, first.get(one.id, at))
        return first

    def prune(self, before: datetime) -> tuple[int, int]:
        last_prediction, last_label = self.judged
        cursor = self.came.index(last_label)
        unjudged = {name for name, minutes in self.labelled(LogSelection(2)) if self.came.index(minutes) > cursor}
        live = {one.id for one in self.log.values() if (one.model_version, one.source) == (2, LIVE)}
        needed = {name for name in live if name > last_prediction or name in unjudged}
        gone = {name for name in self.log if name < first_id_of(before)} - needed
        orphans = [(label, at) for label, at in self.labels if at < before and self.named(label) is None]
        labels = [pair for pair in self.labels if (one := self.named(pair[0])) and one.id in gone] + orphans
        labels = [pair for pair in labels if pair != self.labels[-1]]
        self.labels = [pair for pair in self.labels if pair not in labels]
        self.log = {name: one for name, one in self.log.items() if name not in gone}
        return len(gone), len(labels)


class Replica:
    """One that writes through an outbox of its own, which sends what waits when it is told to."""

    def __init__(self, file: Path, inbox: Inbox, model: Model) -> None:
        self.outbox, self._inbox, self._model = Outbox(file, 5), inbox, model
        self._predictions: list[LoggedPrediction] = []
        self._labels: list[tuple[Label, datetime]] = []

    def predict(self, one: LoggedPrediction) -> LoggedPrediction:
        (answer,) = self.outbox.append([one])
        if answer.id == one.id:
            self._predictions.append(one)
        return answer

    def label(self, label: Label, at: datetime) -> None:
        self.outbox.put([label], at)
        self._labels.append((label, at))

    def send(self) -> None:
        while self.outbox.rows:
            self.outbox.arrive(self._inbox.take(self.outbox.id, self.outbox.next(100)))
        for one in self._predictions:
            self._model.predict(one)
        for label, at in self._labels:
            self._model.label(label, at)
        self._predictions, self._labels = [], []


class History:
    def __init__(self, seed: int, context: Context, folder: Path) -> None:
        self._chance, self._context, self._model = random.Random(seed), context, Model()
        self._answered: list[LoggedPrediction] = []
        self._cursors, self._minutes, self._now = {0.0: 0}, 0, BEGIN
        self._replicas: list[Replica] = []
        if context.log.engine.dialect.name != "sqlite":
            self._inbox = Inbox(context.log.engine, context.clock)
            self._replicas = [Replica(folder / f"{seed}-{n}.db", self._inbox, self._model) for n in range(2)]

    def run(self) -> None:
        steps: list[Callable[[], None]] = [self._predict] * 6 + [self._label] * 6 + [self._send] * 2
        for _ in range(STEPS):
            self._now += timedelta(hours=self._chance.choice([1, 1, 50]))
            self._chance.choice([*steps, self._read, self._judge, self._prune])()
        self._send_all()
        self._read()
        for replica in self._replicas:
            replica.outbox.close()
        if self._replicas:
            self._inbox.close()

    def _request_id(self) -> str | None:
        name = self._chance.choice([None, None, "a", "b", "c", "d"])
        return name and self._chance.choice([name, owned(name, "shop"), owned(name, "other")])

    def _predict(self) -> None:
        made = str(uuid_utils.uuid7(nanoseconds=int(self._now.timestamp() * 1000) * 1_000_000))
        scope = self._chance.choice(SCOPES)
        one = replace(
            row(1, self._request_id()),
            id=made,
            predicted_at=self._now,
            model_version=scope.model_version,
            source=scope.source,
        )
        if self._replicas:
            self._answered.append(self._chance.choice(self._replicas).predict(one))
            return
        (answer,) = self._context.log.append([one])
        assert answer == self._model.predict(one)
        self._answered.append(answer)

    def _label(self) -> None:
        self._minutes += 1
        names: list[dict[str, str | None]] = [{"prediction_id": one.id} for one in self._answered[-6:]]
        names += [{"request_id": self._request_id() or "e"}, {"prediction_id": str(uuid_utils.uuid7())}]
        label = Label(self._minutes, **self._chance.choice(names))
        if self._replicas:
            self._chance.choice(self._replicas).label(label, self._now)
            return
        (status,) = self._context.log.attach([label], self._now)
        self._model.label(label, self._now)
        assert (status == "attached") == (self._model.named(self._model.labels[-1][0]) is not None)

    def _send(self) -> None:
        if self._replicas:
            self._chance.choice(self._replicas).send()

    def _send_all(self) -> None:
        for replica in self._replicas:
            replica.send()

    def _read(self) -> None:
        log, model = self._context.log, self._model
        scope, limit = self._chance.choice(SCOPES), self._chance.choice([1, 3, 50])
        after = self._chance.choice(list(self._cursors))
        read = log.latest_labelled(scope, limit, after=self._cursors[after] or None)
        assert [(one.logged.id, one.target) for one in read] == model.window(scope, limit, after)
        assert all(one.logged == model.log[one.logged.id] for one in read)
        self._cursors |= {one.target: one.label_id for one in read}
        moments = sorted(id for version, id, *_ in log.labelled_moments(scope.source) if version == scope.model_version)
        assert moments == sorted(name for name, _ in model.labelled(scope))
        assert log.labelled_at(list(model.log.values())) == model.first_labels()

    def _judge(self) -> None:
        minutes = self._chance.choice(list(self._cursors))
        last = self._chance.choice(["", *self._model.log])
        self._model.judged = (last, minutes)
        ends = {"last_prediction_id": last or None, "last_label_id": self._cursors[minutes] or None}
        none = {"event_from": None, "event_until": None, "report": {}}
        self._context.checks.append(model_version=2, verdict="no drift", alarm=False, reason="", **ends, **none)

    def _prune(self) -> None:
        before = self._now - timedelta(hours=self._chance.choice([1, 30, 100]))
        pruned = prune(self._context, before)
        assert (pruned.predictions, pruned.labels) == self._model.prune(before)


@pytest.fixture
def context(each_settings: Settings, each_engine: sa.Engine, tmp_path: Path) -> Context:
    built = context_in(tmp_path, each_settings, each_engine)
    for name in ("first", "second"):
        register_small(built.registry, tmp_path / name)
    built.registry.set_alias(CHAMPION, 2)
    return built


def test_labels_find_their_predictions_in_every_history(context: Context, tmp_path: Path) -> None:
    for seed in range(HISTORIES):
        with context.log.engine.begin() as connection:
            for table in (tables.predictions, tables.ground_truth, tables.checks, tables.outboxes):
                connection.execute(sa.delete(table))
        try:
            History(seed, context, tmp_path).run()
        except Exception as error:
            raise AssertionError(f"history {seed} differs") from error
