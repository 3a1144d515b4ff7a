"""Is the model as it is shipped worth what it takes? `scripts/bench.sh model`, with AUTOOPS_TLC_DIR.

On real months, walked forward: what is simpler, what each feature brings and costs, other parameters, and whom the
model serves how well. Parameters are compared on the months of 2022, and once more on those of 2023.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from autoops.loop.decide.day_blocks import Estimate
from autoops.months import Month
from autoops.settings import Model
from autoops.training import estimator, trees
from autoops.usecase.columns import columns_of
from benchmarks import origins, simpler
from benchmarks.origins import Answers, Minutes, Origin, changed, of_model, with_features
from benchmarks.slices import ZONES, slices
from tests.taxi import CONTRACT, feature_matrix

CHOSEN_ON = (Month(2022, 6), Month(2022, 9), Month(2022, 12))
CHECKED_ON = (Month(2023, 2), Month(2023, 4), Month(2023, 6))

NEIGHBOURS: Mapping[str, Sequence[float | None]] = {
    "n_estimators": (50, 200),
    "max_depth": (14, 22, None),
    "min_samples_leaf": (3, 5, 10, 15),
    "max_features": (0.34, 0.67, 1.0),
}


def neighbours(model: Model) -> dict[str, Model]:
    """The model with one parameter changed at a time."""
    return {f"{name} {value}": changed(model, **{name: value}) for name, of in NEIGHBOURS.items() for value in of}


def main() -> None:
    named = os.environ.get("AUTOOPS_TLC_DIR")
    if not named:
        sys.exit("AUTOOPS_TLC_DIR is not set: it names the folder of real months that this needs")
    walked = origins.origins(Path(named), [*CHOSEN_ON, *CHECKED_ON])
    model = Model()
    shipped = _answers(walked, of_model(model))
    errors = np.abs(shipped - _truth(walked))
    print(f"{len(errors)} trips of {', '.join(str(origin.month) for origin in walked)}: MAE {errors.mean():.3f} min\n")
    _simpler(walked, errors)
    _features(walked, errors, model)
    _parameters(walked, errors, model)
    _slices(walked, shipped, Path(named) / ZONES)


def _answers(walked: Sequence[Origin], answers: Answers) -> Minutes:
    return np.concatenate([answers(origin.fitted, origin.served) for origin in walked])


def _truth(walked: Sequence[Origin]) -> Minutes:
    return np.concatenate([origin.truth for origin in walked])


def _told(worse: Estimate) -> str:
    return f"{worse.mean:+.3f} [{worse.low:+.3f}, {worse.high:+.3f}]"


def _simpler(walked: Sequence[Origin], shipped: Minutes) -> None:
    print("| simpler | MAE | against the forest |\n|---|---|---|")
    for name, answers in simpler.SIMPLER.items():
        found = origins.absolute_errors(walked, answers)
        print(f"| {name} | {found.mean():.3f} | {_told(origins.beside(walked, shipped, found))} |", flush=True)


def _features(walked: Sequence[Origin], shipped: Minutes, model: Model) -> None:
    print("\n| feature | error without it | ONNX file without it, MB | to compute for 1000 trips, µs |")
    print("|---|---|---|---|")
    print(f"| none left out | | {_onnx_mb(model, walked[-1]):.1f} | |")
    for name, without in origins.leave_one_out(model).items():
        worse = origins.beside(walked, shipped, origins.absolute_errors(walked, of_model(without)))
        cost = f"{_onnx_mb(without, walked[-1]):.1f} | {_microseconds(name, walked[-1]):.0f}"
        print(f"| `{name}` | {_told(worse)} | {cost} |", flush=True)
    added = with_features(changed(model, max_features=3), [*model.features, "month"])
    worse = origins.beside(walked, shipped, origins.absolute_errors(walked, of_model(added)))
    cost = f"{_onnx_mb(added, walked[-1]):.1f} | {_microseconds('month', walked[-1]):.0f}"
    print(f"| `month`, which is off: error with it | {_told(worse)} | {cost} |", flush=True)


def _onnx_mb(model: Model, origin: Origin) -> float:
    encoder = estimator.encoder_of(CONTRACT, model, origin.fitted)
    return len(trees.convert(estimator.fit(model, encoder, origin.fitted)).SerializeToString()) / 1e6


def _microseconds(feature: str, origin: Origin) -> float:
    some = columns_of(origin.served.head(1_000))
    seconds = []
    for _ in range(200):
        started = perf_counter()
        feature_matrix(some, [feature])
        seconds.append(perf_counter() - started)
    return float(np.median(seconds)) * 1e6


def _parameters(walked: Sequence[Origin], shipped: Minutes, model: Model) -> None:
    chosen = len(CHOSEN_ON)
    border = sum(len(origin.served) for origin in walked[:chosen])
    print("\n| parameters | 2022, against the shipped ones | 2023 | ONNX file, MB |\n|---|---|---|---|")
    sizes = _onnx_mb(model, walked[-1])
    print(f"| as shipped | MAE {shipped[:border].mean():.3f} | MAE {shipped[border:].mean():.3f} | {sizes:.1f} |")
    for name, other in neighbours(model).items():
        found = origins.absolute_errors(walked, of_model(other))
        before = origins.beside(walked[:chosen], shipped[:border], found[:border])
        after = origins.beside(walked[chosen:], shipped[border:], found[border:])
        print(f"| {name} | {_told(before)} | {_told(after)} | {_onnx_mb(other, walked[-1]):.1f} |", flush=True)


def _slices(walked: Sequence[Origin], answered: Minutes, zones: Path) -> None:
    simply = _answers(walked, simpler.pace_of_the_hour)
    print("\n| trips | how many | mean minutes | MAE | of the mean | too long by | hour's median pace |")
    print("|---|---|---|---|---|---|---|")
    for each in slices(walked, answered, simply, zones if zones.exists() else None):
        figures = f"{each.minutes:.1f} | {each.error:.2f} | {each.relative:.0%} | {each.signed:+.2f}"
        print(f"| {each.name} | {each.trips} | {figures} | {each.simple:.2f} |")


if __name__ == "__main__":
    main()
