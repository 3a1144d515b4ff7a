"""What each kind of estimator costs and brings: `scripts/bench.sh estimators [taxi] [hotel]`.

The tables of docs/estimators.md. AUTOOPS_TLC_DIR and AUTOOPS_HOTEL_DIR name the folders of real months. Each is trained
as a retraining does it, on 12,000 rows: of trips of 2022-11 to 2023-01, and of hotel bookings that arrive in 2015-07 to
2016-06. Its ONNX goes through the gate against the best constant, is served by the API, and is judged on the month
after.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from autoops.ingestion.cleaned import cleaner_of
from autoops.months import parse_months
from autoops.storage import database
from autoops.training.estimator import inputs_of, outputs
from autoops.usecase import declaration
from autoops.usecase.columns import EVENT_AT, TARGET
from autoops.usecase.contract import Contract
from autoops.usecases.hotel.prepare import prepare
from tests.estimators import CLASSIFIERS, REGRESSORS, Named, serve

FITTED, JUDGED = 12_000, 2_000
TRAINING = {"holdout_days": 21}
# Its verdict on latency would be one on the machine.
GATE = {"max_latency_ms": 1_000}

Split = tuple[pd.DataFrame, pd.DataFrame]
"""Rows to train on, and rows of the month after these to judge by."""


def split(folder: Path, contract: Contract, months: str) -> Split:
    """Sample rows of all these months but the last, and of the last."""
    clean = cleaner_of(contract)
    cleaned = [clean(folder / contract.source.file_name(str(month)), month).rows for month in parse_months(months)]
    known, after = pd.concat(cleaned[:-1], ignore_index=True), cleaned[-1]
    fitted = known.sample(FITTED, random_state=7).sort_values(EVENT_AT, ignore_index=True)
    return fitted, after.sample(JUDGED, random_state=7)


def write_bookings(published: Path, folder: Path) -> None:
    """Write a file for each month of arrival."""
    rows = prepare(pq.read_table(published / "hotel_bookings.parquet")).to_pandas()
    for month, some in rows.groupby(rows["arrival"].dt.strftime("%Y-%m")):
        table = pa.Table.from_pandas(some, preserve_index=False)
        pq.write_table(table, folder / f"hotel_bookings_{month}.parquet")


def measured(named: Named, usecase: str, rows: Split, log: Path) -> str:
    """Return the cells of the estimator's line."""
    fitted, judged = rows
    with TemporaryDirectory() as home:
        folder = Path(home)
        settings = named.settings(usecase, folder, training=TRAINING, gate=GATE)
        served = serve(settings, fitted, log, folder)
        inputs, truth = inputs_of(judged, served.trained.encoder), judged[TARGET].to_numpy()
        found = served.scorer.predict(inputs)
        off = max(served.off, float(np.abs(found - outputs(served.trained.model, inputs)).max()))
        one = _seconds(lambda: served.scorer.predict(inputs[:1]), 500)
        thousand = _seconds(lambda: served.scorer.predict(inputs[:1_000]), 20)
    error = roc_auc_score(truth, found) if settings.contract.task == "binary" else np.abs(found - truth).mean()
    verdict = served.verdict
    return (
        f"{error:.3f} | {verdict.champion_mae:.3f} → {verdict.challenger_mae:.3f}: {verdict.decision} | "
        f"{verdict.model_mb:.2f} | {1e6 * one:.0f} | {1e3 * thousand:.1f} | {off:.0e} | {served.train_s:.0f}"
    )


def _seconds(run: Callable[[], object], times: int) -> float:
    """Return the median of so many runs."""
    seconds = []
    for _ in range(times):
        started = perf_counter()
        run()
        seconds.append(perf_counter() - started)
    return float(np.median(seconds))


def table(all_named: Mapping[str, Named], measure: Callable[[Named], str], error: str, loss: str) -> Iterator[str]:
    """Return the lines one by one, as each is measured."""
    yield f"| estimator | {error} | gate: {loss} | MB | one row, µs | 1000 rows, ms | off by | s to train |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, named in all_named.items():
        cells = "not installed: `pip install '.[boosters]'` | | | | | | " if named.absent else measure(named)
        yield f"| {name}, `{named.path}` | {cells} |"


def lines(usecase: str, published: Path, folder: Path, log: Path) -> Iterator[str]:
    """Return the table of a use case, whose raw data is in `published`."""
    if usecase == "taxi":
        rows = split(published, declaration.load(usecase), "2022-11..2023-02")
        all_named, error, loss = REGRESSORS, "MAE, min", "MAE, min"
    else:
        write_bookings(published, folder)
        rows = split(folder, declaration.load(usecase), "2015-07..2016-07")
        all_named, error, loss = CLASSIFIERS, "AUC", "log loss"
    yield from table(all_named, lambda named: measured(named, usecase, rows, log), error, loss)


def main() -> None:
    warnings.simplefilter("ignore")
    for usecase in sys.argv[1:] or ("taxi", "hotel"):
        variable = {"taxi": "AUTOOPS_TLC_DIR", "hotel": "AUTOOPS_HOTEL_DIR"}[usecase]
        published = os.environ.get(variable)
        if not published:
            sys.exit(f"{variable} names the folder of real months that this needs; set it")
        with TemporaryDirectory() as directory:
            log = Path(directory) / "autoops.db"
            database.upgrade(database.embedded(log, timeout_s=10))
            for line in lines(usecase, Path(published), Path(directory), log):
                print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
