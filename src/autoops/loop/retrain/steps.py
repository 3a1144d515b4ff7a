"""What retraining steps share: the incident in log lines, a span in one trace, and the record of a training."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from autoops.loop.context import Context
from autoops.loop.retrain.plan import Plan, Run
from autoops.models.registry import CHALLENGER, CPU_SECONDS, ModelVersion
from autoops.telemetry import logs, tracing

TRAINED: Final = "trained"
Given = ParamSpec("Given")
Found = TypeVar("Found")
OfRun = TypeVar("OfRun", bound=Run)
Step = Callable[Concatenate[Context, OfRun, Given], Found]


def step(use_case: Step[OfRun, Given, Found]) -> Step[OfRun, Given, Found]:
    """Wrap a step so that its log lines name the incident and it has a span in the run's trace."""
    name = f"retrain.{use_case.__name__}"

    @wraps(use_case)
    def told(context: Context, run: OfRun, /, *args: Given.args, **kwargs: Given.kwargs) -> Found:
        subject = {"incident_id": run["incident_id"]}
        with logs.about(**subject), tracing.span(name, run, run_id=run["run_id"], **subject):
            return use_case(context, run, *args, **kwargs)

    return told


def record(
    context: Context, plan: Plan, version: ModelVersion, rows: str, metrics: Mapping[str, float] | None = None
) -> None:
    """Record a training in the ledger; `rows` says which rows were used, "all" or "since change"."""
    spent = version.tags.get(CPU_SECONDS)
    cost = {CPU_SECONDS: float(spent)} if spent else {}
    context.ledger.record(
        TRAINED,
        f"version {version.number} on {', '.join(plan['months'])}, rows: {rows}"
        + "".join(f", {seconds:.0f} CPU seconds" for seconds in cost.values()),
        actor=plan["actor"],
        incident_id=plan["incident_id"],
        model_version=version.number,
        evidence={"run_id": version.run_id, **cost} | ({"metrics": metrics} if metrics else {}),
    )


def complete(context: Context, plan: Plan, version: ModelVersion) -> None:
    """Complete the record of a version whose run was killed after it had registered the version."""
    if not context.ledger.entries(incident_id=plan["incident_id"], kind=TRAINED, model_version=version.number):
        context.registry.set_alias(CHALLENGER, version.number)
        record(context, plan, version, version.tags["training_rows"])
