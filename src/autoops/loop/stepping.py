"""What every step of a retraining does beside its work: its lines name the incident, and it is a span of one trace."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from autoops import logs, tracing
from autoops.loop.pipeline import Pipeline
from autoops.loop.plan import Plan

Given = ParamSpec("Given")
Found = TypeVar("Found")
Step = Callable[Concatenate[Pipeline, Plan, Given], Found]


def step(use_case: Step[Given, Found]) -> Step[Given, Found]:
    name = f"retrain.{use_case.__name__}"

    @wraps(use_case)
    def told(pipeline: Pipeline, plan: Plan, /, *args: Given.args, **kwargs: Given.kwargs) -> Found:
        subject = {"incident_id": plan["incident_id"]}
        with logs.about(**subject), tracing.span(name, plan, run_id=plan.get("run_id"), **subject):
            return use_case(pipeline, plan, *args, **kwargs)

    return told
