"""Verbs on decisions: decide, freeze, unfreeze, approve, close, release, incidents, explain, served-at, why."""

from typing import Annotated

import typer

from autoops import console
from autoops.cli.identity import actor
from autoops.cli.options import Incident, Json, Reason
from autoops.errors import InputError

verbs = typer.Typer()


@verbs.command()
def decide(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say it, and write nothing.")] = False, json: Json = False
) -> None:
    """Say what is to be done now, and why; without --dry-run it is what check-drift does."""
    from autoops.bootstrap import context
    from autoops.loop.monitor import drift_check, preview

    if dry_run:
        # Without `migrate`: a dry run does not change the schema either.
        previewed = preview.preview(context())
        console.show(previewed, json, "\n".join(preview.sentences(previewed)))
        return
    found = drift_check.check(context(migrate=True))
    console.show(found, json, f"{found['decision']}: {found['because']}")


@verbs.command()
def freeze(reason: Reason) -> None:
    """Stop what the loop does by itself; checks go on and are recorded."""
    from autoops.bootstrap import context
    from autoops.loop.incidents import freeze

    console.show(None, False, freeze.freeze(context(migrate=True), reason=reason, actor=actor()))


@verbs.command()
def unfreeze(reason: Reason = "") -> None:
    """Let the loop act again; the next check takes up what waited."""
    from autoops.bootstrap import context
    from autoops.loop.incidents import freeze

    console.show(None, False, freeze.unfreeze(context(migrate=True), reason=reason, actor=actor()))


@verbs.command()
def approve(
    incident: Incident,
    reason: Reason,
    wait: Annotated[bool, typer.Option(help="Until every API instance serves it.")] = True,
    json: Json = False,
) -> None:
    """Promote the version of an incident that waits for approval."""
    from autoops.bootstrap import context
    from autoops.loop.retrain import approval, retraining

    built = context(migrate=True)
    done = approval.approve(built, incident, reason=reason, actor=actor())
    run, promotion = done["plan"], done["promotion"]
    served = retraining.confirm(built, run, promotion["version"]) if wait else None
    closed = retraining.close(built, run, promotion)
    console.show({**promotion, **(served or {}), **closed}, json, closed["outcome"])


@verbs.command()
def close(incident: Incident, reason: Reason) -> None:
    """Close an incident by hand, such as one whose version you do not approve."""
    from autoops.bootstrap import context
    from autoops.loop.retrain import approval

    outcome = approval.close_by_hand(context(migrate=True), incident, reason=reason, actor=actor())
    console.show(None, False, f"incident {incident} {outcome}")


@verbs.command()
def incidents(
    unresolved: Annotated[bool, typer.Option("--open", help="Only those that are not closed.")] = False,
    json: Json = False,
) -> None:
    """All incidents, newest first."""
    from autoops.bootstrap import context

    found = context(migrate=True).ledger.incidents(unresolved=unresolved)
    if json or not found:
        console.show(found, json, "no incidents")
        return
    columns = ["incident", "opened (UTC)", "kind", "version", "status", "outcome or reason"]
    rows = [
        [
            str(one.id),
            f"{one.opened_at:%Y-%m-%d %H:%M}",
            one.kind,
            str(one.model_version or ""),
            one.status.replace("_", " "),
            one.outcome or one.reason,
        ]
        for one in found
    ]
    console.table("Incidents", columns, rows)


@verbs.command()
def explain(
    incident: Annotated[
        int | None, typer.Argument(help="Its number; autoops incidents lists them.", min=1, max=2**31 - 1)
    ] = None,
    version: Annotated[int | None, typer.Option(help="Instead: why this version was not promoted.", min=1)] = None,
    at: Annotated[str | None, typer.Option(help="Instead: what served at this time, as served-at.")] = None,
    json: Json = False,
) -> None:
    """Show an incident as a report, or say why a version was not promoted; a number may be either."""
    from autoops.bootstrap import context
    from autoops.errors import NotFound
    from autoops.loop.reports import report
    from autoops.loop.reports.explain import explain as gathered
    from autoops.loop.reports.not_promoted import of_version, version_if_known

    if [incident, version, at].count(None) != 2:
        raise InputError("explain takes either an incident, --version or --at")
    if at is not None:
        served_at(at, json)
        return
    built = context(migrate=True)
    if version is not None:
        answer = of_version(built, version)
        console.show(answer, json, answer["told"])
        return
    assert incident is not None
    about = version_if_known(built, incident)
    try:
        found = gathered(built, incident)
    except NotFound:
        if about is None:
            raise
        console.show(about, json, about["told"])
        return
    console.show(found, json, report.page(found, built.contract))
    if about is not None:
        console.note(f"Of version {incident}, where that is meant: {about['told']}")


@verbs.command(name="served-at")
def served_at(
    moment: Annotated[str, typer.Argument(help="Such as '2023-05-02 14:05'; UTC without an offset.")],
    json: Json = False,
) -> None:
    """Say which version was champion at a time, and why."""
    from autoops.bootstrap import context
    from autoops.loop.promote import tenures

    at = tenures.parse_moment(moment)
    tenure = tenures.tenure_at(context(migrate=True), at)
    console.show({"at": at, "tenure": tenure}, json, "\n".join(tenures.sentences(at, tenure)))


@verbs.command()
def why(
    prediction: Annotated[str, typer.Argument(help="Its prediction_id, or the request_id; with API keys KEY/ID.")],
    json: Json = False,
) -> None:
    """One logged prediction, step by step: what the model was given, and what each of it did to the answer."""
    from autoops.bootstrap import context
    from autoops.loop.reports import breakdown

    found = breakdown.break_down(context(migrate=True), prediction)
    console.show(found, json, "\n".join(breakdown.sentences(found)))


@verbs.command()
def release(month: str, reason: Reason) -> None:
    """Say that a quarantined month is true: it is used from then on."""
    from autoops.bootstrap import context
    from autoops.loop.data import validation
    from autoops.months import Month

    validation.release(context(migrate=True), Month.parse(month), reason, actor())
    console.show(None, False, f"{month} is released")
