"""The prediction of a batch: one version, one transaction, all rows or none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
import numpy.typing as npt
import uuid_utils

from autoops.event_times import plausible
from autoops.serving.log.writer import Writer
from autoops.serving.metrics import Metrics
from autoops.serving.model.holder import Loaded
from autoops.serving.payloads.batch import Batch
from autoops.serving.payloads.responses import BatchAnswer
from autoops.serving.payloads.validation_errors import ValidationErrors, taken
from autoops.serving.predict.batches import Batches
from autoops.storage.predictions import LIVE, LoggedColumns, LoggedPrediction, PredictionLog
from autoops.usecase.contract import Contract
from autoops.usecase.rows import inputs_from


@dataclass(frozen=True)
class _Asked:
    """A batch before scoring: `inputs` of shape `(rows, features)`, `known` of shape `(rows,)`."""

    inputs: npt.NDArray[np.float32]
    rows: Callable[[npt.NDArray[np.float64]], LoggedColumns]
    """Makes the rows of the log from the predictions, of shape `(rows,)`."""
    known: npt.NDArray[np.bool_]
    id_field: str


class BatchPredictor:
    """Prediction of batches: scored in worker threads, logged in the thread of `writer`."""

    def __init__(
        self, contract: Contract, log: PredictionLog, writer: Writer, metrics: Metrics, batches: Batches
    ) -> None:
        self._contract = contract
        self._log = log
        self._writer = writer
        self._metrics = metrics
        self._batches = batches

    async def predict(self, loaded: Loaded, batch: Batch, key: str | None, now: datetime) -> BatchAnswer:
        """Return the predictions once all of them are committed to the log.

        Raises:
            InvalidRows: a request_id belongs to another row, in the log or in the batch.
        """
        asked = await self._batches.run(_asked, self._contract, loaded, batch, key, now)
        rows = asked.rows(await self._batches.score(loaded.scorer, asked.inputs))
        append = self._log.append_columns if batch.request_ids is None else partial(self._append_named, asked.id_field)
        others = await self._writer.run_exclusively(partial(append, rows), len(batch))
        answer = await self._batches.run(_answer, loaded, rows, asked.known, others)
        new = ~answer.repeated
        unknown, strange = new & ~answer.known, new & ~plausible(rows.event_at, now, self._contract.event_time.ahead)
        self._metrics.predicted(answer.answered_by, int(new.sum()), int(unknown.sum()), int(strange.sum()))
        return answer

    def _append_named(self, id_field: str, rows: LoggedColumns) -> dict[int, LoggedPrediction]:
        """Append rows of which some have a request_id; append none if one belongs to another row.

        Another process can log such a request_id between the check and the append. Then the other rows are logged, and
        the batch is rejected all the same: a client that sends them again gets the logged predictions.

        Raises:
            InvalidRows: a request_id belongs to another row.
        """
        named = [request_id for request_id in rows.request_id if request_id is not None]
        standing = self._log.standing(named)
        if standing or len(set(named)) < len(named):
            self._refuse_other_rows(rows, standing, id_field)
        others = self._log.append_columns(rows)
        # Rows that another process has logged since the check, and repeats within the batch.
        if others.keys() - {n for n, name in enumerate(rows.request_id) if name in standing}:
            self._refuse_other_rows(rows, {str(row.request_id): row for row in others.values()}, id_field)
        return others

    def _refuse_other_rows(self, rows: LoggedColumns, standing: Mapping[str, LoggedPrediction], id_field: str) -> None:
        first, errors = dict(standing), ValidationErrors()
        for position, row in enumerate(rows.rows()):
            if row.request_id is not None and not row.is_for_row_of(first.setdefault(row.request_id, row)):
                errors.column(id_field.format(row=position), taken(self._contract.row))
        errors.check()


def _asked(contract: Contract, loaded: Loaded, batch: Batch, key: str | None, now: datetime) -> _Asked:
    batch, count = batch.begun_by(now), len(batch)
    columns, encoder = batch.columns(), loaded.scorer.encoder
    rows = partial(
        LoggedColumns,
        [str(uuid_utils.uuid7()) for _ in range(count)],
        batch.owned_by(key) or [None] * count,
        batch.event_at,
        [now] * count,
        [loaded.version.number] * count,
        [LIVE] * count,
        inputs_from(contract, columns),
        key=[key] * count,
        contract=[contract.inputs_id] * count,
    )
    return _Asked(encoder.matrix(columns), rows, encoder.known(columns), batch.id_field)


def _answer(
    loaded: Loaded, rows: LoggedColumns, known: npt.NDArray[np.bool_], others: Mapping[int, LoggedPrediction]
) -> BatchAnswer:
    """Return the predictions of a batch; a repeated request gets its earlier one, from `others` by position."""
    number = loaded.version.number
    # With copies, because the loop below changes them and `rows` is still read afterwards.
    answer = BatchAnswer(
        number,
        list(rows.id),
        rows.prediction.copy(),
        np.full(len(rows), number, dtype=np.int32),
        rows.event_at.copy(),
        known,
        np.zeros(len(rows), dtype=bool),
    )
    for position, row in others.items():
        answer.prediction_id[position] = row.id
        answer.prediction[position] = row.prediction
        answer.model_version[position] = row.model_version
        answer.event_at[position] = np.datetime64(row.event_at.astimezone(UTC).replace(tzinfo=None), "us")
        answer.known[position] = loaded.scorer.encoder.knows(row.inputs)
        answer.repeated[position] = True
    return answer
