"""The steps of an incident: notice, wait for data, train, gate, swap, post-promotion check."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from urllib.parse import quote

from autoops.loop.promote.post_promotion import OVER
from autoops.loop.reports.explain import Explanation
from autoops.loop.retrain.plan import BEGUN, FAILED
from autoops.redaction import public_url
from autoops.settings import Settings

Progress = Literal["done", "active", "failed", "skipped", "to come"]
History = Sequence[tuple[datetime, str, str, int | None, str]]
Links = Sequence[tuple[str, str]]


class Step(NamedTuple):
    """A step with when and why it ended as it did, and pairs of a name and an address."""

    name: str
    progress: Progress = "to come"
    at: datetime | None = None
    sentence: str = ""
    links: Links = ()


def steps_of(found: Explanation, settings: Settings) -> list[Step]:
    """Return the steps of an incident from its history.

    The first step that is to come is active; after a failure or the end of the incident none comes any more.
    """
    history = found["history"]
    steps = [
        _notice(found),
        _wait(found, history),
        _train(found, history, settings),
        _gate(history),
        _swap(history),
        _check(found),
    ]
    over, active = found["incident"].status == "closed", False
    for position, step in enumerate(steps):
        over = over or step.progress == "failed"
        if step.progress == "to come":
            progress: Progress = "skipped" if over else "to come" if active else "active"
            active = active or not over
            steps[position] = step._replace(progress=progress)
    return steps


def _notice(found: Explanation) -> Step:
    links = found["links"]
    pages = [(f"{name} in MLflow", where) for name, where in links if name.startswith("check") and "://" in where]
    reports = [("drift report", f"/report/{name.split()[1]}") for name, where in links if where.endswith(".html")]
    return Step("Notice", "done", found["incident"].opened_at, f"by {found['opened_by']}", (*pages, *reports))


def _wait(found: Explanation, history: History) -> Step:
    if begun := _last(history, *BEGUN):
        return Step("Wait for data", "done", begun[0], f"data of {', '.join((found['begun'] or {})['months'])}")
    waits = _last(history, "incident waiting for data")
    return Step("Wait for data", "to come", waits[0] if waits else None, waits[4] if waits else "")


def _train(found: Explanation, history: History, settings: Settings) -> Step:
    begun, trained, failed = _last(history, *BEGUN), _last(history, "trained"), _last(history, FAILED)
    run = (found["begun"] or {}).get("run_id") or ""
    # The ids of Airflow's runs, such as scheduled__2026-01-01; those of the command line have none.
    airflow = (
        f"{public_url(settings.console.airflow_url or settings.airflow_url)}/dags/retrain/runs/{quote(run, safe='')}"
    )
    links = [("Airflow run", airflow)] if "__" in run else []
    links += [(f"{name} in MLflow", where) for name, where in found["links"] if "version" in name and "://" in where]
    if failed and (begun is None or failed[0] >= begun[0]):
        return Step("Train", "failed", failed[0], failed[4], links)
    if trained:
        return Step("Train", "done", trained[0], trained[4], links)
    if begun and begun[2] == BEGUN[1]:
        return Step("Train", "skipped", begun[0], f"version {begun[3]} is compared again", links)
    return Step("Train", "to come", begun[0] if begun else None, "", links)


def _gate(history: History) -> Step:
    gate = _last(history, "gate")
    if gate is None:
        return Step("Gate")
    # The figures stand in a part of their own.
    told = ": ".join(gate[4].split(": ")[:2])
    return Step("Gate", "done" if told.startswith("promote") else "failed", gate[0], told)


def _swap(history: History) -> Step:
    if served := _last(history, "served"):
        return Step("Swap", "done", served[0], served[4])
    if promoted := _last(history, "promoted"):
        missing = _last(history, "not served")
        told = missing[4] if missing else f"version {promoted[3]} is champion"
        return Step("Swap", "failed" if missing else "done", promoted[0], told)
    waits = _last(history, "incident waiting for approval")
    return Step("Swap", "to come", waits[0] if waits else None, waits[4] if waits else "")


def _check(found: Explanation) -> Step:
    name = "Post-promotion check"
    if found["afterwards"]:
        at, kind, reason = found["afterwards"][-1]
        return Step(name, "failed" if kind == "rolled back" else "done" if kind == OVER else "active", at, reason)
    # A first version replaced nothing that it could be compared with.
    replaced = (found["gate"] or {}).get("champion")
    goes_on = replaced and any(each.version in found["versions"] and not each.until for each in found["tenures"])
    return Step(name, "active", None, "goes on with each labelled window") if goes_on else Step(name)


def _last(history: History, *kinds: str) -> tuple[datetime, str, str, int | None, str] | None:
    return next((entry for entry in reversed(history) if entry[2] in kinds), None)
