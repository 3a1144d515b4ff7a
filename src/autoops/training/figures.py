"""Figures of a trained model for its MLflow run; drawn without pyplot, which keeps global state."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from autoops.usecase.calendar import calendar
from autoops.usecase.columns import TARGET, columns_of
from autoops.usecase.contract import Contract

MOST_POINTS = 5_000


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw(importances: Mapping[str, float], holdout: pd.DataFrame, contract: Contract) -> dict[str, Figure]:
    """Return figures by file name; `holdout` has target and prediction."""
    return {
        "feature_importances.png": _importances(importances),
        "residuals_by_hour.png": _residuals_by_hour(holdout, contract),
        "residuals_by_prediction.png": _residuals_by_prediction(holdout, contract),
    }


def _importances(importances: Mapping[str, float]) -> Figure:
    figure = _figure(7, 3.5)
    axes = figure.add_subplot()
    ordered = sorted(importances.items(), key=lambda item: item[1])
    bars = axes.barh([name for name, _ in ordered], [share for _, share in ordered])
    axes.bar_label(bars, fmt="{:.1%}", padding=3)
    axes.margins(x=0.15)
    axes.set(title="Permutation importance on the holdout", xlabel="share of the growth in mean absolute error")
    return figure


def _residuals_by_hour(holdout: pd.DataFrame, contract: Contract) -> Figure:
    figure = _figure(8, 4)
    axes = figure.add_subplot()
    residuals = (holdout["prediction"] - holdout[TARGET]).to_numpy()
    hours = calendar("hour_of_day", columns_of(holdout)["event_at"], contract.zone)
    present = np.unique(hours)
    axes.boxplot([residuals[hours == hour] for hour in present], positions=present, showfliers=False, widths=0.7)
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.set(
        title="Residuals by hour, on the holdout",
        xlabel=f"hour in {contract.event_time.told_zone}",
        ylabel=f"predicted − actual{_unit(contract)}",
    )
    return figure


def _residuals_by_prediction(holdout: pd.DataFrame, contract: Contract) -> Figure:
    figure = _figure(8, 4)
    axes = figure.add_subplot()
    some = holdout.iloc[:: max(1, len(holdout) // MOST_POINTS)]
    axes.scatter(some["prediction"], some["prediction"] - some[TARGET], s=4, alpha=0.3, linewidths=0)
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.set(
        title="Residuals by prediction, on the holdout",
        xlabel=f"predicted{_unit(contract)}",
        ylabel=f"predicted − actual{_unit(contract)}",
    )
    return figure


def _unit(contract: Contract) -> str:
    return f", {contract.target.unit}" if contract.target.unit else ""
