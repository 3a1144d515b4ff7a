"""The result as lines and tables for people."""

from collections.abc import Sequence
from typing import Literal

from autoops.backtest.policies import BLIND, FROZEN
from autoops.backtest.results.intervals import IntervalRecord, days_of
from autoops.backtest.results.summary import LagSummary, PolicySummary, Result, begun_in, retrainings_of
from autoops.backtest.simulation import Order, Simulated
from autoops.usecase.tasks import measure_told

OUTCOMES: Sequence[Literal["promoted", "rejected", "inconclusive", "rolled_back"]] = (
    "promoted",
    "rejected",
    "inconclusive",
    "rolled_back",
)
Table = tuple[str, list[str], list[list[str]]]
"""Title, columns, rows."""


def told(order: Order, simulated: Simulated) -> str:
    """Return one line about a finished simulation."""
    done = retrainings_of(simulated)
    promoted = sum(one["promoted"] for one in begun_in(simulated))
    mae = days_of(simulated["months"]).mae
    return f"{order.name}: {measure_told(order.settings.contract, mae)}, {len(done)} retrained, {promoted} promoted"


def tables(result: Result) -> list[Table]:
    """Return, for each label lag, the errors, the retrainings behind them, and autoops against its controls."""
    return [
        table
        for run in result["runs"]
        for table in (_errors(result, run), _efforts(run), _comparisons(result, run))
        if table[2]
    ]


def _errors(result: Result, run: LagSummary) -> Table:
    months = next(iter(run["policies"].values()))["per_month"]
    count = sum(month["rows"] for month in months)
    span = f"{months[0]['month']} to {months[-1]['month']}"
    title = f"{_lag(run)}: {_measure(result)} over all {count} {result['rows']} of {span}"
    rows = [
        [
            name,
            f"{policy['mae']:.3f}",
            "–" if name == FROZEN else interval(policy["difference_to_frozen"], policy["low"], policy["high"]),
            _share(policy["degradation_avoided"]),
        ]
        for name, policy in run["policies"].items()
    ]
    return title, ["policy", result["measure"], "against frozen", "degradation avoided"], rows


def _efforts(run: LagSummary) -> Table:
    rows = [
        [
            name,
            _retrained(policy),
            ", ".join(f"{policy[outcome]:.3g}" for outcome in OUTCOMES),
            f"{policy['cpu_seconds']:.0f}",
            _delay(policy),
        ]
        for name, policy in run["policies"].items()
    ]
    columns = ["policy", "retrained", "promoted, rejected, inconclusive, rolled back", "CPU s", "found, days"]
    return f"{_lag(run)}: what was done", columns, rows


def _retrained(policy: PolicySummary) -> str:
    """Return the number of retrainings, with interim re-evaluations apart: they train nothing."""
    looks = policy["re_evaluations"]
    return f"{policy['retrainings']:.3g}" + (
        f" + {looks:.3g} re-evaluation{'' if looks == 1 else 's'}" if looks else ""
    )


def _comparisons(result: Result, run: LagSummary) -> Table:
    rows = [
        [f"{one['policy']} − {one['against']}", interval(one["estimate"], one["low"], one["high"])]
        for one in run["comparisons"]
    ]
    blind = run["policies"].get(BLIND)
    maes = [seed["mae"] for seed in blind.get("seeds", [])] if blind else []
    if maes:
        rows.append([f"{result['measure']} of {len(maes)} draws of blind", f"{min(maes):.3f} to {max(maes):.3f}"])
    return f"{_lag(run)}: autoops and its controls, {result['unit'] or result['measure']}", ["", ""], rows


def _measure(result: Result) -> str:
    return f"{result['unit']} of error" if result["unit"] else result["measure"]


def _lag(run: LagSummary) -> str:
    return f"Label lag {run['label_lag_months']} months"


def _share(avoided: IntervalRecord | None) -> str:
    return "–" if avoided is None else f"{avoided['estimate']:.0%} [{avoided['low']:.0%}, {avoided['high']:.0%}]"


def _delay(policy: PolicySummary) -> str:
    """Return the days from a known change until the policy detected it by itself."""
    delay = policy.get("detection_delay_days")
    return "–" if delay is None else f"{delay:g}"


def interval(estimate: float, low: float, high: float) -> str:
    """Return an estimate and its interval as text, signed and to three decimals: `+0.012 [-0.034, +0.058]`."""
    return f"{estimate:+.3f} [{low:+.3f}, {high:+.3f}]"
