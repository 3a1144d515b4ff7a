"""What each kind of estimator costs and brings: `scripts/bench.sh estimators`.

The table of docs/estimators.md. AUTOOPS_TLC_DIR and AUTOOPS_HOTEL_DIR name the folders of real months. Each is trained
as a retraining does it: on trips of 2022-11 to 2023-01, 20,000 of them sampled, and on hotel bookings of 2015-07 to
2016-06. It is judged as ONNX on the next month.
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
from sklearn.metrics import roc_auc_score

from autoops.ingestion.cleaned import cleaner_of
from autoops.models import bundle
from autoops.models.scoring import Scorer, golden_rows
from autoops.months import Month, parse_months
from autoops.settings import Training
from autoops.training import export
from autoops.training.estimator import inputs_of, outputs
from autoops.training.train import Trained, train
from autoops.usecase import declaration
from autoops.usecase.columns import TARGET
from autoops.usecase.contract import Contract
from tests.estimators import CLASSIFIERS, REGRESSORS, Named
from tests.taxi import CONTRACT

FITTED, JUDGED = 20_000, 5_000
HOTEL = Path(__file__).parent.parent / "tests" / "usecases" / "hotel"
WITHOUT_MISSING = ("children", "country", "agent")


def trips(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trips to train on and, of the month after these, trips to judge by."""
    clean = cleaner_of(CONTRACT)
    months = [
        clean(folder / CONTRACT.source.file_name(str(month)), month).trips for month in parse_months("2022-11..2023-01")
    ]
    after = Month(2023, 2)
    served = clean(folder / CONTRACT.source.file_name(str(after)), after).trips
    fitted = pd.concat(months).sample(FITTED, random_state=7).sort_values("event_at", ignore_index=True)
    return fitted, served.sample(JUDGED, random_state=7)


def bookings(folder: Path, contract: Contract) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bookings that arrive in the first twelve months, and those of the thirteenth."""
    clean, raw = cleaner_of(contract), pd.read_parquet(folder / "hotel_bookings.parquet")
    parts = [raw[f"arrival_date_{part}"].astype(str) for part in ("year", "month", "day_of_month")]
    arrival = pd.to_datetime(parts[0] + parts[1] + parts[2], format="%Y%B%d")
    months = []
    with TemporaryDirectory() as directory:
        for month in parse_months("2015-07..2016-07"):
            path = Path(directory) / contract.source.file_name(str(month))
            some = raw[arrival.dt.strftime("%Y-%m") == str(month)]
            some.assign(arrival=arrival.dt.strftime("%Y-%m-%d")).to_parquet(path, index=False)
            months.append(clean(path, month).trips)
    return pd.concat(months[:-1], ignore_index=True), months[-1]


def without_missing(contract: Contract) -> Contract:
    """The contract without the features that may be missing, for estimators that take no missing values."""
    names = tuple(name for name in contract.model_features if name not in WITHOUT_MISSING)
    return contract.model_copy(update={"model": contract.model.model_copy(update={"features": names})})


def measured(named: Named, contract: Contract, fitted: pd.DataFrame, served: pd.DataFrame) -> str:
    started = perf_counter()
    trained = train(fitted, contract, named.model(contract), Training())
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        scorer = Scorer(folder, bundle.verify(folder, export.write_bundle(trained, "{}", folder)))
        seconds = perf_counter() - started
        scorer.verify_golden_rows()
        inputs, truth = inputs_of(served, trained.encoder), served[TARGET].to_numpy()
        found = scorer.predict(inputs)
        error = roc_auc_score(truth, found) if contract.task == "binary" else np.abs(found - truth).mean()
        one, thousand = (
            _latency(lambda: scorer.predict(inputs[:1]), 1_000),
            _latency(lambda: scorer.predict(inputs[:1_000]), 50),
        )
        size = (folder / bundle.MODEL).stat().st_size / 1e6
        off = _off(trained, scorer, inputs)
    return f"{error:.3f} | {size:.2f} | {1e6 * one:.0f} | {1e3 * thousand:.1f} | {off:.1e} | {seconds:.0f}"


def _latency(run: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        started = perf_counter()
        run()
        seconds.append(perf_counter() - started)
    return float(np.median(seconds))


def _off(trained: Trained, scorer: Scorer, inputs: export.Inputs) -> float:
    """The largest difference between ONNX and the original on the judged rows and the golden rows with every edge."""
    golden, expected = golden_rows(scorer.directory, scorer.manifest)
    differences = (scorer.predict(inputs) - outputs(trained.model, inputs), scorer.predict(golden) - expected)
    return max(float(np.abs(each).max()) for each in differences)


def table(all_named: Mapping[str, Named], measure: Callable[[Named], str], judged: str) -> Iterator[str]:
    yield f"| estimator | {judged} | ONNX, MB | one row, µs | 1000 rows, ms | ONNX off by at most | s to train |"
    yield "|---|---|---|---|---|---|---|"
    for name, named in all_named.items():
        yield f"| {name}, `{named.path}` | {'not installed | | | | |' if named.absent else measure(named)} |"


def main() -> None:
    tlc, hotel = os.environ.get("AUTOOPS_TLC_DIR"), os.environ.get("AUTOOPS_HOTEL_DIR")
    if not tlc or not hotel:
        sys.exit("AUTOOPS_TLC_DIR and AUTOOPS_HOTEL_DIR name the folders of real months that this needs; set both")
    warnings.simplefilter("ignore")
    fitted, served = trips(Path(tlc))
    for line in table(REGRESSORS, lambda named: measured(named, CONTRACT, fitted, served), "taxi, MAE in minutes"):
        print(line, flush=True)
    contract = declaration.load(str(HOTEL))
    fitted, served = bookings(Path(hotel), contract)
    print()

    def on_hotel(named: Named) -> str:
        return measured(named, contract if named.takes_missing else without_missing(contract), fitted, served)

    for line in table(CLASSIFIERS, on_hotel, "hotel, AUC"):
        print(line, flush=True)


if __name__ == "__main__":
    main()
