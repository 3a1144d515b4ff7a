"""The hotel's model on the month after its training, beside simpler ones: `scripts/bench.sh hotel`.

The first table of docs/hotel.md. AUTOOPS_HOTEL_DIR names the folder with the real table. All are fitted on bookings
that arrive in the first three months, and say which of those of the fourth are cancelled.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import MonthStore
from autoops.months import Month, parse_months
from autoops.settings import Data, load_settings
from autoops.training import estimator
from autoops.usecase.columns import TARGET
from autoops.usecase.contract import Contract
from autoops.usecase.tasks import losses

Probabilities = npt.NDArray[np.float64]

FITTED, SERVED = "2015-07..2015-09", Month(2015, 10)


def months_of(folder: Path, contract: Contract, months: Sequence[Month]) -> dict[Month, pd.DataFrame]:
    """Bookings by month."""
    source, found = open_source(Data(source=str(folder)), contract), {}
    with TemporaryDirectory() as directory:
        store = MonthStore(Path(directory), cleaner_of(contract))
        for month in months:
            store.ingest(source, month)
            found[month] = store.load([month])
    return found


def logistic(contract: Contract, fitted: pd.DataFrame, served: pd.DataFrame) -> Probabilities:
    """A term for each category and, in units of its spread, each number."""
    categories = [name for name, feature in contract.features.items() if feature.type == "category"]
    numbers = [name for name in contract.features if name not in categories]
    encoded = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), categories), (StandardScaler(), numbers))
    model = make_pipeline(encoded, LogisticRegression(max_iter=2_000)).fit(_told(fitted, categories), fitted[TARGET])
    return np.asarray(model.predict_proba(_told(served, categories))[:, 1])


def _told(rows: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    return rows.assign(**{name: rows[name].astype(str) for name in categories})


def answers(folder: Path) -> tuple[Mapping[str, Probabilities], npt.NDArray[np.float64]]:
    """What each says of the served month, and what became of its bookings."""
    settings = load_settings(usecase="hotel")
    contract = settings.contract
    *first, served = months_of(folder, contract, [*parse_months(FITTED), SERVED]).values()
    fitted = pd.concat(first, ignore_index=True)
    encoder = estimator.encoder_of(contract, settings.model, fitted)
    forest = estimator.fit(settings.model, encoder, fitted)
    found = {
        "the declared forest": estimator.predict(forest, served, encoder),
        "a logistic regression": logistic(contract, fitted, served),
        "the base rate": np.full(len(served), fitted[TARGET].mean()),
    }
    return found, served[TARGET].to_numpy(dtype=np.float64)


def main() -> int:
    """Print the table."""
    folder = os.environ.get("AUTOOPS_HOTEL_DIR")
    if folder is None:
        print("AUTOOPS_HOTEL_DIR names no folder with hotel_bookings.parquet", file=sys.stderr)
        return 2
    found, truth = answers(Path(folder))
    contract = load_settings(usecase="hotel").contract
    print(f"{len(truth)} bookings of {SERVED}, {truth.mean():.1%} cancelled; fitted on {FITTED}\n")
    print("| | AUC | log loss |\n|---|---|---|")
    for name, said in found.items():
        print(f"| {name} | {roc_auc_score(truth, said):.3f} | {losses(contract, truth, said).mean():.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
