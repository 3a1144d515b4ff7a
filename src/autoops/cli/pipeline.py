"""Verbs on data and models: ingest, sample, train, retrain, score, check-drift, promote, rollback."""

from pathlib import Path
from typing import Annotated

import typer

from autoops import console
from autoops.cli.identity import actor, new_run_id
from autoops.cli.options import Json, Months, Reason
from autoops.months import parse_months

verbs = typer.Typer()


@verbs.command()
def ingest(months: Months, refetch: bool = False, json: Json = False) -> None:
    """Fetch published months, clean them, and keep one parquet file each."""
    from autoops.bootstrap import context

    store, source = (built := context()).store, built.source
    done = []
    for month in parse_months(months):
        with console.progress(f"{month}") as report:
            done.append(store.ingest(source, month, report, refetch=refetch))
    value = [
        {"month": str(m.month), "status": m.status, "rows": m.rows, "rows_read": m.rows_read, "dropped": m.dropped}
        for m in done
    ]
    lines = [
        f"{m.month}: {m.status}, {m.rows} of {m.rows_read} rows kept ({m.kept_share:.1%}); dropped: "
        + (", ".join(f"{reason} {count}" for reason, count in m.dropped.items() if count) or "none")
        for m in done
    ]
    console.show(value, json, "\n".join(lines))


@verbs.command()
def sample(
    months: Months,
    output: Annotated[Path, typer.Option(help="Folder for the files.")],
    scenario: Annotated[
        str, typer.Option(help="Of the use case: an unknown one is refused with the list of them.")
    ] = "steady",
    changes_from: Annotated[str | None, typer.Option(help="First month of the change.")] = None,
    magnitude: Annotated[float | None, typer.Option(help="Of the change; each scenario has its own default.")] = None,
    rows_per_month: Annotated[int, typer.Option("--rows-per-month", "--trips-per-month")] = 20_000,
    seed: int = 7,
) -> None:
    """Write made-up raw months of the use case, in the format of its real ones, offline and from a seed."""
    from autoops.errors import InputError
    from autoops.months import Month
    from autoops.settings import load_settings
    from autoops.usecase.functions import resolve

    wanted, contract = parse_months(months), load_settings().contract
    if contract.sample is None:
        raise InputError(f"{contract.name} declares no `sample`, a function that makes rows up")
    resolve(contract.sample, "sample")(
        output,
        wanted,
        rows_per_month=rows_per_month,
        seed=seed,
        scenario=scenario,
        changes_from=Month.parse(changes_from) if changes_from else None,
        magnitude=magnitude,
    )
    console.show(None, False, f"wrote {', '.join(map(str, wanted))} to {output}")


@verbs.command()
def train(months: Months, reason: Reason = "trained by hand", json: Json = False) -> None:
    """Ingest, train and register a challenger; a first version that beats the baseline becomes champion."""
    from autoops.bootstrap import context
    from autoops.loop.retrain import retraining
    from autoops.models.registry import CHAMPION

    built = context(migrate=True)
    plan = retraining.begin(built, new_run_id(), months=",".join(months), reason=reason, actor=actor())
    with retraining.failures_recorded(built, plan):
        version = retraining.candidate(built, plan)
        if built.registry.by_alias(CHAMPION) is None:
            outcome = retraining.promote(built, plan, version, retraining.gate(built, plan, version))
        else:
            reason = "registered as challenger, not gated"
            outcome = {"promoted": False, "version": version, "reason": reason}
        closed = retraining.close(built, plan, outcome)
    console.show({**outcome, **closed}, json, closed["outcome"])


@verbs.command()
def retrain(
    months: Annotated[list[str] | None, typer.Option("--months", help="Default: the newest published window.")] = None,
    incident: Annotated[int | None, typer.Option(help="Retrain for this incident.", min=1, max=2**31 - 1)] = None,
    reason: Reason = "",
    force: Annotated[bool, typer.Option(help="Promote whatever the gate says.")] = False,
    json: Json = False,
) -> None:
    """Run the whole retraining here and now: the steps of Airflow's `retrain`, but for the wait for the API."""
    from autoops.bootstrap import context
    from autoops.loop.retrain import retraining

    built, wanted = context(migrate=True), ",".join(months) if months else None
    plan = retraining.begin(
        built,
        new_run_id(),
        incident_id=incident,
        months=wanted,
        reason=reason,
        force=force,
        actor=actor(),
        by_hand=True,
    )
    with retraining.failures_recorded(built, plan):
        version = retraining.candidate(built, plan)
        verdict = retraining.gate(built, plan, version)
        outcome = retraining.promote(built, plan, version, verdict)
        closed = retraining.close(built, plan, outcome)
    console.show({**outcome, **closed, "gate": verdict}, json, closed["outcome"])


@verbs.command()
def score(months: Months, json: Json = False) -> None:
    """Put published months through the champion into the prediction log, with their ground truth."""
    from autoops.bootstrap import context
    from autoops.loop.data.scored_months import score as score_month
    from autoops.usecase.tasks import measure_key, measure_told

    built = context(migrate=True)
    done = []
    for month in parse_months(months):
        with console.progress(f"{month}") as report:
            done.append(score_month(built, month, report))
    key = measure_key(built.contract)
    shown = [{key if name == "loss" else name: value for name, value in d.items()} for d in done]
    lines = [
        f"{d['month']}: {d['rows']} rows by version {d['model_version']}, {measure_told(built.contract, d['loss'])}"
        for d in done
    ]
    console.show(shown, json, "\n".join(lines))


@verbs.command(name="check-drift")
def check_drift(json: Json = False) -> None:
    """Judge the newest window of logged predictions; exits with 10 on an alarm."""
    from autoops.bootstrap import context
    from autoops.loop.monitor.drift_check import check

    result = check(context(migrate=True))
    console.show(result, json, f"{result['verdict']}: {result['reason']}")
    if result["alarm"]:
        raise typer.Exit(10)


@verbs.command()
def promote(version: int, reason: Reason) -> None:
    """Make a version champion by hand; the ledger keeps who and why."""
    from autoops.bootstrap import context
    from autoops.loop.promote.promotion import promote_version

    promote_version(context(migrate=True), version, reason=reason, actor=actor())
    console.show(None, False, f"version {version} is champion")


@verbs.command()
def rollback(reason: Reason) -> None:
    """Put the previous version back in charge."""
    from autoops.bootstrap import context
    from autoops.loop.promote.promotion import roll_back

    console.show(None, False, f"version {roll_back(context(migrate=True), reason=reason, actor=actor())} is champion")
