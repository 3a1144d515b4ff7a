"""The picture: each policy's error against version 1, by month, and when autoops retrained."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autoops.backtest.results.summary import LagSummary, MonthSummary, PolicySummary, Result

INK, GRID = "#1f2937", "#e5e7eb"
PROMOTED = "policy (retrained, promoted)"
STYLES: Mapping[str, tuple[str, float, str]] = {
    "frozen": ("#111827", 1.2, "-"),
    "monthly": ("#9ca3af", 1.4, "-"),
    "monthly+gate": ("#d97706", 2.0, "-"),
    "every-2-months+gate": ("#a16207", 1.0, "--"),
    "blind": ("#be185d", 1.4, "-"),
    "evidently-default": ("#7c3aed", 1.2, "--"),
    "autoops": ("#2563eb", 2.8, "-"),
    "oracle": ("#059669", 1.2, ":"),
}


def draw(result: Result, path: Path) -> None:
    """Draw one panel for each label lag; the file's extension gives the format."""
    runs = result["runs"]
    # Not by pyplot, which chooses a backend and keeps every figure until it is closed.
    figure = Figure(figsize=(13, 0.8 + 4.2 * len(runs)), layout="constrained", facecolor="white")
    panels = figure.subplots(len(runs), 1, squeeze=False)[:, 0]
    for axes, run in zip(panels, runs, strict=True):
        _panel(axes, run)
    months = result["months"]
    figure.suptitle(
        f"{months[0]} to {months[-1]}, walked forward: error of what was served, against version 1 left alone",
        color=INK,
        fontsize=13,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=144)


def _panel(axes: Axes, run: LagSummary) -> None:
    policies = run["policies"]
    frozen = policies["frozen"]["per_month"]
    ticks = range(len(frozen))
    for name, policy in policies.items():
        color, width, style = STYLES[name]
        gains = _percent([month["mae"] for month in policy["per_month"]], frozen)
        axes.plot(ticks, gains, color=color, linewidth=width, linestyle=style, label=_label(name, policy))
        if "maes" in policy["per_month"][0]:
            _spread(axes, policy["per_month"], frozen, color)
        if name == "autoops":
            _marks(axes, policy["per_month"], gains, color)
    axes.set_xticks(ticks, [month["month"] for month in frozen], rotation=45, ha="right")
    axes.set_ylabel("error against frozen, %\n(below 0 is better)")
    lag = run["label_lag_months"]
    late = "at the month's end" if lag == 0 else f"{lag} month{'s' if lag > 1 else ''} after it ends"
    axes.set_title(f"A month with its labels comes out {late}", loc="left", color=INK, fontsize=11)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, title=PROMOTED, alignment="left")
    axes.grid(color=GRID)
    axes.spines[["top", "right"]].set_visible(False)


def _percent(maes: list[float], frozen: list[MonthSummary]) -> list[float]:
    return [100 * (mae / month["mae"] - 1) for mae, month in zip(maes, frozen, strict=True)]


def _label(name: str, policy: PolicySummary) -> str:
    return f"{name} ({policy['retrainings']:.3g}, {policy['promoted']:.3g})"


def _spread(axes: Axes, months: list[MonthSummary], frozen: list[MonthSummary], color: str) -> None:
    """Fill the range from the best seed to the worst."""
    low, high = (_percent([pick(month["maes"]) for month in months], frozen) for pick in (min, max))
    axes.fill_between(range(len(months)), low, high, color=color, alpha=0.12, linewidth=0)


def _marks(axes: Axes, months: list[MonthSummary], gains: list[float], color: str) -> None:
    """Mark each retraining between the month that led to it and the first month that its version could serve.

    The mark is full where the challenger was promoted, hollow where it was not.
    """
    for position, month in enumerate(months):
        for one in month["retrained_after"]:
            height = (gains[position] + gains[min(position + 1, len(gains) - 1)]) / 2
            face = color if one["promoted"] else "white"
            axes.plot(position + 0.5, height, "o", color=color, markerfacecolor=face, markersize=9, zorder=3)
