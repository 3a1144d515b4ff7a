"""The use cases behind the endpoints: predict and log rows, and store ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

import uuid_utils
from pydantic import BaseModel

from autoops.clock import Clock
from autoops.errors import NotFound, ServiceUnavailable
from autoops.event_times import is_plausible
from autoops.serving.log.writer import Writer
from autoops.serving.metrics import Metrics
from autoops.serving.model.holder import Holder, Loaded
from autoops.serving.payloads import timestamps
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.label_bodies import Labels
from autoops.serving.payloads.responses import BatchAnswer
from autoops.serving.payloads.row_models import RowModels
from autoops.serving.payloads.schemas import FieldProblem, GroundTruthReceipt
from autoops.serving.payloads.validation_errors import InvalidRows, taken
from autoops.serving.predict.batch_predictor import BatchPredictor
from autoops.serving.predict.batches import Batches
from autoops.storage.logged import owned
from autoops.storage.predictions import LIVE, Label, LabelStatus, LoggedPrediction, PredictionLog
from autoops.usecase.rows import RawInputs, columns_from


@dataclass(frozen=True, slots=True)
class Answer:
    """The logged prediction of a row; `known` is whether the version has seen all its categories."""

    logged: LoggedPrediction
    known: bool
    repeated: bool


class Predictor:
    """The use cases of one app, called on the event loop; single rows are scored in the thread of `writer`."""

    def __init__(
        self,
        models: RowModels,
        holder: Holder,
        log: PredictionLog,
        writer: Writer,
        metrics: Metrics,
        batches: Batches,
        clock: Clock,
    ) -> None:
        self._raw = RawRows(models)
        self._noun = models.contract.row
        self._ahead = models.contract.event_time.ahead
        self._log = log
        self._batches = batches
        self._batch_predictor = BatchPredictor(models.contract, log, writer, metrics, batches)
        self._writer = writer
        self._metrics = metrics
        self._clock = clock
        self.holder = holder

    def loaded(self, number: str | None = None) -> Loaded:
        """Return the version that serves; `number` is the one that a client asks for, None for any.

        Raises:
            ServiceUnavailable: no version is loaded yet.
            NotFound: the version that serves has another number.
        """
        loaded = self.holder.current
        if loaded is None:
            raise ServiceUnavailable("no model version is loaded yet; GET /model/info says why")
        if number is not None and number != str(loaded.version.number):
            raise NotFound(f"version {number[:20]} is not served here: version {loaded.version.number} is")
        return loaded

    async def predict(self, row: BaseModel, key: str | None = None) -> Answer:
        """Return the prediction for a row that the API key `key` sends, once it is committed to the log.

        Raises:
            InvalidRows: the request_id belongs to another row.
        """
        # Refused before it waits; `_predict_all` reads the version once for its whole group.
        self.loaded()
        (answer,) = await self._writer.do(self._predict_all, [(row, key)])
        if answer is None:
            raise InvalidRows([FieldProblem(field="request_id", message=taken(self._noun))], 1)
        return answer

    async def predict_batch(self, batch: Batch, key: str | None = None, number: str | None = None) -> BatchAnswer:
        """Return the predictions, new ones all by one version, once all of them are committed to the log.

        Raises:
            NotFound: `number` is there and the version that serves has another one.
        """
        return await self._batch_predictor.predict(self.loaded(number), batch, key, self._clock.now())

    def _predict_all(self, asked: list[tuple[BaseModel, str | None]]) -> list[Answer | None]:
        """Predict the rows of concurrent requests at once, which costs hardly more than one row, and log them."""
        loaded = self.loaded()
        return self._record(loaded, self._raw.score(loaded, asked, self._clock.now()))

    def _record(self, loaded: Loaded, rows: Sequence[LoggedPrediction]) -> list[Answer | None]:
        """Log the rows and return the predictions, None where the request_id belongs to another row."""
        standing = self._log.append(rows)
        number, knows = loaded.version.number, loaded.scorer.encoder.knows
        answers = [
            Answer(
                logged,
                knows(logged.inputs),
                logged.id != row.id,
            )
            if logged.id == row.id or logged.is_for_row_of(row)
            else None
            for row, logged in zip(rows, standing, strict=True)
        ]
        new = [answer for answer in answers if answer is not None and not answer.repeated]
        unknown = sum(not answer.known for answer in new)
        strange = sum(
            not is_plausible(answer.logged.event_at, answer.logged.predicted_at, self._ahead) for answer in new
        )
        self._metrics.predicted(number, len(new), unknown, strange)
        return answers

    async def take_ground_truth(self, labels: Labels) -> GroundTruthReceipt:
        """Store the well-formed labels, and return the receipt once they are committed."""
        statuses = await self._writer.do(self._attach_all, labels.well_formed)
        pending = [position for position, status in zip(labels.positions, statuses, strict=True) if status == "pending"]
        attached = len(statuses) - len(pending)
        self._metrics.labelled(attached, len(pending), len(labels.refused))
        return GroundTruthReceipt(stored=len(statuses), attached=attached, pending=pending, refused=labels.refused)

    def _attach_all(self, labels: list[Label]) -> list[LabelStatus]:
        return self._log.attach(labels, self._clock.now())


class RawRows:
    """Takes raw values out of the rows of requests, in the order of the contract, and scores them."""

    def __init__(self, models: RowModels) -> None:
        self._contract = models.contract
        self._id = self._contract.inputs_id
        self._event_column = self._contract.event_time.column
        features = self._contract.features
        names = tuple(features)
        get = attrgetter(*names)
        self._get = get if len(names) > 1 else lambda row: (get(row),)
        self._stands_for = tuple(feature.stands_for for feature in features.values())
        self._fills = any(value is not None for value in self._stands_for)

    def _inputs(self, row: BaseModel) -> RawInputs:
        values: RawInputs = self._get(row)
        if self._fills and None in values:
            return tuple(
                filling if value is None else value for value, filling in zip(values, self._stands_for, strict=True)
            )
        return values

    def score(self, loaded: Loaded, asked: Sequence[tuple[Any, str | None]], now: datetime) -> list[LoggedPrediction]:
        """Return the predictions of rows, each with the API key that sent it, as they will be logged."""
        rows, keys = [row for row, _ in asked], [key for _, key in asked]
        event_at = [getattr(row, self._event_column) or now for row in rows]
        inputs = [self._inputs(row) for row in rows]
        columns = columns_from(self._contract, timestamps.from_datetimes(event_at), inputs)
        predictions = loaded.scorer.predict_rows(columns).tolist()
        number = loaded.version.number
        return [
            LoggedPrediction(
                str(uuid_utils.uuid7()),
                None if row.request_id is None else owned(row.request_id, key),
                at,
                now,
                number,
                LIVE,
                raw,
                prediction,
                key,
                self._id,
            )
            for row, key, at, raw, prediction in zip(rows, keys, event_at, inputs, predictions, strict=True)
        ]
