"""A dry run of a use case: its months are read, cleaned and trained on, and a row is served, all in a temporary folder.

The code is that of production. Nothing is registered, logged or kept.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pandas as pd

from autoops.errors import DataError, EmptyMonth
from autoops.ingestion import quality
from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.profile import Profile
from autoops.ingestion.source import Source
from autoops.ingestion.store import IngestedMonth, MonthStore
from autoops.models import bundle
from autoops.models.registry import ModelVersion
from autoops.models.scoring import Scorer
from autoops.onboarding import pace
from autoops.serving.model.holder import Loaded
from autoops.serving.payloads.responses import AnswerEncoder
from autoops.serving.payloads.row_models import RowModels
from autoops.serving.predict.predictor import RawRows
from autoops.settings import Settings
from autoops.training import window
from autoops.training.export import write_bundle
from autoops.training.train import Trained, train
from autoops.usecase.calendar import local_days
from autoops.usecase.columns import EVENT_AT, columns_of
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import vocabularies_of

MOST_ROWS, MOST_TREES = 20_000, 20
MANY_VALUES = 200
HARDLY_ANY_LOSS = 0.02
"""A model whose loss is a smaller share of the baseline's probably knows the target."""
MOST_MONTHS, ENOUGH_ROWS = 12, 3 * MOST_ROWS


@dataclass(frozen=True)
class Line:
    """What a step has found: "ok"; "warning", with which the use case runs; or "refused", with which it does not."""

    kind: Literal["ok", "warning", "refused"]
    text: str


def check(settings: Settings, source: Source) -> Iterator[Line]:
    """Run the use case of the settings dry, and yield what each step finds.

    Raises:
        EmptyMonth: there is no month, or none can be trained on.
        AutoOpsError: another step cannot go on; the message says why.
    """
    contract = settings.contract
    yield Line("ok", f"the declaration of {contract.name} is right: {contract.task}, {len(contract.features)} features")
    months = source.published()
    if not months:
        raise EmptyMonth(f"{settings.data.source}: no month is there; the files are {contract.source.files}")
    yield Line("ok", f"{settings.data.source}: {len(months)} months, {months[0]} to {months[-1]}")
    with tempfile.TemporaryDirectory(prefix="autoops-check-") as folder:
        store = MonthStore(Path(folder) / "months", cleaner_of(contract))
        read: list[IngestedMonth] = []
        for month in months[: -MOST_MONTHS - 1 : -1]:
            if sum(one.rows for one in read) > ENOUGH_ROWS:
                break
            try:
                ingested = store.ingest(source, month)
            except DataError as error:
                yield Line("refused", f"{month}: {error}")
                continue
            read.append(ingested)
            yield _read_line(ingested, settings.data.min_kept_share)
        good = [one for one in read if one.kept_share >= settings.data.min_kept_share]
        if not good:
            raise EmptyMonth(f"none of the months {months[-1]} and before can be trained on")
        yield from _quarantined(settings, read)
        rows = store.load(sorted(one.month for one in good))
        yield from _pace(settings, rows)
        yield from _many_values(contract, rows)
        trained = _trained(settings, rows)
        yield from _scores(contract, trained)
        yield from _served(contract, trained, Path(folder))


def _read_line(month: IngestedMonth, least: float) -> Line:
    dropped = ", ".join(f"{reason} {count}" for reason, count in month.dropped.items() if count) or "none"
    text = (
        f"{month.month}: {month.rows:,} of {month.rows_read:,} rows kept ({month.kept_share:.1%}); dropped: {dropped}"
    )
    if month.kept_share < least:
        return Line("refused", f"{text}. Broken data, as data.min_kept_share is {least:.0%}: widen what drops them")
    return Line("ok", text)


def _quarantined(settings: Settings, read: Sequence[IngestedMonth]) -> Iterator[Line]:
    """Yield the months that no retraining would use, each judged against the good ones before it."""
    good: list[Profile] = []
    least, contract = settings.data.min_kept_share, settings.contract
    for month in sorted(read, key=lambda one: one.month):
        found = quality.judge(month.profile, good, least, contract.plural, contract.quality)
        if not found.findings:
            good.append(month.profile)
        elif month.kept_share >= least:
            why = "; ".join(one.reason for one in found.findings)
            yield Line("warning", f"{month.month} would be quarantined, and not trained on: {why}")


