"""What the ledger has of a training, also of one that was killed before it could say so."""

from collections.abc import Mapping

from autoops.loop.pipeline import Pipeline
from autoops.loop.plan import Plan
from autoops.registry import CHALLENGER, ModelVersion

TRAINED = "trained"


def record(
    pipeline: Pipeline, plan: Plan, version: ModelVersion, rows: str, metrics: Mapping[str, float] | None = None
) -> None:
    pipeline.ledger.record(
        TRAINED,
        f"version {version.number} on {', '.join(plan['months'])}, rows: {rows}",
        actor=plan["actor"],
        incident_id=plan["incident_id"],
        model_version=version.number,
        evidence={"run_id": version.run_id} | ({"metrics": metrics} if metrics else {}),
    )


def complete(pipeline: Pipeline, plan: Plan, version: ModelVersion) -> None:
    """Does what a run that was killed once its version was there has left undone."""
    if not pipeline.ledger.entries(incident_id=plan["incident_id"], kind=TRAINED, model_version=version.number):
        pipeline.registry.set_alias(CHALLENGER, version.number)
        record(pipeline, plan, version, version.tags["training_rows"])
