"""Predictions of a version for published months, written to the prediction log: the loop without live traffic."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict

import numpy as np
import pandas as pd
import uuid_utils

from autoops.loop.context import Context
from autoops.models.registry import ModelVersion, champion_of
from autoops.models.scoring import Scorer, load_version
from autoops.months import Month
from autoops.storage.predictions import Label, LabelledPrediction, LoggedPrediction
from autoops.usecase.columns import EVENT_AT, TARGET, columns_of
from autoops.usecase.rows import inputs_from
from autoops.usecase.tasks import losses

CHUNK = 5_000

Progress = Callable[[int, int], None]
"""Called with the number of rows that are done and the number of all rows."""


class ScoredMonth(TypedDict):
    """The champion's result on a month; `loss` is the mean of the declared loss."""

    month: str
    model_version: int
    rows: int
    loss: float


def score(context: Context, month: Month, progress: Progress | None = None) -> ScoredMonth:
    """Log the champion's predictions for a published month with their ground truth; a repeat changes nothing."""
    champion = champion_of(context.registry)
    context.store.ingest(context.source, month)
    rows = predicted(context, champion, month, context.store.load([month]), progress)
    pairs = np.array([(row.target, row.logged.prediction) for row in rows])
    loss = float(losses(context.contract, *pairs.T).mean())
    return {"month": str(month), "model_version": champion.number, "rows": len(pairs), "loss": loss}


def predicted(
    context: Context, version: ModelVersion, month: Month, frame: pd.DataFrame, progress: Progress | None = None
) -> Iterator[LabelledPrediction]:
    """Yield the logged predictions of these rows with ground truth, in order; first log those that are missing.

    `frame` is any number of rows with the target: `CHUNK` of them are looked up at a time.
    """
    ids = _request_ids(context, frame, f"{month}/v{version.number}")
    scorer: Scorer | None = None
    for start in range(0, len(frame), CHUNK):
        part = slice(start, start + CHUNK)
        standing = context.log.labelled_by_request(ids[part])
        # Among them are rows that an earlier run logged without their labels: `append` keeps those.
        missing = [position for position in range(len(ids))[part] if ids[position] not in standing]
        if missing:
            # Loaded only where a row is missing, so that a month that is scored needs no model.
            scorer = scorer or load_version(context.registry, version, context.model_cache)
            _log(context, version.number, month, frame.iloc[missing], [ids[position] for position in missing], scorer)
            # Read back, because another run may have logged some of them first, and its rows stand.
            standing |= context.log.labelled_by_request([ids[position] for position in missing])
        if progress:
            progress(min(start + CHUNK, len(frame)), len(frame))
        yield from (standing[request_id] for request_id in ids[part])


def _request_ids(context: Context, frame: pd.DataFrame, prefix: str) -> list[str]:
    """Return a request id for each row, made from its values and not from its position.

    A month that is published again with more rows then adds only those. Identical rows are numbered.
    """
    hashes = pd.util.hash_pandas_object(frame[[EVENT_AT, *context.contract.inputs, TARGET]], index=False)
    again = hashes.groupby(hashes).cumcount()
    return [f"{prefix}/{known:016x}/{number}" for known, number in zip(hashes, again, strict=True)]


def _log(context: Context, version: int, month: Month, frame: pd.DataFrame, ids: Sequence[str], scorer: Scorer) -> None:
    columns = columns_of(frame)
    predictions, now = scorer.predict_rows(columns).tolist(), context.clock.now()
    contract = scorer.encoder.contract
    rows = [
        LoggedPrediction(
            id=str(uuid_utils.uuid7()),
            request_id=request_id,
            event_at=event_at,
            predicted_at=now,
            model_version=version,
            source=str(month),
            inputs=inputs,
            prediction=prediction,
            contract=contract.inputs_id,
        )
        for event_at, request_id, inputs, prediction in zip(
            frame[EVENT_AT].dt.to_pydatetime(), ids, inputs_from(contract, columns), predictions, strict=True
        )
    ]
    standing = context.log.append(rows)
    truth = frame[TARGET].tolist()
    # The ids of `standing` differ from those of `rows` where a row was logged before.
    context.log.attach([Label(m, prediction_id=row.id) for row, m in zip(standing, truth, strict=True)], now)