def _pace(settings: Settings, rows: pd.DataFrame) -> Iterator[Line]:
    span = (rows[EVENT_AT].iloc[-1] - rows[EVENT_AT].iloc[0]) / pd.Timedelta(days=1)
    per_day = len(rows) / max(span, 1.0)
    days, present = pace.holdout_days(per_day, settings.training, settings.gate), settings.training.holdout_days
    if days > present:
        text = f"{present} days hold out {present * per_day:.0f} rows, of which the gate sees little"
        yield Line("warning", f"{text}. Set training.holdout_days: {days}")


def _many_values(contract: Contract, rows: pd.DataFrame) -> Iterator[Line]:
    for name, values in vocabularies_of(contract, columns_of(rows)).items():
        if len(values) > MANY_VALUES:
            yield Line("warning", f"{name} has {len(values):,} values: rare ones teach a model nothing; group them")


def _trained(settings: Settings, rows: pd.DataFrame) -> Trained:
    """Return a small model of the rows, with the holdout of the settings, or half of the days where these are fewer."""
    few = window.capped(rows, MOST_ROWS)
    model, contract = settings.model, settings.contract
    trees = model.parameters.get("n_estimators")
    if isinstance(trees, int) and trees > MOST_TREES:
        model = model.model_copy(update={"parameters": {**model.parameters, "n_estimators": MOST_TREES}})
    present = len(np.unique(local_days(columns_of(few[[EVENT_AT]])[EVENT_AT], contract.zone)))
    days = max(1, min(settings.training.holdout_days, present // 2))
    training = settings.training.model_copy(update={"holdout_days": days, "min_rows": 1})
    return train(few, contract, model, training)


def _scores(contract: Contract, trained: Trained) -> Iterator[Line]:
    found, unit = trained.metrics, contract.unit if contract.loss == "absolute" else ""
    loss, constant = found["loss"], found["baseline_loss"]
    auc = f", AUC {found['auc']:.3f}" if contract.task == "binary" else ""
    text = (
        f"{trained.parameters['estimator'].rpartition('.')[2]} on {found['fitted_rows']:,.0f} rows up to "
        f"{trained.trained_until:%Y-%m-%d}, judged on the {found['rows']:,.0f} after them: {contract.loss} loss "
        f"{loss:.4g}{unit}, the constant has {constant:.4g}{unit}{auc}"
    )
    # The same bar as that of a first version, which becomes champion only if it beats the constant.
    if loss < constant:
        yield Line("ok", text)
    else:
        yield Line("refused", f"{text}. A first version must beat the constant")
    first = max(trained.importances, key=lambda name: trained.importances[name])
    if loss < HARDLY_ANY_LOSS * constant:
        yield Line(
            "warning", f"suspiciously good: is {first}, the most important feature, known when a model predicts?"
        )
    told = sorted(trained.importances.items(), key=lambda one: -one[1])[:3]
    yield Line("ok", "most important: " + ", ".join(f"{name} {share:.0%}" for name, share in told))


def _served(contract: Contract, trained: Trained, folder: Path) -> Iterator[Line]:
    directory = folder / "bundle"
    directory.mkdir()
    manifest = bundle.verify(directory, write_bundle(trained, "{}", directory))
    scorer = Scorer(directory, manifest)
    scorer.verify_golden_rows()
    size = (directory / bundle.MODEL).stat().st_size / 1e6
    yield Line("ok", f"exported to ONNX ({size:.1f} MB); it predicts as the original within {manifest.tolerance:.2g}")
    request = _request(contract, trained.holdout.iloc[-1])
    models, now = RowModels.of(contract), datetime.now(UTC)
    row = models.row.model_validate_json(orjson.dumps(request))
    version = Loaded(scorer, ModelVersion(1, "dry run"), now, "cache")
    (logged,) = RawRows(models).score(version, [(row, None)], now)
    answer = AnswerEncoder(contract).one(logged, scorer.encoder.knows(logged.inputs), False)
    yield Line("ok", f"served {orjson.dumps(request).decode()}: {orjson.dumps(answer).decode()}")


def _request(contract: Contract, row: "pd.Series[Any]") -> dict[str, object]:
    """Return a row as a client sends it."""
    request: dict[str, object] = {contract.event_time.column: row[EVENT_AT].isoformat()}
    for name, feature in contract.features.items():
        value = None if pd.isna(row[name]) else row[name]
        if value is not None and not feature.is_text:
            value = bool(value) if feature.type == "bool" else float(value) if feature.type == "float" else int(value)
        if value is not None or not feature.nullable:
            request[name] = value
    return request
